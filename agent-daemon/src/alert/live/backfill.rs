//! Fills a history from what was stored, as after a start: what is near closely, what is far as coarsely as rules ask
//! for. Bounded in time; what was not reached by then is missing, and rules that need it know too little for a while.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use crate::{
    alert::{eval::Millis, history::History, rule::RuleSet},
    model::{
        exposition::Samples,
        time::{TimeRange, Timestamp},
    },
};

/// How long reading may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sees samples of one instant after the other.
pub type Visit<'v> = dyn FnMut(Timestamp, &dyn Samples) -> ControlFlow<()> + 'v;
/// Says how far apart samples are from an instant on.
pub type Step<'s> = dyn Fn(Timestamp) -> Duration + 's;
/// Shows what was stored of a range, as samples.
pub type Replay = dyn Fn(TimeRange, &Step<'_>, &mut Visit<'_>) + Send + Sync;

/// A history for these rules of the time before `now`.
#[must_use]
pub fn backfill(rules: &RuleSet, interval: Millis, now: Timestamp, replay: &Replay) -> History {
    let begin = Instant::now();
    let (mut near, mut far) = (History::new(rules, interval), History::new(rules, interval));
    let (fine, all) = near.reach();
    let back = |reach: Millis| {
        now.checked_sub(jiff::SignedDuration::from_millis(reach)).unwrap_or(Timestamp::UNIX_EPOCH)
    };
    let fill = |history: &mut History, range: TimeRange| {
        // Another history of the same plan, since the one is being filled.
        let plan = History::new(rules, interval);
        let step = |at: Timestamp| {
            let back = now.as_millisecond().saturating_sub(at.as_millisecond());
            Duration::from_millis(plan.grain_at(back).unsigned_abs())
        };
        replay(range, &step, &mut |at, samples| {
            history.record(at, samples);
            if begin.elapsed() < PATIENCE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
    };
    // The near first: most rules look no farther.
    fill(&mut near, TimeRange { from: back(fine), to: now });
    if all > fine {
        fill(&mut far, TimeRange { from: back(all), to: back(fine) });
    }
    near.adopt(far);
    if begin.elapsed() >= PATIENCE {
        tracing::warn!(
            "reading what was stored took too long: anomalies and forecasts know less than they could"
        );
    }
    near
}

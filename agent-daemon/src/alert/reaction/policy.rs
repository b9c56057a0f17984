//! Whether a reaction may begin now: one of each kind and agent at once, peace between two of them, and not too many on
//! the host. Decided by the audit alone, so that a restart forgets none of it.

use std::time::Duration;

use super::{
    action::Kind,
    audit::{Audit, Entry, State},
};
use crate::model::time::Timestamp;

/// The most that wait or are in force at once.
const MAX_AT_ONCE: usize = 32;
/// The most that begin within [`PER`].
const MAX_BEGUN: usize = 120;
const PER: Duration = Duration::from_secs(3600);

/// Why it may not begin now; `None` if it may.
pub(super) fn objection(
    audit: &Audit,
    (kind, agent): (Kind, &str),
    min_interval: Duration,
    now: Timestamp,
) -> Option<String> {
    let same = |entry: &&Entry| entry.kind == kind && entry.agent == agent;
    if let Some(entry) = audit.iter().filter(same).find(|entry| !entry.state.is_over()) {
        return Some(format!("reaction {} of the same kind is not over", entry.id));
    }
    let began = |entry: &&Entry| entry.state != State::Refused;
    let last = audit.iter().rev().filter(same).find(began);
    if let Some(entry) = last
        && is_within(entry.ended.unwrap_or(entry.asked), now, min_interval)
    {
        let seconds = min_interval.as_secs();
        return Some(format!("reaction {} ended less than min_interval ({seconds} s) ago", entry.id));
    }
    if audit.iter().filter(|entry| !entry.state.is_over()).count() >= MAX_AT_ONCE {
        return Some(format!("{MAX_AT_ONCE} reactions are not over: there may be no more at once"));
    }
    let lately = audit.iter().filter(began).filter(|entry| is_within(entry.asked, now, PER));
    (lately.count() >= MAX_BEGUN)
        .then(|| format!("{MAX_BEGUN} reactions began in the last hour: that is enough"))
}

/// Whether `then` is less than `length` ago. A clock that went back makes nobody wait for ever.
fn is_within(then: Timestamp, now: Timestamp, length: Duration) -> bool {
    Duration::try_from(now.duration_since(then)).is_ok_and(|age| age < length)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Audit, Entry, Kind, MAX_AT_ONCE, MAX_BEGUN, State, Timestamp, objection};
    use crate::{alert::reaction::tests::entry, store::fixture::at};

    fn asked(audit: &Audit, kind: Kind, now: Timestamp) -> Option<String> {
        objection(audit, (kind, "1-1"), Duration::from_secs(60), now)
    }

    fn with(entries: impl IntoIterator<Item = Entry>) -> Audit {
        let mut audit = Audit::default();
        for entry in entries {
            audit.add(entry);
        }
        audit
    }

    #[test]
    fn one_of_a_kind_at_once_and_peace_between_two() {
        let pause = Entry { kind: Kind::Pause, agent: "1-1".into(), asked: at(0), ..entry(State::InForce) };
        let audit = with([pause.clone()]);
        assert!(asked(&audit, Kind::Pause, at(600)).unwrap().contains("reaction 1 of the same kind"));
        assert_eq!(asked(&audit, Kind::Limit, at(600)), None, "another kind");
        assert_eq!(objection(&audit, (Kind::Pause, "2-1"), Duration::ZERO, at(0)), None, "another agent");
        let over = Entry { state: State::Undone, ended: Some(at(100)), ..pause.clone() };
        let audit = with([over.clone(), Entry { asked: at(130), ..entry(State::Refused) }]);
        assert!(asked(&audit, Kind::Pause, at(159)).unwrap().contains("min_interval"));
        assert_eq!(asked(&audit, Kind::Pause, at(160)), None, "what was refused makes nobody wait");
        assert_eq!(asked(&audit, Kind::Pause, at(50)), None, "the clock went back");
        let dry = with([Entry { state: State::DryRun, ..pause }]);
        assert!(asked(&dry, Kind::Pause, at(59)).is_some(), "a dry run says it no more often");
    }

    #[test]
    fn the_host_has_bounds_of_its_own() {
        let of = |number: usize, state| Entry { agent: format!("{number}-2"), asked: at(0), ..entry(state) };
        let many = with((0..MAX_AT_ONCE).map(|number| of(number, State::Waiting)));
        assert!(asked(&many, Kind::Limit, at(1)).unwrap().contains("no more at once"));
        let many = with((0..MAX_BEGUN).map(|number| of(number, State::Done)));
        assert!(asked(&many, Kind::Limit, at(1)).unwrap().contains("in the last hour"));
        assert_eq!(asked(&many, Kind::Limit, at(3600)), None);
    }
}

//! Old windows into fewer: a minute's into one after a day, an hour's into one after three, unless configured
//! otherwise. One agent and hour at a time, each in a transaction of its own, so that nobody waits for long.
//!
//! Windows that come late for an hour that was merged already are merged into it in turn.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{
    blocks::{self, HOUR_NS, Level, hour_of},
    codec::{block::Numbered, bytes::nanoseconds},
    compress::{Squeeze, Unsqueeze},
    failure::Failure,
    options::Options,
};
use crate::{
    model::{id::AgentId, time::Timestamp, window::Window},
    store::summary::Shares,
};

/// What is merged into what, after how long.
pub(super) const STEPS: [Step; 2] = [
    Step { from: Level::Raw, to: Level::Minute, length_ns: HOUR_NS / 60, after: |options| options.raw },
    Step { from: Level::Minute, to: Level::Hour, length_ns: HOUR_NS, after: |options| options.minutes },
];

/// One step of merging.
pub(super) struct Step {
    pub(super) from: Level,
    pub(super) to: Level,
    /// What begins in one stretch of this length becomes one.
    pub(super) length_ns: i64,
    after: fn(&Options) -> std::time::Duration,
}

impl Step {
    /// The hour before which all is due at `now`; none, if there is no such time.
    pub(super) fn due_before(&self, options: &Options, now: Timestamp) -> Option<i64> {
        now.checked_sub((self.after)(options)).ok().map(hour_of)
    }
}

/// What one call did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// There was nothing to do.
    Nothing,
    /// An hour was merged; so many blocks of it were damaged and stay as they are.
    Hour { damaged: u64 },
}

/// Merges the oldest hour of one agent that is due at `now`.
pub(super) fn step(
    db: &mut Connection,
    (squeeze, unsqueeze): (&mut Squeeze, &mut Unsqueeze),
    options: &Options,
    now: Timestamp,
) -> Result<Done, Failure> {
    for step in &STEPS {
        let Some(before) = step.due_before(options, now) else { continue };
        if let Some((agent, hour)) = due(db, step.from, before)? {
            let damaged = merge(db, (squeeze, unsqueeze), step, agent, hour)?;
            return Ok(Done::Hour { damaged });
        }
    }
    Ok(Done::Nothing)
}

fn due(db: &Connection, level: Level, before: i64) -> rusqlite::Result<Option<(i64, i64)>> {
    let sql = "SELECT agent, hour FROM block WHERE level = ?1 AND hour < ?2 ORDER BY hour LIMIT 1";
    let mut query = db.prepare_cached(sql)?;
    query.query_row(params![level as u8, before], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

fn merge(
    db: &mut Connection,
    (squeeze, unsqueeze): (&mut Squeeze, &mut Unsqueeze),
    step: &Step,
    agent: i64,
    hour: i64,
) -> Result<u64, Failure> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let id = agent_id(&transaction, agent)?;
    let mut stretches: BTreeMap<i64, Vec<Numbered>> = BTreeMap::new();
    let (mut merged, mut damaged, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for level in [step.from, step.to] {
        for (key, checksum, body) in bodies(&transaction, agent, level, hour)? {
            let Ok(windows) = blocks::open(unsqueeze, &id, checksum, &body) else {
                damaged.extend((level == step.from).then_some(key));
                continue;
            };
            merged.push(key);
            shares.extend(blocks::shares(&transaction, (hour, agent, key))?);
            for window in windows {
                let stretch = nanoseconds(window.start).div_euclid(step.length_ns);
                stretches.entry(stretch).or_default().push(window);
            }
        }
    }
    let windows: Vec<_> = stretches.into_values().filter_map(Window::merge).collect();
    for key in merged {
        transaction.prepare_cached("DELETE FROM block WHERE key = ?1")?.execute([key])?;
    }
    for key in &damaged {
        // Kept for whoever can mend it, and out of the way.
        let sql = "UPDATE block SET level = ?2 WHERE key = ?1";
        transaction.prepare_cached(sql)?.execute(params![key, step.to as u8])?;
    }
    let shares = (!shares.is_empty()).then(|| Shares::merge(&shares));
    blocks::insert(&transaction, squeeze, (agent, step.to, hour), &windows, shares.as_ref())?;
    transaction.commit()?;
    Ok(damaged.len() as u64)
}

/// Whose key it is. A block whose agent is gone is nobody's, and merged all the same until it is too old.
fn agent_id(db: &Connection, key: i64) -> rusqlite::Result<AgentId> {
    let mut query = db.prepare_cached("SELECT id FROM agent WHERE key = ?1")?;
    let id: Option<String> = query.query_row([key], |row| row.get(0)).optional()?;
    Ok(id.and_then(|id| id.parse().ok()).unwrap_or_else(|| AgentId::new(0, 0)))
}

/// Key, checksum and body.
type Body = (i64, u32, Vec<u8>);

fn bodies(db: &Connection, agent: i64, level: Level, hour: i64) -> rusqlite::Result<Vec<Body>> {
    let sql = "SELECT key, checksum, body FROM block WHERE level = ?1 AND hour = ?2 AND agent = ?3";
    let mut query = db.prepare_cached(sql)?;
    let rows = query
        .query_map(params![level as u8, hour, agent], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::Window;
    use crate::{
        model::off_cpu::WaitCause,
        store::fixture::{agent_at, at, cpu, off_cpu, process_id, syscall, window_at},
    };

    #[test]
    fn rows_of_one_key_become_one_and_the_span_is_that_of_all() {
        let id = agent_at(at(0)).id;
        let window = |seconds, ns, reason: &str| {
            let mut window = window_at(&id, at(seconds), 0);
            window.syscalls = vec![syscall(100, 0, ns), syscall(100, 1, ns)];
            window.off_cpu = vec![off_cpu(100, WaitCause::Lock, &["main"], ns, 1)];
            window.cpu = vec![cpu(100, &["main"], 2), cpu(101, &["main"], 3)];
            window.unread = vec![(process_id(100), reason.to_owned())];
            window
        };
        let merged = Window::merge(vec![window(5, 40, "late"), window(0, 10, "early")]).unwrap();
        assert_eq!((merged.start, merged.end, merged.rows()), (at(0), at(10), 5));
        let call = &merged.syscalls[0];
        assert_eq!((call.count, call.total_ns, call.max_ns, &call.errors), (2, 50, 40, &vec![(2, 2)]));
        assert_eq!(call.histogram.0.iter().sum::<u64>(), 2);
        let wait = &merged.off_cpu[0];
        assert_eq!((wait.blocked_ns, wait.run_queue_ns, wait.count, wait.max_ns), (50, 2, 2, 41));
        assert_eq!((merged.cpu[0].samples, merged.cpu[1].samples), (4, 6));
        assert_eq!(merged.unread, [(process_id(100), "late".to_owned())]);
        assert!(Window::<u64>::merge(Vec::new()).is_none());
    }
}

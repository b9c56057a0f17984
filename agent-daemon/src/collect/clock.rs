//! The kernel's clocks against the wall clock. The kernel programs stamp events by the monotonic clock and
//! processes by the boot clock; people read wall time.

use std::time::{Duration, Instant};

use tokio::time::{Interval, MissedTickBehavior};

use crate::model::{id::ProcessId, time::Timestamp};

/// Conversions. Process starts use the offset of the daemon's start, so that one process keeps one creation
/// time; events use the offset of now, so that they agree with the windows around them.
#[derive(Debug)]
pub(super) struct Clock {
    boot_offset: i128,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { boot_offset: offset(libc::CLOCK_BOOTTIME) }
    }

    /// When a process was created, to 16 µs.
    pub(super) fn started(&self, process: ProcessId) -> Timestamp {
        timestamp(self.boot_offset + i128::from(process.start_ns()))
    }

    /// When an event stamped by the monotonic clock happened.
    pub(super) fn event(&self, monotonic_ns: u64) -> Timestamp {
        let (offset, at) = (offset(libc::CLOCK_MONOTONIC), i128::from(monotonic_ns));
        timestamp(now().as_nanosecond().min(offset + at))
    }

    /// The same for many events of one moment, by one reading of the clocks.
    pub(super) fn events(&self) -> impl Fn(u64) -> Timestamp + use<> {
        let (offset, now) = (offset(libc::CLOCK_MONOTONIC), now().as_nanosecond());
        move |monotonic_ns| timestamp(now.min(offset + i128::from(monotonic_ns)))
    }
}

/// The wall clock.
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// What to add to a clock to have the wall clock. Whoever is pushed off the CPU between two clocks is wrong by as much: so
/// the nearest of some readings counts.
fn offset(clock: libc::clockid_t) -> i128 {
    let reading = || {
        let before = read(clock);
        let wall = now().as_nanosecond();
        let after = read(clock);
        (after - before, wall - i128::midpoint(before, after))
    };
    let nearest = std::iter::repeat_with(reading).take(READINGS).min_by_key(|(apart, _)| *apart);
    nearest.map_or(0, |(_, offset)| offset)
}

/// Readings of two clocks, of which the nearest counts.
const READINGS: usize = 4;

fn read(clock: libc::clockid_t) -> i128 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for the write. These clocks exist on every kernel that we load programs into.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

fn timestamp(ns: i128) -> Timestamp {
    Timestamp::from_nanosecond(ns).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Ticks at the end of each window, the first at the end of the first.
pub(super) fn intervals(window: Duration) -> Interval {
    let mut interval = tokio::time::interval_at(tokio::time::Instant::now() + window, window);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Sleeps until then; does not where there is no time.
pub(super) async fn sleep_until(due: Option<Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due.into()).await;
    }
}

//! The thread that reads the host once per window and hands the windows to the store's writer. It waits for nobody: a
//! window that finds no room in the writer's queue is lost and counted, and so is the time of one that could not be read
//! in time.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{
    counters::Counters,
    gpus::{AHEAD, HostGpus},
    host_window::between,
};
use crate::{
    config,
    model::{record::Record, time::Timestamp},
    telemetry::{Loss, Telemetry},
};

/// How far the wall clock may stray from the monotonic one within a window before it counts as set.
const SET: Duration = Duration::from_secs(1);

/// The host's collector: a thread.
#[derive(Debug)]
pub struct HostCollector {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl HostCollector {
    /// Starts it. It holds `records` weakly, so that the writer ends without it.
    ///
    /// # Errors
    /// The thread cannot start.
    pub fn spawn(
        window: Duration,
        gpu: &config::Gpu,
        records: &mpsc::Sender<Record>,
        telemetry: Arc<Telemetry>,
    ) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let records = records.downgrade();
        let gpus = HostGpus::start(gpu, &telemetry);
        let work = move || Worker { window, records, telemetry, gpus }.run(&stopped);
        let thread = std::thread::Builder::new().name("host".to_owned()).spawn(work)?;
        Ok(Self { stop, thread })
    }

    /// Has it close the last window, and waits until it has.
    pub fn finish(self) {
        drop(self.stop);
        // One that panicked has ended, too.
        let _ = self.thread.join();
    }
}

struct Worker {
    window: Duration,
    records: mpsc::WeakSender<Record>,
    telemetry: Arc<Telemetry>,
    gpus: Option<HostGpus>,
}

/// Counters, and when they were read by a clock that nobody sets.
struct Read {
    counters: Counters,
    at: Instant,
}

impl Read {
    fn now() -> Self {
        let at = Instant::now();
        Self { counters: Counters::read(), at }
    }
}

impl Worker {
    fn run(mut self, stopped: &Receiver<()>) {
        let tick = 1_000_000_000 / procfs::ticks_per_second().max(1);
        let mut last = Read::now();
        if last.counters.untold > 0 {
            tracing::warn!(
                more = last.counters.untold,
                "not every file system is told of: there are too many"
            );
        }
        let mut due = last.at + self.window;
        loop {
            let over = self.wait(stopped, due);
            let now = Read::now();
            // A file system that did not answer for long: the window is as long as it was.
            due = (due + self.window).max(now.at);
            let after = now.counters.clone();
            let before = at_its_time(last, &now);
            last = now;
            let mut window = between(&before, after, tick);
            window.gpus = self.gpus.as_mut().map(HostGpus::window).unwrap_or_default();
            self.send(Record::Host(Box::new(window)));
            if over {
                return self.gpus.into_iter().for_each(HostGpus::stop);
            }
        }
    }

    /// Waits until a window is over, or all is. The GPUs are asked a little before.
    fn wait(&mut self, stopped: &Receiver<()>, due: Instant) -> bool {
        let is_over = |until: Instant| {
            let left = until.saturating_duration_since(Instant::now());
            stopped.recv_timeout(left) != Err(RecvTimeoutError::Timeout)
        };
        let Some(gpus) = &mut self.gpus else { return is_over(due) };
        let asked = due.checked_sub(AHEAD.min(self.window / 2)).unwrap_or(due);
        let over = is_over(asked);
        gpus.request();
        over || is_over(due)
    }

    fn send(&self, record: Record) {
        let sent = self.records.upgrade().is_some_and(|records| records.try_send(record).is_ok());
        self.telemetry.losses.add(Loss::HostWindowDropped, u64::from(!sent));
    }
}

/// What was read before, and when that was by the clock as it is set now.
fn at_its_time(before: Read, now: &Read) -> Counters {
    let (mut counters, passed) = (before.counters, now.at.duration_since(before.at));
    let began: Timestamp = now.counters.at.checked_sub(passed).unwrap_or(now.counters.at);
    if counters.at.duration_since(began).unsigned_abs() > SET {
        counters.at = began;
    }
    counters
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::model::host::HostWindow;

    /// Without GPUs.
    const OFF: config::Gpu = config::Gpu { enabled: false, library: PathBuf::new(), host_proc: None };

    fn take(records: &mut mpsc::Receiver<Record>) -> HostWindow {
        match records.blocking_recv() {
            Some(Record::Host(window)) => *window,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn windows_follow_each_other_without_a_gap_and_the_last_is_closed_at_the_end() {
        let (records, mut recorded) = mpsc::channel(64);
        let window = Duration::from_millis(200);
        let collector = HostCollector::spawn(window, &OFF, &records, Arc::default()).unwrap();
        let windows = [(); 3].map(|()| take(&mut recorded));
        collector.finish();
        for pair in windows.windows(2) {
            assert_eq!(pair[0].end, pair[1].start);
        }
        for window in &windows {
            let length = window.length().as_secs_f64();
            assert!((0.1..2.0).contains(&length), "{length} s of 0.2");
            assert!(!window.cpus.is_empty() && window.memory.total > 0);
        }
        let last = take(&mut recorded);
        assert_eq!(last.start, windows[2].end);
        drop(records);
        assert!(recorded.blocking_recv().is_none(), "it holds the writer's queue no longer than it sends");
    }

    #[test]
    fn what_finds_no_room_is_counted_and_waits_for_nobody() {
        let (records, mut recorded) = mpsc::channel(1);
        let telemetry = Arc::new(Telemetry::default());
        let collector = HostCollector::spawn(Duration::from_millis(50), &OFF, &records, telemetry.clone());
        let collector = collector.unwrap();
        while telemetry.losses.all()["host_window_dropped"] < 2 {
            std::thread::sleep(Duration::from_millis(10));
        }
        collector.finish();
        take(&mut recorded);
    }

    #[test]
    fn a_clock_that_is_set_moves_the_beginning_with_it() {
        let at = Instant::now();
        let read = |seconds: i64, after: u64| {
            let counters = Counters { at: Timestamp::from_second(seconds).unwrap(), ..Counters::default() };
            Read { counters, at: at + Duration::from_secs(after) }
        };
        for (then, now, expected) in [(100, 105, 100), (100, 50, 45), (100, 9000, 8995)] {
            let moved = at_its_time(read(then, 0), &read(now, 5));
            assert_eq!(moved.at.as_second(), expected, "{then} {now}");
        }
    }
}

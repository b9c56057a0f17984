//! The handle of the thread that asks NVML: what the daemon holds. Nothing here touches the library, and nothing
//! waits longer than it was told to.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::{Builder, JoinHandle, sleep},
    time::{Duration, Instant},
};

use super::{
    Settings,
    backoff::Backoff,
    reading::{Availability, GpuReading},
    reason::Reason,
    worker::{Shared, Worker},
    xid::Xid,
};

/// How often it is looked whether the thread has ended.
const GLANCE: Duration = Duration::from_millis(10);

/// The GPUs of this host.
#[derive(Debug)]
pub struct Gpus {
    settings: Settings,
    thread: Thread,
    /// When the request was made that was not answered yet.
    asked: Option<Instant>,
    restarts: Backoff,
    gone: Option<Gone>,
}

/// A thread that has ended, and when to start another.
#[derive(Debug)]
struct Gone {
    reason: String,
    since: Instant,
    retry_at: Instant,
}

#[derive(Debug)]
struct Thread {
    shared: Arc<Shared>,
    requests: SyncSender<()>,
    answers: Receiver<GpuReading>,
    handle: JoinHandle<()>,
}

impl Gpus {
    /// Starts the thread. It loads the library by itself: that there is none is said by readings.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let thread = Thread::start(settings.clone(), Arc::default())?;
        let restarts = Backoff::new(settings.first_retry, settings.longest_retry);
        Ok(Self { settings, thread, asked: None, restarts, gone: None })
    }

    /// Asks for a reading without waiting: [`Self::read`] returns it later. For who must not wait long.
    pub fn request(&mut self) {
        if self.gone.is_none() && self.asked.is_none() && self.thread.requests.try_send(()).is_ok() {
            self.asked = Some(Instant::now());
        }
    }

    /// Reads all GPUs, and waits for at most `patience`, or not at all if the thread is known to be gone.
    ///
    /// Where it takes longer the reading says what it waits for. It is not lost: a later call returns it, and what
    /// comes after counts from there. Intervals are in the readings, so that neither is wrong.
    pub fn read(&mut self, patience: Duration) -> GpuReading {
        let mut reading = self.await_reading(patience);
        (reading.xids, reading.xids_lost) = self.thread.shared.xids.take();
        reading
    }

    /// Takes the XID errors that came since the last call or reading, oldest first. For who cannot wait for the next
    /// reading; those that are taken here are not in it.
    #[must_use]
    pub fn take_xids(&self) -> (Vec<Xid>, u64) {
        self.thread.shared.xids.take()
    }

    /// Lets NVML go, and waits for at most `patience` until the library is unloaded. Returns whether it is: a thread
    /// that hangs in the driver is left behind.
    #[must_use]
    pub fn stop(self, patience: Duration) -> bool {
        let Thread { requests, answers, handle, .. } = self.thread;
        drop((requests, answers));
        let deadline = Instant::now() + patience;
        while !handle.is_finished() && Instant::now() < deadline {
            sleep(GLANCE);
        }
        handle.is_finished()
    }

    fn await_reading(&mut self, patience: Duration) -> GpuReading {
        if let Some(reading) = self.start_again() {
            return reading;
        }
        if self.asked.is_none() {
            match self.thread.requests.try_send(()) {
                Ok(()) | Err(TrySendError::Full(())) => self.asked = Some(Instant::now()),
                Err(TrySendError::Disconnected(())) => return self.ended(),
            }
        }
        match self.thread.answers.recv_timeout(patience) {
            Ok(reading) => {
                self.asked = None;
                self.restarts.reset();
                reading
            }
            Err(RecvTimeoutError::Timeout) => GpuReading::empty(self.stuck()),
            Err(RecvTimeoutError::Disconnected) => self.ended(),
        }
    }

    fn stuck(&self) -> Availability {
        match self.thread.shared.progress.now() {
            Some((feature, gpu, elapsed)) => Availability::Stuck { feature: Some(feature), gpu, elapsed },
            None => {
                let elapsed = self.asked.map(|asked| asked.elapsed()).unwrap_or_default();
                Availability::Stuck { feature: None, gpu: None, elapsed }
            }
        }
    }

    /// The thread has panicked: another is started after a pause.
    fn ended(&mut self) -> GpuReading {
        let call = self.thread.shared.progress.now();
        let place = call.map_or("outside of NVML", |(feature, _, _)| feature.function());
        self.fail(format!("it ended in {place}"))
    }

    fn fail(&mut self, reason: String) -> GpuReading {
        let now = Instant::now();
        let since = self.gone.as_ref().map_or(now, |gone| gone.since);
        self.asked = None;
        self.gone = Some(Gone { reason, since, retry_at: now + self.restarts.pause() });
        self.absent(now)
    }

    /// Starts another thread if there is none and it is time. Returns what to say if there still is none.
    fn start_again(&mut self) -> Option<GpuReading> {
        let now = Instant::now();
        if now < self.gone.as_ref()?.retry_at {
            return Some(self.absent(now));
        }
        match Thread::start(self.settings.clone(), Arc::clone(&self.thread.shared)) {
            Ok(thread) => {
                self.thread = thread;
                self.gone = None;
                None
            }
            Err(error) => Some(self.fail(error.to_string())),
        }
    }

    fn absent(&self, now: Instant) -> GpuReading {
        let (reason, since, retry_in) = self.gone.as_ref().map_or_else(Default::default, |gone| {
            let retry_in = gone.retry_at.saturating_duration_since(now);
            (gone.reason.clone(), now.saturating_duration_since(gone.since), retry_in)
        });
        GpuReading::empty(Availability::Unavailable { reason: Reason::NoThread(reason), since, retry_in })
    }
}

impl Thread {
    fn start(settings: Settings, shared: Arc<Shared>) -> io::Result<Self> {
        let (requests, requested) = sync_channel(1);
        let (answer, answers) = sync_channel(1);
        let its = Arc::clone(&shared);
        let work = move || Worker::new(settings, its, requested, answer).run();
        let handle = Builder::new().name("gpus".to_owned()).spawn(work)?;
        Ok(Self { shared, requests, answers, handle })
    }
}

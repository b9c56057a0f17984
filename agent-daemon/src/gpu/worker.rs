//! The thread that asks NVML. It owns everything that touches the library, since its calls may take long, or for
//! ever: a driver that hangs holds this thread and nothing else. It starts NVML, and starts it again when it fails,
//! with growing pauses; meanwhile it answers every request with the reason.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError},
    },
    time::{Duration, Instant},
};

use nvml_wrapper::Nvml;

use super::{
    Settings,
    ask::Progress,
    backoff::Backoff,
    events::XidQueue,
    feature::Feature,
    history::History,
    pids::Pids,
    reading::{Availability, GpuReading},
    reason::Reason,
    session::{Session, Surroundings},
};

/// What the thread shares with who asks it.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) progress: Progress,
    pub(super) xids: XidQueue,
}

/// Why a session ended.
enum End {
    /// Nobody asks any more.
    Stopped,
    /// GPUs came, went, or may have come back: start again at once.
    Changed,
    /// NVML failed.
    Failed(Reason),
}

/// Nobody asks any more.
struct Stopped;

/// What the thread owns.
pub(super) struct Worker {
    settings: Settings,
    shared: Arc<Shared>,
    requests: Receiver<()>,
    answers: SyncSender<GpuReading>,
    history: History,
    pids: Pids,
    /// A request was taken and not answered yet.
    is_asked: bool,
    failures: Backoff,
    failing_since: Option<Instant>,
    /// When to start NVML again for the sake of a GPU that is out of reach.
    revive: Backoff,
    revive_at: Option<Instant>,
}

impl Worker {
    pub(super) fn new(
        settings: Settings,
        shared: Arc<Shared>,
        requests: Receiver<()>,
        answers: SyncSender<GpuReading>,
    ) -> Self {
        Self {
            pids: Pids::find(&settings.proc, settings.host_proc.as_deref()),
            failures: Backoff::new(settings.first_retry, settings.longest_retry),
            // It disturbs the other GPUs, and a lost one seldom comes back by itself.
            revive: Backoff::new(settings.first_retry, settings.longest_retry.saturating_mul(5)),
            settings,
            shared,
            requests,
            answers,
            history: History::default(),
            is_asked: false,
            failing_since: None,
            revive_at: None,
        }
    }

    /// Works until nobody asks any more.
    pub(super) fn run(mut self) {
        loop {
            let reason = match self.live() {
                End::Stopped => return,
                End::Changed => continue,
                End::Failed(reason) => reason,
            };
            if self.rest(&reason).is_err() {
                return;
            }
        }
    }

    /// Starts NVML, uses it, and stops it.
    fn live(&mut self) -> End {
        let shared = Arc::clone(&self.shared);
        let library = self.settings.library.clone();
        let start = || Nvml::builder().lib_path(library.as_os_str()).init();
        let nvml = match shared.progress.call(Feature::Start, None, start) {
            Ok(nvml) => nvml,
            Err(error) => return End::Failed(error.into()),
        };
        if let Err(error) = &nvml.lib().nvmlShutdown {
            let reason = Reason::NoFunction(error.to_string());
            // To stop it would panic in the wrapper. It stays loaded, and is not loaded twice.
            std::mem::forget(nvml);
            return End::Failed(reason);
        }
        let end = self.serve(&nvml);
        shared.progress.call(Feature::Stop, None, || drop(nvml));
        end
    }

    fn serve(&mut self, nvml: &Nvml) -> End {
        let mut session = match Session::open(nvml, &self.split().0) {
            Ok(session) => session,
            Err(reason) => return End::Failed(reason),
        };
        // What was asked before NVML was started last has not to look for changes again.
        let mut is_fresh = true;
        loop {
            if !self.is_asked {
                match self.requests.try_recv() {
                    Ok(()) => self.is_asked = true,
                    Err(TryRecvError::Disconnected) => return End::Stopped,
                    Err(TryRecvError::Empty) => {
                        self.idle(&mut session);
                        continue;
                    }
                }
            }
            if !std::mem::take(&mut is_fresh) {
                match self.must_start_again(&session) {
                    Ok(false) => {}
                    Ok(true) => {
                        session.drain(&mut self.split().0);
                        return End::Changed;
                    }
                    Err(reason) => {
                        session.drain(&mut self.split().0);
                        return End::Failed(reason);
                    }
                }
            }
            match session.read(&mut self.split().0) {
                Ok(reading) => self.succeed(reading),
                Err(reason) => return End::Failed(reason),
            }
        }
    }

    /// Whether GPUs came or went, or it is time to see whether one came back.
    fn must_start_again(&mut self, session: &Session<'_>) -> Result<bool, Reason> {
        if self.revive_at.is_some_and(|at| at <= Instant::now()) {
            self.revive_at = None;
            return Ok(true);
        }
        session.has_changed(&self.split().0)
    }

    fn succeed(&mut self, reading: GpuReading) {
        self.failures.reset();
        self.failing_since = None;
        let is_down = |reason: &Reason| reason.is_gpu_down() && *reason != Reason::NotListed;
        if !reading.gpus.iter().any(|gpu| gpu.down.as_ref().is_some_and(is_down)) {
            self.revive.reset();
            self.revive_at = None;
        } else if self.revive_at.is_none() {
            self.revive_at = Some(Instant::now() + self.revive.pause());
        }
        self.answer(reading);
    }

    /// Waits for events or for a request, for a short time.
    fn idle(&mut self, session: &mut Session<'_>) {
        let (mut around, patience) = self.split();
        if session.idle(patience, &mut around) {
            return;
        }
        self.is_asked = self.requests.recv_timeout(patience).is_ok();
    }

    /// Waits until NVML is to be tried again; every request is answered with the reason.
    fn rest(&mut self, reason: &Reason) -> Result<(), Stopped> {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        let until = Instant::now() + self.failures.pause();
        loop {
            let retry_in = until.saturating_duration_since(Instant::now());
            if self.is_asked {
                let (reason, since) = (reason.clone(), since.elapsed());
                self.answer(GpuReading::empty(Availability::Unavailable { reason, since, retry_in }));
            }
            match self.requests.recv_timeout(retry_in) {
                Ok(()) => self.is_asked = true,
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
            }
        }
    }

    /// One request, one answer: there is always room. Who does not want it any more has gone, and is noticed so.
    fn answer(&mut self, reading: GpuReading) {
        self.is_asked = false;
        let _ = self.answers.try_send(reading);
    }

    fn split(&mut self) -> (Surroundings<'_>, Duration) {
        let around = Surroundings {
            progress: &self.shared.progress,
            xids: &self.shared.xids,
            history: &mut self.history,
            pids: &self.pids,
            listing: &self.settings.listing,
            meter_period: self.settings.meter_period,
        };
        (around, self.settings.slice)
    }
}

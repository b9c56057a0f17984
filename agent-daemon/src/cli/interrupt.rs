//! Signals that end a command early. The first asks it to stop and still report; a second one ends it at
//! once.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::signal::unix::{SignalKind, signal};

/// The signals that are waited for.
const SIGNALS: [SignalKind; 3] = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];

/// What to do with each signal, given its number and how many came before.
type Handler = Box<dyn FnMut(i32, usize) + Send>;

/// A wish to stop, once it is made.
#[derive(Clone, Debug, Default)]
pub(super) struct Interrupt(Arc<(Mutex<bool>, Condvar)>);

impl Interrupt {
    /// From now on signals are a wish to stop, and the second one ends this process.
    pub(super) fn install() -> io::Result<Self> {
        let interrupt = Self::default();
        let asked = interrupt.clone();
        watch(Box::new(move |number, before| {
            if before > 0 {
                std::process::exit(128 + number);
            }
            asked.ask();
        }))?;
        Ok(interrupt)
    }

    fn ask(&self) {
        let (asked, changed) = &*self.0;
        *asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Waits so long, or until somebody wishes to stop; whether somebody does.
    pub(super) fn wait(&self, time: Duration) -> bool {
        let (asked, changed) = &*self.0;
        let until = Instant::now() + time;
        let mut guard = asked.lock().unwrap_or_else(PoisonError::into_inner);
        while !*guard {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            guard = changed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// Calls `handler` for each signal, on a thread of its own. The signals' usual effect is gone from now on.
pub(super) fn watch(mut handler: Handler) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Registered here, so that no signal between now and the thread's start has its usual effect.
    let mut streams = Vec::new();
    {
        let _inside = runtime.enter();
        for kind in SIGNALS {
            streams.push((kind.as_raw_value(), signal(kind)?));
        }
    }
    let each = async move {
        let (sender, mut arrived) = tokio::sync::mpsc::channel(8);
        for (number, mut stream) in streams {
            let sender = sender.clone();
            tokio::spawn(async move {
                while stream.recv().await.is_some() && sender.send(number).await.is_ok() {}
            });
        }
        let mut before = 0;
        while let Some(number) = arrived.recv().await {
            handler(number, before);
            before += 1;
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(each))?;
    Ok(())
}

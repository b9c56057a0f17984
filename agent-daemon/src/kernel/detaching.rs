//! Detaches probes. The kernel waits for tens of milliseconds with each link until nothing runs its program any more: threads
//! of their own wait with it, so that nobody who is to be probed waits for who is gone.

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::Builder,
};

/// Threads that wait.
const THREADS: usize = 4;
/// Links that may wait for them; those beyond are waited for by who gives them up.
const QUEUE: usize = 1024;

/// Takes links that are given up. Its threads end with the last clone.
#[derive(Clone, Debug)]
pub(super) struct Detacher {
    links: SyncSender<Vec<OwnedFd>>,
    waiting: Arc<AtomicUsize>,
}

impl Detacher {
    /// Starts the threads; where none can be started, links are waited for by who gives them up.
    pub(super) fn start() -> Self {
        let (links, given_up) = sync_channel(QUEUE);
        let (given_up, waiting) = (Arc::new(Mutex::new(given_up)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..THREADS {
            let (given_up, waiting) = (Arc::clone(&given_up), Arc::clone(&waiting));
            let thread = Builder::new().name("uprobes-off".to_owned());
            if let Err(error) = thread.spawn(move || run(&given_up, &waiting)) {
                tracing::warn!(%error, "probes are detached more slowly");
            }
        }
        Self { links, waiting }
    }

    /// Gives up links, the first first.
    pub(super) fn detach(&self, links: Vec<OwnedFd>) {
        let count = links.len();
        self.waiting.fetch_add(count, Relaxed);
        if let Err(TrySendError::Full(links) | TrySendError::Disconnected(links)) = self.links.try_send(links)
        {
            drop(links);
            self.waiting.fetch_sub(count, Relaxed);
        }
    }

    /// Open files of links that are given up and not yet detached.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }
}

fn run(given_up: &Mutex<Receiver<Vec<OwnedFd>>>, waiting: &AtomicUsize) {
    loop {
        // Held while it waits: the others wait for it instead.
        let next = given_up.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(links) = next else { return };
        for link in links {
            drop(link);
            waiting.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, time::Duration};

    use super::*;

    #[test]
    fn what_is_given_up_is_closed_however_much_it_is() {
        let detacher = Detacher::start();
        for _ in 0..2 * QUEUE {
            detacher.detach(vec![File::open("/dev/null").unwrap().into()]);
        }
        while detacher.waiting() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

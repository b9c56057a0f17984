//! The end of threads that may hang on a disk or a peer: waited for, but not for ever. Not by the runtime, which waits for
//! its own threads when it ends.

use std::time::Duration;

use tokio::{sync::oneshot, time::timeout};

/// Runs `end`, which blocks, on a thread of this name; whether it was done in time. If not, it goes on by itself.
pub(crate) async fn is_in_time(patience: Duration, name: &str, end: impl FnOnce() + Send + 'static) -> bool {
    let (ended, ending) = oneshot::channel();
    let end = move || {
        end();
        let _ = ended.send(());
    };
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(end);
    spawned.is_ok() && timeout(patience, ending).await.is_ok()
}

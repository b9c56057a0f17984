//! A daemon inside this process, for commands that find none running: the same daemon on a free loopback
//! port, spoken to by the same client.

use std::{net::SocketAddr, thread::JoinHandle};

use tokio::sync::{oneshot, watch};

use super::{client::Client, error::CliError, logging, privileges};
use crate::{
    config::{Config, Overrides},
    daemon,
};

/// A daemon on a thread of this process. It stops when this is dropped.
#[derive(Debug)]
pub(super) struct LocalDaemon {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl LocalDaemon {
    /// Starts the daemon and waits until it answers. It watches nobody but whom it is told to.
    pub(super) fn start() -> Result<(Self, Client), CliError> {
        if let Some(sentence) = privileges::missing() {
            return Err(CliError::Usage(sentence));
        }
        let config = Config::load(None, overrides(std::env::var_os("AGENTPERF_LOG_LEVEL").is_some()))?;
        logging::init(&config.log);
        let (stop, stopped) = watch::channel(false);
        let (ready, address) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("daemon".to_owned())
            .spawn(move || run(config, ready, stopped))
            .map_err(|e| CliError::failed("cannot start a thread", e))?;
        let mut local = Self { stop, thread: Some(thread) };
        match address.blocking_recv() {
            Ok(address) => Ok((local, Client::new(&format!("http://{address}"))?)),
            Err(_) => Err(CliError::Usage(
                local.join().err().unwrap_or_else(|| "the daemon did not start".to_owned()),
            )),
        }
    }

    /// Stops the daemon and waits until its kernel programs are detached.
    pub(super) fn stop(mut self) -> Result<(), CliError> {
        self.join().map_err(CliError::Failed)
    }

    fn join(&mut self) -> Result<(), String> {
        let _ = self.stop.send(true);
        match self.thread.take() {
            Some(thread) => thread.join().unwrap_or_else(|_| Err("the daemon's thread panicked".to_owned())),
            None => Ok(()),
        }
    }
}

impl Drop for LocalDaemon {
    fn drop(&mut self) {
        let _ = self.join();
    }
}

/// What a private daemon has in place of flags, so that a reload does not take it away.
fn overrides(log_level_is_chosen: bool) -> Overrides {
    let own = |value: &str| Some(value.to_owned());
    Overrides::default()
        .set("a private daemon", "listen", own("127.0.0.1:0"))
        .set("a private daemon", "agents.builtin_rules", own("false"))
        .set("a private daemon", "history.directory", own("memory"))
        .set("a private daemon", "journal.target", own("off"))
        .set("a private daemon", "export.enabled", own("false"))
        .set("a private daemon", "alerts.enabled", own("false"))
        .set("a private daemon", "log.level", own("warn").filter(|_| !log_level_is_chosen))
}

fn run(
    config: Config,
    ready: oneshot::Sender<SocketAddr>,
    stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start the runtime: {e}"))?;
    runtime.block_on(daemon::run(config, None, ready, stop)).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::{Config, overrides};

    #[test]
    fn a_reload_leaves_a_private_daemon_private() {
        let config = Config::load_from(None, [], overrides(false)).unwrap();
        assert!(!config.agents.builtin_rules);
        assert!(!config.export.enabled, "what somebody looks at once is sent nowhere");
        let again = config.reload(None).unwrap();
        assert!(config.same_but_rules(&again), "nothing to warn of");
        assert!(!again.agents.builtin_rules, "SIGHUP must not make it watch everybody");
        assert_eq!((again.log.level.as_str(), again.listen), ("warn", config.listen));
    }
}

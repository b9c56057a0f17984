//! Which daemon a command uses: the running one, or one of its own.

use super::{
    client::{Client, DEFAULT_URL},
    error::CliError,
    local::LocalDaemon,
};

/// Where to find a daemon.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct DaemonArgs {
    /// URL of the daemon [default: http://127.0.0.1:7575]
    #[arg(long, env = "AGENTPERF_URL", value_name = "URL", hide_env_values = true)]
    pub(super) url: Option<String>,
}

impl DaemonArgs {
    /// A client of the running daemon.
    pub(super) fn client(&self) -> Result<Client, CliError> {
        Client::new(self.url.as_deref().unwrap_or(DEFAULT_URL))
    }
}

/// A daemon to trace with.
#[derive(Debug)]
pub(super) struct Backend {
    /// How to speak to it.
    pub(super) client: Client,
    local: Option<LocalDaemon>,
}

impl Backend {
    /// Finds the running daemon; where none answers and none was named, starts one in this process.
    pub(super) fn open(args: &DaemonArgs) -> Result<Self, CliError> {
        let client = args.client()?;
        match client.status() {
            Ok(_) => Ok(Self { client, local: None }),
            Err(CliError::Unreachable { .. }) if args.url.is_none() => {
                let (local, client) = LocalDaemon::start()?;
                Ok(Self { client, local: Some(local) })
            }
            Err(error) => Err(error),
        }
    }

    /// Lets the daemon go.
    pub(super) fn close(self) -> Result<(), CliError> {
        self.local.map_or(Ok(()), LocalDaemon::stop)
    }
}

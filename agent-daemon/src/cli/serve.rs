//! `agentperf serve`: the daemon.

use std::path::{Path, PathBuf};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
};

use super::{error::CliError, logging, privileges};
use crate::{
    config::{Config, Overrides, unknown_variables},
    daemon,
};

/// The file that is read unless another is named, if it exists.
const DEFAULT_FILE: &str = "/etc/agentperf/agentperf.yaml";

/// Run the daemon.
///
/// Finds agents by rules, watches them, and serves what it knows over HTTP on loopback. SIGHUP reads the
/// configuration again; SIGTERM stores the last window, detaches every kernel program and ends.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  sudo agentperf serve
  sudo agentperf serve --config agentperf.yaml --log-level debug
  sudo agentperf serve --listen 127.0.0.1:9000
  curl -s http://127.0.0.1:7575/api/v1/agents

Every option of the configuration can also be set in the environment: AGENTPERF_LISTEN, AGENTPERF_WINDOW, \
AGENTPERF_LOG_LEVEL and so on; `agentperf config example` names them all. The environment lies over the file, \
and flags over both.

Exit codes: 0 stopped as asked; 1 failed while running; 2 bad usage or configuration, the address is in use, or \
the host does not allow it (`agentperf check` says what it allows).")]
pub(super) struct ServeArgs {
    /// Configuration [default: /etc/agentperf/agentperf.yaml, if it exists]
    #[arg(long, short, env = "AGENTPERF_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address and port of the HTTP API [default: 127.0.0.1:7575]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Level of the log: error, warn, info, debug, trace or off, or a list of MODULE=LEVEL [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Judge the kernel's walks by another unwinder, on copies of the same stacks, and log how many are equal
    #[arg(long, hide = true)]
    validate_stacks: bool,
    /// Make no unwind tables: stacks end early, but for those of which a copy was made
    #[arg(long, hide = true)]
    withhold_tables: bool,
    /// Read nothing of the kernel's memory, as under lockdown=confidentiality
    #[arg(long, hide = true)]
    confidential: bool,
    /// Attach each uprobe by itself, as kernels before 6.10 do
    #[arg(long, hide = true)]
    single_uprobes: bool,
}

/// Runs until SIGTERM or SIGINT.
pub(super) fn run(args: &ServeArgs) -> Result<(), CliError> {
    let file = args.config.clone().or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|f| Path::exists(f)));
    let flags = Overrides::default().set("--listen", "listen", args.listen.clone()).set(
        "--log-level",
        "log.level",
        args.log_level.clone(),
    );
    let mut config = Config::load(file.as_deref(), flags)?;
    config.kernel.stack_copies = args.validate_stacks;
    config.kernel.withhold_tables = args.withhold_tables;
    config.kernel.confidential = args.confidential;
    config.kernel.single_uprobes = args.single_uprobes;
    logging::init(&config.log);
    for name in unknown_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())) {
        tracing::warn!(
            "the environment variable {name} sets nothing: `agentperf config example` names all that do"
        );
    }
    for sentence in exposure(&config).into_iter().chain(unpriced(&config)) {
        tracing::warn!("{sentence}");
    }
    if let Some(sentence) = privileges::missing() {
        return Err(CliError::Usage(sentence));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::failed("cannot start the runtime", e))?;
    runtime.block_on(serve(config, file))
}

/// What an operator should know of the address that is listened on.
pub(super) fn exposure(config: &Config) -> Option<String> {
    let listen = config.listen;
    (!listen.ip().is_loopback()).then(|| {
        let kept = match config.content.agents.is_empty() {
            true => "",
            false => ", and read what is kept of what agents say (content.agents)",
        };
        format!(
            "listening on {listen}: whoever reaches this address can see and watch every process{kept}, as there is \
             no password"
        )
    })
}

/// What whoever sets a budget may have forgotten.
fn unpriced(config: &Config) -> Option<String> {
    let is_unpriced = config.budget.cents_per_day.is_some() && config.llm.prices.is_empty();
    is_unpriced.then(|| {
        "budget.usd_per_day is set, but llm.prices is empty: no call has a cost, and none of the budget is ever spent"
            .to_owned()
    })
}

async fn serve(config: Config, file: Option<PathBuf>) -> Result<(), CliError> {
    let (stop, stopped) = watch::channel(false);
    let handled = |kind| signal(kind).map_err(|e| CliError::failed("cannot handle signals", e));
    let (mut terminate, mut interrupt) =
        (handled(SignalKind::terminate())?, handled(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _ = stop.send(true);
        // A second signal does not wait for the last window.
        tokio::select! {
            _ = terminate.recv() => std::process::exit(128 + libc::SIGTERM),
            _ = interrupt.recv() => std::process::exit(128 + libc::SIGINT),
        }
    });
    let (ready, mut is_ready) = oneshot::channel();
    match daemon::run(config, file, ready, stopped).await {
        Ok(()) => Ok(()),
        // What fails before the daemon is ready is the host's or the configuration's doing.
        Err(error) if is_ready.try_recv().is_err() => Err(CliError::Usage(error.to_string())),
        Err(error) => Err(CliError::Failed(error.to_string())),
    }
}

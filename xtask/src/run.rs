//! `cargo xtask run`: the daemon as a developer wants it, from nothing to a first answer.
//!
//! It is a debug build by default: that links in a fifth of the time, and a daemon which is mostly idle
//! shows no difference. Measure with `--release`, or by `cargo xtask bench`.

use std::{
    process::{Child, Command, ExitStatus},
    sync::atomic::{AtomicI32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    build,
    command::{as_root, is_root, line},
    setup::{self, Purpose},
    workspace,
};

const DEFAULT_LISTEN: &str = "127.0.0.1:7575";
/// A debug build on a busy machine parses the kernel's types and loads its programs in seconds.
const START: Duration = Duration::from_secs(60);

/// Builds agentperf and runs it with a development configuration
///
/// Raises privileges with sudo where it is not root: kernel programs need them. Ctrl-C stops it.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask run
  cargo xtask run -- --listen 127.0.0.1:8080
  cargo xtask run --release -- --config my.yaml")]
pub(crate) struct Args {
    /// Optimise
    #[arg(long)]
    release: bool,
    /// Arguments for `agentperf serve`
    #[arg(last = true, value_name = "ARGS")]
    serve: Vec<String>,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    setup::ensure(Purpose::Build)?;
    let agentperf = build::daemon(args.release)?;
    if !is_root() {
        eprintln!("xtask: sudo may ask for your password: kernel programs need root's capabilities");
    }
    let mut serve = as_root(agentperf)?;
    serve.args(arguments(&args.serve));
    let status = supervise(&mut serve, &listen(&args.serve))?;
    if !status.success() {
        bail!("agentperf ended with {status}");
    }
    Ok(())
}

/// `serve` and its arguments: ours where the caller gives none.
fn arguments(given: &[String]) -> Vec<String> {
    let mut arguments = vec!["serve".to_owned()];
    if value_of(given, "--config").is_none() {
        arguments
            .extend(["--config".to_owned(), workspace::root().join("xtask/dev.yaml").display().to_string()]);
    }
    if value_of(given, "--listen").is_none() {
        arguments.extend(["--listen".to_owned(), DEFAULT_LISTEN.to_owned()]);
    }
    arguments.extend_from_slice(given);
    arguments
}

fn listen(given: &[String]) -> String {
    value_of(given, "--listen").unwrap_or_else(|| DEFAULT_LISTEN.to_owned())
}

/// The value of `--flag VALUE` or `--flag=VALUE`.
fn value_of(given: &[String], flag: &str) -> Option<String> {
    let mut rest = given.iter();
    while let Some(word) = rest.next() {
        if word == flag {
            return rest.next().cloned();
        }
        if let Some(value) = word.strip_prefix(flag).and_then(|value| value.strip_prefix('=')) {
            return Some(value.to_owned());
        }
    }
    None
}

/// Runs the daemon to its end; says where it listens once it does.
fn supervise(serve: &mut Command, listen: &str) -> Result<ExitStatus> {
    eprintln!("+ {}", line(serve));
    let mut daemon = serve.spawn().with_context(|| format!("cannot run `{}`", line(serve)))?;
    forward_signals(&daemon);
    let start = Instant::now();
    while start.elapsed() < START {
        if let Some(status) = daemon.try_wait()? {
            return Ok(status);
        }
        if is_ready(listen) {
            println!("{}", welcome(listen));
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(daemon.wait()?)
}

fn is_ready(listen: &str) -> bool {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(2))).build().into();
    agent.get(format!("http://{listen}/readyz")).call().is_ok()
}

fn welcome(listen: &str) -> String {
    format!(
        "\nagentperf is ready: http://{listen}/\n\n\
         What it sees:       curl -s http://{listen}/api/v1/status\n\
         Watch your shell:   curl -s http://{listen}/api/v1/agents -H 'content-type: application/json' \
         -d \"{{\\\"pid\\\": $$}}\"\n\
         Stop:               Ctrl-C\n"
    )
}

static DAEMON: AtomicI32 = AtomicI32::new(0);

/// Leaves SIGINT to the daemon, which the terminal sends it to as well, and passes SIGTERM on; we end with
/// the daemon, so that its last words are not lost.
fn forward_signals(daemon: &Child) {
    DAEMON.store(i32::try_from(daemon.id()).unwrap_or(0), Ordering::Relaxed);
    let nothing = do_nothing as extern "C" fn(i32);
    let forward = forward as extern "C" fn(i32);
    // SAFETY: both handlers do only what is async-signal-safe: nothing, and kill(2).
    unsafe {
        libc::signal(libc::SIGINT, nothing as libc::sighandler_t);
        libc::signal(libc::SIGTERM, forward as libc::sighandler_t);
    }
}

extern "C" fn do_nothing(_signal: i32) {}

extern "C" fn forward(signal: i32) {
    let daemon = DAEMON.load(Ordering::Relaxed);
    if daemon > 0 {
        // SAFETY: kill has no memory preconditions. The child is not waited for before it has ended, and
        // nothing follows that wait.
        unsafe { libc::kill(daemon, signal) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_first_request_can_be_pasted() {
        let text = welcome("127.0.0.1:1");
        let line = text.lines().find(|line| line.contains("agents")).unwrap();
        assert!(line.ends_with(r#"-d "{\"pid\": $$}""#), "{line}");
        assert!(line.contains("http://127.0.0.1:1/api/v1/agents"), "{line}");
    }

    #[test]
    fn what_the_caller_gives_replaces_ours() {
        let ours = arguments(&[]).join(" ");
        assert!(
            ours.starts_with("serve --config") && ours.ends_with("dev.yaml --listen 127.0.0.1:7575"),
            "{ours}"
        );
        let given = words("--listen=[::1]:9 --config x.yaml");
        assert_eq!(arguments(&given).join(" "), "serve --listen=[::1]:9 --config x.yaml");
        assert_eq!(listen(&given), "[::1]:9");
        assert_eq!(listen(&words("--listen 127.0.0.1:1")), "127.0.0.1:1");
    }
}

//! How a load is watched while it is measured: by nobody, by agentperf, by a peer; it, or its neighbour.
//!
//! Every sample starts its own load and its own tracer and ends both, so that nothing of one contender is
//! left while the next is measured.

use std::{path::Path, process::Command, thread, time::Duration};

use anyhow::Result;

use super::{contest::Contender, daemon, load::Load, peer::Peer};

/// The kernel frees programs some time after their owner is gone.
const SETTLE: Duration = Duration::from_millis(300);

/// Probes on functions come when their library has been looked at.
const ATTACHED: Duration = Duration::from_secs(1);

/// A way to watch.
#[derive(Clone, Copy)]
pub(super) enum Watch {
    /// Nothing traces anything.
    Nobody,
    /// agentperf runs, with one agent that has these probes.
    Agentperf(Whom, &'static [&'static str]),
    /// Another tool traces a process, given by its pid.
    Peer(Whom, fn(u32) -> Command),
}

/// Who is traced.
#[derive(Clone, Copy)]
pub(super) enum Whom {
    /// The load that is measured.
    Load,
    /// A process that sleeps beside it: the load is a bystander.
    Neighbour,
}

/// A contender that measures `load` while it is watched like that.
pub(super) fn contender<'a>(name: &str, watch: Watch, load: &'a Load, agentperf: &'a Path) -> Contender<'a> {
    let sample = Box::new(move || sample(watch, load, agentperf));
    Contender { name: name.to_owned(), sample }
}

fn sample(watch: Watch, load: &Load, agentperf: &Path) -> Result<f64> {
    let mut measured = load.start()?;
    let neighbour = load.start()?;
    let pid = |whom| match whom {
        Whom::Load => measured.pid(),
        Whom::Neighbour => neighbour.pid(),
    };
    let sample = match watch {
        Watch::Nobody => measured.sample(),
        Watch::Agentperf(whom, probes) => {
            let daemon = daemon(agentperf)?;
            daemon.attach(pid(whom), Some(probes))?;
            thread::sleep(ATTACHED);
            measured.sample()
        }
        Watch::Peer(whom, command) => {
            let _peer = Peer::start(command(pid(whom)))?;
            measured.sample()
        }
    };
    thread::sleep(SETTLE);
    sample
}

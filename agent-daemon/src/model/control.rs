//! What people ask of a running daemon: attach, detach, flush. The API and the CLI send these to
//! the one task that owns the agents.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};

use super::{
    agent::Agent,
    blocked::{Waits, WaitsError},
    id::AgentId,
    probe::ProbeSet,
};

/// A wish to watch a process tree.
#[derive(Clone, Debug)]
pub struct AttachRequest {
    /// Pid of the root, in the initial pid namespace.
    pub pid: u32,
    /// What to call it; the root's comm if `None`.
    pub name: Option<String>,
    /// How long to watch; for ever if `None`.
    pub duration: Option<Duration>,
    /// What to watch it by; whatever this host allows if `None`.
    pub probes: Option<ProbeSet>,
    /// From when on.
    pub start: Start,
}

/// From when on an agent is watched by its probes. Its processes are told from the attach on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// From the attach.
    #[default]
    Now,
    /// From when one of its processes executes a program: what it does before is not the agent's own.
    AtExec,
}

/// Why an attach was refused.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Nobody has this pid.
    #[error("no process has pid {0}")]
    NoSuchProcess(u32),
    /// It lives, but the kernel keeps it from us.
    #[error(
        "process {0} lives, but the kernel does not show it to agentperf's programs: it cannot be watched"
    )]
    Hidden(u32),
    /// The process is dead and only waits to be reaped.
    #[error("process {0} has exited and is only waiting to be reaped by its parent")]
    Zombie(u32),
    /// The pid is a thread's, not a process's.
    #[error("{tid} is a thread of process {pid}: attach to {pid}")]
    Thread {
        /// The pid that was asked for.
        tid: u32,
        /// The process it belongs to.
        pid: u32,
    },
    /// Kernel threads run no agent.
    #[error("process {0} is a kernel thread; agents run in user space")]
    KernelThread(u32),
    /// Everything on the host descends from its first process.
    #[error("process 1 is the host's init, and every process descends from it: attach to the agent itself")]
    Init,
    /// agentperf does not trace itself.
    #[error("process {0} is agentperf itself, which never traces itself")]
    OwnProcess(u32),
    /// Already watched, itself or as a descendant.
    #[error("process {pid} is already traced as part of agent {agent}")]
    AlreadyAttached {
        /// The pid that was asked for.
        pid: u32,
        /// The agent it belongs to.
        agent: AgentId,
    },
    /// Watched as part of another agent, which has only just forked it.
    #[error("process {0} is already traced as part of another agent")]
    Taken(u32),
    /// Every slot is taken.
    #[error("already tracing {0} agents, the most at once: detach one first")]
    TooMany(usize),
    /// A probe that was asked for cannot work on this host.
    #[error("{0}")]
    Unavailable(String),
    /// agentperf's own fault, or the kernel's: what went wrong.
    #[error("{0}")]
    Failed(String),
    /// The daemon is stopping.
    #[error("agentperf is shutting down")]
    ShuttingDown,
}

/// Why a detach was refused.
#[derive(Debug, thiserror::Error)]
pub enum DetachError {
    /// No live agent has this id.
    #[error("no agent has id {0}")]
    NoSuchAgent(AgentId),
    /// The agent is known, but has ended.
    #[error("agent {0} has already ended")]
    Ended(AgentId),
    /// The daemon is stopping.
    #[error("agentperf is shutting down")]
    ShuttingDown,
}

/// One wish and where its answer goes.
#[derive(Debug)]
pub enum Command {
    /// Watch a process tree.
    Attach(AttachRequest, oneshot::Sender<Result<Agent, AttachError>>),
    /// Stop watching; answers after the last window is stored.
    Detach(AgentId, oneshot::Sender<Result<Agent, DetachError>>),
    /// Close the current window now; answers after it is stored.
    Flush(oneshot::Sender<()>),
    /// What every thread does or waits for now, on behalf of an agent.
    Waits(AgentId, oneshot::Sender<Result<Waits, WaitsError>>),
}

/// The sending half of the control channel.
#[derive(Clone, Debug)]
pub struct Control(Arc<mpsc::Sender<Command>>);

impl Control {
    /// Commands that may wait at once.
    pub const CAPACITY: usize = 64;

    /// A control channel.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<Command>) {
        let (tx, rx) = mpsc::channel(Self::CAPACITY);
        (Self(Arc::new(tx)), rx)
    }

    /// Starts to watch a process tree.
    ///
    /// # Errors
    /// Why the process cannot be watched.
    pub async fn attach(&self, request: AttachRequest) -> Result<Agent, AttachError> {
        let (tx, rx) = oneshot::channel();
        self.0.send(Command::Attach(request, tx)).await.map_err(|_| AttachError::ShuttingDown)?;
        rx.await.unwrap_or(Err(AttachError::ShuttingDown))
    }

    /// Stops to watch an agent; its last window is stored when this returns.
    ///
    /// # Errors
    /// The agent is unknown or has ended.
    pub async fn detach(&self, id: AgentId) -> Result<Agent, DetachError> {
        let (tx, rx) = oneshot::channel();
        self.0.send(Command::Detach(id, tx)).await.map_err(|_| DetachError::ShuttingDown)?;
        rx.await.unwrap_or(Err(DetachError::ShuttingDown))
    }

    /// What the threads of a live agent, and of all others, do or wait for at this moment.
    ///
    /// # Errors
    /// The agent is not watched, or the kernel side cannot tell.
    pub async fn waits(&self, id: AgentId) -> Result<Waits, WaitsError> {
        let (tx, rx) = oneshot::channel();
        self.0.send(Command::Waits(id, tx)).await.map_err(|_| WaitsError::ShuttingDown)?;
        rx.await.unwrap_or(Err(WaitsError::ShuttingDown))
    }

    /// Closes the current window, so that everything up to now can be read from the store.
    pub async fn flush(&self) {
        let (tx, rx) = oneshot::channel();
        if self.0.send(Command::Flush(tx)).await.is_ok() {
            let _ = rx.await;
        }
    }
}

//! What the aggregator, the host's collector and the doors for operations hand to the store's writer.

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    agent::Agent,
    host::HostWindow,
    id::AgentId,
    operation::{Operation, Sums},
    process::Process,
    window::Window,
};

/// One thing to keep.
#[derive(Debug)]
pub enum Record {
    /// An agent, new or changed.
    Agent(Agent),
    /// A process of an agent, new or changed.
    Process(AgentId, Process),
    /// A closed window.
    Window(Window),
    /// Operations that applications told of.
    Operations(Box<Arrived>),
    /// A closed window of the host.
    Host(Box<HostWindow>),
    /// Answer once everything before is stored and outlasts the daemon. Dropped where that cannot be, for now.
    Barrier(oneshot::Sender<()>),
}

/// Operations that came together.
#[derive(Debug)]
pub struct Arrived {
    /// One by one.
    pub operations: Vec<Operation>,
    /// Added up by the sender.
    pub sums: Vec<Sums>,
    /// One of the few places in the writer's queue that doors may take: free again once this is stored.
    pub place: Option<OwnedSemaphorePermit>,
}

//! What the aggregator hands to the store's writer.

use tokio::sync::oneshot;

use super::{agent::Agent, id::AgentId, process::Process, window::Window};

/// One thing to keep.
#[derive(Debug)]
pub enum Record {
    /// An agent, new or changed.
    Agent(Agent),
    /// A process of an agent, new or changed.
    Process(AgentId, Process),
    /// A closed window.
    Window(Window),
    /// Answer once everything before is stored and outlasts the daemon. Dropped where that cannot be, for now.
    Barrier(oneshot::Sender<()>),
}

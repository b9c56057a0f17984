//! (being written)
use std::sync::Arc;
use crate::model::{agent::Agent, id::AgentId, process::Process, time::TimeRange, window::Window};
use super::Store;
/// tmp
#[derive(Debug, Default)]
pub struct Memory;
impl Store for Memory {
    fn put_agent(&self, _: Agent) {}
    fn put_process(&self, _: &AgentId, _: Process) {}
    fn append(&self, _: Window) {}
    fn agents(&self) -> Vec<Agent> { vec![] }
    fn agent(&self, _: &AgentId) -> Option<Agent> { None }
    fn processes(&self, _: &AgentId, _: TimeRange) -> Vec<Process> { vec![] }
    fn windows(&self, _: &AgentId, _: TimeRange) -> Vec<Arc<Window>> { vec![] }
}

//! The metrics of the tool calls of agents.

use prometheus_client::registry::Unit::{Bytes, Seconds};

use super::{Family as F, Kind::Counter, Row, row};

/// Labels of the tool calls of one name.
const TOOL: &[&str] = &["agent", "agent_id", "tool"];
/// The same, by `direction`: `read` or `written`.
const DIRECTION: &[&str] = &["agent", "agent_id", "tool", "direction"];

pub(super) static ROWS: [Row; 6] = [
    row(F::AgentToolCalls, "agent_tool_calls", None, Counter, TOOL, "Tool calls that are over"),
    row(
        F::AgentToolFailures,
        "agent_tool_failures",
        None,
        Counter,
        TOOL,
        "Tool calls that ended by an exit code other than 0, or by a signal",
    ),
    row(
        F::AgentToolRepeats,
        "agent_tool_repeats",
        None,
        Counter,
        TOOL,
        "Tool calls that did what one of the 8 before had done: same command line, same end, as much output, and nothing \
         changed in between",
    ),
    row(
        F::AgentToolSeconds,
        "agent_tool",
        Some(Seconds),
        Counter,
        TOOL,
        "How long tool calls took, from exec to the last exit",
    ),
    row(
        F::AgentToolCpuSeconds,
        "agent_tool_cpu",
        Some(Seconds),
        Counter,
        TOOL,
        "CPU time of tool calls, with all their processes",
    ),
    row(
        F::AgentToolBytes,
        "agent_tool_storage",
        Some(Bytes),
        Counter,
        DIRECTION,
        "Bytes that tool calls had fetched from storage, or sent there",
    ),
];

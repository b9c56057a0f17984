//! Records in, spans out.

use super::*;
use crate::store::fixture::{agent_at, at, process_at, process_id, window_at};

fn told(tracks: &mut Tracks, agent: &Agent, process: &Process) -> Vec<Span> {
    tracks.add(&Record::Process(agent.id.clone(), process.clone()))
}

fn process(pid: u32, parent: Option<u32>) -> Process {
    Process { parent: parent.map(process_id), ..process_at(pid, at(1)) }
}

fn ended(process: &Process, exit: Exit) -> Process {
    Process { ended: Some(at(5)), exit: Some(exit), ..process.clone() }
}

fn watched() -> (Tracks, Agent) {
    let (mut tracks, agent) = (Tracks::new(), agent_at(at(0)));
    assert!(tracks.add(&Record::Agent(agent.clone())).is_empty());
    (tracks, agent)
}

#[test]
fn processes_are_spans_under_their_parents() {
    let (mut tracks, agent) = watched();
    let (root, child) = (process(100, Some(1)), process(101, Some(100)));
    assert!(told(&mut tracks, &agent, &root).is_empty() && told(&mut tracks, &agent, &child).is_empty());
    // Its parent ends first.
    let [root_span] = told(&mut tracks, &agent, &ended(&root, Exit::Code(0))).try_into().unwrap();
    let grandchild = ended(&process(102, Some(101)), Exit::Signal { number: 9, core_dumped: false });
    let [grandchild_span] = told(&mut tracks, &agent, &grandchild).try_into().unwrap();
    let [child_span] = told(&mut tracks, &agent, &ended(&child, Exit::Code(3))).try_into().unwrap();
    assert_eq!(root_span.parent_span_id, ids::agent_span(&agent));
    assert_eq!(child_span.parent_span_id, root_span.span_id);
    assert_eq!(grandchild_span.parent_span_id, child_span.span_id);
    assert!(root_span.status.is_none());
    let message = |span: &Span| span.status.as_ref().map(|status| status.message.clone());
    assert_eq!(message(&child_span).as_deref(), Some("exit code 3"));
    assert_eq!(message(&grandchild_span).as_deref(), Some("killed by SIGKILL"));
    assert!(child_span.attributes.contains(&wire::number("process.exit.code", 3)));
    assert!(child_span.attributes.contains(&wire::text("process.executable.name", "python3.11")));
    let times = (child_span.start_time_unix_nano, child_span.end_time_unix_nano);
    assert_eq!(times, (wire::nanoseconds(at(1)), wire::nanoseconds(at(5))));
    assert!([&root_span, &child_span, &grandchild_span].iter().all(|s| s.trace_id == ids::trace(&agent)));
}

#[test]
fn a_span_is_told_once() {
    let (mut tracks, agent) = watched();
    let last = ended(&process(100, None), Exit::Code(0));
    assert_eq!(told(&mut tracks, &agent, &last).len(), 1);
    assert!(told(&mut tracks, &agent, &last).is_empty(), "a fact that came late");
    assert!(tracks.add(&Record::Window(window_at(&agent.id, at(0), 1))).is_empty());
}

#[test]
fn an_agent_ends_last_and_takes_its_processes_with_it() {
    let (mut tracks, mut agent) = watched();
    told(&mut tracks, &agent, &process(100, None));
    told(&mut tracks, &agent, &process(101, Some(100)));
    agent.ended = Some((at(9), AgentEnd::Detached));
    let spans = tracks.add(&Record::Agent(agent.clone()));
    assert_eq!(spans.len(), 3);
    assert!(spans.iter().all(|span| span.end_time_unix_nano == wire::nanoseconds(at(9))));
    assert_eq!(spans[2].span_id, ids::agent_span(&agent));
    assert!(spans[2].parent_span_id.is_empty());
    assert!(spans[2].attributes.contains(&wire::text("agentperf.agent.end", "detached")));
    assert_eq!((tracks.live, tracks.agents.len()), (0, 0));
    assert!(told(&mut tracks, &agent, &process(102, None)).is_empty(), "nobody's");
}

#[test]
fn a_parent_outside_is_the_agent() {
    let (mut tracks, agent) = watched();
    let [span] = told(&mut tracks, &agent, &ended(&process(200, Some(7)), Exit::Code(0))).try_into().unwrap();
    assert_eq!(span.parent_span_id, ids::agent_span(&agent));
}

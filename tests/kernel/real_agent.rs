//! A real agent: the public `openai` client, TLS, streamed answers, tools as child processes. It knows
//! nothing of agentperf; its own account of what it did is the truth.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::daemon::Daemon;

/// One of the example's scripts, running.
struct Script {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Script {
    fn start(name: &str, argument: Option<&Path>, environment: &[(&str, &str)]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/openai_agent");
        let mut command = Command::new(folder.join("run.sh"));
        // The model asks for tools that look at the agent's own source.
        command.current_dir(&folder);
        command.arg(name).args(argument).envs(environment.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) =
            (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()).lines());
        Self { child, input, output }
    }

    fn line(&mut self) -> String {
        self.output.next().expect("the script goes on").unwrap()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Gives the agent a task, and returns its own account of it.
fn work(agent: &mut Script) -> Vec<Value> {
    writeln!(agent.input, "make the build work").unwrap();
    let mut events = Vec::new();
    loop {
        events.push(serde_json::from_str::<Value>(&agent.line()).unwrap());
        if events.last().is_some_and(|e| e["event"] == "answer") {
            return events;
        }
    }
}

fn sum(events: &[Value], event: &str, field: &str) -> f64 {
    events.iter().filter(|e| e["event"] == event).map(|e| e[field].as_f64().unwrap()).sum()
}

#[test]
fn an_openai_agent_and_its_tools() {
    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("ca.pem");
    let mut llm = Script::start("llm.py", Some(directory.path()), &[]);
    let environment = [
        ("OPENAI_BASE_URL", &*llm.line()),
        ("OPENAI_API_KEY", "none"),
        ("SSL_CERT_FILE", authority.to_str().unwrap()),
    ];
    let mut script = Script::start("agent.py", None, &environment);
    assert!(script.line().contains("ready"));

    let daemon = Daemon::start(json!({}));
    let pid = script.child.id();
    let agent = daemon.api().attach(pid);
    let events = work(&mut script);
    daemon.api().detach(&agent);

    let tools: Vec<&Value> = events.iter().filter(|e| e["event"] == "tool").collect();
    assert_eq!(tools.len(), 4, "{events:?}");
    for tool in tools {
        let process = daemon.api().process(&agent, u32::try_from(tool["pid"].as_u64().unwrap()).unwrap());
        let status = tool["status"].as_i64().unwrap();
        let expected = if status < 0 { -status } else { status << 8 };
        assert_eq!(process.wait_status(), u64::try_from(expected).ok(), "{tool}: {process:?}");
        assert_eq!(process.parent, Some(pid), "{process:?}");
        assert!(!process.executable.is_empty(), "{process:?}");
    }
    let grep = daemon.api().processes(&agent).into_iter().find(|p| p.comm == "grep");
    assert_eq!(grep.and_then(|p| p.exit_code), Some(0), "a tool's own children are seen");

    let seen = daemon.api().off_cpu(&agent, pid);
    let context = format!("{seen:?}, the agent's account: {events:?}");
    let (llm_seconds, tool_seconds) =
        (sum(&events, "llm", "waited_seconds"), sum(&events, "tool", "seconds"));
    // The agent's account holds Python's own work around each wait too, and the time for which that had to
    // wait for a CPU, of which a busy machine has any amount.
    let elsewhere = seen.seconds_of(&["preempted", "page_fault", "disk"]);
    let (model, tools) = (seen.seconds_of(&["network", "poll"]), seen.seconds_of(&["ipc", "child"]));
    assert!(model <= llm_seconds * 1.05, "more than was waited for the model ({llm_seconds}): {context}");
    // No such bound for tools: waiting for its task on standard input is `ipc` too.
    for (what, waited, account) in [("the model", model, llm_seconds), ("tools", tools, tool_seconds)] {
        let explained = (waited + elsewhere) * 1.05 + 0.1;
        assert!(explained >= account, "less than was waited for {what} ({account}): {context}");
    }
}

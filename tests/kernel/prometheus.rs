//! Every query of every dashboard and every rule, run by a real Prometheus that scrapes a live daemon.

use std::{
    collections::BTreeSet,
    fs,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    daemon::Daemon,
    nvml::Nvml,
    prometheus::{Prometheus, dashboards},
};

/// An agent that does a little of everything: runs, sleeps, waits for a disk and a pipe, starts processes that fail, ends one by
/// a signal, and asks a model, which it is itself.
const WORK: &str = "
import os, socket, subprocess, tempfile, threading, time
server = socket.create_server(('127.0.0.1', 0))
def model():
    while True:
        asked, _ = server.accept()
        asked.recv(65536)
        asked.sendall(b'HTTP/1.1 200 OK\\r\\ncontent-type: text/event-stream\\r\\nconnection: close\\r\\n\\r\\n')
        time.sleep(0.01)
        asked.sendall(b'data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\\n\\n')
        asked.sendall(b'data: {\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\\n\\n')
        asked.sendall(b'data: [DONE]\\n\\n')
        asked.close()
threading.Thread(target=model, daemon=True).start()
body = b'{\"model\":\"m\",\"stream\":true}'
request = b'POST /v1/chat/completions HTTP/1.1\\r\\nhost: m\\r\\ncontent-length: %d\\r\\n\\r\\n' % len(body) + body
def ask():
    with socket.create_connection(server.getsockname()) as asks:
        asks.sendall(request)
        while asks.recv(65536): pass
r, w = os.pipe()
file = tempfile.TemporaryFile()
while True:
    end = time.monotonic() + 0.05
    while time.monotonic() < end: pass
    time.sleep(0.02)
    file.write(b'x' * 65536); file.flush(); os.fsync(file.fileno()); file.seek(0)
    os.write(w, b'x'); os.read(r, 1)
    ask()
    subprocess.run(['false'])
    child = subprocess.Popen(['sleep', '9']); child.terminate(); child.wait()
    try: open('/nonexistent')
    except OSError: pass
";

/// Metrics without series here, and why.
const ABSENT: [(&str, &str); 2] = [
    ("agentperf_export_failures_total", "no exporter is configured"),
    ("agentperf_export_dropped_total", "no exporter is configured"),
];

struct Worker(Child);

impl Worker {
    fn start() -> Self {
        let mut command = Command::new("python3");
        Self(command.args(["-c", WORK]).stdin(Stdio::null()).spawn().expect("python3 runs"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A dashboard's queries with the title of their panel, and all links.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().expect("panels");
    let of = |panel: &Value| {
        let title = panel["title"].as_str().unwrap_or_default().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        let expressions = targets.into_iter().map(|t| t["expr"].as_str().expect("an expression").to_owned());
        expressions.map(|expression| (title.clone(), expression)).collect::<Vec<_>>()
    };
    panels.iter().flat_map(of).collect()
}

/// What Grafana makes of a text, for a source that is scraped every second.
fn substituted(text: &str, agent: &str, api: &str) -> String {
    let values = [
        ("$__rate_interval", "4s"),
        ("$__range", "60s"),
        ("$instance", ".*"),
        ("$agent_id", agent),
        ("${agent_id}", agent),
        ("${__data.fields.agent_id}", agent),
        ("${api}", api),
    ];
    values.into_iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
}

/// Everything in the text that looks like one of our metrics, recorded ones too.
fn metrics(expression: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_:".contains(c);
    let words = expression.split(|c| !is_part(c));
    let ours = ["gen_ai_client_", "mcp_client_", "mcp_server_"];
    let is_ours = |word: &&str| word.contains("agentperf_") || ours.iter().any(|of| word.starts_with(of));
    words.filter(is_ours).map(str::to_owned).collect()
}

fn read(name: &str) -> Value {
    let text = fs::read_to_string(dashboards("grafana").join(name)).expect("a dashboard");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn every_query_and_every_rule_has_data() {
    let worker = Worker::start();
    let mut nvml = Nvml::with_gpus(1);
    nvml.run(0, worker.0.id(), 50);
    nvml.say("xid.1", "0 31");
    let mut config = nvml.config();
    config["llm"] = json!({ "prices": [{ "model": "m", "input": 1, "output": 2 }] });
    config["budget"] = json!({ "usd_per_day": 50, "tokens_per_day": 1_000_000 });
    let daemon = Daemon::start(config);
    let agent = daemon.api().attach(worker.0.id());
    let prometheus = Prometheus::start(daemon.api().base());
    prometheus.wait_for(r#"rate(agentperf_agent_off_cpu_seconds_total{cause="disk"}[1m]) > 0"#);

    for name in ["host.json", "agents.json", "agent.json", "llm.json", "profiles.json", "self.json"] {
        let all = queries(&read(name));
        assert!(!all.is_empty(), "{name}");
        for (title, expression) in all {
            let expression = substituted(&expression, &agent, "");
            assert!(!expression.contains('$'), "{name}: {title}: {expression}");
            prometheus.wait_for(&expression);
        }
    }

    let groups = prometheus.get("rules", &[])["groups"].as_array().expect("groups").clone();
    let rules: Vec<&Value> =
        groups.iter().flat_map(|group| group["rules"].as_array().expect("rules")).collect();
    assert!(rules.len() > 25, "{}", rules.len());
    for rule in rules {
        let (name, expression) =
            (rule["name"].as_str().expect("a name"), rule["query"].as_str().expect("one"));
        assert_eq!(rule["lastError"], Value::Null, "{name}");
        if rule["type"] == "recording" {
            prometheus.wait_for(name);
            continue;
        }
        // An alert needs something to be wrong, so it has no data here; its unit tests show it both ways. What it is
        // made of must be there.
        prometheus.count(expression);
        for metric in metrics(expression).iter().filter(|m| !ABSENT.iter().any(|(absent, _)| absent == m)) {
            prometheus.wait_for(metric);
        }
    }
    for (absent, why) in ABSENT {
        assert_eq!(prometheus.count(absent), 0, "{absent} has data although {why}: take it off the list");
    }
}

#[test]
fn every_link_of_a_dashboard_leads_somewhere() {
    let daemon = Daemon::start(json!({}));
    let worker = Worker::start();
    let agent = daemon.api().attach(worker.0.id());
    daemon.api().detach(&agent);
    let mut followed = 0;
    for name in ["agents.json", "agent.json", "profiles.json"] {
        let text = substituted(&read(name).to_string(), &agent, "@");
        for link in text.split("@/").skip(1) {
            let path = format!("/{}", link.split(['"', ')', '\\', ' ']).next().unwrap_or_default());
            if path.starts_with("/api/") {
                daemon.api().get(&path).expect(200);
                followed += 1;
            }
        }
    }
    assert!(followed >= 10, "{followed}");
}

//! A receiver of alerts, end to end: a fact in the kernel, a rule, a webhook that fails at first.

use std::{collections::BTreeSet, time::Instant};

use serde_json::json;

use crate::support::{api::eventually, daemon::Daemon, hook::Hook, puppet::Puppet};

const RULES: &str = "\
groups:
- name: test
  rules:
  - alert: Hog
    expr: sum by (agent, agent_id) (rate(agentperf_agent_cpu_seconds_total[5s])) > 0.05
";

#[test]
fn a_webhook_is_told_once_with_the_evidence_and_once_when_it_is_over() {
    let (hook, directory) = (Hook::failing(1), tempfile::tempdir().unwrap());
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let receivers = format!("receivers:\n- name: hook\n  via: {{webhook: {{url: '{}'}}}}\n", hook.url);
    let routes = "route: {receiver: hook, group_wait: 0s, group_interval: 1s}\n";
    let mut daemon = Daemon::start(json!({ "alerts": {
        "rules": file("rules.yaml", RULES),
        "routes": file("routes.yaml", routes),
        "receivers": file("receivers.yaml", &receivers),
    }}));
    let mut hog = Puppet::start();
    let agent = daemon.api().attach(hog.pid());
    let begin = Instant::now();
    hog.say("spin 600");
    let told = eventually("the webhook is told, at its second try", || hook.told("firing").pop());
    eprintln!("told {:.2} s after the hog began, through a failed try", begin.elapsed().as_secs_f64());
    let alert = &told["alerts"][0];
    assert_eq!(alert["labels"]["agent_id"], agent.as_str(), "{told:#}");
    assert!(alert["diagnosis"].to_string().contains("spin"), "{told:#}");

    daemon.crash_and_restart();
    let receivers = || daemon.api().get("/api/v1/alerts/receivers").expect(200).json();
    // They are set to work once what was stored is replayed, a moment after the daemon is ready.
    eventually("the receivers are there", || (receivers()["receivers"][0]["via"] == "webhook").then_some(()));
    let tested = daemon.api().post("/api/v1/alerts/receivers/hook/test", &json!({})).expect(200).json();
    assert_eq!(tested["result"], "taken");
    drop(hog);
    let over =
        || hook.told("resolved").into_iter().find(|body| body["alerts"][0]["labels"]["alertname"] == "Hog");
    eventually("the webhook is told that it is over", over);
    // A daemon that is killed between the answer and its own note of it tells again, with the same id.
    let ids: BTreeSet<String> = hook.told("firing").iter().map(|body| body["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

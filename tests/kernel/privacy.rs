//! Secrets that were planted in command lines appear in no answer and in no log.

use std::process::Command;

use serde_json::json;

use crate::support::{
    daemon::Daemon,
    puppet::Puppet,
    workload::{program, source},
};

/// What `workloads/secrets.sh` plants: each secret contains it, so that one search finds any of them.
const MARK: &str = "PLANTED0SECRET";

#[test]
fn planted_secrets_appear_nowhere() {
    let daemon = Daemon::start(json!({ "log": { "level": "trace" }, "kernel": { "debug_log": true } }));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    puppet.run_path("sh", &[source("secrets.sh").to_str().unwrap()]);
    daemon.api().detach(&agent);

    let commands = daemon.api().processes(&agent).into_iter().filter(|p| p.comm == "true");
    assert!(commands.count() >= 25, "every command was seen");
    for page in pages(&agent) {
        let text = daemon.api().get(&page).expect(200).text();
        assert!(!text.contains(MARK), "{page} shows a secret: {}", around(&text));
    }
    assert!(!daemon.log().contains(MARK), "the log shows a secret: {}", around(&daemon.log()));
}

#[test]
fn a_secret_of_an_attached_process_appears_nowhere() {
    let daemon = Daemon::start(json!({ "log": { "level": "trace" } }));
    let mut command = Command::new("sh");
    command.args(["-c", "\"$0\"; exit $?"]).arg(program("puppet")).args(["--api-key", MARK]);
    let puppet = Puppet::spawn(command);
    let agent = daemon.api().attach(puppet.pid());
    daemon.api().detach(&agent);

    let root = daemon.api().process(&agent, puppet.pid());
    assert!(root.argv.iter().any(|word| word.contains("--api-key")), "its command line was read: {root:?}");
    for page in pages(&agent) {
        let text = daemon.api().get(&page).expect(200).text();
        assert!(!text.contains(MARK), "{page} shows a secret: {}", around(&text));
    }
    assert!(!daemon.log().contains(MARK), "the log shows a secret: {}", around(&daemon.log()));
}

/// Every page that says something of an agent, in every format that is text.
fn pages(agent: &str) -> Vec<String> {
    let root = format!("/api/v1/agents/{agent}");
    let mut pages: Vec<String> =
        ["", "/processes", "/syscalls", "/off-cpu"].map(|p| format!("{root}{p}")).to_vec();
    for kind in ["cpu", "off_cpu"] {
        pages.extend(
            ["folded", "svg", "speedscope", "json"].map(|f| format!("{root}/profile?type={kind}&format={f}")),
        );
    }
    pages.extend(["/api/v1/status".to_owned(), "/api/v1/agents".to_owned()]);
    pages
}

/// The secret with what stands around it.
fn around(text: &str) -> String {
    let at = text.find(MARK).unwrap_or(0);
    let before: String = text[..at].chars().rev().take(80).collect::<Vec<_>>().into_iter().rev().collect();
    before + &text[at..].chars().take(80).collect::<String>()
}

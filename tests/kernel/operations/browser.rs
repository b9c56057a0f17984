//! A page in a real browser, with the script of `examples/frontend`.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use super::{Script, daemon, nothing_planted, wait_for};
use crate::support::workload::source;

/// A headless browser that shows a page until it is dropped.
struct Browser {
    child: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    fn show(url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("chromium");
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg(url);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child =
            child.unwrap_or_else(|e| panic!("chromium is missing, cargo xtask setup installs it: {e}"));
        Self { child, _profile: profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_page_tells_how_long_it_took() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let origin = format!("http://127.0.0.1:{port}");
    let daemon = daemon(&[&origin], 1000);
    let script = source("../../examples/frontend/agentperf.js");
    let arguments = [daemon.api().base(), script.to_str().unwrap(), &port.to_string()];
    let mut server = Script::start("pages.py", &arguments);
    assert_eq!(server.line(), port.to_string());
    let _browser = Browser::show(&format!("{origin}/shop/page?token=PLANTED0SECRET"));
    let load = wait_for(daemon.api(), "kind=page_load", 1);
    assert_eq!(load[0]["name"], "/shop/page");
    assert_eq!(load[0]["source"], "frontend");
    let tasks = wait_for(daemon.api(), "kind=long_task", 1);
    assert!(tasks.iter().any(|t| t["duration_seconds"].as_f64().unwrap() >= 0.1), "{tasks:?}");
    let calls = wait_for(daemon.api(), "kind=api_call", 2);
    let named = |name: &str| calls.iter().find(|c| c["name"] == name);
    assert_eq!(named("/api/items/{id}").unwrap()["success"], true, "{calls:?}");
    assert_eq!(named("/api/broken").unwrap()["status"], 500, "{calls:?}");
    wait_for(daemon.api(), "kind=resource&name=/agentperf.js", 1);
    nothing_planted(&daemon, &[]);
}

//! What applications tell of themselves: real web frameworks, a real browser, and who means no good.

mod apps;
mod browser;
mod hostile;

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::OnceLock,
};

use serde_json::{Value, json};

use crate::support::{
    api::{Api, eventually},
    daemon::Daemon,
    packages,
    workload::source,
};

/// The key of the project `shop`.
const KEY: &str = "a-key-of-the-project-shop";

/// What is planted wherever it must not be kept.
const MARK: &str = "PLANTED0SECRET";

/// The key in a file.
fn key_file() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = tempfile::tempdir().unwrap().keep().join("shop.key");
        std::fs::write(&path, KEY).unwrap();
        path
    })
}

/// A daemon with one project, whose pages may come from `origins`.
fn daemon(origins: &[&str], rate: u32) -> Daemon {
    let project = json!({ "name": "shop", "key_file": key_file(), "rate": rate, "origins": origins });
    Daemon::start(json!({ "projects": [project], "log": { "level": "debug" } }))
}

/// A program of Python that speaks a line at a time.
struct Script {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Script {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(environment().join("bin/python"));
        command.arg(source(&format!("operations/{name}"))).args(arguments);
        command.env("PYTHONDONTWRITEBYTECODE", "1").env_remove("http_proxy").env("NO_PROXY", "*");
        // Not as an argument: command lines are shown, and no redaction knows an ordinary word for a key.
        command.env("PROJECT_KEY", KEY);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the script ended");
        line.trim().to_owned()
    }

    fn flush(&mut self) {
        writeln!(self.input, "flush").unwrap();
        assert!(self.line().starts_with("True"), "its spans were sent");
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A virtual environment with the frameworks, from PyPI.
fn environment() -> PathBuf {
    packages::python("operations", "operations/requirements.txt")
}

/// The operations that this query finds.
fn operations(api: &Api, query: &str) -> Vec<Value> {
    let page = api.get(&format!("/api/v1/operations?limit=1000&{query}")).expect(200).json();
    page["operations"].as_array().unwrap().clone()
}

/// Waits until the query finds so many.
fn wait_for(api: &Api, query: &str, count: usize) -> Vec<Value> {
    eventually(query, || Some(operations(api, query)).filter(|found| found.len() >= count))
}

/// Nothing that was planted, nor the key, is in the store's files, in the log or in these pages.
fn nothing_planted(daemon: &Daemon, pages: &[&str]) {
    let folder = daemon.store();
    for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
        let bytes = std::fs::read(entry.path()).unwrap();
        for planted in [MARK, KEY] {
            let found = bytes.windows(planted.len()).any(|part| part == planted.as_bytes());
            assert!(!found, "{planted} is in {}", entry.path().display());
        }
    }
    let everywhere = ["/api/v1/operations", "/api/v1/operations/summary", "/metrics", "/api/v1/status"];
    let texts = pages.iter().chain(&everywhere).map(|page| daemon.api().get(page).expect(200).text());
    for text in texts.chain([daemon.log()]) {
        for planted in [MARK, KEY] {
            assert!(!text.contains(planted), "{planted} is in {text}");
        }
    }
}

//! Clients whose TLS library has no names that could be probed: each is found in another way.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::{Client, Provider, attach, calls, check};
use crate::support::{
    api::eventually,
    daemon::Daemon,
    tls,
    workload::{built, source},
};

/// The client in Go, stripped; `None` where there is no Go to build it by.
pub(crate) fn go() -> Option<PathBuf> {
    let folder = source("wire/go");
    let has_go = Command::new("go").arg("version").output().is_ok_and(|said| said.status.success());
    if !has_go && std::env::var_os("AGENTPERF_WORKLOADS").is_none() {
        return None;
    }
    let sources = ["main.go", "go.mod"].map(|file| folder.join(file));
    Some(built("client_go", &sources, |output| compile(&folder, output))).filter(|program| program.is_file())
}

fn compile(folder: &Path, output: &Path) {
    let mut go = Command::new("go");
    go.current_dir(folder).env("GOTOOLCHAIN", "local").env("CGO_ENABLED", "0");
    let status = go.args(["build", "-ldflags=-s -w", "-o"]).arg(output).arg(".").status().unwrap();
    assert!(status.success(), "{} does not compile", folder.display());
}

fn client_go(provider: &Provider, program: &Path, version: &str) -> Client {
    let mut command = Command::new(program);
    command.arg(provider.port.to_string()).arg(provider.certificate()).arg(version);
    Client::start(command)
}

/// The client in C that has OpenSSL linked in, stripped; `None` where that cannot be linked in.
pub(crate) fn openssl() -> Option<PathBuf> {
    let code = source("wire/client.c");
    let libraries = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"]
        .map(|folder| Path::new(folder).join("libssl.a"));
    if !libraries.iter().any(|library| library.exists()) && std::env::var_os("AGENTPERF_WORKLOADS").is_none()
    {
        return None;
    }
    let program = built("client_openssl", std::slice::from_ref(&code), |output| {
        let mut cc = Command::new("cc");
        cc.args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-s", "-o"]).arg(output).arg(&code);
        cc.args(["-Wl,-Bstatic", "-lssl", "-lcrypto", "-Wl,-Bdynamic", "-ldl", "-pthread"]);
        assert!(cc.status().unwrap().success(), "{} does not compile", code.display());
    });
    Some(program).filter(|program| program.is_file())
}

#[test]
fn calls_by_openssl_without_names_are_told_as_the_client_saw_them() {
    let Some(program) = openssl() else {
        eprintln!("not tested: there is no OpenSSL to link in");
        return;
    };
    let provider = Provider::start();
    let daemon = provider.daemon(&json!({}));
    let mut command = Command::new(program);
    command.arg(provider.port.to_string()).arg(provider.certificate());
    let mut client = Client::start(command);
    let agent = tls::attach_probed_by(&daemon, client.pid(), "openssl_stripped");
    check(&daemon, &agent, &mut client, 1.0);
    assert_eq!(daemon.api().loss("kernel_wire_ring_full"), 0);
}

/// The version of a library that coverage tells.
pub(crate) fn told_version(daemon: &Daemon, agent: &str, library: &str) -> Value {
    let path = format!("/api/v1/agents/{agent}/coverage");
    let process = daemon.api().get(&path).expect(200).json()["processes"][0].clone();
    let row = process["libraries"].as_array().unwrap().iter().find(|row| row["library"] == library).cloned();
    row.expect("it is told")["version"].clone()
}

#[test]
fn the_version_of_a_shared_openssl_is_told() {
    let provider = Provider::start();
    let daemon = provider.daemon(&json!({}));
    let client = provider.python();
    let agent = attach(&daemon, &client);
    let asked = ["-c", "import ssl; print(ssl.OPENSSL_VERSION.split()[1])"];
    let own = Command::new("python3").args(asked).output().unwrap().stdout;
    let own = String::from_utf8(own).unwrap();
    eventually("its version is told", || {
        (told_version(&daemon, &agent, "openssl") == own.trim()).then_some(())
    });
}

/// All calls that a client of Go makes, by this version of HTTP.
fn calls_of_go(version: &str, proto: &str) {
    let Some(program) = go() else {
        eprintln!("not tested: there is no Go to build a client by");
        return;
    };
    let provider = Provider::start_witness();
    let daemon = provider.daemon(&json!({}));
    let mut client = client_go(&provider, &program, version);
    let agent = tls::attach_probed_by(&daemon, client.pid(), "go");
    // Its goroutines take turns between its clock and what it sends.
    let told = told_version(&daemon, &agent, "go");
    assert!(told.as_str().is_some_and(|version| version.starts_with("1.")), "{told}");
    let truths = check(&daemon, &agent, &mut client, 3.0);
    assert!(truths.iter().all(|truth| truth["proto"] == proto), "{truths:?}");
    assert_eq!(daemon.api().loss("kernel_wire_ring_full"), 0);
}

#[test]
fn calls_of_go_by_http_1_are_told_as_it_saw_them() {
    calls_of_go("1", "HTTP/1.1");
}

#[test]
fn calls_of_go_by_http_2_are_told_as_it_saw_them() {
    calls_of_go("2", "HTTP/2.0");
}

#[test]
fn each_call_of_go_is_told_once_whoever_makes_it_and_however_its_stack_grows() {
    let Some(program) = go() else {
        eprintln!("not tested: there is no Go to build a client by");
        return;
    };
    for (version, command, count) in [("2", "together", 8), ("1", "together", 8), ("1", "growing", 40)] {
        let provider = Provider::start_witness();
        let daemon = provider.daemon(&json!({}));
        let mut client = client_go(&provider, &program, version);
        let agent = tls::attach_probed_by(&daemon, client.pid(), "go");
        let truths = client.call(&format!("{command} gpt-4.1"));
        assert_eq!(truths.as_array().unwrap().len(), count);
        daemon.api().detach(&agent);
        let calls = calls(&daemon, &agent);
        assert_eq!(calls.len(), count, "HTTP/{version}, {command}: {calls:#?}");
        for call in &calls {
            assert_eq!((&call["status"], &call["partial"]), (&json!(200), &json!([])), "{command}: {call}");
            assert_eq!((&call["input_tokens"], &call["output_tokens"]), (&json!(1200), &json!(80)), "{call}");
            assert_eq!((&call["request_model"], &call["pid"]), (&json!("gpt-4.1"), &json!(client.pid())));
        }
    }
}

//! TLS of tests: a certificate for this machine's loopback, servers behind it, and agents whose TLS library is probed.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{api::eventually, daemon::Daemon, workload::source};

/// A server of the workloads that takes `[CERTIFICATE KEY]` and prints its port; ends when dropped.
pub(crate) struct Server {
    process: Child,
    folder: Option<TempDir>,
    pub(crate) port: u16,
}

impl Server {
    /// Starts it, behind TLS or in the clear.
    pub(crate) fn start(script: &str, by_tls: bool) -> Self {
        Self::spawn(script, by_tls, 0)
    }

    /// Starts it in the clear, at a port that no client is given.
    pub(crate) fn at_low_port(script: &str) -> Self {
        let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
        let port = (20_000..32_000).step_by(7).find(is_free).expect("a port is free");
        Self::spawn(script, false, port)
    }

    fn spawn(script: &str, by_tls: bool, port: u16) -> Self {
        let folder = by_tls.then(|| tempfile::tempdir().unwrap());
        let mut python = Command::new("python3");
        python.arg(source(script)).env("PORT", port.to_string()).stdout(Stdio::piped());
        if let Some(folder) = &folder {
            let (certificate, key) = certificate(folder.path());
            python.arg(certificate).arg(key);
        }
        let mut process = python.spawn().expect("python3 starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, folder, port: line.trim().parse().expect("a port") }
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Whom it is to be believed by.
    pub(crate) fn certificate(&self) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.path().join("cert.pem"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes a certificate and its key in a folder.
pub(crate) fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]);
    let made = openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate).output();
    assert!(made.unwrap().status.success(), "a certificate is made");
    (certificate, key)
}

/// Attaches to a process, and waits until its OpenSSL is probed.
pub(crate) fn attach_probed(daemon: &Daemon, pid: u32) -> String {
    attach_probed_by(daemon, pid, "openssl")
}

/// The same by another finder.
pub(crate) fn attach_probed_by(daemon: &Daemon, pid: u32, finder: &str) -> String {
    let agent = daemon.api().attach(pid);
    let path = format!("/api/v1/agents/{agent}/coverage");
    eventually("its TLS library is probed", || {
        let answer = daemon.api().get(&path).expect(200).json();
        let attached =
            |library: &serde_json::Value| library["library"] == finder && library["state"] == "attached";
        let of = |process: &serde_json::Value| process["libraries"].as_array().unwrap().iter().any(attached);
        answer["processes"].as_array().unwrap().iter().any(of).then_some(())
    });
    agent
}

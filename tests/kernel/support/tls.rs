//! TLS of tests: a certificate for this machine's loopback, and agents whose TLS library is probed.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{api::eventually, daemon::Daemon};

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

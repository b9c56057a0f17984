//! The provider that agents ask: the tests' own (`tests/wire/provider.mjs`), behind TLS, by a certificate of an authority that
//! is made for the run and is in no other list than theirs.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{command::read, workspace};

/// A running provider; ends when dropped.
pub(super) struct Provider {
    process: Child,
    pub(super) port: u16,
    folder: PathBuf,
}

impl Provider {
    /// Starts one in a folder.
    ///
    /// # Errors
    /// There is no OpenSSL to make certificates by, or no Node.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        certify(folder)?;
        let truths = folder.join("truths");
        fs::write(&truths, "")?;
        let mut node = Command::new("node");
        node.arg(workspace::root().join("tests/wire/provider.mjs")).arg("alpn");
        node.arg(folder.join("leaf.pem")).arg(folder.join("leaf.key"));
        node.env("TRUTH", truths).env("TEXT_ONLY", "1").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = node.spawn().context("cannot run node")?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("it has an output")?).read_line(&mut line)?;
        let port = line.trim().parse().context("the provider of models does not say where it listens")?;
        Ok(Self { process, port, folder: folder.to_path_buf() })
    }

    /// The authority's certificate.
    pub(super) fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// What it says of the calls that it has answered so far, the first first.
    pub(super) fn truths(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.join("truths")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes an authority and a certificate by it: strict clients take none that signs itself.
fn certify(folder: &Path) -> Result<()> {
    let path = |name: &str| folder.join(name);
    fs::write(path("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n")?;
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let mut authority = Command::new("openssl");
    authority.args(["req", "-x509"]).args(curve).args(["-days", "2", "-subj", "/CN=agents of a test"]);
    read(authority.arg("-keyout").arg(path("ca.key")).arg("-out").arg(path("ca.pem")))?;
    let mut request = Command::new("openssl");
    request.arg("req").args(curve).args(["-subj", "/CN=localhost"]);
    read(request.arg("-keyout").arg(path("leaf.key")).arg("-out").arg(path("leaf.csr")))?;
    let mut sign = Command::new("openssl");
    sign.args(["x509", "-req", "-days", "2", "-set_serial", "1", "-in"]).arg(path("leaf.csr"));
    sign.arg("-CA").arg(path("ca.pem")).arg("-CAkey").arg(path("ca.key"));
    read(sign.arg("-extfile").arg(path("names")).arg("-out").arg(path("leaf.pem")))?;
    Ok(())
}

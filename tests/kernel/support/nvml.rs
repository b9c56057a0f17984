//! A stand-in for NVIDIA's library, which the daemon loads in its place; `tests/gpu/nvml.c` says what it can do.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::workload::built;

/// The library, built again only after a change.
pub(crate) fn library() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("gpu/nvml.c");
    built("nvml.so", std::slice::from_ref(&source), |output| compile(&source, output))
}

/// A library and the script that it follows.
pub(crate) struct Nvml {
    folder: TempDir,
    script: BTreeMap<String, String>,
}

/// What each GPU offers: it is busy for three quarters of the time and draws 300 W.
const OFFERS: [(&str, &str); 26] = [
    ("name", "Stand-in H100"),
    ("utilization.gpu", "75"),
    ("utilization.memory", "30"),
    ("memory.total", "85899345920"),
    ("memory.used", "4294967296"),
    ("power", "300000"),
    ("power.limit", "700000"),
    ("energy.watts", "300"),
    ("temperature.0", "61"),
    ("clock.0", "1980"),
    ("clock.1", "1975"),
    ("clock.2", "2619"),
    ("clock.3", "1545"),
    // SW_POWER_CAP.
    ("throttle", "0x4"),
    ("ecc.0.0", "12"),
    ("ecc.1.0", "1"),
    ("pcie.0", "1500"),
    ("pcie.1", "2500"),
    ("field.138.4294967295", "1000"),
    ("field.139.4294967295", "2000"),
    ("encoder", "7"),
    ("decoder", "8"),
    ("mig", "0"),
    ("mig.max", "7"),
    ("compute", ""),
    ("events", "8"),
];

impl Nvml {
    /// A host with so many GPUs.
    pub(crate) fn with_gpus(count: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut nvml = Self { folder, script: BTreeMap::new() };
        fs::copy(library(), nvml.library()).unwrap();
        nvml.set(&OFFERS.map(|(key, value)| (format!("gpu.*.{key}"), value.to_owned())));
        nvml.count(count);
        nvml
    }

    /// Changes how many GPUs there are.
    pub(crate) fn count(&mut self, count: u32) {
        let uuids = (0..count).map(|index| (format!("gpu.{index}.uuid"), format!("GPU-{index}")));
        let all: Vec<_> = uuids.chain([("count".to_owned(), count.to_string())]).collect();
        self.set(&all);
    }

    /// Changes lines of the script, all at once.
    pub(crate) fn set(&mut self, lines: &[(String, String)]) {
        self.script.extend(lines.iter().cloned());
        self.write();
    }

    /// Takes a line out.
    pub(crate) fn remove(&mut self, key: &str) {
        self.script.remove(key);
        self.write();
    }

    /// One line.
    pub(crate) fn say(&mut self, key: &str, value: &str) {
        self.set(&[(key.to_owned(), value.to_owned())]);
    }

    /// A process on a GPU, with a GiB of memory there and so many percent of its time.
    pub(crate) fn run(&mut self, gpu: u32, pid: u32, percent: u32) {
        let none = u32::MAX;
        self.set(&[
            (format!("gpu.{gpu}.compute"), format!("{pid}:{}:{none}:{none}", 1 << 30)),
            (format!("gpu.{gpu}.process_samples"), format!("{pid}:0:{percent}:10:0:0")),
        ]);
    }

    /// What the daemon's configuration says of it. The pids are those that this test sees.
    pub(crate) fn config(&self) -> Value {
        json!({ "gpu": { "library": self.library(), "host_proc": "/proc" } })
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("libnvidia-ml.so.1")
    }

    fn write(&self) {
        let text: String = self.script.iter().map(|(key, value)| format!("{key} {value}\n")).collect();
        let new = self.folder.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.folder.path().join("libnvidia-ml.so.1.script")).unwrap();
    }
}

fn compile(source: &Path, output: &Path) {
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-DSTANDIN", "-o"])
        .arg(output)
        .arg(source)
        .args(["-ldl", "-lpthread"]);
    let status = cc.status().expect("cc runs");
    assert!(status.success(), "{} does not compile", source.display());
}

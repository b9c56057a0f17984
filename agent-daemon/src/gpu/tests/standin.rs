//! Builds the stand-in for libnvidia-ml.so.1 and writes its script; `tests/gpu/nvml.c` says what it can do.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::gpu::{Availability, GpuReading, Gpus, Settings};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/gpu/nvml.c");
/// How long a reading may take on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Which library is stood in for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Present,
    /// Of a driver before 510.
    Old,
    /// One that has nothing but its start.
    Bare,
}

/// A library and its script.
pub(super) struct StandIn {
    folder: TempDir,
    script: BTreeMap<String, String>,
}

impl StandIn {
    /// A host with so many GPUs that offer everything, and no events.
    pub(super) fn with_gpus(count: u32) -> Self {
        let mut host = Self::bare(Kind::Present);
        for index in 0..count {
            host.add(&format!("gpu.{index}.uuid"), &format!("GPU-{index}"));
        }
        host.add("count", &count.to_string());
        for (key, value) in OFFERS {
            host.add(&format!("gpu.*.{key}"), value);
        }
        host.write();
        host
    }

    /// A library without a script.
    pub(super) fn bare(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(built(kind), folder.path().join("libnvidia-ml.so.1")).unwrap();
        fs::create_dir(folder.path().join("gpus")).unwrap();
        Self { folder, script: BTreeMap::new() }
    }

    fn add(&mut self, key: &str, value: &str) {
        self.script.insert(key.to_owned(), value.to_owned());
    }

    fn write(&self) {
        let text: String = self.script.iter().map(|(key, value)| format!("{key} {value}\n")).collect();
        let new = self.path("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path("libnvidia-ml.so.1.script")).unwrap();
    }

    /// Changes lines of the script, all at once.
    pub(super) fn set(&mut self, lines: &[(&str, &str)]) {
        for (key, value) in lines {
            self.add(key, value);
        }
        self.write();
    }

    /// Takes lines out.
    pub(super) fn remove(&mut self, keys: &[&str]) {
        for key in keys {
            self.script.remove(*key);
        }
        self.write();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What was started and freed.
    pub(super) fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("libnvidia-ml.so.1.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            library: self.path("libnvidia-ml.so.1"),
            listing: self.path("gpus"),
            first_retry: Duration::from_millis(10),
            longest_retry: Duration::from_millis(40),
            slice: Duration::from_millis(20),
            meter_period: Duration::from_millis(20),
            ..Settings::default()
        }
    }

    pub(super) fn start(&self) -> Gpus {
        Gpus::start(self.settings()).unwrap()
    }
}

/// Reads until something is so.
pub(super) fn read_until(gpus: &mut Gpus, what: &str, is_so: impl Fn(&GpuReading) -> bool) -> GpuReading {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reading = gpus.read(PATIENCE);
        if is_so(&reading) {
            return reading;
        }
        assert!(Instant::now() < deadline, "never seen: {what}; last was {reading:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(super) fn is_running(reading: &GpuReading) -> bool {
    matches!(reading.availability, Availability::Running { .. })
}

/// The library, built once for each kind.
fn built(kind: Kind) -> PathBuf {
    static BUILT: OnceLock<(TempDir, Mutex<BTreeMap<Kind, PathBuf>>)> = OnceLock::new();
    let (folder, built) = BUILT.get_or_init(|| (tempfile::tempdir().unwrap(), Mutex::default()));
    built.lock().unwrap().entry(kind).or_insert_with(|| build(kind, folder.path())).clone()
}

fn build(kind: Kind, folder: &Path) -> PathBuf {
    let (name, flag) = match kind {
        Kind::Present => ("present.so", "-DSTANDIN"),
        Kind::Old => ("old.so", "-DSTANDIN_OLD"),
        Kind::Bare => ("bare.so", "-DSTANDIN_BARE"),
    };
    let library = folder.join(name);
    let mut gcc = Command::new("gcc");
    gcc.args(["-shared", "-fPIC", "-O1", flag, "-o"]).arg(&library).arg(SOURCE).args(["-ldl", "-lpthread"]);
    let output = gcc.output().expect("gcc builds the stand-in for NVIDIA's library");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    library
}

/// What each GPU offers. Its driver has no samples of utilisation, but keeps them.
const OFFERS: [(&str, &str); 33] = [
    ("name", "Stand-in H100"),
    ("utilization.gpu", "75"),
    ("utilization.memory", "30"),
    ("samples.1", ""),
    ("samples.2", ""),
    ("memory.total", "85899345920"),
    ("memory.used", "4294967296"),
    ("power", "350500"),
    ("power.limit", "700000"),
    ("energy", "1000000"),
    ("temperature.0", "61"),
    ("clock.0", "1980"),
    ("clock.1", "1975"),
    ("clock.2", "2619"),
    ("clock.3", "1545"),
    // SW_POWER_CAP and HW_THERMAL_SLOWDOWN.
    ("throttle", "0x44"),
    ("ecc.0.0", "12"),
    ("ecc.1.0", "1"),
    ("ecc.0.1", "1000"),
    ("ecc.1.1", "1000"),
    ("pcie.0", "1500"),
    ("pcie.1", "2500"),
    ("field.138.4294967295", "1000"),
    ("field.139.4294967295", "2000"),
    ("encoder", "7"),
    ("decoder", "8"),
    ("mig", "0"),
    ("mig.max", "7"),
    ("compute", "4001:1073741824:4294967295:4294967295"),
    ("graphics", "4002:2097152:4294967295:4294967295"),
    ("process_samples", "4001:100:70:20:3:4 4003:100:5:1:0:0"),
    ("gi", "0"),
    ("ci", "0"),
];

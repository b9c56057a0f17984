//! A stand-in for CUDA's driver library, `tests/gpu/cuda.c`, and a program that calls it as it is told.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use tempfile::TempDir;

use super::{
    api::eventually,
    daemon::Daemon,
    puppet::Puppet,
    workload::{built, program},
};

/// A library of its own, in a folder of its own.
pub(crate) struct Cuda(TempDir, Cell<usize>);

impl Cuda {
    /// Makes one.
    pub(crate) fn new() -> Self {
        let cuda = Self(tempfile::tempdir().unwrap(), Cell::new(0));
        cuda.replace();
        cuda
    }

    /// Puts another file in the library's place, as a package manager does.
    pub(crate) fn replace(&self) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("gpu/cuda.c");
        let library = built("cuda.so", std::slice::from_ref(&source), |output| compile(&source, output));
        let new = self.0.path().join("new");
        fs::copy(library, &new).unwrap();
        fs::rename(new, self.library()).unwrap();
    }

    /// Its path.
    pub(crate) fn library(&self) -> PathBuf {
        self.0.path().join("libcuda.so.1")
    }

    /// What tells a caller to load it. The loader knows a library that it has loaded by its path, and never looks at the
    /// file: each time it is another path.
    fn load(&self) -> String {
        let times = self.1.replace(self.1.get() + 1);
        format!("load {}/{}libcuda.so.1", self.0.path().display(), "./".repeat(times))
    }
}

/// A running `tests/workloads/cuda.c`, which has loaded nothing.
pub(crate) fn caller() -> Puppet {
    Puppet::start_as(&program("cuda"))
}

/// Has a process load the library, whoever sees it.
pub(crate) fn load_unseen(caller: &mut Puppet, cuda: &Cuda) {
    caller.tell(&cuda.load());
}

/// Has a process of an agent load the library, and waits until its probes are attached.
pub(crate) fn load(daemon: &Daemon, caller: &mut Puppet, cuda: &Cuda) {
    // What is to be detached of others has been, by then.
    settle();
    let before = links(daemon.pid());
    caller.tell(&cuda.load());
    eventually("probes on the library", || (links(daemon.pid()) > before).then_some(()));
    settle();
}

/// Waits until what is attached by itself is: some milliseconds, on a busy machine more.
pub(crate) fn settle() {
    thread::sleep(Duration::from_millis(300));
}

/// Links of uprobes that a process holds, whichever way the kernel attaches them.
pub(crate) fn links(pid: u32) -> usize {
    let entries = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("the process lives");
    let texts = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let is_link = |text: &String| {
        text.lines().any(|line| line == "link_type:\tuprobe_multi" || line == "link_type:\tperf")
    };
    texts.filter(is_link).count()
}

fn compile(source: &Path, output: &Path) {
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-Wl,-soname,libcuda.so.1", "-o"]).arg(output).arg(source);
    let status = cc.status().expect("cc runs");
    assert!(status.success(), "{} does not compile", source.display());
}

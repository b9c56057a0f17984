//! A booted systemd in a container, with agentperf installed in it as a package would.
//!
//! Its root file system is made once by mmdebstrap and kept as an archive in `target/`; every container
//! unpacks its own copy. It has its own network, so the default port is free, and the host's kernel.

use std::{
    fs,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::support::binary::{agentperf, target_directory};

/// Files of the service by their places in the checkout and on a host.
const FILES: [(&str, &str); 4] = [
    ("systemd/agentperf.service", "usr/lib/systemd/system/agentperf.service"),
    ("systemd/agentperf.sysusers", "usr/lib/sysusers.d/agentperf.conf"),
    ("systemd/agentperf.tmpfiles", "usr/lib/tmpfiles.d/agentperf.conf"),
    ("systemd/agentperf.yaml", "etc/agentperf/agentperf.yaml"),
];
/// What a container may do beyond nspawn's defaults: what the service needs, and no more.
const CAPABILITIES: &str = "CAP_BPF,CAP_PERFMON,CAP_SYS_PTRACE,CAP_DAC_READ_SEARCH,CAP_SYSLOG";
const SYSTEM_CALLS: &str = "bpf perf_event_open process_vm_readv";
/// Where a container has the host's processes.
const HOST_PROC: &str = "/mnt/host-proc";
/// A debug build parses the kernel's types and loads its programs in seconds.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(30);

/// A running container. Powered off when dropped.
pub(super) struct Container {
    nspawn: Child,
    /// Its systemd, by the host's pid.
    init: u32,
    root: TempDir,
}

impl Container {
    /// Boots one; agentperf starts with it.
    pub(super) fn boot() -> Self {
        let root = unpack();
        install(root.path());
        let log = fs::File::create(root.path().join("var/log/boot")).expect("a log file");
        let nspawn = nspawn_command(root.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("systemd-nspawn runs: install systemd-container");
        let mut container = Self { nspawn, init: 0, root };
        container.init = container.wait_for_init();
        container.wait_for("systemd answers", |c| {
            c.try_run(&["systemctl", "is-system-running"]).0.contains("ning")
        });
        container
    }

    /// Lets the service see processes by the host's pids, as one installed on the host does: the kernel programs
    /// know no others. It can still watch those of the container only.
    pub(super) fn let_service_see_the_host(&self) {
        let pid = self.on_the_host(self.property("MainPID").parse().expect("a pid"));
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["--target", &pid.to_string(), "--mount", "mount", "--rbind", HOST_PROC, "/proc"]);
        succeed(&mut nsenter);
    }

    /// Starts a shell that does nothing but wait for children of its own; returns the host's pid of it.
    pub(super) fn start_sleeper(&self) -> u32 {
        let code = "sh -c 'while :; do sleep 0.1; done' </dev/null >/dev/null 2>&1 & echo $!";
        self.on_the_host(self.run(&["sh", "-c", code]).trim().parse().expect("a pid"))
    }

    /// The host's pid of a process of the container.
    fn on_the_host(&self, pid: u32) -> u32 {
        let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let is_meant = |host: &u32| {
            let status = fs::read_to_string(format!("/proc/{host}/status")).unwrap_or_default();
            let pids = status.lines().find(|line| line.starts_with("NSpid:")).unwrap_or_default();
            pids.ends_with(&format!("\t{pid}")) && namespace(*host) == namespace(self.init)
        };
        let pids = fs::read_dir("/proc").expect("/proc can be listed");
        let mut pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.find(is_meant).unwrap_or_else(|| panic!("the host knows no process {pid} of the container"))
    }

    /// Waits until the service is active, which under `Type=notify` it says itself.
    pub(super) fn wait_until_active(&self) {
        self.wait_for("the service is active", |c| c.property("ActiveState") == "active");
    }

    /// A property of the service, as `systemctl show` knows it.
    pub(super) fn property(&self, name: &str) -> String {
        self.run(&["systemctl", "show", "--value", "--property", name, "agentperf"]).trim().to_owned()
    }

    /// What agentperf itself has logged.
    pub(super) fn log(&self) -> String {
        self.try_run(&["journalctl", "_SYSTEMD_UNIT=agentperf.service", "--output=cat", "--no-pager"]).0
    }

    /// All about the service: its own words, and systemd's.
    pub(super) fn journal(&self) -> String {
        self.try_run(&["journalctl", "--unit=agentperf", "--output=cat", "--no-pager"]).0
    }

    /// Runs a command in the container, and returns what it printed. It must succeed and complain of nothing.
    #[track_caller]
    pub(super) fn run(&self, command: &[&str]) -> String {
        let (stdout, stderr, success) = self.try_run(command);
        assert!(success && stderr.is_empty(), "{command:?}: {stdout}{stderr}\n{}", self.journal());
        stdout
    }

    /// Writes a file in the container.
    pub(super) fn write(&self, path: &str, text: &str) {
        // By the init's own view: /run is a file system of the container's.
        let path = PathBuf::from(format!("/proc/{}/root{path}", self.init));
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder can be made");
        fs::write(path, text).expect("the file can be written");
    }

    /// Does something in the container's network, where its loopback is.
    pub(super) fn in_network<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let network = fs::File::open(format!("/proc/{}/ns/net", self.init)).expect("the container runs");
        let enter_and_work = move || {
            // SAFETY: the descriptor is open; the call changes only this thread's network, and it ends here.
            let entered = unsafe { libc::setns(network.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(entered, 0, "{}", std::io::Error::last_os_error());
            work()
        };
        thread::scope(|scope| scope.spawn(enter_and_work).join().expect("the work succeeds"))
    }

    fn try_run(&self, command: &[&str]) -> (String, String, bool) {
        let mut enter = Command::new("nsenter");
        enter.args([
            "--target",
            &self.init.to_string(),
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--cgroup",
        ]);
        // What these tools say must not depend on whose terminal this is.
        enter.args(["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_PAGER=", "LC_ALL=C.UTF-8"]);
        let output = enter.args(command).stdin(Stdio::null()).output().expect("nsenter runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr), output.status.success())
    }

    /// The process that is 1 in the container.
    fn wait_for_init(&mut self) -> u32 {
        let start = Instant::now();
        loop {
            if let Some(init) = first_in_namespace(self.nspawn.id()) {
                return init;
            }
            let ended = self.nspawn.try_wait().expect("nspawn is ours to wait for");
            assert!(ended.is_none(), "systemd-nspawn ended: {}", self.boot_log());
            assert!(start.elapsed() < START, "no systemd after {START:?}: {}", self.boot_log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn wait_for(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(
                start.elapsed() < START,
                "waited {START:?}: {what}\n{}\n{}",
                self.journal(),
                self.boot_log()
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn boot_log(&self) -> String {
        fs::read_to_string(self.root.path().join("var/log/boot")).unwrap_or_default()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let (Ok(None), Ok(init)) = (self.nspawn.try_wait(), i32::try_from(self.init)) {
            if init > 0 {
                // SAFETY: kill has no memory preconditions. While nspawn runs, its init is not reaped.
                unsafe { libc::kill(init, libc::SIGRTMIN() + 4) }; // power off
            }
            let start = Instant::now();
            while start.elapsed() < STOP && matches!(self.nspawn.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(50));
            }
        }
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
    }
}

fn nspawn_command(root: &Path) -> Command {
    let mut nspawn = Command::new("systemd-nspawn");
    nspawn.args(["--quiet", "--boot", "--register=no", "--private-network", "--console=pipe", "--directory"]);
    nspawn.arg(root).arg(format!("--capability={CAPABILITIES}"));
    nspawn.arg(format!("--system-call-filter={SYSTEM_CALLS}"));
    nspawn.arg(format!("--bind=/proc:{HOST_PROC}"));
    if !Path::new("/run/systemd/system").exists() {
        // No systemd outside that could give it a scope of its own.
        nspawn.arg("--keep-unit");
    }
    nspawn.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");
    nspawn
}

/// The child or grandchild of nspawn that is 1 in its own namespace and has become systemd.
fn first_in_namespace(nspawn: u32) -> Option<u32> {
    let children = |pid: u32| -> Vec<u32> {
        let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    };
    let mut descendants = children(nspawn);
    descendants.extend(descendants.clone().into_iter().flat_map(children));
    descendants.into_iter().find(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let is_first = status.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1"));
        is_first && status.starts_with("Name:\tsystemd\n")
    })
}

/// A fresh copy of the root file system.
fn unpack() -> TempDir {
    let archive = root_archive();
    // Not /tmp, which may be in memory.
    let root = tempfile::tempdir_in("/var/tmp").expect("a temporary folder");
    succeed(
        Command::new("tar")
            .args(["--numeric-owner", "--extract", "--file"])
            .arg(archive)
            .arg("--directory")
            .arg(root.path()),
    );
    root
}

/// The archive, made if it is missing: of the host's own release where that is Debian or Ubuntu, so that the
/// binary finds the C library that it was linked with.
fn root_archive() -> PathBuf {
    let suite = host_suite().unwrap_or_else(|| "trixie".to_owned());
    let archive = target_directory().join("rootfs").join(format!("{suite}.tar"));
    if !archive.exists() {
        fs::create_dir_all(archive.parent().expect("a file has a folder"))
            .expect("target/rootfs can be made");
        let partial = archive.with_extension("partial.tar");
        let include = "--include=systemd,systemd-sysv,dbus,procps";
        let mut mmdebstrap = Command::new("mmdebstrap");
        mmdebstrap.args(["--quiet", "--variant=minbase", include, "--dpkgopt=force-unsafe-io", &suite]);
        succeed(mmdebstrap.arg(&partial));
        fs::rename(partial, &archive).expect("the archive can be renamed");
    }
    archive
}

fn host_suite() -> Option<String> {
    let release = fs::read_to_string("/etc/os-release").ok()?;
    let value = |key: &str| release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let debian = ["debian", "ubuntu"].contains(&value("ID")?.trim_matches('"'));
    debian.then(|| value("VERSION_CODENAME").map(str::to_owned))?
}

/// Puts agentperf where a package would, and enables it.
fn install(root: &Path) {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the checkout");
    copy(agentperf(), &root.join("usr/bin/agentperf"));
    for (from, to) in FILES {
        copy(&checkout.join(from), &root.join(to));
    }
    succeed(Command::new("systemctl").arg("--quiet").arg("--root").arg(root).args(["enable", "agentperf"]));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("a file has a folder")).expect("the folder can be made");
    fs::copy(from, to).unwrap_or_else(|e| panic!("{} cannot be copied: {e}", from.display()));
}

fn succeed(command: &mut Command) {
    let status =
        command.status().unwrap_or_else(|e| panic!("{command:?}: {e}: run the tests by `cargo xtask test`"));
    assert!(status.success(), "{command:?}: {status}");
}

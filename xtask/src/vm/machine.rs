//! One virtual machine: QEMU without hardware help, so that it runs wherever we do, watched until it has
//! said its last word, or for too long nothing.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{
    image,
    report::{Report, Stop, read},
};
use crate::command::line;

/// Beyond the time that its running test is given, a machine may be silent for this long: booting, killing
/// what hangs, writing back. A machine without hardware help on a busy host does nothing fast.
pub(super) const PATIENCE: Duration = Duration::from_secs(45);
const POLL: Duration = Duration::from_millis(100);
/// `thread=single`: with a host thread for each CPU, QEMU before 8.1 may run a stale copy of code that the
/// kernel has just patched, and the kernel dies of a breakpoint that is not there any more. It is no slower
/// for tests that run one at a time.
const QEMU: &str =
    "-accel tcg,thread=single -cpu max -smp 2 -m 1024 -display none -no-reboot -nodefaults -nic none";
const KERNEL_LINE: &str = "console=ttyS0 quiet loglevel=4 panic=-1 oops=panic mitigations=off \
                           random.trust_cpu=on tsc=reliable no_timer_check rw rootwait init=/first";
/// What the machine's serial ports write, in their order; see `xtask/vm/init`.
const PORTS: [&str; 4] = ["console", "said", "results", "check.json"];

/// What a machine is made of.
pub(super) struct Machine {
    /// The kernel to boot.
    pub(super) kernel: PathBuf,
    /// The disk with Debian. Written to, but nothing is kept.
    pub(super) root: PathBuf,
    /// The disk with the tests. Not written to.
    pub(super) payload: PathBuf,
    /// What this machine is, for the kernel's command line.
    pub(super) arguments: String,
    /// Where the files of [`PORTS`] go.
    pub(super) output: PathBuf,
    /// How long it may be silent, beyond a test's time.
    pub(super) patience: Duration,
}

impl Machine {
    /// The command that boots it.
    pub(super) fn command(&self) -> Command {
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(QEMU.split(' ')).arg("-kernel").arg(&self.kernel).arg("-append");
        qemu.arg(format!("{KERNEL_LINE} {} {}", image::root_argument(), self.arguments));
        let drive = |file: &Path, more: &str| format!("file={},if=none,format=raw,{more}", quoted(file));
        qemu.args(["-device", "nvme,id=nvme,serial=vm"]);
        qemu.args(["-drive", &drive(&self.root, "id=root,snapshot=on")]);
        qemu.args(["-device", "nvme-ns,drive=root,bus=nvme,nsid=1"]);
        qemu.args(["-drive", &drive(&self.payload, "id=payload,readonly=on")]);
        qemu.args(["-device", "nvme-ns,drive=payload,bus=nvme,nsid=2"]);
        for port in PORTS {
            let file = self.output.join(port);
            qemu.args(["-chardev", &format!("file,id={port},path={}", quoted(&file))]);
            qemu.args(["-serial", &format!("chardev:{port}")]);
        }
        qemu
    }

    /// Boots it, hands over each new state of its report, and returns the last one. A machine that is silent
    /// for too long is switched off.
    ///
    /// # Errors
    /// QEMU is not there, or its files cannot be read. What happens in the machine is in the report.
    pub(super) fn run(&self, planned: &[String], mut news: impl FnMut(&Report)) -> Result<Report> {
        let _ = fs::remove_dir_all(&self.output);
        fs::create_dir_all(&self.output)?;
        let mut command = self.command();
        end_with_us(&mut command);
        let log = fs::File::create(self.output.join("qemu"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut qemu = command.spawn().with_context(|| format!("cannot run `{}`", line(&command)))?;
        let (mut heard, mut silent_since) = (0, Instant::now());
        loop {
            let ended = qemu.try_wait()?;
            let results = self.text("results");
            if results.len() != heard {
                (heard, silent_since) = (results.len(), Instant::now());
                news(&read(&results, "", planned, &Stop::Running));
            }
            let allowed = self.patience + read(&results, "", planned, &Stop::Running).running_limit();
            let stop = match ended {
                Some(status) if status.success() => Stop::Off,
                Some(status) => Stop::Broken(format!("{status}: {}", self.text("qemu").trim())),
                None if silent_since.elapsed() > allowed => Stop::Silent(allowed),
                None => {
                    thread::sleep(POLL);
                    continue;
                }
            };
            let _ = qemu.kill();
            qemu.wait()?;
            return Ok(read(&self.text("results"), &self.text("console"), planned, &stop));
        }
    }

    fn text(&self, port: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.output.join(port)).unwrap_or_default()).into_owned()
    }
}

/// A file's name among QEMU's options, where a comma would end it.
fn quoted(file: &Path) -> String {
    file.display().to_string().replace(',', ",,")
}

/// Lets no machine outlive the thread that watches it, however that ends.
fn end_with_us(command: &mut Command) {
    let die_with_parent = || {
        // SAFETY: prctl with this option takes a number and touches no memory.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        Ok(())
    };
    // SAFETY: the closure makes one system call, and allocates nothing.
    unsafe { command.pre_exec(die_with_parent) };
}

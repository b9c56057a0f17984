//! The host's own settings, read from /proc and /sys: nothing here is tried, only looked at.

use std::{fs, path::Path};

use super::{super::privileges, Check};
use crate::model::probe::ProbeState;

/// The oldest kernel that is promised to work.
const OLDEST: (u32, u32) = (6, 1);

/// Every setting that matters, in the order a person would mend them.
pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![kernel_version(), btf()];
    checks.extend(privileges::NEEDS.iter().map(capability));
    checks.extend([lockdown(), kallsyms(), perf_event_paranoid(), ptrace_scope(), hidepid()]);
    checks.extend([
        mounted("tracefs", "/sys/kernel/tracing", "attach perf tracepoints, which agentperf avoids"),
        mounted("bpffs", "/sys/fs/bpf", "keep programs over a restart of the daemon"),
        cgroup2(),
    ]);
    checks
}

/// The kernel's release.
pub(super) fn release() -> String {
    read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned())
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn ready(name: &'static str, purpose: &'static str) -> Check {
    Check { name, purpose, state: ProbeState::Ready, reason: None, required: false }
}

impl Check {
    /// Required: what follows says whether it is there.
    fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Ready if `fine`, else as `state` says, because of `reason`.
    fn unless(self, fine: bool, state: ProbeState, reason: impl Into<String>) -> Self {
        if fine { self } else { Self { state, reason: Some(reason.into()), ..self } }
    }

    /// Ready, with a remark.
    fn remark(self, remark: impl Into<String>) -> Self {
        Self { reason: Some(remark.into()), ..self }
    }
}

fn kernel_version() -> Check {
    let release = release();
    let fine = version(&release).is_some_and(|v| v >= OLDEST);
    let reason = format!("Linux {release} is too old: 6.1 is the oldest that works");
    ready("kernel_version", "trace at all").required().unless(fine, ProbeState::Unavailable, reason)
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn btf() -> Check {
    let reason = "/sys/kernel/btf/vmlinux is missing: use a kernel built with CONFIG_DEBUG_INFO_BTF";
    let fine = Path::new("/sys/kernel/btf/vmlinux").exists();
    ready("btf", "find the kernel's structures").required().unless(fine, ProbeState::Unavailable, reason)
}

fn capability(need: &privileges::Need) -> Check {
    let reason = if need.required {
        "this process does not have it: run with sudo, or as the systemd unit does"
    } else {
        "this process does not have it: other users' processes are seen in less detail"
    };
    let check = ready(need.name, need.purpose);
    let check = if need.required { check.required() } else { check };
    check.unless(need.is_met(), ProbeState::Unavailable, reason)
}

fn lockdown() -> Check {
    let check = ready("lockdown", "read kernel memory in kernel programs");
    let mode = read("/sys/kernel/security/lockdown").and_then(|t| chosen(&t).map(str::to_owned));
    match mode.as_deref() {
        Some("confidentiality") if !is_admin() => check.required().unless(
            false,
            ProbeState::Unavailable,
            "lockdown is `confidentiality`, where programs can be loaded only with CAP_SYS_ADMIN: add it, or boot \
             with lockdown=integrity",
        ),
        Some("confidentiality") => check.unless(
            false,
            ProbeState::Substituted,
            "lockdown is `confidentiality`: what a wait is for is told by the system call alone, and long waits \
             that could not be walked when they began have no user stack",
        ),
        Some(mode @ ("none" | "integrity")) => {
            check.remark(format!("lockdown is `{mode}`, which costs nothing"))
        }
        _ => check,
    }
}

fn is_admin() -> bool {
    caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_SYS_ADMIN).unwrap_or(false)
}

/// The bracketed word in `none [integrity] confidentiality`.
fn chosen(text: &str) -> Option<&str> {
    text.split_once('[')?.1.split_once(']').map(|(word, _)| word)
}

/// Addresses in /proc/kallsyms are zero without the right to see them.
fn kallsyms() -> Check {
    let visible = first_bytes("/proc/kallsyms", 4096).is_some_and(|text| {
        text.lines().filter_map(|l| l.split(' ').next()).any(|address| address.bytes().any(|b| b != b'0'))
    });
    let reason = "addresses in /proc/kallsyms are hidden: kernel frames have no names (needs CAP_SYSLOG, or \
                  kernel.kptr_restrict=0)";
    ready("kallsyms", "name kernel functions").unless(visible, ProbeState::Unavailable, reason)
}

fn first_bytes(path: &str, limit: u64) -> Option<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn perf_event_paranoid() -> Check {
    let check = ready("perf_event_paranoid", "sample the CPU");
    let Some(level) = read("/proc/sys/kernel/perf_event_paranoid").and_then(|t| t.parse::<i32>().ok()) else {
        let reason = "this kernel has no perf events: there are no CPU samples";
        return check.unless(false, ProbeState::Unavailable, reason);
    };
    // Debian's level 3 asks for CAP_SYS_ADMIN even where CAP_PERFMON would do.
    let admin = is_admin();
    let reason = format!("kernel.perf_event_paranoid is {level}: set it to 2, or run with CAP_SYS_ADMIN");
    check.remark(format!("level {level}")).unless(level < 3 || admin, ProbeState::Unavailable, reason)
}

fn ptrace_scope() -> Check {
    let check = ready("ptrace_scope", "read the memory maps of running processes");
    let Some(scope) = read("/proc/sys/kernel/yama/ptrace_scope") else { return check };
    let may = privileges::NEEDS.iter().any(|n| n.name == "CAP_SYS_PTRACE" && n.is_met());
    let reason =
        format!("kernel.yama.ptrace_scope is {scope}: without CAP_SYS_PTRACE, stacks may lack names");
    check.remark(format!("scope {scope}")).unless(may && scope != "3", ProbeState::Unavailable, reason)
}

/// /proc mounted with hidepid shows only one's own processes.
fn hidepid() -> Check {
    let hidden = read("/proc/self/mounts").is_some_and(|mounts| {
        let of_proc = |l: &&str| l.split(' ').nth(1) == Some("/proc");
        mounts.lines().find(of_proc).is_some_and(|l| l.contains("hidepid=") && !l.contains("hidepid=0"))
    });
    let reason = "/proc is mounted with hidepid: other users' processes may be invisible to rules";
    ready("hidepid", "find agents of all users").unless(!hidden, ProbeState::Unavailable, reason)
}

fn mounted(name: &'static str, path: &str, purpose: &'static str) -> Check {
    let mounts = read("/proc/self/mounts").unwrap_or_default();
    let fine = mounts.lines().any(|l| l.split(' ').nth(1) == Some(path));
    ready(name, purpose).unless(
        fine,
        ProbeState::Unavailable,
        format!("nothing is mounted at {path}: not needed to trace"),
    )
}

fn cgroup2() -> Check {
    let mounts = read("/proc/self/mounts").unwrap_or_default();
    let fine = mounts.lines().any(|l| l.split(' ').nth(2) == Some("cgroup2"));
    let reason = "no cgroup2 is mounted: rules see systemd's hierarchy of version 1, if there is one";
    ready("cgroup2", "match rules by cgroup and unit").unless(fine, ProbeState::Substituted, reason)
}

#[cfg(test)]
mod tests {
    use super::{checks, chosen, version};

    #[test]
    fn versions_and_modes_are_read() {
        assert_eq!((version("6.1.0-28-amd64"), version("x")), (Some((6, 1)), None));
        assert_eq!((chosen("none [integrity] x"), chosen("none")), (Some("integrity"), None));
    }

    #[test]
    fn whatever_is_not_ready_says_why() {
        for check in checks() {
            let ready = check.state == crate::model::probe::ProbeState::Ready;
            assert!(ready || check.reason.is_some(), "{check:?}");
        }
    }
}

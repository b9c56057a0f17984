//! Whether a pid can be attached to, asked of /proc before anything is tried.

use std::fs;

use crate::model::{
    control::AttachError,
    probe::{Probe, ProbeState, ProbeStatus},
    shown::shown,
};

/// `task_struct.flags` of kernel threads, as /proc/PID/stat shows them.
const PF_KTHREAD: u64 = 0x0020_0000;

/// Refuses pids that name no process that could be an agent.
pub(super) fn check(pid: u32) -> Result<(), AttachError> {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
        return Err(AttachError::NoSuchProcess(pid));
    };
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if let Some(process) = field("Tgid:").and_then(|tgid| tgid.parse().ok())
        && process != pid
    {
        return Err(AttachError::Thread { tid: pid, pid: process });
    }
    if pid == 1 {
        return Err(AttachError::Init);
    }
    if pid == std::process::id() {
        return Err(AttachError::OwnProcess(pid));
    }
    if field("State:").is_some_and(|state| state.starts_with(['Z', 'X'])) {
        return Err(AttachError::Zombie(pid));
    }
    if is_kernel_thread(pid) {
        return Err(AttachError::KernelThread(pid));
    }
    Ok(())
}

fn is_kernel_thread(pid: u32) -> bool {
    let Ok(stat) = fs::read(format!("/proc/{pid}/stat")) else { return false };
    let after_name = stat.iter().rposition(|b| *b == b')').map_or(0, |i| i + 1);
    let rest = String::from_utf8_lossy(stat.get(after_name..).unwrap_or_default());
    // Field 9 of proc(5); the first after the name is field 3.
    rest.split_ascii_whitespace()
        .nth(6)
        .and_then(|f| f.parse::<u64>().ok())
        .is_some_and(|f| f & PF_KTHREAD != 0)
}

/// Refuses a probe that cannot work on this host, with the kernel's reason.
pub(super) fn check_probe(probe: Probe, programs: &[ProbeStatus]) -> Result<(), AttachError> {
    let broken = programs.iter().find(|p| p.probes.contains(probe) && p.state == ProbeState::Unavailable);
    match broken {
        None => Ok(()),
        Some(program) => {
            let reason = program.reason.as_deref().unwrap_or("the kernel refuses it");
            Err(AttachError::Unavailable(format!(
                "probe {} cannot work on this host: {}: {reason}",
                probe.name(),
                program.name
            )))
        }
    }
}

/// The process's name; its pid where it has none.
pub(super) fn comm(pid: u32) -> String {
    let comm = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    let comm = shown(String::from_utf8_lossy(&comm).trim()).into_owned();
    if comm.is_empty() { pid.to_string() } else { comm }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::model::control::AttachError;

    #[test]
    fn what_is_no_agent_is_refused_with_its_reason() {
        assert!(matches!(check(u32::MAX), Err(AttachError::NoSuchProcess(_))));
        assert!(matches!(check(std::process::id()), Err(AttachError::OwnProcess(_))));
        assert!(matches!(check(1), Err(AttachError::Init)));
        assert!(matches!(check(2), Err(AttachError::KernelThread(2) | AttachError::NoSuchProcess(2))));
    }

    #[test]
    fn a_zombie_is_refused() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        let refused = (0..200).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            matches!(check(pid), Err(AttachError::Zombie(_)))
        });
        child.wait().unwrap();
        assert!(refused);
    }
}

//! The sampling clock: the hardware's cycle counter where there is one, the kernel's CPU clock otherwise.

use aya::{
    programs::{
        PerfEvent,
        perf_event::{
            HardwareEvent, PerfEventConfig, PerfEventLinkId, PerfEventScope, SamplePolicy, SoftwareEvent,
        },
    },
    util::online_cpus,
};

use caps::Capability;

use super::{
    error::{KernelError, one_line},
    features,
};
use crate::model::probe::ProbeState;

/// A clock that samples on every online CPU.
pub(super) struct Clock {
    pub(super) links: Vec<PerfEventLinkId>,
    pub(super) state: ProbeState,
    pub(super) reason: Option<String>,
}

/// Starts to sample on every online CPU.
pub(super) fn attach(program: &mut PerfEvent, hz: u32) -> Result<Clock, KernelError> {
    let hardware = PerfEventConfig::Hardware(HardwareEvent::CpuCycles);
    match on_every_cpu(program, hardware, hz) {
        Ok(links) => Ok(Clock { links, state: ProbeState::Ready, reason: None }),
        Err(why) => {
            let software = PerfEventConfig::Software(SoftwareEvent::CpuClock);
            let links = on_every_cpu(program, software, hz)
                .map_err(|why| KernelError::Refused { what: "CPU sampling", reason: explained(why) })?;
            let reason =
                format!("no hardware cycle counter ({why}); the software CPU clock stands in for it");
            Ok(Clock { links, state: ProbeState::Substituted, reason: Some(reason) })
        }
    }
}

/// A refusal, with what an operator can do about it.
fn explained(why: String) -> String {
    let level = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    match level.trim().parse() {
        Ok(level) if asks_for_admin(level) && !features::has(Capability::CAP_SYS_ADMIN) => format!(
            "{why}; kernel.perf_event_paranoid is {level}: set it to 2, or add CAP_SYS_ADMIN, and restart"
        ),
        _ => why,
    }
}

/// Debian's and Ubuntu's kernels know levels at which CAP_PERFMON is not enough; mainline's do not.
fn asks_for_admin(level: i32) -> bool {
    level > 2
}

fn on_every_cpu(
    program: &mut PerfEvent,
    event: PerfEventConfig,
    hz: u32,
) -> Result<Vec<PerfEventLinkId>, String> {
    let cpus = online_cpus().map_err(|(path, e)| format!("{path}: {e}"))?;
    let mut links = Vec::with_capacity(cpus.len());
    for cpu in cpus {
        let scope = PerfEventScope::AllProcessesOneCpu { cpu };
        match program.attach(event, scope, SamplePolicy::Frequency(u64::from(hz)), false) {
            Ok(link) => links.push(link),
            Err(e) => {
                for link in links {
                    // Already failing: the first error is the one to report.
                    let _ = program.detach(link);
                }
                return Err(one_line(&e));
            }
        }
    }
    Ok(links)
}

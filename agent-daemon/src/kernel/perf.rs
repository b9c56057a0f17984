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

use super::error::{KernelError, one_line};
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
        Ok(links) => Ok(Clock { links, state: ProbeState::Attached, reason: None }),
        Err(why) => {
            let software = PerfEventConfig::Software(SoftwareEvent::CpuClock);
            let links = on_every_cpu(program, software, hz)
                .map_err(|reason| KernelError::Refused { what: "CPU sampling", reason })?;
            let reason =
                format!("no hardware cycle counter ({why}); the software CPU clock stands in for it");
            Ok(Clock { links, state: ProbeState::Substituted, reason: Some(reason) })
        }
    }
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

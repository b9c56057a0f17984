//! The registry of kernel programs: what each hooks, when it is needed, how it stands. A new program is one
//! row of its table.

mod loading;
mod table;

use aya::{
    Ebpf,
    maps::ProgramArray,
    programs::{BtfTracePoint, PerfEvent, perf_event::PerfEventLinkId, tp_btf::BtfTracePointLinkId},
};

pub(super) use self::loading::Source;
use self::table::ROWS;
use super::{
    error::{KernelError, one_line},
    perf,
    uprobes::{UprobeProgram, Uprobes},
};
use crate::model::probe::{Probe, ProbeSet, ProbeState, ProbeStatus};

/// Where a program hooks in.
#[derive(Clone, Copy)]
enum Hook {
    /// A BTF-typed tracepoint.
    Tracepoint(&'static str),
    /// No hook: another program on this tracepoint goes on as this one, by the only entry of a program array.
    After { tracepoint: &'static str, array: &'static str },
    /// The sampling clock.
    Clock,
    /// A task iterator: attached only while it runs.
    Iterator,
    /// Functions of single processes: others attach it (see `uprobes`).
    Uprobe(UprobeProgram),
}

/// When a program is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// As long as the daemon runs.
    Always,
    /// While there is an agent.
    Agents,
    /// While there is an agent, which can do without it.
    HelpsAgents,
    /// While an agent is watched by one of these probes, none of which can do without it.
    Probes(&'static [Probe]),
    /// While an agent is watched by one of these probes, which can do without it.
    Helps(&'static [Probe]),
}

impl Need {
    /// The probes that cannot do without the program.
    fn probes(self) -> ProbeSet {
        match self {
            Self::Probes(probes) => probes.iter().copied().collect(),
            Self::Always | Self::Agents | Self::HelpsAgents | Self::Helps(_) => ProbeSet::EMPTY,
        }
    }
}

struct Row {
    name: &'static str,
    hook: Hook,
    need: Need,
    purpose: &'static str,
}

enum Links {
    None,
    Tracepoint(BtfTracePointLinkId),
    Clock(Vec<PerfEventLinkId>),
    Elsewhere,
}

struct Program {
    row: &'static Row,
    /// The kernel took it. What it refused then, it would refuse again.
    loaded: bool,
    links: Links,
    state: ProbeState,
    reason: Option<String>,
}

/// Every program and how it stands.
pub(super) struct Programs {
    programs: Vec<Program>,
    uprobes: Option<Uprobes>,
    notes: Vec<ProbeStatus>,
}

impl Programs {
    /// Loads every program. One that belongs to a probe may fail: the probe is then unavailable.
    pub(super) fn load(ebpf: &mut Ebpf, source: &Source<'_>) -> Result<Self, KernelError> {
        let mut programs = Vec::with_capacity(ROWS.len());
        let mut uprobes = Uprobes::new(source.way);
        for (row, outcome) in ROWS.iter().zip(loading::load_all(ebpf, source)) {
            let mut refusal = None;
            match (outcome?, row.hook) {
                (Ok(Some(loaded)), Hook::Uprobe(program)) => uprobes.add(program, loaded),
                (Ok(_), Hook::After { array, .. }) => {
                    refusal = enter(ebpf, row.name, array).err().map(|error| error.to_string());
                }
                (Ok(_), _) => {}
                (Err(reason), _) => refusal = Some(reason),
            }
            let mut program = Program::new(row, refusal.is_none());
            match refusal {
                None => {}
                Some(reason) if program.may_be_missing() => program.refuse(reason),
                Some(reason) => return Err(KernelError::Refused { what: row.name, reason }),
            }
            programs.push(program);
        }
        Ok(Self { programs, uprobes: Some(uprobes), notes: Vec::new() })
    }

    /// The programs of uprobes, for the one who attaches them; `None` the second time.
    pub(super) fn take_uprobes(&mut self) -> Option<Uprobes> {
        self.uprobes.take()
    }

    /// Adds a feature that is no program to the table.
    pub(super) fn note(&mut self, status: ProbeStatus) {
        self.notes.push(status);
    }

    /// Attaches what is needed and detaches what is not. What the host refuses a probe is noted, and tried
    /// again the next time that it is needed anew; the other programs do not suffer.
    pub(super) fn enable(
        &mut self,
        ebpf: &mut Ebpf,
        agents: bool,
        probes: ProbeSet,
        hz: u32,
    ) -> Result<(), KernelError> {
        for program in &mut self.programs {
            let needed = match program.row.need {
                Need::Always => true,
                Need::Agents | Need::HelpsAgents => agents,
                Need::Probes(needing) | Need::Helps(needing) => {
                    agents && needing.iter().any(|probe| probes.contains(*probe))
                }
            };
            if needed {
                program.switch_on(ebpf, hz)?;
            } else {
                program.detach(ebpf)?;
            }
        }
        Ok(())
    }

    /// The probes that lack a program, as far as it has been tried.
    pub(super) fn refused(&self) -> ProbeSet {
        let programs = self.programs.iter().map(|p| (p.state, p.row.need.probes()));
        let all = programs.chain(self.notes.iter().map(|note| (note.state, note.probes)));
        let refused = all.filter(|(state, _)| *state == ProbeState::Unavailable);
        refused.fold(ProbeSet::EMPTY, |all, (_, probes)| all.union(probes))
    }

    pub(super) fn status(&self) -> Vec<ProbeStatus> {
        let programs = self.programs.iter().map(|p| ProbeStatus {
            name: p.row.name,
            purpose: p.row.purpose,
            probes: p.row.need.probes(),
            state: p.state,
            attached: p.is_attached(),
            reason: p.reason.clone(),
        });
        programs.chain(self.notes.iter().cloned()).collect()
    }
}

/// Puts a program that was loaded into the array by which another one goes on as it.
fn enter(ebpf: &mut Ebpf, name: &'static str, array: &'static str) -> Result<(), KernelError> {
    let program = ebpf.program(name).ok_or(KernelError::NoProgram(name))?;
    let program: &BtfTracePoint = program.try_into().map_err(|_| KernelError::NoProgram(name))?;
    let refused = |e: &dyn std::error::Error| KernelError::Refused { what: name, reason: one_line(e) };
    let fd = program.fd().map_err(|e| refused(&e))?.try_clone().map_err(|e| refused(&e))?;
    let map = ebpf.map_mut(array).ok_or(KernelError::NoMap(array))?;
    Ok(ProgramArray::try_from(map)?.set(0, &fd, 0)?)
}

impl Program {
    fn new(row: &'static Row, loaded: bool) -> Self {
        Self { row, loaded, links: Links::None, state: ProbeState::Ready, reason: None }
    }

    /// What a single probe needs may be missing, and what another program can go on without.
    fn may_be_missing(&self) -> bool {
        let optional = matches!(self.row.need, Need::Probes(_) | Need::Helps(_));
        optional || matches!(self.row.hook, Hook::After { .. })
    }

    fn is_attached(&self) -> bool {
        !matches!(self.links, Links::None)
    }

    /// Notes why the host refuses the program; says so once for each reason.
    fn refuse(&mut self, reason: String) {
        if self.reason.as_ref() != Some(&reason) {
            tracing::warn!(program = self.row.name, reason, "the kernel refuses a program");
        }
        (self.state, self.reason) = (ProbeState::Unavailable, Some(reason));
    }

    fn switch_on(&mut self, ebpf: &mut Ebpf, hz: u32) -> Result<(), KernelError> {
        if self.is_attached() || !self.loaded {
            return Ok(());
        }
        match self.attach(ebpf, hz) {
            Err(KernelError::Refused { reason, .. }) if self.may_be_missing() => {
                self.refuse(reason);
                Ok(())
            }
            attached => attached,
        }
    }

    fn attach(&mut self, ebpf: &mut Ebpf, hz: u32) -> Result<(), KernelError> {
        let name = self.row.name;
        let refused = |reason| KernelError::Refused { what: name, reason };
        let program = ebpf.program_mut(name).ok_or(KernelError::NoProgram(name))?;
        match self.row.hook {
            Hook::Tracepoint(_) => {
                let link = <&mut BtfTracePoint>::try_from(program)
                    .and_then(|p: &mut BtfTracePoint| p.attach())
                    .map_err(|e| refused(one_line(&e)))?;
                self.links = Links::Tracepoint(link);
                (self.state, self.reason) = (ProbeState::Ready, None);
            }
            Hook::Clock => {
                let program: &mut PerfEvent = program.try_into().map_err(|e| refused(one_line(&e)))?;
                let clock = perf::attach(program, hz)?;
                self.links = Links::Clock(clock.links);
                (self.state, self.reason) = (clock.state, clock.reason);
            }
            Hook::Uprobe(_) => self.links = Links::Elsewhere,
            Hook::Iterator | Hook::After { .. } => {}
        }
        Ok(())
    }

    fn detach(&mut self, ebpf: &mut Ebpf) -> Result<(), KernelError> {
        let name = self.row.name;
        let refused = |e: &dyn std::error::Error| KernelError::Refused { what: name, reason: one_line(e) };
        let program = ebpf.program_mut(name).ok_or(KernelError::NoProgram(name))?;
        match std::mem::replace(&mut self.links, Links::None) {
            Links::None | Links::Elsewhere => return Ok(()),
            Links::Tracepoint(link) => {
                let program: &mut BtfTracePoint = program.try_into().map_err(|e| refused(&e))?;
                program.detach(link).map_err(|e| refused(&e))?;
            }
            Links::Clock(links) => {
                let program: &mut PerfEvent = program.try_into().map_err(|e| refused(&e))?;
                for link in links {
                    program.detach(link).map_err(|e| refused(&e))?;
                }
            }
        }
        Ok(())
    }
}

//! The registry of kernel programs: what each hooks, when it is needed, how it stands. A new program is one
//! row of its table.

mod table;

use aya::{
    Btf, Ebpf,
    maps::ProgramArray,
    programs::{
        BtfTracePoint, Iter, PerfEvent, Program as Loaded, ProgramError, ProgramInfo,
        perf_event::PerfEventLinkId, tp_btf::BtfTracePointLinkId,
    },
};
use aya_obj::{
    btf::BtfKind,
    generated::{bpf_attach_type, bpf_prog_type},
};

use self::table::ROWS;
use super::{
    as_compiled::{AsCompiled, Kind},
    error::{KernelError, one_line},
    perf,
    uprobes::{UprobeProgram, Uprobes, Way},
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
    pub(super) fn load(
        ebpf: &mut Ebpf,
        btf: &Btf,
        (as_compiled, confidential): (&AsCompiled, bool),
        way: Way,
    ) -> Result<Self, KernelError> {
        let mut programs = Vec::with_capacity(ROWS.len());
        let mut uprobes = Uprobes::new(way);
        for row in &ROWS {
            let mut refusal = match row.hook {
                Hook::Uprobe(program) => uprobes.load(as_compiled, program).err(),
                _ if confidential => load_as_compiled(as_compiled, ebpf, btf, row)?.err(),
                _ => load(ebpf, btf, row)?.err(),
            };
            if let (None, Hook::After { array, .. }) = (&refusal, row.hook) {
                refusal = enter(ebpf, row.name, array).err().map(|error| error.to_string());
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

/// The outer error is a bug in the object, the inner one the kernel's refusal.
fn load(ebpf: &mut Ebpf, btf: &Btf, row: &Row) -> Result<Result<(), String>, KernelError> {
    let program = ebpf.program_mut(row.name).ok_or(KernelError::NoProgram(row.name))?;
    let loaded = match row.hook {
        Hook::Tracepoint(name) | Hook::After { tracepoint: name, .. } => {
            <&mut BtfTracePoint>::try_from(program).and_then(|p: &mut BtfTracePoint| p.load(name, btf))
        }
        Hook::Clock => <&mut PerfEvent>::try_from(program).and_then(|p: &mut PerfEvent| p.load()),
        Hook::Iterator => <&mut Iter>::try_from(program).and_then(|p: &mut Iter| p.load("task", btf)),
        Hook::Uprobe(_) => Ok(()),
    };
    Ok(loaded.map_err(|e| one_line(&e)))
}

/// As `load`, without aya's changes.
fn load_as_compiled(
    object: &AsCompiled,
    ebpf: &mut Ebpf,
    btf: &Btf,
    row: &Row,
) -> Result<Result<(), String>, KernelError> {
    let place = ebpf.program_mut(row.name).ok_or(KernelError::NoProgram(row.name))?;
    Ok(row.hook.kind(btf).and_then(|kind| object.load(row.name, kind)).and_then(|(_loaded, info)| {
        let adopted = row.hook.adopt(info, row.name).map_err(|e| one_line(&e))?;
        *place = adopted;
        Ok(())
    }))
}

impl Hook {
    fn kind(self, btf: &Btf) -> Result<Kind, String> {
        let (name, sort, attach) = match self {
            Self::Tracepoint(name) | Self::After { tracepoint: name, .. } => {
                (format!("btf_trace_{name}"), BtfKind::Typedef, bpf_attach_type::BPF_TRACE_RAW_TP)
            }
            Self::Iterator => ("bpf_iter_task".to_owned(), BtfKind::Func, bpf_attach_type::BPF_TRACE_ITER),
            Self::Clock => {
                return Ok(Kind { program: bpf_prog_type::BPF_PROG_TYPE_PERF_EVENT, attach: None });
            }
            Self::Uprobe(_) => return Err("aya is not to know it".to_owned()),
        };
        let id = btf.id_by_type_name_kind(&name, sort).map_err(|e| one_line(&e))?;
        Ok(Kind { program: bpf_prog_type::BPF_PROG_TYPE_TRACING, attach: Some((attach, id)) })
    }

    fn adopt(self, info: ProgramInfo, name: &'static str) -> Result<Loaded, ProgramError> {
        let name = name.into();
        Ok(match self {
            Self::Tracepoint(_) | Self::After { .. } => {
                // SAFETY: it was loaded as such.
                let program = unsafe { BtfTracePoint::from_program_info(info, name) }?;
                Loaded::BtfTracePoint(program)
            }
            Self::Iterator => Loaded::Iter(Iter::from_program_info(info, name)?),
            Self::Clock => Loaded::PerfEvent(PerfEvent::from_program_info(info, name)?),
            Self::Uprobe(_) => return Err(ProgramError::NotLoaded),
        })
    }
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

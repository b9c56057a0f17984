//! Has the kernel take the programs, several at a time: it looks at each for long, and that is most of what a start takes.

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    sync::{Mutex, PoisonError},
    thread,
};

use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, Iter, PerfEvent, Program as Loaded, ProgramError, ProgramInfo},
};
use aya_obj::{
    btf::BtfKind,
    generated::{bpf_attach_type, bpf_prog_type},
};

use super::{Hook, ROWS, Row};
use crate::kernel::{
    as_compiled::{AsCompiled, Kind},
    error::{KernelError, one_line},
    uprobes::Way,
};

/// The most programs at a time: each takes the kernel some ten MB until it is done with it.
const MAX_AT_ONCE: usize = 4;

/// What programs are loaded from, and how.
pub(in crate::kernel) struct Source<'s> {
    pub(in crate::kernel) btf: &'s Btf,
    pub(in crate::kernel) as_compiled: &'s AsCompiled,
    /// Whether the kernel is one that aya would change programs for in vain.
    pub(in crate::kernel) confidential: bool,
    pub(in crate::kernel) way: Way,
}

/// What became of a program: a descriptor where aya is not to know it, or the kernel's refusal. The outer error is a bug
/// in the object.
pub(super) type Outcome = Result<Result<Option<OwnedFd>, String>, KernelError>;

/// Loads the programs of all rows, and tells in their order what became of them.
pub(super) fn load_all(ebpf: &mut Ebpf, source: &Source<'_>) -> Vec<Outcome> {
    let mut places: HashMap<&str, &mut Loaded> = ebpf.programs_mut().collect();
    let mut outcomes: Vec<Option<Outcome>> = Vec::new();
    outcomes.resize_with(ROWS.len(), || None);
    let jobs: Vec<_> = ROWS
        .iter()
        .zip(&mut outcomes)
        .map(|(row, outcome)| (row, places.remove(row.name), outcome))
        .collect();
    let jobs = Mutex::new(jobs.into_iter());
    let work = || {
        let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some((row, place, outcome)) = next() {
            *outcome =
                Some(place.ok_or(KernelError::NoProgram(row.name)).map(|place| source.load(row, place)));
        }
    };
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MAX_AT_ONCE);
    thread::scope(|scope| {
        for _ in 1..workers {
            // Where there can be no thread, this one does it all.
            let _ = thread::Builder::new().name("load".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    let missing = |row: &Row| Err(KernelError::NoProgram(row.name));
    ROWS.iter().zip(outcomes).map(|(row, outcome)| outcome.unwrap_or_else(|| missing(row))).collect()
}

impl Source<'_> {
    fn load(&self, row: &Row, place: &mut Loaded) -> Result<Option<OwnedFd>, String> {
        if let Hook::Uprobe(program) = row.hook {
            return self.as_compiled.load_alone(program.name(), self.way.kind()).map(Some);
        }
        if self.confidential {
            self.load_as_compiled(row, place)?;
        } else {
            self.load_by_aya(row.hook, place).map_err(|e| one_line(&e))?;
        }
        Ok(None)
    }

    fn load_by_aya(&self, hook: Hook, place: &mut Loaded) -> Result<(), ProgramError> {
        match hook {
            Hook::Tracepoint(name) | Hook::After { tracepoint: name, .. } => {
                <&mut BtfTracePoint>::try_from(place)?.load(name, self.btf)
            }
            Hook::Clock => <&mut PerfEvent>::try_from(place)?.load(),
            Hook::Iterator => <&mut Iter>::try_from(place)?.load("task", self.btf),
            Hook::Uprobe(_) => Ok(()),
        }
    }

    /// Without aya's changes.
    fn load_as_compiled(&self, row: &Row, place: &mut Loaded) -> Result<(), String> {
        let (_loaded, info) = self.as_compiled.load(row.name, row.hook.kind(self.btf)?)?;
        *place = row.hook.adopt(info, row.name).map_err(|e| one_line(&e))?;
        Ok(())
    }
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

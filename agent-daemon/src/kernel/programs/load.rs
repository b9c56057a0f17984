//! How programs are loaded: by aya, or as they were compiled where aya would change them in vain.

use aya::{
    Btf, Ebpf,
    maps::ProgramArray,
    programs::{BtfTracePoint, Iter, PerfEvent, Program as Loaded, ProgramError, ProgramInfo},
};
use aya_obj::{
    btf::BtfKind,
    generated::{bpf_attach_type, bpf_prog_type},
};

use super::{Hook, Row};
use crate::kernel::{
    as_compiled::{AsCompiled, Kind},
    error::{KernelError, one_line},
};

/// Puts a program that was loaded into the array by which another one goes on as it.
pub(super) fn enter(ebpf: &mut Ebpf, name: &'static str, array: &'static str) -> Result<(), KernelError> {
    let program = ebpf.program(name).ok_or(KernelError::NoProgram(name))?;
    let program: &BtfTracePoint = program.try_into().map_err(|_| KernelError::NoProgram(name))?;
    let refused = |e: &dyn std::error::Error| KernelError::Refused { what: name, reason: one_line(e) };
    let fd = program.fd().map_err(|e| refused(&e))?.try_clone().map_err(|e| refused(&e))?;
    let map = ebpf.map_mut(array).ok_or(KernelError::NoMap(array))?;
    Ok(ProgramArray::try_from(map)?.set(0, &fd, 0)?)
}

/// The outer error is a bug in the object, the inner one the kernel's refusal.
pub(super) fn load(ebpf: &mut Ebpf, btf: &Btf, row: &Row) -> Result<Result<(), String>, KernelError> {
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
pub(super) fn load_as_compiled(
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

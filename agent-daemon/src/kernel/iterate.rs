//! Runs a task iterator: the kernel calls the program once for each thread of the host.

use std::io::Read as _;

use aya::{Ebpf, programs::Iter};

use super::error::{KernelError, one_line};

/// Runs the loaded iterator `name`; returns what it wrote.
pub(super) fn run(ebpf: &mut Ebpf, name: &'static str) -> Result<Vec<u8>, KernelError> {
    let refused = |e: &dyn std::error::Error| KernelError::Refused { what: name, reason: one_line(e) };
    let program = ebpf.program_mut(name).ok_or(KernelError::NoProgram(name))?;
    let program: &mut Iter = program.try_into().map_err(|e| refused(&e))?;
    let link = program.attach().and_then(|id| program.take_link(id)).map_err(|e| refused(&e))?;
    let mut file = link.into_file().map_err(|e| refused(&e))?;
    let mut output = Vec::new();
    file.read_to_end(&mut output)
        .map_err(|error| KernelError::Io { call: "reading a task iterator", error })?;
    Ok(output)
}

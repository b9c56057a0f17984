//! Reading the memory of other processes, from which interpreters' names come.
//!
//! What is read is theirs: it changes while we look, and may be made up to mislead. So nothing here trusts a
//! length or an address, every read says how much it takes, and readers are written against a trait so that
//! tests can hand them any bytes.

use std::{fs::File, io, os::unix::fs::FileExt, sync::OnceLock};

use super::identity;
use crate::model::id::ProcessId;

/// Memory that could not be read, or not all of it: it is not mapped, or its process is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("memory at {address:#x} cannot be read")]
pub struct Unreadable {
    /// Where the read began.
    pub address: u64,
}

/// The memory of one process.
pub trait Memory {
    /// Fills the buffer with what is at an address.
    ///
    /// # Errors
    /// If any of it cannot be read; the buffer then holds anything.
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable>;

    /// `N` bytes.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn array<const N: usize>(&self, address: u64) -> Result<[u8; N], Unreadable> {
        let mut bytes = [0; N];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// A word of 64 bits.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn u64(&self, address: u64) -> Result<u64, Unreadable> {
        self.array(address).map(u64::from_le_bytes)
    }

    /// A word of 32 bits.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn u32(&self, address: u64) -> Result<u32, Unreadable> {
        self.array(address).map(u32::from_le_bytes)
    }

    /// A word of 16 bits.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn u16(&self, address: u64) -> Result<u16, Unreadable> {
        self.array(address).map(u16::from_le_bytes)
    }
}

/// The memory of one process, and of no other that has its pid later.
#[derive(Debug)]
pub struct ProcessMemory {
    process: ProcessId,
    source: OnceLock<Source>,
}

/// How memory is read. Security modules, seccomp filters and capabilities know the two ways apart.
#[derive(Debug)]
enum Source {
    /// `/proc/PID/mem`, which stays with the address space that it was opened for.
    File(File),
    /// `process_vm_readv`, where the file was refused: it takes a pid, whose process is asked for after each read.
    Call,
    /// The process is gone.
    Nobody,
}

impl ProcessMemory {
    /// The memory of a process. Nothing is opened until it is read.
    #[must_use]
    pub fn new(process: ProcessId) -> Self {
        Self { process, source: OnceLock::new() }
    }
}

impl Source {
    fn open(process: ProcessId) -> Self {
        match File::open(format!("/proc/{}/mem", process.pid())) {
            Ok(file) if identity::is_same(process) => Self::File(file),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Self::Call,
            Ok(_) | Err(_) => Self::Nobody,
        }
    }

    fn read(&self, process: ProcessId, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(buffer, address),
            Self::Call => {
                // No pid is that large; -1 is nobody's.
                read_vm(process.pid().try_into().unwrap_or(-1), address, buffer)?;
                if identity::is_same(process) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
            }
            Self::Nobody => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Memory for ProcessMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let source = self.source.get_or_init(|| Source::open(self.process));
        source.read(self.process, address, buffer).map_err(|_| Unreadable { address })
    }
}

fn read_vm(pid: libc::pid_t, address: u64, buffer: &mut [u8]) -> io::Result<()> {
    let length = buffer.len();
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: length };
    let remote =
        libc::iovec { iov_base: std::ptr::without_provenance_mut(to_usize(address)), iov_len: length };
    // SAFETY: the kernel writes at most `iov_len` bytes to `local`, which is `buffer`, borrowed mutably; `remote`
    // is an address of the other process, which the kernel checks.
    let read = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    match usize::try_from(read) {
        Err(_) => Err(io::Error::last_os_error()),
        Ok(read) if read == length => Ok(()),
        Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Only 64-bit machines are supported, where this changes nothing.
fn to_usize(address: u64) -> usize {
    address.try_into().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{
        identity::{forerunner, this_process},
        *,
    };

    /// Both ways of reading.
    fn memories(process: ProcessId) -> [ProcessMemory; 2] {
        let by_call = ProcessMemory { process, source: OnceLock::from(Source::Call) };
        [ProcessMemory::new(process), by_call]
    }

    #[test]
    fn own_memory_is_read() {
        let secret = [7_u64, 8, 9];
        let address = secret.as_ptr().addr() as u64;
        for memory in memories(this_process()) {
            assert_eq!(memory.u64(address + 8), Ok(8));
            assert_eq!(memory.u32(address + 16), Ok(9));
            assert_eq!(memory.u16(address), Ok(7));
        }
    }

    #[test]
    fn a_stranger_with_the_same_pid_is_not_read() {
        let secret = 7_u64;
        let address = (&raw const secret).addr() as u64;
        for memory in memories(forerunner()) {
            assert_eq!(memory.u64(address), Err(Unreadable { address }));
        }
    }

    #[test]
    fn what_is_not_there_is_unreadable() {
        for memory in memories(this_process()) {
            for address in [0, 8, u64::MAX, u64::MAX - 7, 1 << 63, 0xffff_ffff_8000_0000] {
                assert_eq!(memory.u64(address), Err(Unreadable { address }));
            }
        }
    }
}

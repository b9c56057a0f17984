//! Reading the memory of other processes, from which interpreters' names come.
//!
//! What is read is theirs: it changes while we look, and may be made up to mislead. So nothing here trusts a
//! length or an address, every read says how much it takes, and readers are written against a trait so that
//! tests can hand them any bytes.

use std::{fs::File, io, os::unix::fs::FileExt, sync::OnceLock};

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

/// The memory of a process by its pid. Whose pid it is now is the caller's to know: pids are used again.
#[derive(Debug)]
pub struct ProcessMemory {
    pid: libc::pid_t,
    /// `/proc/PID/mem`, once `process_vm_readv` was refused.
    file: OnceLock<Option<File>>,
}

impl ProcessMemory {
    /// The memory of a process. Nothing is opened until it is read.
    #[must_use]
    pub fn new(pid: u32) -> Self {
        // No pid is that large; -1 is nobody's.
        Self { pid: pid.try_into().unwrap_or(-1), file: OnceLock::new() }
    }

    /// Security modules and seccomp filters know the file and the call apart.
    fn read_file(&self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        let open = || File::open(format!("/proc/{}/mem", self.pid)).ok();
        let file = self.file.get_or_init(open).as_ref().ok_or(io::ErrorKind::PermissionDenied)?;
        file.read_exact_at(buffer, address)
    }
}

impl Memory for ProcessMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let read = if matches!(self.file.get(), Some(Some(_))) {
            self.read_file(address, buffer)
        } else {
            match read_vm(self.pid, address, buffer) {
                Err(error) if is_refused(&error) => self.read_file(address, buffer),
                read => read,
            }
        };
        read.map_err(|_| Unreadable { address })
    }
}

fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS))
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
    use super::*;

    #[test]
    fn own_memory_is_read() {
        let secret = [7_u64, 8, 9];
        let memory = ProcessMemory::new(std::process::id());
        let address = secret.as_ptr().addr() as u64;
        assert_eq!(memory.u64(address + 8), Ok(8));
        assert_eq!(memory.u32(address + 16), Ok(9));
        assert_eq!(memory.u16(address), Ok(7));
        let mut bytes = [0; 16];
        memory.read_file(address + 8, &mut bytes).expect("/proc/self/mem opens");
        assert_eq!((bytes[0], bytes[8]), (8, 9));
    }

    #[test]
    fn what_is_not_there_is_unreadable() {
        let memory = ProcessMemory::new(std::process::id());
        for address in [0, 8, u64::MAX, u64::MAX - 7, 1 << 63, 0xffff_ffff_8000_0000] {
            assert_eq!(memory.u64(address), Err(Unreadable { address }));
        }
        assert!(ProcessMemory::new(u32::MAX).u64(0x1000).is_err());
    }
}

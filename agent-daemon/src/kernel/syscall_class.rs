//! What blocking in a syscall means, by class. x86-64 numbers.

use agent_common::thread::class;
use aya::{Ebpf, maps::Array};

use super::error::KernelError;

/// Syscalls by class; all others are `class::OTHER`.
const CLASSES: [(u32, &[u32]); 10] = [
    // read, write, ioctl, pread64, pwrite64, readv, writev, preadv(2), pwritev(2), connect, accept, sendto,
    // recvfrom, sendmsg, recvmsg, accept4, recvmmsg, sendmmsg, sendfile, splice, tee, vmsplice
    (
        class::DESCRIPTOR,
        &[
            0, 1, 16, 17, 18, 19, 20, 40, 42, 43, 44, 45, 46, 47, 275, 276, 278, 288, 295, 296, 299, 307,
            327, 328,
        ],
    ),
    // wait4, waitid, clone, fork, vfork, clone3
    (class::CHILD, &[61, 247, 56, 57, 58, 435]),
    // futex, futex_waitv, futex_wake, futex_wait
    (class::FUTEX, &[202, 449, 454, 455]),
    // flock, fcntl (F_SETLKW), semop, semtimedop
    (class::LOCK, &[73, 72, 65, 220]),
    // msgrcv, msgsnd, mq_timedreceive, mq_timedsend
    (class::IPC, &[70, 69, 243, 242]),
    // nanosleep, clock_nanosleep (waits for a signal are no timers: pause and kin stay `OTHER`)
    (class::TIMER, &[35, 230]),
    // epoll_wait, epoll_pwait(2), select, pselect6, io_uring_enter
    (class::POLL, &[232, 281, 441, 23, 270, 426]),
    // poll, ppoll
    (class::POLL_ARRAY, &[7, 271]),
    // fsync, fdatasync, sync, syncfs, sync_file_range, msync, fallocate, ftruncate, truncate, open, openat,
    // openat2, creat, unlink(at), rename(at, at2), mkdir, rmdir, getdents(64), stat family, statx, execve(at), close
    (
        class::FILE,
        &[
            74, 75, 162, 306, 277, 26, 285, 77, 76, 2, 257, 437, 85, 87, 263, 82, 264, 316, 83, 84, 78, 217,
            4, 5, 6, 262, 332, 59, 322, 3,
        ],
    ),
    // mmap, mprotect, munmap, brk, mremap, madvise
    (class::MEMORY, &[9, 10, 11, 12, 25, 28]),
];

/// Fills SYSCALL_CLASS.
pub(super) fn fill(ebpf: &mut Ebpf) -> Result<(), KernelError> {
    let map = ebpf.map_mut("SYSCALL_CLASS").ok_or(KernelError::NoMap("SYSCALL_CLASS"))?;
    let mut map: Array<_, u32> = Array::try_from(map)?;
    for (class, numbers) in CLASSES {
        for number in numbers {
            map.set(*number, class, 0)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::CLASSES;

    #[test]
    fn every_syscall_has_one_class_and_fits_the_table() {
        let mut all: Vec<u32> = CLASSES.iter().flat_map(|(_, n)| n.iter().copied()).collect();
        let listed = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), listed);
        assert!(all.iter().all(|n| *n < agent_common::thread::class::TABLE));
    }
}

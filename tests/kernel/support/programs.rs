//! The eBPF programs that a process holds, by the kernel's own account, so that no word of agentperf's is
//! needed to know what it left behind.

use std::{collections::BTreeSet, fs};

/// `BPF_PROG_GET_FD_BY_ID` of `bpf(2)`.
const PROG_GET_FD_BY_ID: libc::c_long = 13;

/// Ids of the programs that a process has open, itself or by a link.
pub(crate) fn held_by(pid: u32) -> BTreeSet<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("the process lives");
    let texts = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let ids = texts.filter_map(|text| {
        let id = text.lines().find_map(|line| line.strip_prefix("prog_id:"))?;
        id.trim().parse().ok()
    });
    ids.collect()
}

/// Whether the kernel still has the program of this id.
pub(crate) fn exists(id: u32) -> bool {
    let attributes = [id, 0, 0];
    // SAFETY: the command reads three u32 (id, next id, flags) from a buffer of exactly that size.
    let fd = unsafe {
        libc::syscall(libc::SYS_bpf, PROG_GET_FD_BY_ID, attributes.as_ptr(), size_of_val(&attributes))
    };
    if fd < 0 {
        return false;
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    unsafe { libc::close(i32::try_from(fd).expect("a descriptor")) };
    true
}

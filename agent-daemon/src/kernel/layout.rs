//! The table of kernel fields that the programs read, and their offsets on the running kernel.
//! `agent-ebpf/src/layout.rs` declares the globals that are set here.

use super::{
    btf::{self, Types},
    error::KernelError,
};
use crate::config::Kernel;

/// Global, structure, field.
const FIELDS: [(&str, &str, &str); 76] = [
    ("TASK_PID", "task_struct", "pid"),
    ("TASK_TGID", "task_struct", "tgid"),
    ("TASK_STATE", "task_struct", "__state"),
    ("TASK_FLAGS", "task_struct", "flags"),
    ("TASK_ON_CPU", "task_struct", "on_cpu"),
    ("TASK_COMM", "task_struct", "comm"),
    ("TASK_MM", "task_struct", "mm"),
    ("TASK_FILES", "task_struct", "files"),
    ("TASK_SIGNAL", "task_struct", "signal"),
    ("TASK_REAL_PARENT", "task_struct", "real_parent"),
    ("TASK_GROUP_LEADER", "task_struct", "group_leader"),
    ("TASK_START_BOOTTIME", "task_struct", "start_boottime"),
    ("TASK_RUNTIME", "task_struct", "se.sum_exec_runtime"),
    ("TASK_RUNTIME_AT_SWITCH", "task_struct", "se.prev_sum_exec_runtime"),
    ("TASK_EXIT_CODE", "task_struct", "exit_code"),
    ("TASK_FS_BASE", "task_struct", "thread.fsbase"),
    ("TASK_UTIME", "task_struct", "utime"),
    ("TASK_STIME", "task_struct", "stime"),
    ("TASK_SIGHAND", "task_struct", "sighand"),
    ("SIGHAND_ACTION", "sighand_struct", "action"),
    ("SIGACTION_SIZE", "k_sigaction", ""),
    ("SIGNAL_OOM_MM", "signal_struct", "oom_mm"),
    ("SIGNAL_LIVE", "signal_struct", "live.counter"),
    ("SIGNAL_FLAGS", "signal_struct", "flags"),
    ("SIGNAL_GROUP_EXIT_CODE", "signal_struct", "group_exit_code"),
    ("SIGNAL_MAXRSS", "signal_struct", "maxrss"),
    ("SIGNAL_SUM_RUNTIME", "signal_struct", "sum_sched_runtime"),
    ("SIGNAL_UTIME", "signal_struct", "utime"),
    ("SIGNAL_STIME", "signal_struct", "stime"),
    ("MM_PGD", "mm_struct", "pgd"),
    ("MM_ARG_START", "mm_struct", "arg_start"),
    ("MM_ARG_END", "mm_struct", "arg_end"),
    ("MM_HIWATER_RSS", "mm_struct", "hiwater_rss"),
    ("MM_RSS_STAT", "mm_struct", "rss_stat"),
    ("BPRM_INTERP", "linux_binprm", "interp"),
    ("FILES_FDT", "files_struct", "fdt"),
    ("FDT_FD", "fdtable", "fd"),
    ("FDT_MAX_FDS", "fdtable", "max_fds"),
    ("FILE_INODE", "file", "f_inode"),
    ("FILE_PRIVATE", "file", "private_data"),
    ("INODE_MODE", "inode", "i_mode"),
    ("INODE_RDEV", "inode", "i_rdev"),
    ("INODE_NUMBER", "inode", "i_ino"),
    ("FILE_MODE", "file", "f_mode"),
    ("FILE_PATH", "file", "f_path"),
    ("INODE_SIZE", "inode", "i_size"),
    ("INODE_SUPER", "inode", "i_sb"),
    ("SUPER_DEVICE", "super_block", "s_dev"),
    ("TASK_FS", "task_struct", "fs"),
    ("FS_PWD", "fs_struct", "pwd"),
    ("DENTRY_PARENT", "dentry", "d_parent"),
    ("DENTRY_HASHED", "dentry", "d_hash.pprev"),
    ("DENTRY_NAME", "dentry", "d_name.hash_len"),
    ("DENTRY_NAME_TEXT", "dentry", "d_name.name"),
    ("MOUNT_MNT", "mount", "mnt"),
    ("MOUNT_ROOT", "mount", "mnt.mnt_root"),
    ("MOUNT_PARENT", "mount", "mnt_parent"),
    ("MOUNT_POINT", "mount", "mnt_mountpoint"),
    ("SOCKET_SK", "socket", "sk"),
    ("SOCKET_FILE", "socket", "file"),
    ("SOCK_SOCKET", "sock", "sk_socket"),
    ("SOCK_FAMILY", "sock", "__sk_common.skc_family"),
    ("SOCK_PORT", "sock", "__sk_common.skc_dport"),
    ("SOCK_ADDRESS", "sock", "__sk_common.skc_daddr"),
    ("SOCK_ADDRESS6", "sock", "__sk_common.skc_v6_daddr"),
    ("SOCK_PROTOCOL", "sock", "sk_protocol"),
    ("SOCK_STATE", "sock", "__sk_common.skc_state"),
    ("SOCK_COOKIE", "sock", "__sk_common.skc_cookie.counter"),
    ("SOCK_ERROR", "sock", "sk_err"),
    ("SOCK_NAMESPACE", "sock", "__sk_common.skc_net.net"),
    ("SOCK_LOCAL_ADDRESS", "sock", "__sk_common.skc_rcv_saddr"),
    ("SOCK_LOCAL_ADDRESS6", "sock", "__sk_common.skc_v6_rcv_saddr"),
    ("NAMESPACE_INODE", "net", "ns.inum"),
    ("SOCK_LOCAL_PORT", "sock", "__sk_common.skc_num"),
    // Both are of percpu_counter; kernels before 6.2 count RSS in plain words instead.
    ("RSS_COUNTER_VALUE", "percpu_counter", "count"),
    ("RSS_COUNTER_SIZE", "percpu_counter", ""),
];

/// The same for fields that a kernel may be built without: 0 there.
const OPTIONAL_FIELDS: [(&str, &str, &str); 26] = [
    ("TASK_UTASK", "task_struct", "utask"),
    ("UTASK_RETURNS", "uprobe_task", "return_instances"),
    ("RETURN_STACK", "return_instance", "stack"),
    ("RETURN_ADDRESS", "return_instance", "orig_ret_vaddr"),
    ("RETURN_NEXT", "return_instance", "next"),
    ("TASK_READ_CHARS", "task_struct", "ioac.rchar"),
    ("TASK_WRITTEN_CHARS", "task_struct", "ioac.wchar"),
    ("TASK_READ_BYTES", "task_struct", "ioac.read_bytes"),
    ("TASK_WRITTEN_BYTES", "task_struct", "ioac.write_bytes"),
    ("SIGNAL_READ_CHARS", "signal_struct", "ioac.rchar"),
    ("SIGNAL_WRITTEN_CHARS", "signal_struct", "ioac.wchar"),
    ("SIGNAL_READ_BYTES", "signal_struct", "ioac.read_bytes"),
    ("SIGNAL_WRITTEN_BYTES", "signal_struct", "ioac.write_bytes"),
    ("BIO_NEXT", "bio", "bi_next"),
    ("BIO_DEVICE", "bio", "bi_bdev"),
    ("BIO_OPERATION", "bio", "bi_opf"),
    ("BIO_SIZE", "bio", "bi_iter.bi_size"),
    ("BIO_STATUS", "bio", "bi_status"),
    ("BIO_PRIVATE", "bio", "bi_private"),
    ("BIO_PARTS", "bio", "bi_io_vec"),
    ("PART_PAGE", "bio_vec", "bv_page"),
    ("DEVICE_NUMBER", "block_device", "bd_dev"),
    ("REQUEST_BIO", "request", "bio"),
    ("PAGE_HEAD", "page", "compound_head"),
    ("PAGE_MAPPING", "page", "mapping"),
    ("MAPPING_INODE", "address_space", "host"),
];

/// `I_DIRTY_PAGES` where it is a macro.
const OLD_DIRTY_PAGES: u32 = 1 << 2;

/// Every global with its value for the running kernel; `confidential`: it must not read the kernel's memory.
pub(super) fn resolve(confidential: bool) -> Result<Vec<(&'static str, u32)>, KernelError> {
    let path = "/sys/kernel/btf/vmlinux";
    let bytes = std::fs::read(path).map_err(|e| KernelError::NoBtf(format!("{path}: {e}")))?;
    let types = Types::parse(&bytes).ok_or_else(|| KernelError::NoBtf(format!("{path} is malformed")))?;
    let mut globals = Vec::with_capacity(FIELDS.len() + OPTIONAL_FIELDS.len() + 5);
    for (global, structure, field) in FIELDS {
        let value = if field.is_empty() { types.size(structure) } else { types.offset(structure, field) };
        globals.push((global, value.ok_or(KernelError::NoField { structure, field })?));
    }
    for (global, structure, field) in OPTIONAL_FIELDS {
        globals.push((global, types.offset(structure, field).unwrap_or(0)));
    }
    if let Some(plain) = types.offset("mm_struct", "rss_stat.count") {
        set(&mut globals, "MM_RSS_STAT", plain);
        set(&mut globals, "RSS_COUNTER_VALUE", 0);
        set(&mut globals, "RSS_COUNTER_SIZE", 8);
    }
    let (byte, mask) = types
        .bit("task_struct", "in_iowait")
        .ok_or(KernelError::NoField { structure: "task_struct", field: "in_iowait" })?;
    globals.extend([("TASK_IOWAIT_BYTE", byte), ("TASK_IOWAIT_MASK", mask)]);
    let dirty = btf::enumerator(&bytes, "I_DIRTY_PAGES").unwrap_or(OLD_DIRTY_PAGES);
    globals.push(("INODE_DIRTY_PAGES", dirty));
    globals.push(("CAN_READ_KERNEL", u32::from(!confidential)));
    globals.push(("FIVE_LEVELS", u32::from(cpu_flag("la57"))));
    Ok(globals)
}

fn set(globals: &mut [(&'static str, u32)], name: &str, value: u32) {
    if let Some(global) = globals.iter_mut().find(|(n, _)| *n == name) {
        global.1 = value;
    }
}

/// The bits of a page table's entry that are a physical address, on this CPU. What encrypted memory marks pages
/// with lies above them.
pub(super) fn physical_mask() -> u64 {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let bits = info.lines().find_map(|line| {
        let sizes = line.strip_prefix("address sizes")?.trim_start_matches([' ', '\t', ':']);
        sizes.split(' ').next()?.parse::<u32>().ok()
    });
    (1u64 << bits.unwrap_or(46).clamp(32, 52)) - 4096
}

/// Whether the CPUs have a feature that the kernel uses: it clears the flags of those that it does not.
fn cpu_flag(name: &str) -> bool {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = info.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|line| line.split(' ').any(|flag| flag == name))
}

/// Whether the kernel is locked down to confidentiality, where bpf_probe_read_kernel does not exist, or is to be
/// treated so.
pub(super) fn is_confidential(config: &Kernel) -> bool {
    config.confidential
        || std::fs::read_to_string("/sys/kernel/security/lockdown")
            .is_ok_and(|s| s.contains("[confidentiality]"))
}

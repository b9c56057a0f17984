//! Where the running kernel keeps the fields we read: byte offsets from its BTF, set at load time.
//!
//! rustc emits no CO-RE relocations, so the daemon resolves each global below by name
//! (`kernel/layout.rs` there holds the table) before the programs are loaded.

use aya_ebpf::{Global, helpers::bpf_probe_read_kernel};

macro_rules! offsets {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        $($(#[$doc])* #[unsafe(no_mangle)] pub(crate) static $name: Global<u32> = Global::new(0);)*
    };
}

offsets! {
    TASK_PID, TASK_TGID, TASK_STATE, TASK_FLAGS, TASK_ON_CPU, TASK_COMM, TASK_MM, TASK_FILES, TASK_SIGNAL,
    TASK_REAL_PARENT, TASK_GROUP_LEADER, TASK_START_BOOTTIME, TASK_RUNTIME, TASK_RUNTIME_AT_SWITCH, TASK_EXIT_CODE,
    TASK_FS_BASE, TASK_UTIME, TASK_STIME, TASK_SIGHAND, SIGHAND_ACTION, SIGACTION_SIZE, SIGNAL_OOM_MM,
    /// 0 where the kernel does not account I/O.
    TASK_READ_CHARS, TASK_WRITTEN_CHARS, TASK_READ_BYTES, TASK_WRITTEN_BYTES,
    /// The byte that holds the bit-field `in_iowait`, and its mask in that byte.
    TASK_IOWAIT_BYTE, TASK_IOWAIT_MASK,
    /// 0 where the kernel has no uprobes.
    TASK_UTASK, UTASK_RETURNS, RETURN_STACK, RETURN_ADDRESS, RETURN_NEXT,
    SIGNAL_LIVE, SIGNAL_FLAGS, SIGNAL_GROUP_EXIT_CODE, SIGNAL_MAXRSS, SIGNAL_SUM_RUNTIME, SIGNAL_UTIME,
    SIGNAL_STIME,
    /// 0 where the kernel does not account I/O.
    SIGNAL_READ_CHARS, SIGNAL_WRITTEN_CHARS, SIGNAL_READ_BYTES, SIGNAL_WRITTEN_BYTES,
    MM_PGD, MM_ARG_START, MM_ARG_END, MM_HIWATER_RSS, MM_RSS_STAT,
    /// Distance between two counters of `mm_struct.rss_stat`, and the place of the value in one.
    RSS_COUNTER_SIZE, RSS_COUNTER_VALUE,
    BPRM_INTERP,
    FILES_FDT, FDT_FD, FDT_MAX_FDS, FILE_INODE, FILE_PRIVATE, INODE_MODE, INODE_RDEV, INODE_NUMBER,
    FILE_MODE, FILE_PATH, INODE_SIZE, INODE_SUPER, SUPER_DEVICE, TASK_FS, FS_PWD,
    DENTRY_PARENT, DENTRY_HASHED,
    /// Hash and length of the name; its text.
    DENTRY_NAME, DENTRY_NAME_TEXT,
    /// Of `struct mount`, which is around `struct vfsmount`.
    MOUNT_MNT, MOUNT_ROOT, MOUNT_PARENT, MOUNT_POINT,
    SOCKET_SK, SOCKET_FILE, SOCK_SOCKET, SOCK_FAMILY, SOCK_PORT, SOCK_ADDRESS, SOCK_ADDRESS6, SOCK_PROTOCOL, SOCK_COOKIE, SOCK_ERROR, SOCK_STATE,
    SOCK_NAMESPACE, SOCK_LOCAL_PORT, SOCK_LOCAL_ADDRESS, SOCK_LOCAL_ADDRESS6, NAMESPACE_INODE,
    BIO_NEXT, BIO_DEVICE, BIO_OPERATION, BIO_SIZE, BIO_STATUS, BIO_PRIVATE, BIO_PARTS, PART_PAGE, DEVICE_NUMBER,
    REQUEST_BIO, PAGE_HEAD, PAGE_MAPPING, MAPPING_INODE,
    /// 1 where the kernel allows bpf_probe_read_kernel (it does not under lockdown=confidentiality). The
    /// verifier does not look at code behind a constant 0.
    CAN_READ_KERNEL,
    /// The flag of `__mark_inode_dirty` that tells of data.
    INODE_DIRTY_PAGES,
    /// 1 where page tables have five levels.
    FIVE_LEVELS,
}

/// The bits of a page table's entry that are a physical address.
#[unsafe(no_mangle)]
pub(crate) static PHYSICAL_MASK: Global<u64> = Global::new(0);

/// `task_struct.flags`: the task is exiting; its user memory may be gone.
pub(crate) const PF_EXITING: u32 = 4;
/// The task is the kernel's own.
pub(crate) const PF_KTHREAD: u32 = 0x20_0000;

/// The kernel's `struct pt_regs` on x86-64, by word.
pub(crate) mod regs {
    pub(crate) const BP: usize = 4;
    pub(crate) const R10: usize = 7;
    pub(crate) const R11: usize = 6;
    pub(crate) const R9: usize = 8;
    pub(crate) const R8: usize = 9;
    pub(crate) const AX: usize = 10;
    pub(crate) const CX: usize = 11;
    pub(crate) const DX: usize = 12;
    pub(crate) const SI: usize = 13;
    pub(crate) const DI: usize = 14;
    pub(crate) const ORIG_AX: usize = 15;
    pub(crate) const IP: usize = 16;
    pub(crate) const CS: usize = 17;
    pub(crate) const FLAGS: usize = 18;
    pub(crate) const SP: usize = 19;
}

/// Reads the field at `offset` of a kernel object that the verifier knows.
///
/// # Safety
/// `object` must be a trusted or walked BTF pointer, or null-checked by the caller; the kernel turns a
/// faulting load into 0.
#[inline(always)]
pub(crate) unsafe fn field<T: Copy>(object: *const u8, offset: &Global<u32>) -> T {
    // SAFETY: by contract; the verifier checks the access against the object's BTF.
    unsafe { *object.add(offset.load() as usize).cast::<T>() }
}

/// Reads the field at `offset` of whatever is at `object`; `None` where that is no memory.
///
/// # Safety
/// Only where `CAN_READ_KERNEL` is set: the helper does not exist elsewhere.
#[inline(always)]
pub(crate) unsafe fn read<T: Copy>(object: u64, offset: &Global<u32>) -> Option<T> {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel((object + u64::from(offset.load())) as *const T) }.ok()
}

/// Whether `task` is in a syscall: syscall entry leaves the return address in rcx and the flags in r11. (The
/// saved orig_ax does not tell: in a fault it is an error code.)
///
/// # Safety
/// `registers` comes from `bpf_task_pt_regs`.
#[inline(always)]
pub(crate) unsafe fn in_syscall(registers: *const u64) -> bool {
    // SAFETY: by contract these are the 21 words of pt_regs.
    unsafe {
        *registers.add(regs::CX) == *registers.add(regs::IP)
            && *registers.add(regs::R11) == *registers.add(regs::FLAGS)
    }
}

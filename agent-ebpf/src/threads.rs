//! Per-thread state: the filter and the memory of every program. A thread that has none belongs to no
//! agent, and costs the one look-up that finds that out.
//!
//! Task-local storage by default; with the feature `tid-hash`, a hash by thread id.

use agent_common::thread::{PID_BITS, START_SHIFT, Thread};
use aya_ebpf::bindings::task_struct;

use crate::layout::{self, field};

#[cfg(not(feature = "tid-hash"))]
mod storage {
    //! BPF_MAP_TYPE_TASK_STORAGE, which aya-ebpf has no type for.

    use core::ptr::{from_ref, null, null_mut};

    use agent_common::thread::Thread;
    use aya_ebpf::{
        bindings::task_struct,
        helpers::generated::{bpf_task_storage_delete, bpf_task_storage_get},
        macros::btf_map,
    };

    /// A BTF-defined map: the loader reads type, key, value and flags from this struct's BTF.
    #[repr(C)]
    pub(crate) struct TaskStorage<T> {
        r#type: *const [i32; 29],
        key: *const i32,
        value: *const T,
        max_entries: *const [i32; 0],
        map_flags: *const [i32; 1],
    }

    // SAFETY: never dereferenced; the kernel replaces its address by the map's.
    unsafe impl<T> Sync for TaskStorage<T> {}

    #[btf_map]
    static THREADS: TaskStorage<Thread> =
        TaskStorage { r#type: null(), key: null(), value: null(), max_entries: null(), map_flags: null() };

    #[inline(always)]
    pub(crate) fn lookup(task: *mut task_struct, create: bool) -> *mut Thread {
        let map = from_ref(&THREADS).cast_mut().cast();
        // SAFETY: a map and a BTF task pointer, as the helper asks; the verifier checks both.
        unsafe { bpf_task_storage_get(map, task, null_mut(), u64::from(create)).cast() }
    }

    /// Storage stays with its task, whatever that is called.
    #[inline(always)]
    pub(crate) fn rename(_: u32, _: *mut task_struct) {}

    #[inline(always)]
    pub(crate) fn remove(task: *mut task_struct) {
        let map = from_ref(&THREADS).cast_mut().cast();
        // SAFETY: as above. Failure means that there was nothing to remove.
        let _ = unsafe { bpf_task_storage_delete(map, task) };
    }
}

#[cfg(feature = "tid-hash")]
mod storage {
    //! A hash by thread id, for kernels that refuse task storage.

    use agent_common::{loss, thread::Thread};
    use aya_ebpf::{bindings::task_struct, macros::map, maps::HashMap};

    use crate::{
        layout::{self, field},
        losses,
    };

    #[map]
    static THREADS: HashMap<u32, Thread> = HashMap::with_max_entries(65_536, 0);
    // SAFETY: all-zero is a valid `Thread`: integers only.
    static ZERO: Thread = unsafe { core::mem::zeroed() };

    #[inline(always)]
    pub(crate) fn lookup(task: *mut task_struct, create: bool) -> *mut Thread {
        // SAFETY: a BTF task pointer.
        let tid: u32 = unsafe { field(task.cast(), &layout::TASK_PID) };
        if create && THREADS.get_ptr(tid).is_none() {
            let _ = THREADS.insert(tid, &ZERO, 0);
        }
        THREADS.get_ptr_mut(tid).unwrap_or(core::ptr::null_mut())
    }

    #[inline(always)]
    pub(crate) fn rename(old: u32, task: *mut task_struct) {
        // SAFETY: a BTF task pointer.
        let new: u32 = unsafe { field(task.cast(), &layout::TASK_PID) };
        if old == new {
            return;
        }
        if let Some(thread) = THREADS.get_ptr(old) {
            // SAFETY: map memory, alive until the program ends.
            if THREADS.insert(new, unsafe { &*thread }, 0).is_err() {
                losses::count(loss::THREAD_STATE);
            }
            let _ = THREADS.remove(old);
        }
    }

    #[inline(always)]
    pub(crate) fn remove(task: *mut task_struct) {
        // SAFETY: a BTF task pointer.
        let tid: u32 = unsafe { field(task.cast(), &layout::TASK_PID) };
        let _ = THREADS.remove(tid);
    }
}

/// The state of `task`, if it belongs to an agent.
#[inline(always)]
pub(crate) fn get(task: *mut u8) -> Option<&'static mut Thread> {
    // SAFETY: map memory, alive until the program ends; concurrent writers are part of `Thread`'s contract.
    unsafe { storage::lookup(task.cast::<task_struct>(), false).as_mut() }
}

/// The state of `task`, zeroed if it is new.
#[inline(always)]
pub(crate) fn create(task: *mut u8) -> Option<&'static mut Thread> {
    // SAFETY: as in `get`.
    unsafe { storage::lookup(task.cast::<task_struct>(), true).as_mut() }
}

/// Keeps the state of `task`, whose thread id was `old` until it executed a program: that makes any thread the
/// leader, under the leader's id.
#[inline(always)]
pub(crate) fn rename(old: u32, task: *mut u8) {
    storage::rename(old, task.cast());
}

/// Forgets `task`.
#[inline(always)]
pub(crate) fn remove(task: *mut u8) {
    storage::remove(task.cast());
}

/// The identity of the process that `task` belongs to (`ProcessId` in the daemon).
///
/// # Safety
/// `task` is a BTF task pointer.
#[inline(always)]
pub(crate) unsafe fn process_of(task: *const u8) -> u64 {
    // SAFETY: by contract; group_leader is never null.
    unsafe {
        let leader: *const u8 = field(task, &layout::TASK_GROUP_LEADER);
        let start: u64 = field(leader, &layout::TASK_START_BOOTTIME);
        let tgid: u32 = field(task, &layout::TASK_TGID);
        (start >> START_SHIFT << PID_BITS) | u64::from(tgid)
    }
}

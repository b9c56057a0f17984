//! Probes on functions of single processes. Where the kernel has it, all probes of a process on a file are one link
//! (uprobe_multi, for a whole process as of 6.10); before, each is a perf event and a link. Either covers all threads
//! of the process and nobody else's, and is gone when it is dropped.
//!
//! A link goes with its process through an exec, and covers files that are mapped later. Limits: children are not covered,
//! and none of it once the thread has exited that the process's pid is named after, or another thread has executed a program.

use std::{
    ffi::CString,
    fs::{self, File},
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
        unix::fs::FileExt as _,
    },
    thread,
    time::{Duration, Instant},
};

use aya_obj::generated::{
    BPF_F_UPROBE_MULTI_RETURN, bpf_attach_type, bpf_cmd, bpf_prog_type, perf_event_attr,
};

use super::{
    as_compiled::{Kind, bpf, zeroed},
    detaching::Detacher,
    features,
};
use crate::config;

/// How long probes that are detached are waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Probes of one process on one file that are attached at once.
const MAX_SITES: usize = 1024;
/// `perf_event_open(2)`: the descriptor is not for children.
const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 8;

/// A program that uprobes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UprobeProgram {
    /// The dynamic loader changed its list of libraries.
    LibraryLoaded,
    /// A call of CUDA that is counted when it is made.
    CudaCall,
    /// A call of CUDA that is counted when it returns: its first instruction.
    CudaEnter,
    /// The same: its return.
    CudaReturn,
    /// A call of a TLS library.
    WireCall,
    /// The same: its return.
    WireReturn,
    /// A system call of libc has returned to it.
    WireStdio,
    /// A call of Go's `crypto/tls`, and where it returns.
    WireGo,
    /// A record of TLS is about to be encrypted or decrypted.
    WireSeal,
    /// It was decrypted.
    WireOpened,
    /// Whole blocks of such a record are about to be encrypted or decrypted.
    WireBlocks,
    /// One block: what is left of it, or its tag.
    WireBlock,
}

impl UprobeProgram {
    /// Its name in the object.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LibraryLoaded => "library_loaded",
            Self::CudaCall => "cuda_call",
            Self::CudaEnter => "cuda_enter",
            Self::CudaReturn => "cuda_return",
            Self::WireCall => "wire_call",
            Self::WireReturn => "wire_return",
            Self::WireStdio => "wire_stdio",
            Self::WireGo => "wire_go",
            Self::WireSeal => "wire_seal",
            Self::WireOpened => "wire_opened",
            Self::WireBlocks => "wire_blocks",
            Self::WireBlock => "wire_block",
        }
    }

    /// Whether it runs when a function returns, whose first instruction is then the site.
    #[must_use]
    pub fn is_at_return(self) -> bool {
        match self {
            Self::LibraryLoaded
            | Self::CudaCall
            | Self::CudaEnter
            | Self::WireCall
            | Self::WireStdio
            | Self::WireGo
            | Self::WireSeal
            | Self::WireBlocks
            | Self::WireBlock => false,
            Self::CudaReturn | Self::WireReturn | Self::WireOpened => true,
        }
    }
}

/// A place in a file to probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// What is to run there.
    pub program: UprobeProgram,
    /// Offset in the file of the instruction, bytes.
    pub offset: u64,
    /// What the program is told of it.
    pub cookie: u64,
}

/// Why probes could not be attached.
#[derive(Debug, thiserror::Error)]
pub enum UprobeError {
    /// The kernel refused the program when it was loaded.
    #[error("the kernel refused the program {0}")]
    NoProgram(&'static str),
    /// More probes than are attached at once.
    #[error("{0} probes on one file")]
    TooMany(usize),
    /// The kernel refused to attach it.
    #[error("{call}: {error}")]
    Refused {
        /// The call.
        call: &'static str,
        /// Its error.
        error: io::Error,
    },
}

/// How the kernel attaches uprobes to one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Many by one link.
    Multi,
    /// One by one, as perf events.
    PerfEvent,
}

impl Way {
    /// The better of those that the running kernel has, unless the other one is asked for.
    pub(super) fn of_kernel(config: &config::Kernel) -> Self {
        let has_multi = features::is_at_least(6, 10) && !config.single_uprobes;
        if has_multi { Self::Multi } else { Self::PerfEvent }
    }

    /// What a program is loaded as.
    pub(super) fn kind(self) -> Kind {
        let attach = match self {
            Self::Multi => Some((bpf_attach_type::BPF_TRACE_UPROBE_MULTI, 0)),
            Self::PerfEvent => None,
        };
        Kind { program: bpf_prog_type::BPF_PROG_TYPE_KPROBE, attach }
    }
}

/// The programs that the kernel has taken, for the one who attaches them.
#[derive(Debug)]
pub struct Uprobes {
    programs: Vec<(UprobeProgram, OwnedFd)>,
    way: Way,
    detacher: Detacher,
}

/// Probes that are attached, until this is dropped.
#[derive(Debug)]
pub struct UprobeLink {
    // A link goes before what it links to.
    descriptors: Vec<OwnedFd>,
    detacher: Detacher,
}

impl Drop for UprobeLink {
    fn drop(&mut self) {
        self.detacher.detach(std::mem::take(&mut self.descriptors));
    }
}

impl UprobeLink {
    /// Open files that it takes.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        self.descriptors.len()
    }
}

impl Uprobes {
    pub(super) fn new(way: Way) -> Self {
        Self { programs: Vec::new(), way, detacher: Detacher::start() }
    }

    /// Open files of links that are dropped and not yet detached: that takes the kernel a while.
    #[must_use]
    pub fn detaching(&self) -> usize {
        self.detacher.waiting()
    }

    /// Waits, not for ever, until nothing that was dropped is attached any more.
    pub fn settle(&self) {
        let begun = Instant::now();
        while self.detaching() > 0 && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// One more, which the kernel has taken.
    pub(super) fn add(&mut self, program: UprobeProgram, loaded: OwnedFd) {
        self.programs.push((program, loaded));
    }

    /// Attaches probes to a process, all or none. `file` is the one that it maps, by whatever path it was opened.
    ///
    /// # Errors
    /// The process is gone, or the kernel's.
    pub fn attach(&self, pid: u32, file: &File, sites: &[Site]) -> Result<UprobeLink, UprobeError> {
        if sites.len() > MAX_SITES {
            return Err(UprobeError::TooMany(sites.len()));
        }
        // Kernels have stumbled over probes on pages that were not read yet.
        for site in sites {
            file.read_exact_at(&mut [0], site.offset).map_err(refused("reading a probed page"))?;
        }
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let path = CString::new(path).map_err(|e| refused("naming the file")(e.into()))?;
        let mut descriptors = Vec::new();
        for (program, loaded) in &self.programs {
            let own: Vec<Site> = sites.iter().filter(|s| s.program == *program).copied().collect();
            match self.way {
                _ if own.is_empty() => {}
                Way::Multi => descriptors.push(multi(loaded.as_fd(), *program, pid, &path, &own)?),
                Way::PerfEvent => {
                    for site in own {
                        descriptors.extend(perf_event(loaded.as_fd(), pid, &path, site)?);
                    }
                }
            }
        }
        let is_missing = |site: &&Site| !self.programs.iter().any(|(program, _)| *program == site.program);
        match sites.iter().find(is_missing) {
            Some(site) => Err(UprobeError::NoProgram(site.program.name())),
            None => Ok(UprobeLink { descriptors, detacher: self.detacher.clone() }),
        }
    }
}

fn refused(call: &'static str) -> impl FnOnce(io::Error) -> UprobeError {
    move |error| UprobeError::Refused { call, error }
}

/// One link for all sites of a program.
fn multi(
    loaded: BorrowedFd<'_>,
    program: UprobeProgram,
    pid: u32,
    path: &CString,
    sites: &[Site],
) -> Result<OwnedFd, UprobeError> {
    let offsets: Vec<u64> = sites.iter().map(|s| s.offset).collect();
    let cookies: Vec<u64> = sites.iter().map(|s| s.cookie).collect();
    let mut attr = zeroed();
    // SAFETY: a union of plain words: every bit pattern is valid.
    let create = unsafe { &mut attr.link_create };
    create.__bindgen_anon_1.prog_fd = loaded.as_raw_fd().cast_unsigned();
    create.attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
    // SAFETY: as above.
    let probes = unsafe { &mut create.__bindgen_anon_3.uprobe_multi };
    (probes.path, probes.offsets) = (path.as_ptr() as u64, offsets.as_ptr() as u64);
    (probes.cookies, probes.pid) = (cookies.as_ptr() as u64, pid);
    probes.cnt = u32::try_from(sites.len()).map_err(|_| UprobeError::TooMany(sites.len()))?;
    probes.flags = if program.is_at_return() { BPF_F_UPROBE_MULTI_RETURN } else { 0 };
    // SAFETY: all that the attributes point to outlives the call, which returns a descriptor of ours.
    let link = unsafe { bpf(bpf_cmd::BPF_LINK_CREATE, &mut attr) };
    // SAFETY: as above.
    link.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).map_err(refused("attaching probes"))
}

/// A perf event on a site, and the link of the program to it: the link first.
fn perf_event(
    loaded: BorrowedFd<'_>,
    pid: u32,
    path: &CString,
    site: Site,
) -> Result<[OwnedFd; 2], UprobeError> {
    let (kind, return_bit) = perf_unit().map_err(refused("reading how uprobes are perf events"))?;
    // SAFETY: plain words; the kernel wants what is unused to be zero.
    let mut event: perf_event_attr = unsafe { std::mem::zeroed() };
    (event.type_, event.size) = (kind, u32::try_from(size_of::<perf_event_attr>()).unwrap_or(0));
    event.config = u64::from(site.program.is_at_return()) << return_bit;
    event.__bindgen_anon_3.uprobe_path = path.as_ptr() as u64;
    event.__bindgen_anon_4.probe_offset = site.offset;
    // SAFETY: `event` and the path outlive the call, which returns a descriptor of ours.
    let opened = unsafe {
        libc::syscall(libc::SYS_perf_event_open, &raw const event, pid, -1, -1, PERF_FLAG_FD_CLOEXEC)
    };
    let event = owned(opened).map_err(refused("opening a probe"))?;
    let mut attr = zeroed();
    // SAFETY: a union of plain words: every bit pattern is valid.
    let create = unsafe { &mut attr.link_create };
    create.__bindgen_anon_1.prog_fd = loaded.as_raw_fd().cast_unsigned();
    create.__bindgen_anon_2.target_fd = event.as_raw_fd().cast_unsigned();
    create.attach_type = bpf_attach_type::BPF_PERF_EVENT as u32;
    create.__bindgen_anon_3.perf_event.bpf_cookie = site.cookie;
    // SAFETY: the attributes point to nothing; the call returns a descriptor of ours.
    let link = unsafe { bpf(bpf_cmd::BPF_LINK_CREATE, &mut attr) };
    // SAFETY: as above.
    let link = link.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).map_err(refused("attaching a probe"))?;
    Ok([link, event])
}

/// The kind of perf event that uprobes are, and the bit of its configuration that asks for the return.
fn perf_unit() -> io::Result<(u32, u32)> {
    const UNIT: &str = "/sys/bus/event_source/devices/uprobe";
    let kind = fs::read_to_string(format!("{UNIT}/type"))?.trim().parse().map_err(io::Error::other)?;
    let format = fs::read_to_string(format!("{UNIT}/format/retprobe"))?;
    let bit = format.trim().strip_prefix("config:").and_then(|bit| bit.parse().ok());
    Ok((kind, bit.ok_or(io::ErrorKind::InvalidData)?))
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    match RawFd::try_from(result) {
        // SAFETY: a descriptor that the kernel has just given us.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_without_its_program_is_an_error_with_its_name() {
        let uprobes = Uprobes::new(Way::PerfEvent);
        let site = Site { program: UprobeProgram::CudaCall, offset: 0, cookie: 0 };
        let file = File::open("/proc/self/exe").unwrap();
        let error = uprobes.attach(std::process::id(), &file, &[site]).unwrap_err();
        assert!(error.to_string().contains("cuda_call"), "{error}");
        let beyond = Site { offset: u64::MAX >> 1, ..site };
        assert!(uprobes.attach(std::process::id(), &file, &[beyond]).is_err());
        assert!(matches!(
            uprobes.attach(std::process::id(), &file, &vec![site; MAX_SITES + 1]),
            Err(UprobeError::TooMany(_))
        ));
    }
}

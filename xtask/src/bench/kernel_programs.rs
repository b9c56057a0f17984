//! The kernel programs that a daemon holds, by the kernel's own account: how often and how long they ran, what
//! the verifier went through, when they were loaded.
//!
//! Run times are kept only while `kernel.bpf_stats_enabled` is on, which adds some 20 ns to each run. Names and
//! times come from `bpf(2)`, because fdinfo has numbers only.

use std::{fs, io, time::Duration};

use anyhow::{Context, Result};

/// One loaded program.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) name: String,
    /// When its loading began, since boot.
    pub(super) loaded: Duration,
    /// How long it has run, all CPUs together.
    pub(super) ran: Duration,
    pub(super) runs: u64,
    /// Instructions that the verifier went through.
    pub(super) verified: u32,
}

/// A process's programs, in the order in which they were loaded.
pub(super) fn of(pid: u32) -> Result<Vec<Program>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        // A descriptor may be closed meanwhile.
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        ids.extend(program_id(&text));
    }
    ids.sort_unstable();
    ids.dedup();
    let mut programs = ids.into_iter().map(read).collect::<Result<Vec<_>>>()?;
    programs.sort_by_key(|program| program.loaded);
    Ok(programs)
}

/// The program whose fdinfo this is; a link's names its program too, but is none.
fn program_id(fdinfo: &str) -> Option<u32> {
    let field = |name| fdinfo.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    field("prog_type:")?;
    field("prog_id:")?.parse().ok()
}

const BPF_PROG_GET_FD_BY_ID: libc::c_long = 13;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;

/// `struct bpf_prog_info` in 8-byte words, up to `verified_insns` (5.16).
const INFO_WORDS: usize = 29;
const LOAD_TIME: usize = 5;
const NAME: usize = 8;
const RUN_TIME: usize = 24;
const RUNS: usize = 25;
const VERIFIED: usize = 27;

fn read(id: u32) -> Result<Program> {
    let mut by_id = [u64::from(id), 0];
    let fd = bpf(BPF_PROG_GET_FD_BY_ID, &mut by_id).with_context(|| format!("BPF program {id}"))?;
    let mut info = [0_u64; INFO_WORDS];
    // bpf_fd and info_len, 32 bits each, then the address.
    let length = u64::try_from(size_of_val(&info))?;
    let mut by_fd = [u64::from(u32::try_from(fd)?) | length << 32, info.as_mut_ptr() as u64];
    let outcome = bpf(BPF_OBJ_GET_INFO_BY_FD, &mut by_fd);
    // SAFETY: the descriptor is ours, and nobody else has it.
    unsafe { libc::close(fd) };
    outcome.with_context(|| format!("what BPF program {id} is"))?;
    Ok(parse(&info))
}

fn parse(info: &[u64; INFO_WORDS]) -> Program {
    let name: Vec<u8> = [info[NAME], info[NAME + 1]].iter().flat_map(|word| word.to_le_bytes()).collect();
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    Program {
        name: String::from_utf8_lossy(name).into_owned(),
        loaded: Duration::from_nanos(info[LOAD_TIME]),
        ran: Duration::from_nanos(info[RUN_TIME]),
        runs: info[RUNS],
        verified: (info[VERIFIED] & u64::from(u32::MAX)) as u32,
    }
}

/// The system call, with an attribute of two words; what follows is zero.
fn bpf(command: libc::c_long, attribute: &mut [u64; 2]) -> io::Result<i32> {
    // SAFETY: the kernel reads the attribute, whose size is given, and writes to where it points, which both
    // callers keep alive and as large as they say.
    let outcome = unsafe {
        libc::syscall(libc::SYS_bpf, command, attribute.as_mut_ptr(), size_of_val(attribute) as libc::c_long)
    };
    if outcome < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(outcome).map_err(io::Error::other)
}

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// The kernel keeps run times while this lives. Put back when dropped.
pub(super) struct Timed {
    before: String,
}

impl Timed {
    pub(super) fn on() -> Result<Self> {
        let before = fs::read_to_string(SWITCH).context("the kernel keeps no statistics of BPF programs")?;
        fs::write(SWITCH, "1").context("cannot turn on kernel.bpf_stats_enabled")?;
        Ok(Self { before })
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        let _ = fs::write(SWITCH, self.before.trim());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_fdinfo_is_told_from_a_links() {
        let program = "pos:\t0\nflags:\t02000002\nprog_type:\t26\nprog_jited:\t1\nprog_id:\t16004\n";
        assert_eq!(program_id(program), Some(16004));
        assert_eq!(program_id("link_type:\traw_tracepoint\nlink_id:\t7\nprog_id:\t16004\n"), None);
        assert_eq!(program_id("pos:\t0\n"), None);
    }

    #[test]
    fn the_kernels_record_is_read() {
        let mut info = [0; INFO_WORDS];
        info[LOAD_TIME] = 5_000_000_000;
        info[NAME] = u64::from_le_bytes(*b"cpu_samp");
        info[NAME + 1] = u64::from_le_bytes(*b"le\0\0\0\0\0\0");
        info[RUN_TIME] = 3000;
        info[RUNS] = 2;
        info[VERIFIED] = 11_706 | 9 << 32;
        let program = parse(&info);
        assert_eq!((program.name.as_str(), program.verified, program.runs), ("cpu_sample", 11_706, 2));
        assert_eq!((program.loaded.as_secs(), program.ran.as_micros()), (5, 3));
    }
}

//! Programs loaded as they were compiled, for a kernel that is locked down to confidentiality.
//!
//! Such a kernel has no `bpf_probe_read_kernel`. aya takes that for a kernel of before 5.5, and has every read of user
//! memory done by `bpf_probe_read`, which the lockdown forbids as well. What would read kernel memory is dead code here
//! ([`CAN_READ_KERNEL`](super::layout)), so the programs are loaded without aya's change, and handed to it as programs
//! that are loaded already. aya finds those by their ids, for which the kernel wants `CAP_SYS_ADMIN`.
//!
//! The programs of uprobes are loaded like this everywhere: aya does not know the way in which they attach.

use std::{
    collections::HashSet,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use aya::{
    Ebpf,
    maps::Map,
    programs::{ProgramInfo, loaded_programs},
};
use aya_obj::{
    Function, Object,
    btf::BtfFeatures,
    generated::{bpf_attach_type, bpf_attr, bpf_cmd, bpf_prog_info, bpf_prog_type},
};

use super::error::{last_lines, one_line};

/// Room for the verifier's words; it ends with the reason.
const LOG_BYTES: usize = 1 << 20;

/// What kind a program is, as the kernel wants to know it when it is loaded.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) program: bpf_prog_type,
    /// How it attaches, and to which of the kernel's types (0: to none); nothing for a clock.
    pub(super) attach: Option<(bpf_attach_type, u32)>,
}

/// The programs of an object whose maps exist already.
pub(super) struct AsCompiled {
    object: Object,
    types: OwnedFd,
}

impl AsCompiled {
    /// Reads the object that `ebpf` was made of once more.
    pub(super) fn new(bytes: &[u8], ebpf: &Ebpf) -> Result<Self, String> {
        let mut object = Object::parse(bytes).map_err(|e| one_line(&e))?;
        // All that BTF can say, as of 6.0: agentperf runs on nothing older than 6.1.
        let features = BtfFeatures::new(true, true, true, true, true, true, true, true);
        let types = object.fixup_and_sanitize_btf(&features).map_err(|e| one_line(&e))?;
        let types =
            load_types(&types.ok_or("the object has no BTF")?.to_bytes()).map_err(|e| one_line(&e))?;
        let maps = std::mem::take(&mut object.maps);
        let sections: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
        let known =
            maps.iter().filter_map(|(name, map)| Some((name.as_str(), descriptor(ebpf.map(name)?)?, map)));
        object.relocate_maps(known, &sections).map_err(|e| one_line(&e))?;
        object.relocate_calls(&sections).map_err(|e| one_line(&e))?;
        Ok(Self { object, types })
    }

    /// Loads a program that aya is not to know: it stays loaded as long as it is kept, or attached.
    pub(super) fn load_alone(&self, name: &str, kind: Kind) -> Result<OwnedFd, String> {
        let program = self.object.programs.get(name).ok_or("the object has no such program")?;
        let code = self.object.functions.get(&program.function_key()).ok_or("the program has no code")?;
        load(name, &program.license, code, kind, self.types.as_fd())
    }

    /// Loads a program for aya; it stays loaded as long as the first of what is returned is kept.
    pub(super) fn load(&self, name: &str, kind: Kind) -> Result<(OwnedFd, ProgramInfo), String> {
        let loaded = self.load_alone(name, kind)?;
        let id = id(loaded.as_fd()).map_err(|e| format!("asking for a program's id: {e}"))?;
        let found = loaded_programs().find_map(|info| match info {
            Ok(info) if info.id() == id => Some(Ok(info)),
            Ok(_) => None,
            Err(error) => Some(Err(format!(
                "{}; under lockdown=confidentiality agentperf needs CAP_SYS_ADMIN",
                one_line(&error)
            ))),
        });
        Ok((loaded, found.ok_or("the program was loaded and is gone")??))
    }
}

fn descriptor(map: &Map) -> Option<RawFd> {
    let data = match map {
        Map::Array(data)
        | Map::ArrayOfMaps(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::PerCpuArray(data)
        | Map::PerCpuHashMap(data)
        | Map::PerCpuLruHashMap(data)
        | Map::PerfEventArray(data)
        | Map::ProgramArray(data)
        | Map::RingBuf(data)
        | Map::Unsupported(data) => data,
        _ => return None,
    };
    Some(data.fd().as_fd().as_raw_fd())
}

fn load_types(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    // SAFETY: a union of plain words: every bit pattern is valid.
    let types = unsafe { &mut attr.__bindgen_anon_7 };
    types.btf = bytes.as_ptr() as u64;
    types.btf_size = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    // SAFETY: `bytes` outlives the call, which returns a descriptor of ours.
    unsafe { bpf(bpf_cmd::BPF_BTF_LOAD, &mut attr).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

/// Loads one program. On refusal asks again for the verifier's words.
fn load(
    name: &str,
    license: &std::ffi::CStr,
    code: &Function,
    kind: Kind,
    types: BorrowedFd<'_>,
) -> Result<OwnedFd, String> {
    let (lines, functions) = (code.line_info.line_info_bytes(), code.func_info.func_info_bytes());
    let mut attr = zeroed();
    // SAFETY: a union of plain words: every bit pattern is valid.
    let program = unsafe { &mut attr.__bindgen_anon_3 };
    for (to, from) in program.prog_name.iter_mut().take(15).zip(name.bytes()) {
        *to = from.cast_signed();
    }
    program.prog_type = kind.program as u32;
    if let Some((attach, id)) = kind.attach {
        (program.expected_attach_type, program.attach_btf_id) = (attach as u32, id);
    }
    (program.insns, program.insn_cnt) = (code.instructions.as_ptr() as u64, len(code.instructions.len())?);
    program.license = license.as_ptr() as u64;
    program.prog_btf_fd = types.as_raw_fd().cast_unsigned();
    (program.line_info, program.line_info_cnt) = (lines.as_ptr() as u64, len(code.line_info.len())?);
    program.line_info_rec_size = len(code.line_info_rec_size)?;
    (program.func_info, program.func_info_cnt) = (functions.as_ptr() as u64, len(code.func_info.len())?);
    program.func_info_rec_size = len(code.func_info_rec_size)?;
    // SAFETY: all that the attributes point to outlives the call, which returns a descriptor of ours.
    if let Ok(fd) = unsafe { bpf(bpf_cmd::BPF_PROG_LOAD, &mut attr) } {
        // SAFETY: as above.
        return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
    }
    let mut log = vec![0u8; LOG_BYTES];
    // SAFETY: as above.
    let program = unsafe { &mut attr.__bindgen_anon_3 };
    (program.log_buf, program.log_size, program.log_level) = (log.as_mut_ptr() as u64, len(LOG_BYTES)?, 1);
    // SAFETY: as above, and `log` is as long as said.
    match unsafe { bpf(bpf_cmd::BPF_PROG_LOAD, &mut attr) } {
        // SAFETY: as above.
        Ok(fd) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        Err(error) => Err(refusal(&error, &log)),
    }
}

fn len(n: usize) -> Result<u32, String> {
    u32::try_from(n).map_err(|e| e.to_string())
}

/// The error, and what the verifier said.
fn refusal(error: &io::Error, log: &[u8]) -> String {
    let log = last_lines(&String::from_utf8_lossy(log.split(|byte| *byte == 0).next().unwrap_or_default()));
    if log.is_empty() { error.to_string() } else { format!("{error}: {log}") }
}

fn id(program: BorrowedFd<'_>) -> io::Result<u32> {
    let mut info = std::mem::MaybeUninit::<bpf_prog_info>::zeroed();
    let mut attr = zeroed();
    attr.info.bpf_fd = program.as_raw_fd().cast_unsigned();
    attr.info.info = info.as_mut_ptr() as u64;
    attr.info.info_len = u32::try_from(size_of::<bpf_prog_info>()).map_err(io::Error::other)?;
    // SAFETY: `info` is as long as said, and outlives the call.
    unsafe { bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr) }?;
    // SAFETY: plain words, which zeros are valid for.
    Ok(unsafe { info.assume_init() }.id)
}

pub(super) fn zeroed() -> bpf_attr {
    // SAFETY: a union of plain words; the kernel wants what is unused to be zero.
    unsafe { std::mem::zeroed() }
}

/// # Safety
/// What `attr` points to must be valid for `command`.
pub(super) unsafe fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<RawFd> {
    // SAFETY: by contract.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command as libc::c_long, std::ptr::from_mut(attr), size_of::<bpf_attr>())
    };
    match RawFd::try_from(result) {
        Ok(fd) if fd >= 0 => Ok(fd),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_ends_with_what_the_verifier_said_last() {
        let denied = io::Error::from_raw_os_error(libc::EINVAL);
        let log =
            b"0: R1=ctx()\nprogram of this type cannot use helper bpf_probe_read#4\nprocessed 3 insns\n\0\0";
        assert!(refusal(&denied, log).ends_with("cannot use helper bpf_probe_read#4"));
        assert_eq!(refusal(&denied, b"\0\0"), denied.to_string());
    }
}

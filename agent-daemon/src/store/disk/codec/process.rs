//! A process as bytes.

use super::{
    CodecError,
    bytes::{Decoder, Encoder},
};
use crate::model::{
    cgroup::{Cgroup, MemoryLimit},
    id::ProcessId,
    process::{ContextSwitches, Exit, Process, Resources},
    signal::Killer,
};

/// 2 adds what it had when it was read last, 3 how fast its memory grew and its control group, 4 who killed it.
const VERSION: u8 = 4;

/// A process's bytes.
pub(in crate::store::disk) fn encode(process: &Process) -> Vec<u8> {
    let mut to = Encoder::new(VERSION);
    to.varint(process.id.0);
    to.option(process.parent.map(|id| id.0));
    to.varint(u64::from(process.parent_pid));
    to.option_text(process.executable.as_deref());
    to.text(&process.comm);
    to.varint(process.args.len() as u64);
    process.args.iter().for_each(|arg| to.text(arg));
    to.time(process.started);
    to.option_time(process.ended);
    encode_exit(&mut to, process.exit);
    to.varint(process.cpu_ns);
    to.varint(process.cpu_before_ns);
    to.varint(process.peak_rss_bytes);
    encode_resources(&mut to, process.resources);
    encode_killer(&mut to, process.killer.as_ref());
    to.finish()
}

/// The process of these bytes.
pub(in crate::store::disk) fn decode(bytes: &[u8]) -> Result<Process, CodecError> {
    let mut from = Decoder::new(bytes, VERSION)?;
    let version = bytes.first().copied().unwrap_or(VERSION);
    let mut process = Process {
        id: ProcessId(from.varint()?),
        parent: from.option()?.map(ProcessId),
        parent_pid: from.u32()?,
        executable: from.option_text()?.map(str::to_owned),
        comm: from.text()?.to_owned(),
        args: decode_args(&mut from)?,
        started: from.time()?,
        ended: from.option_time()?,
        exit: decode_exit(&mut from)?,
        killer: None,
        cpu_ns: from.varint()?,
        cpu_before_ns: from.varint()?,
        peak_rss_bytes: from.varint()?,
        resources: if version < 2 { None } else { decode_resources(&mut from, version)? },
    };
    if version > 3 {
        process.killer = decode_killer(&mut from)?;
    }
    from.end().map(|()| process)
}

fn decode_args(from: &mut Decoder<'_>) -> Result<Vec<String>, CodecError> {
    let count = from.count()?;
    (0..count).map(|_| from.text().map(str::to_owned)).collect()
}

fn encode_resources(to: &mut Encoder, resources: Option<Resources>) {
    to.u8(u8::from(resources.is_some()));
    let Some(resources) = resources else { return };
    let Resources { rss_bytes, pss_bytes, threads, descriptors, context_switches, rss_slope, cgroup } =
        resources;
    to.varint(rss_bytes);
    to.option(pss_bytes);
    to.varint(u64::from(threads));
    to.option(descriptors.map(u64::from));
    to.u8(u8::from(context_switches.is_some()));
    if let Some(ContextSwitches { voluntary, involuntary }) = context_switches {
        to.varint(voluntary);
        to.varint(involuntary);
    }
    to.option(rss_slope.map(zigzag));
    encode_cgroup(to, cgroup);
}

/// 0 for none, 1 for a lack of memory, 2 for the kernel, 3 for a process.
fn encode_killer(to: &mut Encoder, killer: Option<&Killer>) {
    match killer {
        None => to.u8(0),
        Some(Killer::OutOfMemory) => to.u8(1),
        Some(Killer::Kernel) => to.u8(2),
        Some(Killer::Process { pid, comm }) => {
            to.u8(3);
            to.varint(u64::from(*pid));
            to.text(comm);
        }
    }
}

fn decode_killer(from: &mut Decoder<'_>) -> Result<Option<Killer>, CodecError> {
    Ok(match from.u8()? {
        0 => None,
        1 => Some(Killer::OutOfMemory),
        2 => Some(Killer::Kernel),
        3 => Some(Killer::Process { pid: from.u32()?, comm: from.text()?.to_owned() }),
        other => return Err(CodecError::Unknown("who killed a process", other)),
    })
}

/// The sign in the lowest bit, so that small numbers of either sign are short.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

fn encode_cgroup(to: &mut Encoder, cgroup: Option<Cgroup>) {
    to.u8(u8::from(cgroup.is_some()));
    let Some(Cgroup { id, cpu_limit_millis, throttled_ns, memory }) = cgroup else { return };
    to.varint(id);
    to.option(cpu_limit_millis);
    to.varint(throttled_ns);
    to.option(memory.map(|memory| memory.limit_bytes));
    to.option(memory.map(|memory| memory.used_bytes));
}

fn decode_cgroup(from: &mut Decoder<'_>) -> Result<Option<Cgroup>, CodecError> {
    if !from.flag()? {
        return Ok(None);
    }
    let (id, cpu_limit_millis, throttled_ns) = (from.varint()?, from.option()?, from.varint()?);
    let (limit, used) = (from.option()?, from.option()?);
    let memory = limit.zip(used).map(|(limit_bytes, used_bytes)| MemoryLimit { limit_bytes, used_bytes });
    Ok(Some(Cgroup { id, cpu_limit_millis, throttled_ns, memory }))
}

fn decode_resources(from: &mut Decoder<'_>, version: u8) -> Result<Option<Resources>, CodecError> {
    if !from.flag()? {
        return Ok(None);
    }
    let (rss_bytes, pss_bytes) = (from.varint()?, from.option()?);
    let (threads, descriptors) = (from.u32()?, from.option_u32()?);
    let context_switches = if from.flag()? {
        Some(ContextSwitches { voluntary: from.varint()?, involuntary: from.varint()? })
    } else {
        None
    };
    let (rss_slope, cgroup) =
        if version < 3 { (None, None) } else { (from.option()?.map(unzigzag), decode_cgroup(from)?) };
    Ok(Some(Resources { rss_bytes, pss_bytes, threads, descriptors, context_switches, rss_slope, cgroup }))
}

pub(super) fn encode_exit(to: &mut Encoder, exit: Option<Exit>) {
    let (tag, value) = match exit {
        None => (0, 0),
        Some(Exit::Code(code)) => (1, code),
        Some(Exit::Signal { number, core_dumped: false }) => (2, number),
        Some(Exit::Signal { number, core_dumped: true }) => (3, number),
    };
    to.u8(tag);
    to.u8(value);
}

pub(super) fn decode_exit(from: &mut Decoder<'_>) -> Result<Option<Exit>, CodecError> {
    let (tag, number) = (from.u8()?, from.u8()?);
    Ok(Some(match tag {
        0 => return Ok(None),
        1 => Exit::Code(number),
        2 => Exit::Signal { number, core_dumped: false },
        3 => Exit::Signal { number, core_dumped: true },
        _ => return Err(CodecError::Unknown("exit", tag)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::{at, process_at, process_id};

    #[test]
    fn a_process_comes_back() {
        let live = process_at(100, at(0));
        let mut over = live.clone();
        over.parent = Some(process_id(99));
        over.executable = None;
        over.ended = Some(at(9));
        over.resources = None;
        let exits = [Exit::Code(3), Exit::Signal { number: 9, core_dumped: true }];
        let over = exits.map(|exit| Process { exit: Some(exit), ..over.clone() });
        let killers =
            [Killer::OutOfMemory, Killer::Kernel, Killer::Process { pid: 7, comm: "sh".to_owned() }];
        let killed = killers.map(|killer| Process { killer: Some(killer), ..over[1].clone() });
        for process in over.into_iter().chain(killed).chain([live]) {
            let bytes = encode(&process);
            assert_eq!(decode(&bytes), Ok(process));
            for cut in 0..bytes.len() {
                assert!(decode(&bytes[..cut]).is_err(), "{cut}");
            }
        }
    }

    #[test]
    fn one_of_the_first_version_is_understood() {
        let process = Process { resources: None, ..process_at(100, at(0)) };
        let mut bytes = encode(&process);
        // Neither resources nor who killed it.
        bytes.truncate(bytes.len() - 2);
        bytes[0] = 1;
        assert_eq!(decode(&bytes), Ok(process));
    }

    #[test]
    fn one_from_before_its_killer_was_told_is_understood() {
        let process = process_at(100, at(0));
        let mut bytes = encode(&process);
        (bytes[0], _) = (3, bytes.pop());
        assert_eq!(decode(&bytes), Ok(process));
    }
}

//! Windows of the host as bytes. Texts stand as they are, and numbers field by field: the compressor finds what is alike
//! in one window and the next. Version 1 had no GPUs.

use super::{
    CodecError,
    bytes::{Decoder, Encoder},
    gpu,
};
use crate::model::host::{
    Activity, Cpu, Disk, FileSystem, HostWindow, Interface, Memory, Pressure, Stall, Traffic,
};

const VERSION: u8 = 2;

/// What is in a block of the host's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::store::disk) struct HostWindows(pub(in crate::store::disk) Vec<HostWindow>);

/// The bytes of some windows.
pub(in crate::store::disk) fn encode(windows: &[HostWindow]) -> Vec<u8> {
    let mut to = Encoder::new(VERSION);
    to.varint(windows.len() as u64);
    windows.iter().for_each(|window| encode_one(&mut to, window));
    to.finish()
}

/// The windows of these bytes.
pub(in crate::store::disk) fn decode(bytes: &[u8]) -> Result<HostWindows, CodecError> {
    let mut from = Decoder::new(bytes, VERSION)?;
    let is_old = bytes.first() == Some(&1);
    let windows = rows(&mut from, |from| decode_one(from, is_old))?;
    from.end().map(|()| HostWindows(windows))
}

fn encode_one(to: &mut Encoder, window: &HostWindow) {
    to.time(window.start);
    to.time(window.end);
    to.varint(window.cpus.len() as u64);
    for cpu in &window.cpus {
        to.varint(u64::from(cpu.number));
        numbers(to, cpu.modes());
    }
    encode_activity(to, &window.activity);
    to.u8(u8::from(window.pressure.is_some()));
    if let Some(Pressure { cpu, memory, io }) = window.pressure {
        numbers(to, [cpu, memory, io].map(|stall| stall.some));
        numbers(to, [cpu, memory, io].map(|stall| stall.full));
    }
    numbers(to, window.memory.amounts());
    to.varint(window.file_systems.len() as u64);
    for system in &window.file_systems {
        [&system.mount, &system.device, &system.kind].into_iter().for_each(|text| to.text(text));
        numbers(to, [system.size, system.available, system.inodes, system.inodes_free]);
        to.u8(u8::from(system.read_only));
    }
    to.varint(window.disks.len() as u64);
    for disk in &window.disks {
        to.text(&disk.name);
        numbers(to, disk.counts());
    }
    to.varint(window.interfaces.len() as u64);
    for interface in &window.interfaces {
        to.text(&interface.name);
        numbers(to, interface.received.counts());
        numbers(to, interface.sent.counts());
    }
    to.varint(window.gpus.len() as u64);
    window.gpus.iter().for_each(|gpu| gpu::encode(to, gpu));
}

fn encode_activity(to: &mut Encoder, activity: &Activity) {
    numbers(to, activity.load.map(|load| u64::from(load.to_bits())));
    numbers(to, [activity.processes, activity.running, activity.blocked].map(u64::from));
    numbers(to, [activity.forks, activity.context_switches]);
}

fn numbers<const N: usize>(to: &mut Encoder, numbers: [u64; N]) {
    numbers.into_iter().for_each(|n| to.varint(n));
}

fn decode_one(from: &mut Decoder<'_>, is_old: bool) -> Result<HostWindow, CodecError> {
    Ok(HostWindow {
        start: from.time()?,
        end: from.time()?,
        cpus: rows(from, |from| Ok(Cpu::new(from.u32()?, array(from)?)))?,
        activity: decode_activity(from)?,
        pressure: if from.flag()? { Some(decode_pressure(from)?) } else { None },
        memory: Memory::from(array(from)?),
        file_systems: rows(from, decode_file_system)?,
        disks: rows(from, |from| Ok(Disk::new(from.text()?.to_owned(), array(from)?)))?,
        interfaces: rows(from, |from| {
            let name = from.text()?.to_owned();
            let (received, sent) = (Traffic::from(array(from)?), Traffic::from(array(from)?));
            Ok(Interface { name, received, sent })
        })?,
        gpus: if is_old { Vec::new() } else { rows(from, gpu::decode)? },
    })
}

fn decode_activity(from: &mut Decoder<'_>) -> Result<Activity, CodecError> {
    let load = [from.u32()?, from.u32()?, from.u32()?].map(f32::from_bits);
    if load.iter().any(|load| !load.is_finite()) {
        return Err(CodecError::Range("a load"));
    }
    Ok(Activity {
        load,
        processes: from.u32()?,
        running: from.u32()?,
        blocked: from.u32()?,
        forks: from.varint()?,
        context_switches: from.varint()?,
    })
}

fn decode_pressure(from: &mut Decoder<'_>) -> Result<Pressure, CodecError> {
    let ([cpu, memory, io], [cpu_full, memory_full, io_full]) = (array(from)?, array(from)?);
    let stall = |some, full| Stall { some, full };
    Ok(Pressure { cpu: stall(cpu, cpu_full), memory: stall(memory, memory_full), io: stall(io, io_full) })
}

fn decode_file_system(from: &mut Decoder<'_>) -> Result<FileSystem, CodecError> {
    let [mount, device, kind] = [from.text()?, from.text()?, from.text()?].map(str::to_owned);
    let [size, available, inodes, inodes_free] = array(from)?;
    let read_only = from.flag()?;
    Ok(FileSystem { mount, device, kind, size, available, inodes, inodes_free, read_only })
}

fn array<const N: usize>(from: &mut Decoder<'_>) -> Result<[u64; N], CodecError> {
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = from.varint()?;
    }
    Ok(numbers)
}

pub(super) fn rows<T>(
    from: &mut Decoder<'_>,
    row: impl Fn(&mut Decoder<'_>) -> Result<T, CodecError>,
) -> Result<Vec<T>, CodecError> {
    (0..from.count()?).map(|_| row(from)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;
    use crate::store::fixture::{at, host_window_at};

    #[test]
    fn windows_come_back() {
        let mut silent = host_window_at(at(5), 9);
        silent.pressure = None;
        let windows = vec![host_window_at(at(0), 1), silent, HostWindow::default()];
        let bytes = encode(&windows);
        assert_eq!(decode(&bytes), Ok(HostWindows(windows)));
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn windows_from_before_gpus_were_told_are_understood() {
        let mut window = host_window_at(at(0), 1);
        window.gpus.clear();
        let mut bytes = encode(std::slice::from_ref(&window));
        // The last byte says that there are none.
        assert_eq!(bytes.pop(), Some(0));
        bytes[0] = 1;
        assert_eq!(decode(&bytes), Ok(HostWindows(vec![window])));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200), place in any::<usize>(), with in any::<u8>()) {
            for version in 1..=VERSION {
                let _ = decode(&[&[version], bytes.as_slice()].concat());
            }
            let mut damaged = encode(&[host_window_at(at(0), 1)]);
            let length = damaged.len();
            damaged[place % length] = with;
            if let Ok(HostWindows(windows)) = decode(&damaged) {
                // Whatever the numbers are, they can be worked with.
                let _ = HostWindow::merge(windows).map(|merged| merged.all_cpus().all());
            }
        }
    }
}

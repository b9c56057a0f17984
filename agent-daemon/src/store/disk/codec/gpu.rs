//! The GPUs of a window of the host as bytes: part of its record from version 2 on.

use super::{
    CodecError,
    bytes::{Decoder, Encoder},
    host::rows,
};
use crate::model::{
    host::gpu::{Amounts, Gpu, GpuPart, GpuProcess, Levels, Share, Throttled, XidCount},
    id::ProcessId,
};

pub(super) fn encode(to: &mut Encoder, gpu: &Gpu) {
    to.text(&gpu.uuid);
    to.varint(u64::from(gpu.index));
    to.text(&gpu.name);
    to.option_text(gpu.down.as_deref());
    gpu.busy.iter().flat_map(|share| [share.ns, share.of_ns]).for_each(|ns| to.varint(ns));
    gpu.levels.all().into_iter().for_each(|level| to.option(level));
    gpu.amounts.all().into_iter().for_each(|amount| to.option(amount));
    to.option(gpu.most_memory_used);
    to.option(gpu.hottest_celsius);
    to.u8(u8::from(gpu.energy_is_sampled));
    to.varint(gpu.throttled.len() as u64);
    for throttled in &gpu.throttled {
        to.text(&throttled.reason);
        to.varint(throttled.ns);
    }
    to.varint(gpu.parts.len() as u64);
    for part in &gpu.parts {
        to.text(&part.uuid);
        to.option(part.memory_used);
        to.option(part.memory_total);
    }
    to.varint(gpu.xids.len() as u64);
    gpu.xids.iter().flat_map(|xid| [xid.number, xid.count]).for_each(|n| to.varint(n));
    to.varint(gpu.processes.len() as u64);
    gpu.processes.iter().for_each(|process| encode_process(to, process));
}

fn encode_process(to: &mut Encoder, process: &GpuProcess) {
    to.option(process.process.map(|process| process.0));
    to.varint(u64::from(process.host_pid));
    [process.busy_ns, process.energy_mj, process.memory].into_iter().for_each(|amount| to.option(amount));
}

pub(super) fn decode(from: &mut Decoder<'_>) -> Result<Gpu, CodecError> {
    Ok(Gpu {
        uuid: from.text()?.to_owned(),
        index: from.u32()?,
        name: from.text()?.to_owned(),
        down: from.option_text()?.map(str::to_owned),
        busy: [share(from)?, share(from)?, share(from)?, share(from)?],
        levels: Levels::from(options(from)?),
        amounts: Amounts::from(options(from)?),
        most_memory_used: from.option()?,
        hottest_celsius: from.option()?,
        energy_is_sampled: from.flag()?,
        throttled: rows(from, |from| Ok(Throttled { reason: from.text()?.to_owned(), ns: from.varint()? }))?,
        parts: rows(from, |from| {
            let uuid = from.text()?.to_owned();
            Ok(GpuPart { uuid, memory_used: from.option()?, memory_total: from.option()? })
        })?,
        xids: rows(from, |from| Ok(XidCount { number: from.varint()?, count: from.varint()? }))?,
        processes: rows(from, decode_process)?,
    })
}

fn decode_process(from: &mut Decoder<'_>) -> Result<GpuProcess, CodecError> {
    Ok(GpuProcess {
        process: from.option()?.map(ProcessId),
        host_pid: from.u32()?,
        busy_ns: from.option()?,
        energy_mj: from.option()?,
        memory: from.option()?,
    })
}

fn share(from: &mut Decoder<'_>) -> Result<Share, CodecError> {
    Ok(Share { ns: from.varint()?, of_ns: from.varint()? })
}

fn options<const N: usize>(from: &mut Decoder<'_>) -> Result<[Option<u64>; N], CodecError> {
    let mut all = [None; N];
    for one in &mut all {
        *one = from.option()?;
    }
    Ok(all)
}

//! The columns of waits. The longest is told by the sum.

use super::{
    super::{
        CodecError,
        bytes::{Decoder, Encoder},
    },
    columns::{Places, at, beside, column, from_beside, next, next_option, option, read_columns},
};
use crate::model::{
    id::ProcessId,
    off_cpu::{Descriptor, OffCpuStat, WaitCause},
};

/// The rows' columns.
pub(super) fn encode(to: &mut Encoder, rows: &[&OffCpuStat<u64>], processes: &Places, stacks: &Places) {
    column(to, rows, |r| processes.place(r.process.0));
    column(to, rows, |r| cause_tag(r.cause));
    column(to, rows, |r| option(r.syscall));
    column(to, rows, |r| r.descriptor.map_or(0, descriptor_tag));
    column(to, rows, |r| option(r.waker));
    column(to, rows, |r| stacks.place(r.stack));
    column(to, rows, |r| r.blocked_ns);
    column(to, rows, |r| r.run_queue_ns);
    column(to, rows, |r| r.count);
    column(to, rows, |r| beside(r.blocked_ns.wrapping_add(r.run_queue_ns), r.max_ns));
}

/// So many rows.
pub(super) fn decode(
    from: &mut Decoder<'_>,
    rows: usize,
    processes: &[u64],
    stacks: &[u64],
) -> Result<Vec<OffCpuStat<u64>>, CodecError> {
    let mut columns: [_; 10] = read_columns(from, rows)?;
    let [process, cause, syscall, descriptor, waker, stack, blocked, run_queue, count, max] = &mut columns;
    let row = |_| {
        let (blocked_ns, run_queue_ns) = (next(blocked)?, next(run_queue)?);
        Ok(OffCpuStat {
            process: ProcessId(at(processes, next(process)?)?),
            cause: cause_of(next(cause)?)?,
            syscall: next_option(syscall)?,
            descriptor: descriptor_of(next(descriptor)?)?,
            waker: next_option(waker)?,
            stack: at(stacks, next(stack)?)?,
            blocked_ns,
            run_queue_ns,
            count: next(count)?,
            max_ns: blocked_ns.wrapping_add(run_queue_ns).wrapping_sub(from_beside(next(max)?, 0)),
        })
    };
    (0..rows).map(row).collect()
}

/// How a cause is written; never changes.
pub(in crate::store::disk) fn cause_tag(cause: WaitCause) -> u64 {
    match cause {
        WaitCause::Preempted => 0,
        WaitCause::PageFault => 1,
        WaitCause::Disk => 2,
        WaitCause::Gpu => 3,
        WaitCause::Child => 4,
        WaitCause::Ipc => 5,
        WaitCause::Network => 6,
        WaitCause::Lock => 7,
        WaitCause::Poll => 8,
        WaitCause::Timer => 9,
        WaitCause::Terminal => 10,
        WaitCause::Futex => 11,
        WaitCause::Other => 12,
    }
}

pub(in crate::store::disk) fn cause_of(tag: u64) -> Result<WaitCause, CodecError> {
    let cause = WaitCause::ALL.into_iter().find(|cause| cause_tag(*cause) == tag);
    cause.ok_or(CodecError::Range("a cause"))
}

/// How a kind of descriptor is written; never changes. 0 is none.
fn descriptor_tag(descriptor: Descriptor) -> u64 {
    match descriptor {
        Descriptor::Pipe => 1,
        Descriptor::UnixSocket => 2,
        Descriptor::InetSocket => 3,
        Descriptor::File => 4,
        Descriptor::Terminal => 5,
        Descriptor::Device => 6,
        Descriptor::Anonymous => 7,
    }
}

/// The kind that is written so.
pub(super) fn descriptor_of(tag: u64) -> Result<Option<Descriptor>, CodecError> {
    Ok(Some(match tag {
        0 => return Ok(None),
        1 => Descriptor::Pipe,
        2 => Descriptor::UnixSocket,
        3 => Descriptor::InetSocket,
        4 => Descriptor::File,
        5 => Descriptor::Terminal,
        6 => Descriptor::Device,
        7 => Descriptor::Anonymous,
        _ => return Err(CodecError::Range("a descriptor")),
    }))
}

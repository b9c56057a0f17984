//! What servers read and write that were given a client's requests as standard input, as those of MCP are. The daemon says
//! which processes are such, and which inodes lead to their clients: descriptors are copied to other numbers. Unix sockets
//! tell by the hooks of `sockets`; pipes have none, so that libc is probed in those processes alone.
//!
//! Only the server's side is read, and told as its client's doing, so that nothing is seen twice. What does not begin as
//! JSON is left alone.

use agent_common::{
    agent::probe,
    thread::Thread,
    wire::{ConnectionKey, Piece, SERVERS, STDIO, Stdio, direction, length, parts, source, stdio},
};
use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_get_attach_cookie, bpf_get_current_task_btf},
    macros::{map, uprobe},
    maps::HashMap,
    programs::ProbeContext,
};

use super::{Connection, PLAIN_CONNECTIONS, close, connection, count, interest, rest, through, wanted};
use crate::{
    agents,
    calls::{Call, Memory},
    clock::now,
    descriptors,
    layout::{self, read as read_kernel},
    sockets::Sock,
    threads,
};

/// The servers, by process; filled by the daemon.
#[map]
static WIRE_STDIO: HashMap<u64, Stdio> = HashMap::with_max_entries(SERVERS, 0);

/// What a message begins with that makes a stream be looked at again: those that public implementations write first.
const BEGINNINGS: [u32; 3] =
    [u32::from_le_bytes(*b"{\"js"), u32::from_le_bytes(*b"{\"me"), u32::from_le_bytes(*b"{\"id")];

/// A system call of libc has just returned.
#[uprobe]
fn wire_stdio(ctx: ProbeContext) -> u32 {
    // SAFETY: the helper has no preconditions.
    let Some(thread) = threads::get(unsafe { bpf_get_current_task_btf() }.cast()) else { return 0 };
    // SAFETY: the context is this program's, and its registers are the call's.
    let (cookie, registers) = unsafe { (bpf_get_attach_cookie(ctx.as_ptr()), &*ctx.regs) };
    returned(thread, (registers.rdi, registers.rsi, registers.rdx), cookie, registers.rax as i64);
    0
}

/// A call of (descriptor, buffer, length) returned.
#[inline(always)]
pub(super) fn returned(thread: &Thread, (fd, at, count): (u64, u64, u64), cookie: u64, result: i64) {
    if !agents::wants(thread.agent, probe::WIRE) {
        return;
    }
    let Some(stdio) = server(thread) else { return };
    let (_, direction, length, _) = parts(cookie);
    let (inode, pipe) = if direction == direction::RECEIVED {
        (stdio.input, stdio::INPUT_IS_PIPE)
    } else {
        (stdio.output, stdio::OUTPUT_IS_PIPE)
    };
    if stdio.flags & pipe == 0 || !leads_to(fd, inode, direction) {
        return;
    }
    let buffers = if length == length::SCATTERED { count } else { 0 };
    moved(stdio, thread, Some(Memory { at, buffers }), result, direction);
}

/// The same of a unix socket; whether that is a server's standard input or output.
#[inline(always)]
pub(super) fn moved_by_socket(socket: Sock, thread: &Thread, result: i64, direction: u32) -> bool {
    let Some(stdio) = server(thread) else { return false };
    let (wanted, pipe) = if direction == direction::RECEIVED {
        (stdio.input, stdio::INPUT_IS_PIPE)
    } else {
        (stdio.output, stdio::OUTPUT_IS_PIPE)
    };
    if stdio.flags & pipe != 0 || socket.inode() != wanted {
        return false;
    }
    let memory = Call::current().and_then(|call| call.memory());
    moved(stdio, thread, memory, result, direction);
    true
}

/// A process is gone: if it was a server, so is its connection.
#[inline(always)]
pub(crate) fn exited(thread: &Thread) {
    if let Some(stdio) = server(thread) {
        close(&PLAIN_CONNECTIONS, &key(stdio), thread, source::STDIO, now());
        let _ = WIRE_STDIO.remove(thread.process);
    }
}

#[inline(always)]
fn server(thread: &Thread) -> Option<&'static Stdio> {
    // SAFETY: an element of the map, which is written whole before the process is one.
    WIRE_STDIO.get_ptr(thread.process).map(|stdio| unsafe { &*stdio })
}

#[inline(always)]
fn key(stdio: &Stdio) -> ConnectionKey {
    ConnectionKey { process: stdio.speaker, address: STDIO | stdio.input }
}

/// Whether a descriptor leads to an inode; by its number, where the kernel shows no more.
#[inline(always)]
fn leads_to(fd: u64, inode: u64, direction: u32) -> bool {
    if layout::CAN_READ_KERNEL.load() == 0 {
        return fd == if direction == direction::RECEIVED { 0 } else { 1 };
    }
    // SAFETY: the current task, and `CAN_READ_KERNEL` is set.
    unsafe {
        let task: *const u8 = bpf_get_current_task_btf().cast();
        let number = || {
            let file = descriptors::file(task, fd & 0xffff_ffff)?;
            read_kernel::<u64>(read_kernel::<u64>(file, &layout::FILE_INODE)?, &layout::INODE_NUMBER)
        };
        number() == Some(inode)
    }
}

/// The server has read or written, or failed to. The end of its input is not that of its output: who has asked its last
/// may close, and read the answers then.
#[inline(always)]
fn moved(stdio: &Stdio, thread: &Thread, memory: Option<Memory>, result: i64, way: u32) {
    if result <= 0 {
        return;
    }
    let (key, at) = (key(stdio), now());
    let Some(connection) = connection(&PLAIN_CONNECTIONS, &key, at) else { return };
    // What the server reads its client has sent.
    let direction = if stdio.flags & stdio::CLIENT_SPEAKS != 0 { 1 - way } else { way };
    let Some(memory) = memory else { return count(connection, direction, result as u64) };
    if !is_read(&key, connection, memory, at) {
        return;
    }
    let (agent, source) = (thread.agent, source::STDIO);
    let head =
        Piece { at, key, opened: 0, position: 0, agent, direction, source, length: 0, mark: 0, open: 0 };
    through(head, connection, memory, result as u64);
}

/// Whether what was moved is of interest.
#[inline(always)]
fn is_read(key: &ConnectionKey, connection: &mut Connection, memory: Memory, at: u64) -> bool {
    let is_first = connection.sent == 0 && connection.received == 0;
    let is_known = !is_first && connection.interest == interest::READ;
    if is_known && wanted(key, connection, direction::SENT, 0).0 == rest::TOLD {
        return true;
    }
    let Some(first) = memory.first() else { return false };
    if is_first && connection.interest == interest::READ {
        let [first, ..] = first.to_le_bytes();
        if first == b'{' || first == b'[' || first.is_ascii_whitespace() {
            return true;
        }
        connection.interest = interest::DISMISSED;
        return false;
    }
    let again = BEGINNINGS.contains(&first);
    if again {
        connection.begin(at, interest::READ);
    }
    again
}

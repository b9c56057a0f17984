//! The ring of plaintext, and what tells the programs which connections are of no interest: that belongs to the thread
//! that reads what is said. And which processes are servers, for the one who attaches probes to them.

use agent_common::wire::{
    ConnectionKey, Dismissed, FOR_GOOD, Piece as Head, SOCKET, Stdio, cookie, direction, stdio,
};
use aya::{
    Ebpf,
    maps::{HashMap, MapData, RingBuf},
};

use super::{batch::read, error::KernelError};
use crate::model::{
    id::{ProcessId, Slot},
    ledger::Mark,
};

pub use agent_common::wire::{action, direction as way, length, source};

/// The cookie of a probe: what it does, which way bytes go, where their number is found, and whose probe it is.
#[must_use]
pub const fn probe_cookie(action: u64, direction: u32, length: u64, source: u32) -> u64 {
    cookie(action, direction, length, source)
}

/// A connection, by its process and the address of what stands for it there, which may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WireKey {
    /// The process.
    pub process: ProcessId,
    /// The `SSL` object, or the kernel's number of a socket or of a server's standard input.
    pub address: u64,
    /// When it was first seen (ns, monotonic).
    pub opened_ns: u64,
}

/// Which way a piece went, seen from the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It wrote it.
    Sent,
    /// It read it.
    Received,
    /// Neither: the connection is over.
    Closed,
    /// Neither: what was sent under this key went on a connection; see [`Said::tied`].
    Tied,
    /// Neither: what was sent last, whose end was open, ends at this position.
    Sealed,
}

/// What was said.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Said<'a> {
    /// On which connection.
    pub key: WireKey,
    /// Whose agent.
    pub slot: Slot,
    /// When (ns, monotonic).
    pub at_ns: u64,
    /// Which way.
    pub way: Way,
    /// Bytes that went this way before.
    pub position: u64,
    /// Whose probe told it: see [`source`].
    pub source: u32,
    /// The agent's mark then; `None` where it was no thread of the agent's own.
    pub mark: Option<Mark>,
    /// Whether its end is not known yet: see [`Way::Sealed`].
    pub is_open: bool,
    /// The plaintext.
    pub bytes: &'a [u8],
}

impl Said<'_> {
    /// Whether it is told of a key alone, and not yet of the connection on which it goes.
    #[must_use]
    pub fn is_untied(&self) -> bool {
        self.source == source::RUSTLS && self.key.address & SOCKET == 0
    }

    /// The connection on which what was told of this key went.
    #[must_use]
    pub fn tied(&self) -> WireKey {
        WireKey { process: self.key.process, address: self.position, opened_ns: self.at_ns }
    }

    /// Bytes that were sent on that connection before.
    #[must_use]
    pub fn sent_before(&self) -> u64 {
        self.bytes.try_into().map_or(0, u64::from_ne_bytes)
    }
}

impl std::fmt::Debug for Said<'_> {
    /// Without the plaintext.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Said")
            .field("way", &self.way)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// The ring, and the map of connections of which not everything is told.
pub struct WireRing {
    ring: RingBuf<MapData>,
    dismissed: HashMap<MapData, ConnectionKey, Dismissed>,
}

impl WireRing {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let mut map = |name| ebpf.take_map(name).ok_or(KernelError::NoMap(name));
        let ring = RingBuf::try_from(map("WIRE")?)?;
        let dismissed = HashMap::try_from(map("WIRE_DISMISSED")?)?;
        Ok(Self { ring, dismissed })
    }

    /// Hands out what is in the ring, `most` records at most; returns how many there were, and how many were none.
    pub fn read(&mut self, most: usize, mut each: impl FnMut(&Said<'_>)) -> (usize, usize) {
        let (mut taken, mut damaged) = (0, 0);
        while taken < most
            && let Some(record) = self.ring.next()
        {
            taken += 1;
            match said(&record) {
                Some(said) => each(&said),
                None => damaged += 1,
            }
        }
        (taken, damaged)
    }

    /// A connection is of no interest until a request goes on it, which the process sends, or is sent.
    ///
    /// # Errors
    /// The map refused the write.
    pub fn dismiss(&mut self, key: WireKey, is_served: bool) -> Result<(), KernelError> {
        let asks = if is_served { direction::RECEIVED } else { direction::SENT };
        self.set(key, [FOR_GOOD; 2], asks)
    }

    /// Of a connection nothing is told before these positions of what it sends and receives, but for the calls that reach
    /// them.
    ///
    /// # Errors
    /// The map refused the write.
    pub fn skip(&mut self, key: WireKey, until: [u64; 2]) -> Result<(), KernelError> {
        self.set(key, until.map(|position| position.min(FOR_GOOD - 1)), direction::SENT)
    }

    fn set(&mut self, key: WireKey, [sent, received]: [u64; 2], asks: u32) -> Result<(), KernelError> {
        let connection = ConnectionKey { process: key.process.0, address: key.address };
        let rest = Dismissed { opened: key.opened_ns, sent, received, asks: asks.into() };
        Ok(self.dismissed.insert(connection, rest, 0)?)
    }
}

impl std::fmt::Debug for WireRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WireRing").finish_non_exhaustive()
    }
}

/// What a process has for its standard input or output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The inode number.
    pub inode: u64,
    /// Whether it is a pipe, and not a unix socket.
    pub is_pipe: bool,
}

/// A process that was given a client's requests as standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its standard input.
    pub input: End,
    /// Its standard output.
    pub output: End,
    /// Who speaks to it, if it is one of the same agent.
    pub client: Option<ProcessId>,
}

/// The servers that the programs read.
pub struct WireServers(HashMap<MapData, u64, Stdio>);

impl WireServers {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let map = ebpf.take_map("WIRE_STDIO").ok_or(KernelError::NoMap("WIRE_STDIO"))?;
        Ok(Self(HashMap::try_from(map)?))
    }

    /// From now on this process is a server.
    ///
    /// # Errors
    /// The map refused the write.
    pub fn set(&mut self, process: ProcessId, server: &Server) -> Result<(), KernelError> {
        let flag = |is: bool, flag: u64| if is { flag } else { 0 };
        let value = Stdio {
            input: server.input.inode,
            output: server.output.inode,
            speaker: server.client.unwrap_or(process).0,
            flags: flag(server.input.is_pipe, stdio::INPUT_IS_PIPE)
                | flag(server.output.is_pipe, stdio::OUTPUT_IS_PIPE)
                | flag(server.client.is_some(), stdio::CLIENT_SPEAKS),
        };
        Ok(self.0.insert(process.0, value, 0)?)
    }

    /// It is none any more. The programs forget those that exit by themselves.
    pub fn remove(&mut self, process: ProcessId) {
        let _ = self.0.remove(&process.0);
    }
}

impl std::fmt::Debug for WireServers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WireServers").finish_non_exhaustive()
    }
}

/// Decodes a record; `None` if it is none.
fn said(record: &[u8]) -> Option<Said<'_>> {
    let (head, bytes) = record.split_at_checked(size_of::<Head>())?;
    let head: Head = read(head);
    let way = match head.direction {
        direction::SENT => Way::Sent,
        direction::RECEIVED => Way::Received,
        direction::CLOSED => Way::Closed,
        direction::TIED => Way::Tied,
        direction::SEALED => Way::Sealed,
        _ => return None,
    };
    Some(Said {
        key: WireKey {
            process: ProcessId(head.key.process),
            address: head.key.address,
            opened_ns: head.opened,
        },
        slot: Slot(head.agent),
        at_ns: head.at,
        way,
        position: head.position,
        source: head.source,
        mark: (head.mark != 0).then_some(Mark(head.mark)),
        is_open: head.open != 0,
        bytes: bytes.get(..head.length as usize)?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Head, Way, said};

    fn record(head: &Head, bytes: &[u8]) -> Vec<u8> {
        // SAFETY: a head is integers without padding.
        let head: [u8; size_of::<Head>()] = unsafe { std::mem::transmute(*head) };
        [&head[..], bytes].concat()
    }

    #[test]
    fn records_come_back_as_they_were_written() {
        let head = Head { at: 7, position: 9, length: 3, direction: 1, ..Head::default() };
        // The class is larger than what is in it.
        let bytes = record(&head, b"abc\0\0\0\0");
        let said = said(&bytes).unwrap();
        assert_eq!((said.way, said.at_ns, said.position, said.bytes), (Way::Received, 7, 9, &b"abc"[..]));
        assert!(!format!("{said:?}").contains("abc"));
    }

    #[test]
    fn what_is_short_or_unknown_is_refused() {
        let unknown = Head { direction: 9, ..Head::default() };
        let longer = Head { length: 4, ..Head::default() };
        for bytes in [Vec::new(), vec![0; 20], record(&unknown, b""), record(&longer, b"abc")] {
            assert!(said(&bytes).is_none());
        }
    }
}

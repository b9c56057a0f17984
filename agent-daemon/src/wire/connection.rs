//! One connection: where its bytes stand, what it speaks, and what becomes of it.
//!
//! What is no protocol of ours is dismissed after its first bytes; a piece that begins a request is looked at again, since
//! the numbers of connections of some captures are used again.

use super::{
    Chunk, Direction, Opened, Piece, Standing, Transport,
    body::Side,
    derived::Derived,
    exchange::{Context, Ending},
    http1::{Became, Http1, Kind},
    http2::Http2,
    lines::Lines,
    sniff::{self, Verdict},
    under_way::UnderWay,
    websocket::Socket,
};
use crate::model::wire::{Reason, Role};

/// What a connection speaks.
enum Speaks {
    /// Not known yet: the first bytes that were seen of each direction.
    Unknown { sent: Vec<u8>, received: Vec<u8> },
    /// HTTP/1.
    Http1(Box<Http1>),
    /// HTTP/2.
    Http2(Box<Http2>),
    /// A WebSocket.
    Socket(Box<Socket>),
    /// Lines of JSON-RPC.
    Lines(Box<Lines>),
    /// Nothing that is read. It may be that it was seen from its middle on: so many more pieces are looked at for
    /// frames of HTTP/2.
    Dismissed(u8),
}

/// Pieces of a connection that was dismissed in which frames of HTTP/2 are looked for.
const LOOKS: u8 = 32;

impl Speaks {
    const fn unknown() -> Self {
        Self::Unknown { sent: Vec::new(), received: Vec::new() }
    }
}

/// Where a direction stands.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    /// The offset of what comes next; `None` if it was not told, or lost.
    offset: Option<u64>,
    /// When anything was last heard.
    at_ns: u64,
}

/// A connection.
pub(super) struct Connection {
    opened: Opened,
    speaks: Speaks,
    sent: Position,
    received: Position,
    last_ns: u64,
    /// Whether bytes of bodies went by that were not looked at, or may have.
    is_passed_over: bool,
}

impl Connection {
    pub(super) fn new(opened: Opened) -> Self {
        let speaks = match opened.transport {
            Transport::Stream => Speaks::unknown(),
            Transport::Stdio => Speaks::Lines(Box::new(Lines::new(&opened))),
        };
        let (sent, received) = (Position::default(), Position::default());
        Self { opened, speaks, sent, received, last_ns: 0, is_passed_over: false }
    }

    /// Its number.
    pub(super) fn id(&self) -> u64 {
        self.opened.connection
    }

    /// Takes a chunk: what it repeats is cut off, what is missing before it is marked.
    pub(super) fn take(&mut self, chunk: &Chunk<'_>, derived: &mut Derived) {
        let Chunk { direction, offset, at_ns, .. } = *chunk;
        self.last_ns = self.last_ns.max(at_ns);
        self.is_passed_over = false;
        let mut piece = chunk.piece;
        let position = self.position(direction);
        let heard_ns = std::mem::replace(&mut position.at_ns, at_ns);
        match (offset, position.offset) {
            (Some(offset), Some(expected)) if offset > expected => {
                // When it went is not known: what came before it is not to last until what came behind it.
                let at_ns = if heard_ns == 0 { at_ns } else { heard_ns };
                self.piece(direction, Piece::Gap(Some(offset - expected)), at_ns, derived);
            }
            (Some(offset), Some(expected)) => match trimmed(piece, expected - offset) {
                Some(rest) => piece = rest,
                None => return,
            },
            // At the beginning, or behind a gap of unknown length.
            (Some(offset), None) => position.offset = Some(offset),
            (None, _) => {}
        }
        self.piece(direction, piece, at_ns, derived);
    }

    fn position(&mut self, direction: Direction) -> &mut Position {
        match direction {
            Direction::Sent => &mut self.sent,
            Direction::Received => &mut self.received,
        }
    }

    fn piece(&mut self, direction: Direction, piece: Piece<'_>, at_ns: u64, derived: &mut Derived) {
        let position = self.position(direction);
        position.offset = match piece {
            Piece::Gap(None) => None,
            piece => position.offset.map(|offset| offset.saturating_add(piece.length())),
        };
        if let Piece::Bytes(bytes) = piece {
            self.reconsider(bytes);
        }
        match &mut self.speaks {
            Speaks::Unknown { .. } => self.sniff(direction, piece, at_ns, derived),
            Speaks::Dismissed(_) => {}
            Speaks::Lines(lines) => lines.take(direction, piece, at_ns, derived),
            Speaks::Http2(http2) => http2.take(direction, piece, at_ns, derived),
            Speaks::Socket(_) | Speaks::Http1(_) => self.sided(direction, piece, at_ns, derived),
        }
    }

    /// A connection that was dismissed may be one after all.
    fn reconsider(&mut self, bytes: &[u8]) {
        let Speaks::Dismissed(looks) = &mut self.speaks else { return };
        let again = match sniff::judge(bytes) {
            Verdict::Http1(_) | Verdict::Preface => true,
            Verdict::Frames | Verdict::Events => *looks > 0,
            Verdict::Undecided | Verdict::Unknown => false,
        };
        *looks = looks.saturating_sub(1);
        if again {
            self.speaks = Speaks::unknown();
        }
    }

    fn context(&self, role: Role) -> Context {
        let Opened { owner, connection, keep, .. } = self.opened;
        Context { owner, connection, role, version: "1.1", is_first: true, keep }
    }

    /// Of a protocol whose sides are known.
    fn sided(&mut self, direction: Direction, piece: Piece<'_>, at_ns: u64, derived: &mut Derived) {
        let side = self.side(direction);
        match &mut self.speaks {
            Speaks::Socket(socket) => socket.take(side, piece, at_ns, derived),
            Speaks::Http1(http1) => {
                let (became, rest) = http1.take(side, piece, at_ns, derived);
                self.become_other(became);
                if !rest.is_empty() {
                    // The number of bytes was counted with the piece.
                    self.again(direction, rest, at_ns, derived);
                }
            }
            _ => {}
        }
    }

    fn again(&mut self, direction: Direction, rest: &[u8], at_ns: u64, derived: &mut Derived) {
        let side = self.side(direction);
        match &mut self.speaks {
            Speaks::Socket(socket) => socket.take(side, Piece::Bytes(rest), at_ns, derived),
            Speaks::Http2(http2) => http2.take(direction, Piece::Bytes(rest), at_ns, derived),
            _ => {}
        }
    }

    fn role(&self) -> Role {
        match &self.speaks {
            Speaks::Http1(http1) => http1.role(),
            Speaks::Http2(http2) => http2.role(),
            Speaks::Socket(socket) => socket.role(),
            _ => Role::Client,
        }
    }

    fn side(&self, direction: Direction) -> Side {
        match (direction, self.role()) {
            (Direction::Sent, Role::Client) | (Direction::Received, Role::Server) => Side::Request,
            _ => Side::Response,
        }
    }

    fn become_other(&mut self, became: Became) {
        let context = self.context(self.role());
        let context = Context { is_first: false, ..context };
        self.speaks = match became {
            Became::Http1 => return,
            Became::WebSocket(asked, deflate) => {
                Speaks::Socket(Box::new(Socket::new(context, *asked, deflate)))
            }
            // The answer to the request that changed the protocol has the first stream, which nobody opened.
            Became::Http2 => Speaks::Http2(Box::new(Http2::new(context, false))),
            Became::Opaque => Speaks::Dismissed(0),
        };
    }

    /// Finds out what is spoken.
    fn sniff(&mut self, direction: Direction, piece: Piece<'_>, at_ns: u64, derived: &mut Derived) {
        let Speaks::Unknown { sent, received } = &mut self.speaks else { return };
        let held = if direction == Direction::Sent { sent } else { received };
        let Piece::Bytes(bytes) = piece else { return held.clear() };
        held.extend_from_slice(bytes);
        let held = std::mem::take(held);
        let role =
            |asks: bool| if asks == (direction == Direction::Sent) { Role::Client } else { Role::Server };
        let begins = self.position(direction).offset == Some(held.len() as u64);
        let context = |role| self.context(role);
        let speaks = match sniff::judge(&held) {
            Verdict::Undecided => return self.hold(direction, held),
            Verdict::Unknown => Speaks::Dismissed(LOOKS),
            Verdict::Http1(kind) => {
                Speaks::Http1(Box::new(Http1::new(context(role(kind == Kind::Requests)))))
            }
            Verdict::Events => {
                Speaks::Http1(Box::new(Http1::amid_events(context(role(false)), at_ns, derived)))
            }
            Verdict::Preface => Speaks::Http2(Box::new(Http2::new(context(role(true)), false))),
            // The server's first frame may come before the client's preface was seen.
            Verdict::Frames if begins => Speaks::Http2(Box::new(Http2::new(context(role(false)), false))),
            Verdict::Frames => Speaks::Http2(Box::new(Http2::new(context(Role::Client), true))),
        };
        let other = self.other(direction);
        self.speaks = speaks;
        let rest = held.strip_prefix(sniff::PREFACE).unwrap_or(&held);
        self.spoken(direction, rest, at_ns, derived);
        // What the other side said before it was clear what is spoken.
        if let Some((direction, held)) = other {
            self.spoken(direction, &held, at_ns, derived);
        }
    }

    fn spoken(&mut self, direction: Direction, bytes: &[u8], at_ns: u64, derived: &mut Derived) {
        match &mut self.speaks {
            Speaks::Http2(http2) => http2.take(direction, Piece::Bytes(bytes), at_ns, derived),
            _ => self.sided(direction, Piece::Bytes(bytes), at_ns, derived),
        }
    }

    fn hold(&mut self, direction: Direction, bytes: Vec<u8>) {
        if let Speaks::Unknown { sent, received } = &mut self.speaks {
            *(if direction == Direction::Sent { sent } else { received }) = bytes;
        }
    }

    fn other(&mut self, direction: Direction) -> Option<(Direction, Vec<u8>)> {
        let Speaks::Unknown { sent, received } = &mut self.speaks else { return None };
        let (direction, held) = match direction {
            Direction::Sent => (Direction::Received, received),
            Direction::Received => (Direction::Sent, sent),
        };
        let held = std::mem::take(held);
        (!held.is_empty()).then_some((direction, held))
    }

    /// Whether something of interest is under way, or may be.
    pub(super) fn is_wanted(&mut self) -> bool {
        match &mut self.speaks {
            Speaks::Http1(http1) => http1.is_wanted(),
            Speaks::Http2(http2) => http2.is_wanted(),
            Speaks::Dismissed(looks) => *looks > 0,
            Speaks::Lines(lines) => lines.is_wanted(),
            Speaks::Socket(socket) => socket.is_wanted(),
            Speaks::Unknown { .. } => true,
        }
    }

    /// The calls to models on it that are not over.
    pub(super) fn under_way(&mut self) -> Vec<UnderWay> {
        match &mut self.speaks {
            Speaks::Http1(http1) => http1.under_way().collect(),
            Speaks::Http2(http2) => http2.under_way().collect(),
            Speaks::Socket(socket) => socket.under_way().into_iter().collect(),
            Speaks::Unknown { .. } | Speaks::Lines(_) | Speaks::Dismissed(_) => Vec::new(),
        }
    }

    /// What comes up to the ends of the bodies on it is passed over.
    pub(super) fn pass_over(&mut self) {
        self.is_passed_over = true;
    }

    /// It ended.
    pub(super) fn close(&mut self, at_ns: u64, derived: &mut Derived) {
        let at_ns = self.last_ns.max(at_ns);
        // The rest of a body that is passed over may have come.
        let ending = if self.is_passed_over { Ending::Unseen(Reason::BytesLost) } else { Ending::CutOff };
        match &mut self.speaks {
            Speaks::Http1(http1) => http1.close(ending, at_ns, derived),
            Speaks::Http2(http2) => http2.close(at_ns, derived),
            Speaks::Socket(socket) => socket.close(at_ns, derived),
            Speaks::Lines(lines) => lines.close(Reason::CutOff, at_ns, derived),
            Speaks::Unknown { .. } | Speaks::Dismissed(_) => {}
        }
    }

    /// How it stands.
    pub(super) fn standing(&self) -> Standing {
        let is_served = self.role() == Role::Server;
        match &self.speaks {
            Speaks::Http1(http1) => {
                let end = |direction, position: Position| {
                    let left = http1.body_left(self.side(direction)).filter(|left| *left > 0);
                    left.zip(position.offset).map_or(0, |(left, offset)| offset.saturating_add(left))
                };
                let bodies_end = [end(Direction::Sent, self.sent), end(Direction::Received, self.received)];
                Standing { is_served, is_busy: http1.is_busy(), is_entered_once: false, bodies_end }
            }
            Speaks::Http2(http2) => {
                let is_busy = http2.is_busy();
                Standing { is_served, is_busy, is_entered_once: true, ..Standing::default() }
            }
            _ => Standing { is_served, ..Standing::default() },
        }
    }

    /// There is no room for it.
    pub(super) fn evict(&mut self, derived: &mut Derived) {
        derived.losses.connections += 1;
        self.let_go(Reason::Evicted, derived);
    }

    /// It is not followed any more, for this reason.
    pub(super) fn let_go(&mut self, reason: Reason, derived: &mut Derived) {
        match &mut self.speaks {
            Speaks::Http1(http1) => http1.let_go(reason, derived),
            Speaks::Http2(http2) => http2.let_go(reason, derived),
            Speaks::Socket(socket) => socket.let_go(reason, derived),
            Speaks::Lines(lines) => lines.close(reason, self.last_ns, derived),
            Speaks::Unknown { .. } | Speaks::Dismissed(_) => {}
        }
    }
}

/// A piece without the bytes that came before; `None` if all of them did.
fn trimmed(piece: Piece<'_>, known: u64) -> Option<Piece<'_>> {
    let known_length = usize::try_from(known).ok()?;
    match piece {
        _ if known == 0 => Some(piece),
        Piece::Bytes(bytes) => bytes.get(known_length..).filter(|rest| !rest.is_empty()).map(Piece::Bytes),
        Piece::Gap(None) => Some(piece),
        Piece::Gap(Some(length)) => {
            length.checked_sub(known).filter(|left| *left > 0).map(|left| Piece::Gap(Some(left)))
        }
    }
}

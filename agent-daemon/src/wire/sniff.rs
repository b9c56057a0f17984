//! Which protocol a connection speaks, by its first bytes.

use super::http1::Kind;

/// What a client of HTTP/2 says first.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The header of a frame of HTTP/2, bytes.
const FRAME: usize = 9;
/// The largest frame that a side may send unless the other allows more.
const USUAL_FRAME: usize = 16_384;

const METHODS: [&[u8]; 9] =
    [b"GET ", b"POST ", b"PUT ", b"DELETE ", b"HEAD ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE "];
const STATUS_LINE: &[u8] = b"HTTP/1.";
/// The fields that events begin with.
const EVENT_FIELDS: [&[u8]; 3] = [b"data:", b"event:", b"id:"];
/// Digits of a chunk's size.
const LONGEST_SIZE: usize = 8;

/// What the first bytes of a direction are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Messages of HTTP/1.
    Http1(Kind),
    /// An answer of HTTP/1 in its middle: a stream of events in chunks, at the beginning of a chunk.
    Events,
    /// The client's side of HTTP/2, from its beginning.
    Preface,
    /// HTTP/2, somewhere between two frames; either side.
    Frames,
    /// More bytes are needed.
    Undecided,
    /// None of these.
    Unknown,
}

/// Judges the first bytes that were seen of a direction.
pub(super) fn judge(bytes: &[u8]) -> Verdict {
    if begins(bytes, PREFACE) {
        return if bytes.len() < PREFACE.len() { Verdict::Undecided } else { Verdict::Preface };
    }
    for kind in [Kind::Requests, Kind::Responses] {
        if begins_http1(bytes, kind) {
            return Verdict::Http1(kind);
        }
    }
    if is_chunk_of_events(bytes) {
        return Verdict::Events;
    }
    let unfinished = |word: &&[u8]| bytes.len() < word.len() && begins(bytes, word);
    if is_size_of_chunk(bytes) {
        return Verdict::Undecided;
    }
    if METHODS.iter().any(unfinished) || unfinished(&STATUS_LINE) {
        return Verdict::Undecided;
    }
    match bytes.len() {
        ..FRAME if bytes.first().is_none_or(|length| *length == 0) => Verdict::Undecided,
        FRAME.. if is_frames(bytes) => Verdict::Frames,
        _ => Verdict::Unknown,
    }
}

/// Whether what is there of `bytes` is as `word`.
fn begins(bytes: &[u8], word: &[u8]) -> bool {
    bytes.iter().zip(word).all(|(a, b)| a == b) && !bytes.is_empty()
}

/// Whether these are the first bytes of a message of HTTP/1.
pub(super) fn begins_http1(bytes: &[u8], kind: Kind) -> bool {
    match kind {
        Kind::Requests => METHODS.iter().any(|method| bytes.starts_with(method)),
        Kind::Responses => bytes.starts_with(STATUS_LINE),
    }
}

/// What is in a chunk that begins here, as far as it is there.
fn in_chunk(bytes: &[u8]) -> Option<&[u8]> {
    let digits = bytes.iter().take(LONGEST_SIZE).take_while(|byte| byte.is_ascii_hexdigit()).count();
    bytes.get(digits..).filter(|_| digits > 0).and_then(|rest| rest.strip_prefix(b"\r\n"))
}

/// Whether a chunk begins here that holds events.
fn is_chunk_of_events(bytes: &[u8]) -> bool {
    in_chunk(bytes).is_some_and(|event| EVENT_FIELDS.iter().any(|field| event.starts_with(field)))
}

/// Whether a chunk's size is all that is there: some servers send it by itself.
fn is_size_of_chunk(bytes: &[u8]) -> bool {
    in_chunk(bytes).is_some_and(<[u8]>::is_empty)
}

/// Whether frames of HTTP/2 may begin here: each whole header has a length, a type and a stream that go together.
pub(super) fn is_frames(mut bytes: &[u8]) -> bool {
    let mut some = false;
    while let Some((header, rest)) = bytes.split_first_chunk::<FRAME>() {
        let [a, b, c, kind, flags, w, x, y, z] = *header;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let stream = u32::from_be_bytes([w, x, y, z]);
        if length > USUAL_FRAME || !goes_together(kind, flags, stream, length) {
            return false;
        }
        some = true;
        bytes = rest.get(length..).unwrap_or_default();
    }
    some
}

fn goes_together(kind: u8, flags: u8, stream: u32, length: usize) -> bool {
    // The first bit of a stream's number is always zero.
    let on_stream = stream != 0 && stream >> 31 == 0;
    match kind {
        0 => on_stream && flags & !0x9 == 0,
        1 => on_stream && flags & !0x2d == 0,
        2 => on_stream && length == 5,
        3 => on_stream && length == 4,
        4 => stream == 0 && length.is_multiple_of(6) && flags & !1 == 0,
        5 => on_stream && flags & !0xc == 0,
        6 => stream == 0 && length == 8,
        7 => stream == 0 && length >= 8,
        8 => stream >> 31 == 0 && length == 4,
        9 => on_stream && flags & !0x4 == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_protocol() {
        for (bytes, verdict) in [
            (&b"POST / HTTP"[..], Verdict::Http1(Kind::Requests)),
            (b"HTTP/1.1 200", Verdict::Http1(Kind::Responses)),
            (PREFACE, Verdict::Preface),
            (b"PRI * HT", Verdict::Undecided),
            (b"PO", Verdict::Undecided),
            (b"P", Verdict::Undecided),
            (b"\0\0\0\x04\0\0\0\0\0", Verdict::Frames),
            (b"\0\0", Verdict::Undecided),
            (b"\0\0\x05\0\x01\0\0\0\0hello", Verdict::Unknown),
            (b"\x16\x03\x01", Verdict::Unknown),
            (b"SSH-2.0", Verdict::Unknown),
            (b"1f\r\ndata: {\"id\"", Verdict::Events),
            (b"2A0\r\nevent: ping", Verdict::Events),
            (b"1f\r\n", Verdict::Undecided),
            (b"1f\r\n{\"id\"", Verdict::Unknown),
            (b"\r\ndata: {", Verdict::Unknown),
            (b"123456789\r\ndata: {", Verdict::Unknown),
            (b"", Verdict::Undecided),
        ] {
            assert_eq!(judge(bytes), verdict, "{bytes:?}");
        }
    }
}

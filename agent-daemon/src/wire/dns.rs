//! Answers of name servers (RFC 1035): which name has which addresses. What was asked for is the name; where it is an
//! alias, so is what it stands for, and the addresses of that are its own.
//!
//! Reads one datagram, which may be cut: records that are not there in full are left out. Names are those that hosts
//! have (letters, digits, hyphens, underscores); an answer about others is refused. What an answer says of names that were
//! not asked for is not believed.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

/// Records of an answer that are looked at.
const MAX_RECORDS: u16 = 128;
/// Names of one host that are followed.
const MAX_ALIASES: usize = 16;
/// Addresses of one answer that are told.
const MAX_ADDRESSES: usize = 64;
/// The length of a name, bytes.
const MAX_NAME: usize = 253;
/// Jumps within a name.
const MAX_JUMPS: usize = 16;

const HEADER: usize = 12;
const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_AAAA: u16 = 28;
const CLASS_INTERNET: u16 = 1;

/// What a name server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What was asked for, in lower case, without a dot at its end.
    pub name: String,
    /// Its addresses, and how long they are valid; none where something else was asked for.
    pub addresses: Vec<(IpAddr, Duration)>,
}

/// Why a datagram is no answer that tells of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// It ends within the header or the question.
    #[error("it is cut before the question ends")]
    Cut,
    /// It is a question, or another kind of message.
    #[error("it is no answer")]
    NoAnswer,
    /// The server reports an error, such as that there is no such name.
    #[error("the server answers with an error")]
    Failed,
    /// It asks for something else than one name of the internet.
    #[error("it asks for something else than one name")]
    Question,
    /// A name is malformed, or none that a host has.
    #[error("a name is malformed")]
    Name,
}

/// Reads an answer.
///
/// # Errors
/// It is none, or not about a host.
pub fn answer(bytes: &[u8]) -> Result<Answer, DnsError> {
    let word = |at| word(bytes, at).ok_or(DnsError::Cut);
    let flags = word(2)?;
    if flags & 0xf800 != 0x8000 {
        return Err(DnsError::NoAnswer);
    }
    if flags & 0xf != 0 {
        return Err(DnsError::Failed);
    }
    let (questions, records) = (word(4)?, word(6)?);
    let (name, at) = name(bytes, HEADER)?;
    if questions != 1 || word(at + 2)? != CLASS_INTERNET {
        return Err(DnsError::Question);
    }
    Ok(Answer { addresses: addresses(bytes, at + 4, records, &name), name })
}

/// The addresses of `asked` that the records from `at` on tell.
fn addresses(bytes: &[u8], mut at: usize, records: u16, asked: &str) -> Vec<(IpAddr, Duration)> {
    let mut names = vec![asked.to_owned()];
    let mut found = Vec::new();
    for _ in 0..records.min(MAX_RECORDS) {
        let Some(record) = Record::read(bytes, at) else { break };
        at = record.end;
        if record.class != CLASS_INTERNET || !names.contains(&record.owner) {
            continue;
        }
        let room = names.len() < MAX_ALIASES;
        match (record.kind, record.data) {
            (TYPE_CNAME, _) if room => names.extend(name(bytes, record.data_at).ok().map(|(name, _)| name)),
            (TYPE_A, [a, b, c, d]) => {
                found.push((IpAddr::V4(Ipv4Addr::new(*a, *b, *c, *d)), record.valid));
            }
            (TYPE_AAAA, data) => {
                let octets = <[u8; 16]>::try_from(data).ok();
                let address = octets.map(|octets| IpAddr::V6(Ipv6Addr::from(octets)).to_canonical());
                found.extend(address.map(|address| (address, record.valid)));
            }
            _ => {}
        }
        if found.len() >= MAX_ADDRESSES {
            break;
        }
    }
    found
}

/// A resource record.
struct Record<'a> {
    owner: String,
    kind: u16,
    class: u16,
    valid: Duration,
    data: &'a [u8],
    data_at: usize,
    end: usize,
}

impl<'a> Record<'a> {
    fn read(bytes: &'a [u8], at: usize) -> Option<Self> {
        // The owner of a record may be no host, as that of a signature is not: then nobody asked for it.
        let (owner, at) = match name(bytes, at) {
            Ok(read) => read,
            Err(_) => (String::new(), skip(bytes, at)?),
        };
        let seconds = u32::from(word(bytes, at + 4)?) << 16 | u32::from(word(bytes, at + 6)?);
        let data_at = at + 10;
        let end = data_at + usize::from(word(bytes, at + 8)?);
        Some(Self {
            owner,
            kind: word(bytes, at)?,
            class: word(bytes, at + 2)?,
            valid: Duration::from_secs(seconds.into()),
            data: bytes.get(data_at..end)?,
            data_at,
            end,
        })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let word = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(word.try_into().ok()?))
}

/// The name at a place, and where what follows it begins.
fn name(bytes: &[u8], start: usize) -> Result<(String, usize), DnsError> {
    let (mut name, mut at, mut after, mut jumps) = (String::new(), start, None, 0);
    loop {
        let length = *bytes.get(at).ok_or(DnsError::Cut)?;
        match length {
            0 => break,
            1..=63 => {
                let end = at + 1 + usize::from(length);
                let label = bytes.get(at + 1..end).ok_or(DnsError::Cut)?;
                push(&mut name, label)?;
                at = end;
            }
            0xc0.. => {
                let to = usize::from(word(bytes, at).ok_or(DnsError::Cut)? & 0x3fff);
                after.get_or_insert(at + 2);
                jumps += 1;
                // Only what stands before: nothing can be gone through twice.
                if to >= at || jumps > MAX_JUMPS {
                    return Err(DnsError::Name);
                }
                at = to;
            }
            _ => return Err(DnsError::Name),
        }
    }
    if name.is_empty() { Err(DnsError::Name) } else { Ok((name, after.unwrap_or(at + 1))) }
}

/// Appends a label of a host's name.
fn push(name: &mut String, label: &[u8]) -> Result<(), DnsError> {
    if !name.is_empty() {
        name.push('.');
    }
    for byte in label {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'A'..=b'Z' => {
                name.push(byte.to_ascii_lowercase().into());
            }
            _ => return Err(DnsError::Name),
        }
    }
    if name.len() > MAX_NAME { Err(DnsError::Name) } else { Ok(()) }
}

/// Where what follows a name of any bytes begins.
fn skip(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    /// An answer about `asked`, and records as owner, type, seconds and data.
    fn datagram(asked: &[u8], records: &[(&[u8], u16, u32, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0x12, 0x34, 0x81, 0x80, 0, 1, 0, records.len() as u8, 0, 0, 0, 0];
        bytes.extend_from_slice(asked);
        bytes.extend([0, 1, 0, 1]);
        for (owner, kind, seconds, data) in records {
            bytes.extend_from_slice(owner);
            bytes.extend(kind.to_be_bytes());
            bytes.extend([0, 1]);
            bytes.extend(seconds.to_be_bytes());
            bytes.extend((data.len() as u16).to_be_bytes());
            bytes.extend_from_slice(data);
        }
        bytes
    }

    const ASKED: &[u8] = b"\x03API\x07example\0";
    /// A pointer to the question.
    const SAME: &[u8] = &[0xc0, 12];

    fn v4(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn addresses_are_those_of_the_name_that_was_asked_for() {
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        let bytes =
            datagram(ASKED, &[(SAME, TYPE_A, 60, &[10, 0, 0, 1]), (SAME, TYPE_AAAA, 61, &v6.octets())]);
        let answer = answer(&bytes).unwrap();
        assert_eq!(answer.name, "api.example");
        let [a, b] = [60, 61].map(Duration::from_secs);
        assert_eq!(answer.addresses, [(v4(1), a), (v6.into(), b)]);
    }

    #[test]
    fn aliases_are_followed_and_strangers_are_not_believed() {
        let bytes = datagram(
            ASKED,
            &[
                (SAME, TYPE_CNAME, 5, b"\x02cd\x03net\0"),
                (b"\x02cd\x03net\0", TYPE_A, 60, &[10, 0, 0, 2]),
                (b"\x04evil\x03net\0", TYPE_A, 60, &[10, 0, 0, 3]),
                (b"\0", 41, 0, &[]),
            ],
        );
        let addresses: Vec<_> = answer(&bytes).unwrap().addresses.into_iter().map(|(a, _)| a).collect();
        assert_eq!(addresses, [v4(2)]);
    }

    #[test]
    fn what_was_cut_is_left_out() {
        let records: [(&[u8], u16, u32, &[u8]); 2] =
            [(SAME, TYPE_A, 60, &[10, 0, 0, 1]), (SAME, TYPE_A, 60, &[10, 0, 0, 2])];
        let bytes = datagram(ASKED, &records);
        assert_eq!(answer(&bytes[..bytes.len() - 1]).unwrap().addresses.len(), 1);
        assert_eq!(answer(&bytes[..20]), Err(DnsError::Cut));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let mut question = datagram(ASKED, &[]);
        question[2] = 1;
        assert_eq!(answer(&question), Err(DnsError::NoAnswer));
        let mut unknown = datagram(ASKED, &[]);
        unknown[3] = 0x83;
        assert_eq!(answer(&unknown), Err(DnsError::Failed));
        assert_eq!(answer(&datagram(b"\x01\n\0", &[])), Err(DnsError::Name));
        assert_eq!(answer(&datagram(b"\0", &[])), Err(DnsError::Name));
    }

    #[test]
    fn a_name_that_points_at_itself_ends() {
        let bytes = datagram(&[0xc0, 12], &[]);
        assert_eq!(answer(&bytes), Err(DnsError::Name));
        let bytes = datagram(&[1, b'a', 0xc0, 12], &[]);
        assert_eq!(answer(&bytes), Err(DnsError::Name));
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), real in any::<bool>()) {
            if real && bytes.len() > 12 {
                bytes[..12].copy_from_slice(&[0, 0, 0x81, 0x80, 0, 1, 0, 9, 0, 0, 0, 0]);
            }
            let _ = answer(&bytes);
        }
    }
}

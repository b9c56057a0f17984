//! A reader of the kernel's BTF: where is `struct S`'s field `a.b.c`? (aya parses BTF too, but keeps members
//! to itself.) Format: Documentation/bpf/btf.rst.
//!
//! Reads only what offsets need, and keeps nothing after the offsets are known.

use rustc_hash::FxHashMap;

const MAGIC: u16 = 0xeb9f;
const STRUCT: u8 = 4;
const UNION: u8 = 5;
const ENUM: u8 = 6;

/// Parsed BTF.
pub(super) struct Types {
    types: Vec<Type>,
    structs: FxHashMap<String, usize>,
}

struct Type {
    kind: u8,
    /// Size of a struct, or id of the type that a modifier points to.
    size_or_type: u32,
    bitfields: bool,
    members: Vec<Member>,
}

struct Member {
    name: String,
    r#type: u32,
    offset: u32,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn u32(&mut self) -> Option<u32> {
        let word = self.bytes.get(self.at..self.at + 4)?;
        self.at += 4;
        Some(u32::from_le_bytes(word.try_into().ok()?))
    }
}

fn at(bytes: &[u8], offset: usize) -> Option<u32> {
    Cursor { bytes, at: offset }.u32()
}

fn string(strings: &[u8], offset: u32) -> Option<String> {
    let tail = strings.get(offset as usize..)?;
    let end = tail.iter().position(|b| *b == 0)?;
    Some(String::from_utf8_lossy(tail.get(..end)?).into_owned())
}

impl Types {
    /// Parses a BTF blob; `None` if it is malformed.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (mut cursor, strings) = sections(bytes)?;
        let types_end = cursor.bytes.len();
        // Type ids start at 1: 0 is void.
        let void = Type { kind: 0, size_or_type: 0, bitfields: false, members: Vec::new() };
        let mut parsed = Self { types: vec![void], structs: FxHashMap::default() };
        while cursor.at < types_end {
            parsed.push(&mut cursor, strings)?;
        }
        Some(parsed)
    }

    fn push(&mut self, cursor: &mut Cursor<'_>, strings: &[u8]) -> Option<()> {
        let (name, info, size_or_type) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        let kind = (info >> 24 & 31) as u8;
        let count = (info & 0xffff) as usize;
        let mut members = Vec::new();
        if kind == STRUCT || kind == UNION {
            for _ in 0..count {
                let (name, r#type, offset) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
                members.push(Member { name: string(strings, name)?, r#type, offset });
            }
            if name != 0 && kind == STRUCT {
                self.structs.entry(string(strings, name)?).or_insert(self.types.len());
            }
        } else {
            cursor.at += trailer(kind, count);
        }
        self.types.push(Type { kind, size_or_type, bitfields: info >> 31 == 1, members });
        Some(())
    }

    /// Offset in bits of `path` in `structure`, and its type.
    fn bits(&self, structure: &str, path: &str) -> Option<(u32, usize)> {
        let mut r#type = *self.structs.get(structure)?;
        let mut bits = 0;
        for field in path.split('.') {
            let (offset, inner) = self.member(r#type, field)?;
            bits += offset;
            r#type = inner;
        }
        Some((bits, r#type))
    }

    /// A member by name, also in anonymous structs and unions.
    fn member(&self, r#type: usize, field: &str) -> Option<(u32, usize)> {
        let r#type = self.types.get(r#type)?;
        for member in &r#type.members {
            let offset = if r#type.bitfields { member.offset & 0xff_ffff } else { member.offset };
            let inner = self.unmodified(member.r#type as usize)?;
            if member.name == field {
                return Some((offset, inner));
            }
            if member.name.is_empty()
                && let Some((deeper, t)) = self.member(inner, field)
            {
                return Some((offset + deeper, t));
            }
        }
        None
    }

    /// Skips typedefs, const, volatile, restrict and type tags.
    fn unmodified(&self, mut id: usize) -> Option<usize> {
        loop {
            let r#type = self.types.get(id)?;
            if !matches!(r#type.kind, 8 | 9 | 10 | 11 | 18) {
                return Some(id);
            }
            id = r#type.size_or_type as usize;
        }
    }

    /// Offset in bytes of `path` in `structure`.
    pub(super) fn offset(&self, structure: &str, path: &str) -> Option<u32> {
        Some(self.bits(structure, path)?.0 / 8)
    }

    /// The byte that holds the one-bit field `path` of `structure`, and the bit's mask in it.
    pub(super) fn bit(&self, structure: &str, path: &str) -> Option<(u32, u32)> {
        let (bits, _) = self.bits(structure, path)?;
        Some((bits / 8, 1 << (bits % 8)))
    }

    /// Size of `structure` in bytes.
    pub(super) fn size(&self, structure: &str) -> Option<u32> {
        Some(self.types.get(*self.structs.get(structure)?)?.size_or_type)
    }
}

/// The types, and the strings.
fn sections(bytes: &[u8]) -> Option<(Cursor<'_>, &[u8])> {
    let magic = u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?);
    if magic != MAGIC {
        return None;
    }
    let header = at(bytes, 4)? as usize;
    let types = header + at(bytes, 8)? as usize;
    let types_end = types + at(bytes, 12)? as usize;
    let strings = bytes.get(header + at(bytes, 16)? as usize..)?;
    Some((Cursor { bytes: bytes.get(..types_end)?, at: types }, strings))
}

/// The value of an enumerator; `None` where a kernel has none of this name, such as one that defines it by a macro.
pub(super) fn enumerator(bytes: &[u8], name: &str) -> Option<u32> {
    let (mut cursor, strings) = sections(bytes)?;
    while cursor.at < cursor.bytes.len() {
        let (_, info, _) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        let (kind, count) = ((info >> 24 & 31) as u8, (info & 0xffff) as usize);
        if kind == ENUM {
            for _ in 0..count {
                let (at, value) = (cursor.u32()?, cursor.u32()?);
                let text = strings.get(at as usize..)?;
                if text.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0)) {
                    return Some(value);
                }
            }
        } else {
            cursor.at += if kind == STRUCT || kind == UNION { 12 * count } else { trailer(kind, count) };
        }
    }
    None
}

/// Bytes after the common part of a type that is no struct.
fn trailer(kind: u8, count: usize) -> usize {
    match kind {
        1 | 14 | 17 => 4,
        3 => 12,
        6 | 13 => 8 * count,
        15 | 19 => 12 * count,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{Types, enumerator};

    #[test]
    fn garbage_is_refused() {
        assert!(Types::parse(b"").is_none());
        assert!(Types::parse(&[0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 255, 255, 255, 255]).is_none());
    }

    #[test]
    fn enumerators_have_their_values() {
        let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else { return };
        assert_eq!(enumerator(&bytes, "BPF_MAP_TYPE_ARRAY"), Some(2));
        assert_eq!(enumerator(&bytes, "BPF_MAP_TYPE_ARRA"), None);
        assert_eq!(enumerator(&bytes[..1000], "BPF_MAP_TYPE_ARRAY"), None);
    }

    #[test]
    fn truncation_never_panics() {
        let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else { return };
        for end in (0..4096).chain([bytes.len() / 2, bytes.len() - 1]) {
            let _ = Types::parse(&bytes[..end]);
        }
    }
}

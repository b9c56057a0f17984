//! Paths that are watched, and which of them may still match at a place in a document.

use crate::wire::field::Field;

/// What is taken of a value at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// A string that is an identifier of at most 128 bytes, or a whole number, as text. Other strings are not taken:
    /// whoever puts a sentence where a name belongs does not get it stored.
    Word,
    /// A whole number that is not negative.
    Number,
    /// A boolean.
    Flag,
    /// Only that there is something: a string that is not empty, a number, `true`, an object, an array.
    Presence,
    /// Only a hash of a string or number.
    Hash,
    /// A string without escapes of at most 1 MiB: base64 of a nested document, dropped as soon as that was read.
    Bytes,
    /// That an object or array begins, where what is said is gathered.
    Begin,
    /// A string with its escapes resolved, where what is said is gathered.
    Text,
    /// An object or array as it stands, or a string like [`Self::Text`], where what is said is gathered.
    Raw,
}

/// One path, written `a.b[].c`; a key that has dots, in single quotes.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// Where.
    pub path: &'static str,
    /// What.
    pub take: Take,
    /// What it means.
    pub field: Field,
}

impl Watch {
    /// A row of a table.
    #[must_use]
    pub const fn new(path: &'static str, take: Take, field: Field) -> Self {
        Self { path, take, field }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Segment {
    Key(&'static str),
    Element,
}

/// A table of at most 64 paths, made ready for a scanner.
#[derive(Debug)]
pub struct Paths {
    watches: Vec<Watch>,
    segments: Vec<Vec<Segment>>,
    /// By number of segments: the paths that have so many.
    ends: Vec<u64>,
}

impl Paths {
    /// The most paths of one table.
    pub const MOST: usize = 64;

    /// Makes a table ready; what is beyond [`Self::MOST`] is left out, and a test says so.
    #[must_use]
    pub fn new(tables: &[&[Watch]]) -> Self {
        debug_assert!(tables.iter().map(|table| table.len()).sum::<usize>() <= Self::MOST, "too many paths");
        let watches: Vec<Watch> = tables.concat().into_iter().take(Self::MOST).collect();
        let segments: Vec<Vec<Segment>> = watches.iter().map(|watch| segments(watch.path)).collect();
        let longest = segments.iter().map(Vec::len).max().unwrap_or(0);
        let with = |length| {
            let numbered = segments.iter().enumerate();
            numbered.filter(|(_, path)| path.len() == length).fold(0, |mask, (bit, _)| mask | 1 << bit)
        };
        let ends = (0..=longest).map(with).collect();
        Self { watches, segments, ends }
    }

    /// All paths.
    pub(super) fn all(&self) -> u64 {
        match self.watches.len() {
            Self::MOST.. => u64::MAX,
            n => (1 << n) - 1,
        }
    }

    /// Of the paths in `alive`, those whose segment `depth` is this key.
    pub(super) fn at_key(&self, alive: u64, depth: usize, key: &[u8]) -> u64 {
        self.matching(alive, depth, |segment| matches!(segment, Segment::Key(name) if name.as_bytes() == key))
    }

    /// Of the paths in `alive`, those whose segment `depth` is an array's element.
    pub(super) fn at_element(&self, alive: u64, depth: usize) -> u64 {
        self.matching(alive, depth, |segment| *segment == Segment::Element)
    }

    fn matching(&self, alive: u64, depth: usize, is: impl Fn(&Segment) -> bool) -> u64 {
        let matches = |bit: &usize| self.segments.get(*bit).and_then(|path| path.get(depth)).is_some_and(&is);
        bits(alive).filter(matches).fold(0, |mask, bit| mask | 1 << bit)
    }

    /// Of the paths in `alive`, those that end at `depth`.
    pub(super) fn ending(&self, alive: u64, depth: usize) -> u64 {
        alive & self.ends.get(depth).copied().unwrap_or(0)
    }

    /// The rows of a mask.
    pub(super) fn watches(&self, mask: u64) -> impl Iterator<Item = &Watch> {
        bits(mask).filter_map(|bit| self.watches.get(bit))
    }
}

fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = mask.trailing_zeros();
        mask &= mask.checked_sub(1)?;
        Some(bit as usize)
    })
}

fn segments(path: &'static str) -> Vec<Segment> {
    let of = |part: &'static str| {
        let key = part.trim_end_matches("[]");
        let elements = (part.len() - key.len()) / 2;
        let key = (!key.is_empty()).then_some(Segment::Key(key));
        key.into_iter().chain(std::iter::repeat_n(Segment::Element, elements))
    };
    let mut is_quoted = false;
    let parts = path.split(move |character| {
        is_quoted ^= character == '\'';
        character == '.' && !is_quoted
    });
    parts.map(|part| part.trim_matches('\'')).flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_a_segment_for_each_key_and_element() {
        let [key, element] = [Segment::Key, |_| Segment::Element];
        assert_eq!(segments("a.b[][].c"), [key("a"), key("b"), element(""), element(""), key("c")]);
        assert_eq!(segments("[].'x.y/z'.n"), [element(""), key("x.y/z"), key("n")]);
    }
}

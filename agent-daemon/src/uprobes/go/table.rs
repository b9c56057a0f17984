//! The table of functions that programs made by Go carry (`pclntab`), as far as names and places of functions go. It is tens
//! of megabytes in large programs, and so read in windows.
//!
//! Source: Go's `runtime/symtab.go` (`pcHeader`, `functab`) and `runtime/runtime2.go` (`_func`), 1.18 to 1.27.

use memchr::memmem;

use crate::uprobes::code::{CodeImage, WINDOW};

/// Whose methods are looked for.
const PREFIX: &[u8] = b"\0crypto/tls.(*Conn).";
/// Where the table is, and where in programs that a C linker made to be loaded anywhere: among other things.
const SECTIONS: [&[u8]; 2] = [b".gopclntab", b".data.rel.ro.gopclntab"];
const SHARED: &[u8] = b".data.rel.ro";
/// What begins programs of Go, and none else.
const BUILD_INFO: &[u8] = b".go.buildinfo";
/// Numbers that it begins with: of Go 1.18, and as of 1.20.
const KNOWN: [u32; 2] = [0xffff_fff0, 0xffff_fff1];
/// Zeros, the least size of an instruction, the size of a pointer.
const SHAPE: [u8; 4] = [0, 0, 1, 8];
/// Bytes of the head.
const HEAD: usize = 72;
/// Longest name of a method that is looked at, bytes, and most of them.
const MAX_NAME: usize = 96;
const MAX_METHODS: usize = 512;
/// Windows that are read of either part of the table: functions follow each other.
const MAX_WINDOWS: usize = 512;
/// Bytes of names that are looked through.
const MAX_NAMES: u64 = 64 << 20;
/// Functions of larger programs are not looked through.
const MAX_FUNCTIONS: u64 = 4 << 20;

/// Why there is nothing to be found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TableError {
    /// It is not made by Go, or speaks no TLS.
    None,
    /// It is made by Go, and the table is not one that is known.
    Unknown,
}

/// A function.
#[derive(Debug)]
pub(super) struct Function {
    /// The method.
    pub(super) name: String,
    /// Where it begins, from where the text does, bytes.
    pub(super) entry: u64,
    /// Bytes to the next one.
    pub(super) size: u64,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Where the text begins, if the table says so, else 0.
    pub(super) text: u64,
    /// The methods of a connection, and what stands in them.
    pub(super) functions: Vec<Function>,
}

/// The table's head.
#[derive(Debug)]
pub(super) struct Table {
    section: &'static [u8],
    /// Where in the section it begins.
    from: u64,
    functions: u64,
    text: u64,
    names: u64,
    /// Where the names end.
    units: u64,
    places: u64,
}

impl Table {
    /// Reads the head.
    pub(super) fn read(image: &CodeImage<'_>) -> Result<Self, TableError> {
        if image.section_part(BUILD_INFO, 0, 1).is_none() {
            return Err(TableError::None);
        }
        let own = SECTIONS.into_iter().find(|section| image.section_part(section, 0, 1).is_some());
        let table = match own {
            Some(section) => {
                image.section_part(section, 0, HEAD).and_then(|(_, head)| Self::parse(&head, section, 0))
            }
            None => Self::search(image, SHARED),
        };
        table.ok_or(TableError::Unknown)
    }

    fn search(image: &CodeImage<'_>, section: &'static [u8]) -> Option<Self> {
        let first = image.section_part(section, 0, 1)?.0;
        let mut found = None;
        image.windows(section, HEAD, |address, bytes| {
            let mut heads = memmem::find_iter(bytes, &SHAPE).filter_map(|shape| {
                let at = shape.checked_sub(4)?;
                Self::parse(bytes.get(at..)?, section, address.checked_add(at as u64)?.checked_sub(first)?)
            });
            found = found.take().or_else(|| heads.next());
        });
        found
    }

    /// What stands at the beginning of `head`, if it is one.
    fn parse(head: &[u8], section: &'static [u8], from: u64) -> Option<Self> {
        let number = u32::from_le_bytes(head.get(..4)?.try_into().ok()?);
        if !KNOWN.contains(&number) || head.get(4..8)? != SHAPE || head.len() < HEAD {
            return None;
        }
        let word = |n: usize| {
            let bytes = head.get(8 + 8 * n..16 + 8 * n).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
            bytes.map_or(0, u64::from_le_bytes)
        };
        let (names, units, places) = (word(3), word(4), word(7));
        Some(Self { section, from, functions: word(0), text: word(2), names, units, places })
    }

    /// Looks for the methods of a connection.
    pub(super) fn methods(&self, image: &CodeImage<'_>) -> Result<Found, TableError> {
        let names = self.named(image);
        if names.is_empty() {
            return Err(TableError::None);
        }
        if self.functions == 0 || self.functions > MAX_FUNCTIONS {
            return Err(TableError::Unknown);
        }
        let mut places = Window::new(image, self.section);
        let mut functions = Window::new(image, self.section);
        let start = self.from.checked_add(self.places).ok_or(TableError::Unknown)?;
        let mut found = Vec::new();
        for number in 0..self.functions {
            let place = start.saturating_add(8 * number);
            let at = places.word(place.saturating_add(4)).ok_or(TableError::Unknown)?;
            // `_func`: where it begins, and its name.
            let name = start.saturating_add(u64::from(at) + 4);
            let name = functions.word(name).ok_or(TableError::Unknown)?;
            let Ok(named) = names.binary_search_by_key(&name, |(at, _)| *at) else { continue };
            // Each method is one function.
            if found.len() >= MAX_METHODS {
                return Err(TableError::Unknown);
            }
            let entry = places.word(place).ok_or(TableError::Unknown)?;
            let next = places.word(place.saturating_add(8)).ok_or(TableError::Unknown)?;
            let size = u64::from(next.checked_sub(entry).ok_or(TableError::Unknown)?);
            let name = names.get(named).map(|(_, name)| name.clone()).unwrap_or_default();
            found.push(Function { name, entry: entry.into(), size });
        }
        Ok(Found { text: self.text, functions: found })
    }

    /// Where among the names those of the methods stand, in order.
    fn named(&self, image: &CodeImage<'_>) -> Vec<(u32, String)> {
        let (mut found, mut at) = (Vec::new(), self.names);
        while at < self.units && found.len() < MAX_METHODS && at - self.names < MAX_NAMES {
            let length = usize::try_from(self.units - at).unwrap_or(WINDOW).min(WINDOW);
            let Some((_, bytes)) = image.section_part(self.section, self.from.saturating_add(at), length)
            else {
                break;
            };
            for start in memmem::find_iter(&bytes, PREFIX) {
                let rest = bytes.get(start + PREFIX.len()..).unwrap_or_default();
                let Some(end) = rest.iter().take(MAX_NAME).position(|byte| *byte == 0) else { continue };
                let name = String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned();
                // Without the zero before it.
                let offset = at - self.names + start as u64 + 1;
                found.extend(u32::try_from(offset).ok().map(|offset| (offset, name)));
            }
            if length < WINDOW {
                break;
            }
            at += (WINDOW - PREFIX.len() - MAX_NAME) as u64;
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Words of a section that are read one after the other.
struct Window<'a> {
    image: &'a CodeImage<'a>,
    section: &'static [u8],
    from: u64,
    bytes: Vec<u8>,
    /// How often it was moved.
    moved: usize,
}

impl<'a> Window<'a> {
    fn new(image: &'a CodeImage<'a>, section: &'static [u8]) -> Self {
        Self { image, section, from: 0, bytes: Vec::new(), moved: 0 }
    }

    fn word(&mut self, at: u64) -> Option<u32> {
        if let Some(word) = self.known(at) {
            return Some(word);
        }
        self.moved += 1;
        if self.moved > MAX_WINDOWS {
            return None;
        }
        (self.from, self.bytes) = (at, self.image.section_part(self.section, at, WINDOW)?.1);
        self.known(at)
    }

    fn known(&self, at: u64) -> Option<u32> {
        let at = usize::try_from(at.checked_sub(self.from)?).ok()?;
        Some(u32::from_le_bytes(self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
    }
}

//! One string, number or word of a document, as much of it as is wanted.

use super::{paths::Take, value::Value};
use crate::model::hash::{FNV_START, fnv1a};

/// The longest word, bytes.
const LONGEST_WORD: usize = 128;
/// The longest nested document, bytes.
const LONGEST_BYTES: usize = 1 << 20;

/// What was read of a token.
pub(super) struct Token {
    kept: Vec<u8>,
    /// A nested document is wanted of it.
    bytes: bool,
    /// It is longer than what is kept of it, or has escapes.
    spoilt: bool,
    hash: u64,
    length: u64,
}

impl Default for Token {
    fn default() -> Self {
        Self { kept: Vec::new(), bytes: false, spoilt: false, hash: FNV_START, length: 0 }
    }
}

impl Token {
    /// A token begins; of one that is a nested document more is kept.
    pub(super) fn begin(&mut self, bytes: bool) {
        let mut kept = std::mem::take(&mut self.kept);
        kept.clear();
        *self = Self { kept, bytes, ..Self::default() };
    }

    pub(super) fn keep(&mut self, byte: u8) {
        self.length += 1;
        self.hash = fnv1a(self.hash, [byte]);
        let most = if self.bytes { LONGEST_BYTES } else { LONGEST_WORD };
        match self.kept.len() < most {
            true => self.kept.push(byte),
            false => self.spoilt = true,
        }
    }

    /// What follows a backslash.
    pub(super) fn escape(&mut self, byte: u8) {
        self.keep(byte);
        self.spoilt = true;
    }

    /// A nested document that is longer than is read.
    pub(super) fn is_too_long(&self) -> bool {
        self.bytes && self.length > LONGEST_BYTES as u64
    }

    /// The token, if nothing of it is missing.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        (!self.spoilt).then_some(&self.kept)
    }

    /// A string, as what is taken of it.
    pub(super) fn text(&mut self, take: Take) -> Option<Value> {
        match take {
            Take::Presence => (self.length > 0).then_some(Value::Present),
            Take::Hash => Some(Value::Hash(self.hash)),
            Take::Word => word(self.whole()?),
            Take::Bytes if !self.spoilt => Some(Value::Bytes(std::mem::take(&mut self.kept))),
            Take::Bytes | Take::Number | Take::Flag | Take::Begin | Take::Text | Take::Raw => None,
        }
    }

    /// A number, a boolean or nothing, as what is taken of it.
    pub(super) fn bare(&self, take: Take) -> Option<Value> {
        let text = std::str::from_utf8(self.whole()?).ok()?;
        let is_whole = text.parse::<i64>().is_ok();
        match (take, text) {
            (_, "null") => None,
            (Take::Flag, "true") => Some(Value::Flag(true)),
            (Take::Flag, "false") => Some(Value::Flag(false)),
            (Take::Presence, "false") => None,
            (Take::Presence, _) => Some(Value::Present),
            (Take::Number, _) => text.parse().ok().map(Value::Number),
            (Take::Word, _) if is_whole => word(&self.kept),
            // A number is another id than the string of the same digits.
            (Take::Hash, _) => Some(Value::Hash(!self.hash)),
            (Take::Word | Take::Flag | Take::Bytes | Take::Begin | Take::Text | Take::Raw, _) => None,
        }
    }
}

/// A string as a word, if it is an identifier.
fn word(token: &[u8]) -> Option<Value> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"._:/@+-".contains(byte);
    let text = std::str::from_utf8(token).ok()?;
    (!token.is_empty() && token.iter().all(is_word)).then(|| Value::Word(text.to_owned()))
}

//! What a scanner finds.
//!
//! None of these types shows in `Debug` what it holds: whoever prints one by mistake prints no content.

use super::capture::Spoken;
use crate::wire::field::{Field, Speech};

/// What was found at a path.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// A name or a whole number.
    Word(String),
    /// A whole number.
    Number(u64),
    /// A boolean.
    Flag(bool),
    /// Something.
    Present,
    /// A hash of something.
    Hash(u64),
    /// The bytes of a string.
    Bytes(Vec<u8>),
}

/// A value and what it means.
#[derive(Clone, PartialEq, Eq)]
pub struct Hit {
    /// What it means.
    pub field: Field,
    /// What it is.
    pub value: Value,
}

/// What was found in a document, or in the part of one that was seen.
pub struct Document<'a> {
    /// In their order.
    pub hits: &'a [Hit],
    /// What is said in it, in its order, where that is gathered.
    pub spoken: &'a [(Speech, Spoken)],
    /// Bytes that were said and are left out as a whole.
    pub unspoken: u64,
    /// Whether it was read from its beginning to its end.
    pub whole: bool,
}

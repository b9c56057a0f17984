//! Finds the way back into a document after bytes of it were lost: the next key of an object.
//!
//! Where the scanner stands is unknown then: in a string or between two. But a quote that is not escaped always opens
//! or closes a string, and between two strings there is never only a name: so `"name":` with quotes that are not escaped
//! is a key, whatever was lost before.

/// The longest key that is looked at.
const LONGEST: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// The bytes lost may have ended in a backslash.
    Unknown,
    Escaped,
    /// Neither of the others.
    Plain,
}

/// Looks at bytes one by one until a key was found.
pub(super) struct Hunt {
    at: At,
    /// What came since a quote, while it may be a key.
    key: Option<Vec<u8>>,
    /// Whether a second quote came after it.
    closed: bool,
}

impl Hunt {
    pub(super) fn new() -> Self {
        Self { at: At::Unknown, key: None, closed: false }
    }

    /// Takes a byte; the key, if this was the colon behind it.
    pub(super) fn take(&mut self, byte: u8) -> Option<Vec<u8>> {
        match (self.at, byte) {
            (At::Unknown, b'\\') => {}
            (At::Unknown | At::Escaped, _) => self.at = At::Plain,
            (At::Plain, b'\\') => {
                self.at = At::Escaped;
                self.forget();
            }
            (At::Plain, b'"') => self.quote(),
            (At::Plain, b':') if self.closed => return self.key.take(),
            (At::Plain, b' ' | b'\t' | b'\r' | b'\n') if self.closed => {}
            (At::Plain, byte) => self.other(byte),
        }
        None
    }

    fn quote(&mut self) {
        let ends_key = !self.closed && self.key.as_ref().is_some_and(|key| !key.is_empty());
        self.closed = ends_key;
        if !ends_key {
            self.key = Some(Vec::new());
        }
    }

    fn other(&mut self, byte: u8) {
        if self.closed {
            // The second quote may have been an opening one.
            self.closed = false;
            self.key = Some(Vec::new());
        }
        let is_name = byte.is_ascii_alphanumeric() || byte == b'_';
        match &mut self.key {
            Some(key) if is_name && key.len() < LONGEST => key.push(byte),
            _ => self.forget(),
        }
    }

    fn forget(&mut self) {
        self.key = None;
        self.closed = false;
    }
}

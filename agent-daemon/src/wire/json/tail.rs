//! The end of a text of any length.

/// The last bytes of a text, and how many came before.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tail {
    bytes: Vec<u8>,
    most: usize,
    left_out: u64,
}

impl Tail {
    /// An empty one that keeps so many bytes.
    pub(in crate::wire) fn new(most: usize) -> Self {
        Self { bytes: Vec::new(), most, left_out: 0 }
    }

    /// Goes on with these.
    pub(in crate::wire) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // Seldom, so that what is moved is little.
        if self.bytes.len() > 2 * self.most.max(64) {
            self.trim_front(0);
        }
    }

    /// Goes on with another, which may have lost its own beginning.
    pub(in crate::wire) fn append(&mut self, other: &Self) {
        if other.left_out > 0 {
            self.trim_front(self.bytes.len());
            self.left_out += other.left_out;
        }
        self.extend(&other.bytes);
    }

    /// Leaves out so many from the beginning.
    pub(in crate::wire) fn trim_front(&mut self, count: usize) {
        let beyond = self.bytes.len().saturating_sub(self.most);
        let count = (beyond + count).min(self.bytes.len());
        self.bytes.drain(..count);
        self.left_out += count as u64;
    }

    /// Leaves out so many from the end.
    pub(in crate::wire) fn trim_end(&mut self, count: usize) {
        self.bytes.truncate(self.bytes.len().saturating_sub(count));
        self.left_out += count as u64;
    }

    /// Bytes that are left out.
    pub(in crate::wire) fn left_out(&self) -> u64 {
        self.left_out + self.bytes.len().saturating_sub(self.most) as u64
    }

    /// Those that are kept.
    pub(in crate::wire) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.bytes.len().saturating_sub(self.most)..).unwrap_or_default()
    }

    /// The text from its first whole character on.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = self.bytes();
        let is_within = |byte: &u8| byte & 0xc0 == 0x80;
        let whole =
            if self.left_out() > 0 { bytes.iter().take_while(|byte| is_within(byte)).count() } else { 0 };
        String::from_utf8_lossy(bytes.get(whole..).unwrap_or_default()).into_owned()
    }
}

//! The end of a text of any length.

/// The last bytes of a text, and how many came before.
#[derive(Clone, Default)]
pub struct Tail {
    bytes: Vec<u8>,
    /// Those of them that are left out: moved away seldom, so that no byte is moved more than twice or so.
    begin: usize,
    most: usize,
    /// Bytes that stood before these.
    gone: u64,
}

impl Tail {
    /// An empty one that keeps so many bytes.
    pub(in crate::wire) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Goes on with these.
    pub(in crate::wire) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.leave_out(0);
    }

    /// Goes on with another, which may have lost its own beginning, but for its first `skip` bytes.
    pub(in crate::wire) fn append(&mut self, other: &Self, skip: usize) {
        if other.left_out() > 0 {
            self.leave_out(self.bytes.len());
            self.gone += other.left_out();
        }
        self.extend(other.bytes().get(skip..).unwrap_or_default());
    }

    /// Leaves out so many from the beginning.
    pub(in crate::wire) fn trim_front(&mut self, count: usize) {
        self.leave_out(count);
    }

    fn leave_out(&mut self, count: usize) {
        let length = self.bytes.len();
        let beyond = length.saturating_sub(self.most);
        self.begin = self.begin.saturating_add(count).clamp(beyond, length);
        if self.begin > (length - self.begin).max(64) {
            self.bytes.drain(..self.begin);
            self.gone += std::mem::take(&mut self.begin) as u64;
        }
    }

    /// Takes away so many from the end. They do not count as left out, which tells of a text's beginning.
    pub(in crate::wire) fn trim_end(&mut self, count: usize) {
        self.bytes.truncate(self.bytes.len().saturating_sub(count).max(self.begin));
    }

    /// Bytes that are left out of the beginning.
    pub(in crate::wire) fn left_out(&self) -> u64 {
        self.gone + self.begin as u64
    }

    /// Those that are kept.
    pub(in crate::wire) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.begin..).unwrap_or_default()
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

impl PartialEq for Tail {
    fn eq(&self, other: &Self) -> bool {
        (self.bytes(), self.left_out()) == (other.bytes(), other.left_out())
    }
}

impl Eq for Tail {}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::Tail;

    /// Were the rest moved for each of them, this would move 500 GB.
    #[test]
    fn what_is_left_out_bit_by_bit_is_not_moved_each_time() {
        let most = 1_000_000;
        let mut tail = Tail::new(most);
        tail.extend(&vec![b'x'; most]);
        (0..most).for_each(|_| tail.trim_front(1));
        assert_eq!((tail.bytes().len(), tail.left_out()), (0, most as u64));
        (0..2 * most).for_each(|_| tail.extend(b"y"));
        assert_eq!((tail.bytes().len(), tail.left_out()), (most, 2 * most as u64));
    }

    proptest! {
        #[test]
        fn a_tail_is_the_end_of_what_came(steps in proptest::collection::vec((0..200usize, 0..40usize), 0..60), most in 1..300usize) {
            let (mut tail, mut came, mut out) = (Tail::new(most), Vec::new(), 0);
            for (n, (length, trim)) in steps.into_iter().enumerate() {
                let bytes: Vec<u8> = (0..length).map(|at| (n * 7 + at) as u8).collect();
                tail.extend(&bytes);
                came.extend(bytes);
                out = came.len().saturating_sub(most).max(out);
                tail.trim_front(trim);
                out = (out + trim).min(came.len());
                prop_assert_eq!((tail.bytes(), tail.left_out()), (&came[out..], out as u64));
            }
        }
    }
}

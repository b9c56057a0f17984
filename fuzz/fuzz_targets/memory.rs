//! A process's memory made of the fuzzer's bytes: they come again and again, so that most pointers lead somewhere,
//! but for some pages that cannot be read.

use agentperf::unwind::memory::{Memory, Unreadable};

/// Reads of one input: more than any reader needs.
const MAX_READS: usize = 1 << 14;

pub(crate) struct Fuzzed<'a> {
    bytes: &'a [u8],
    reads: std::cell::Cell<usize>,
}

impl<'a> Fuzzed<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, reads: std::cell::Cell::new(0) }
    }
}

impl Memory for Fuzzed<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        self.reads.set(self.reads.get() + 1);
        assert!(self.reads.get() < MAX_READS, "a reader that does not end");
        if address >> 12 & 0xf == 0xf || self.bytes.is_empty() {
            return Err(Unreadable { address });
        }
        let start = usize::try_from(address % self.bytes.len() as u64).unwrap_or(0);
        let bytes = self.bytes.iter().cycle().skip(start);
        buffer.iter_mut().zip(bytes).for_each(|(to, &from)| *to = from);
        Ok(())
    }
}

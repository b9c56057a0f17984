//! The reader of jitdumps: a file that was written in two steps, asked for names after each.
#![no_main]

use std::cell::Cell;

use agentperf::{enrich::generated::Jitdump, unwind::table::ReadAt};
use libfuzzer_sys::fuzz_target;

/// A file of which only the beginning was written so far.
struct Growing<'a>(&'a [u8], &'a Cell<usize>);

impl Growing<'_> {
    fn written(&self) -> &[u8] {
        self.0.get(..self.1.get()).unwrap_or(self.0)
    }
}

impl ReadAt for Growing<'_> {
    fn size(&self) -> std::io::Result<u64> {
        self.written().size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        self.written().read_at(buffer, offset)
    }
}

fuzz_target!(|input: (u16, [u64; 4], &[u8])| {
    let (first, addresses, records) = input;
    let header = [0x4a69_5444_u32, 1, 40, 62, 0, 1, 0, 0, 0, 0].map(u32::to_ne_bytes).concat();
    let file = [header.as_slice(), records].concat();
    let written = Cell::new(usize::from(first));
    let mut dump = Jitdump::new(Growing(&file, &written));
    dump.names(&addresses);
    written.set(file.len());
    dump.names(&addresses);
    // Whatever is said of the beginning.
    Jitdump::new(Growing(records, &written)).names(&addresses);
});

//! Any bytes as an ELF file: the compiler of unwind tables may refuse them, but neither panics nor makes a table
//! that a search could leave. Its limits are small here, so that the fuzzer's time goes into shapes, not sizes.

#![no_main]

use agentperf::unwind::table::{Image, Limits, Rules, compile};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits =
    Limits { source_bytes: 1 << 20, functions: 1 << 14, rows: 1 << 16, text_bytes: 1 << 24, new_rules: 256 };

fuzz_target!(|bytes: &[u8]| {
    if let Ok(image) = Image::read(&bytes) {
        image.build_id();
        for segment in image.segments().iter() {
            image.segments().bias(segment.address, segment.offset);
        }
    }
    let mut rules = Rules::new();
    let Ok(table) = compile(&bytes, &mut rules, &LIMITS) else { return };
    assert!(table.rows.len() <= LIMITS.rows + 1);
    assert!(table.pages.is_sorted() && table.pages.iter().all(|&row| (row as usize) < table.rows.len()));
    for page in 0..table.page_count() as u64 {
        for offset in [0, 1, 512, 1023] {
            let number = table.lookup(table.text + 1024 * page + offset).expect("every pc of a page has a row");
            assert!(rules.get(number).is_some(), "the rule of a row exists");
        }
    }
});

//! The reader of perf maps.
#![no_main]

use agentperf::enrich::generated::scan;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: ([u64; 4], &[u8])| {
    let (addresses, text) = input;
    let mut names = [const { None }; 4];
    scan(text, &addresses, &mut names);
});

//! Segments of the head and blocks of the database: whatever a disk may give back.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    agentperf::store::disk::decode_anything(input.0, input.1);
});

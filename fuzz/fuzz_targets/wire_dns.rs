//! Answers of name servers as an agent receives them: nobody guarantees anything.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(answer) = agentperf::wire::dns::answer(bytes) {
        assert!(answer.name.len() <= 253 && answer.addresses.len() <= 64);
    }
});

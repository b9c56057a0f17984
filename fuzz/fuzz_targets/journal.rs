//! The reader of journals: lines, plain or compressed, and what they tell.
#![no_main]

use agentperf::export::journal::{Decoder, Reader};
use libfuzzer_sys::fuzz_target;

/// Makes what was cut or changed a section that is begun, so that names and windows are reached.
const BEGIN: &[u8] = br#"{"logger":"agentperf.section","data":{"v":1,"section":"s","agentperf":"0"}}"#;

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::default();
    let _ = decoder.line(BEGIN);
    let Ok(lines) = Reader::new(bytes) else { return };
    // A few compressed bytes may become many.
    for line in lines.take(1000) {
        let Ok((_, Some(line))) = line else { continue };
        let _ = decoder.line(&line);
    }
});

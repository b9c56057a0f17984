//! OpenTelemetry's requests, in protocol buffers and in JSON, from the body to what is stored.
#![no_main]

use agentperf::ingest::otlp::{Encoding, Metrics, Spans};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    agentperf::ingest::try_desk(&mut |desk| {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            let _ = Spans::read(body, encoding).map(|spans| spans.take(desk));
            let _ = Metrics::read(body, encoding).map(|metrics| metrics.take(desk));
        }
    });
});

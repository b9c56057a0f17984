//! The JSON of the doors for operations, from the body to what is stored.
#![no_main]

use agentperf::ingest::{collect::Records, frontend::Metrics, gunzip};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let _ = gunzip(body);
    agentperf::ingest::try_desk(&mut |desk| {
        let _ = Records::single(body).map(|records| records.take(desk));
        let _ = Records::batch(body).map(|records| records.take(desk));
        let _ = Metrics::read(body).map(|metrics| metrics.take(desk));
    });
});

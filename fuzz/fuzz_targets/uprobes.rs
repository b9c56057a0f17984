//! Any bytes as a file that a process maps: what finders make of it lies in the file, and no table of it leads them astray.

#![no_main]

use agentperf::uprobes::offsets;
use libfuzzer_sys::fuzz_target;

/// Some finders go by what a file is called.
const PATHS: [&str; 4] =
    ["/usr/bin/agent", "/usr/lib/libcuda.so.1", "/lib64/ld-linux-x86-64.so.2", "/lib/libc.so.6"];

fuzz_target!(|bytes: &[u8]| {
    for path in PATHS {
        let offsets = offsets(path, &bytes);
        assert!(offsets.iter().all(|offset| *offset < bytes.len() as u64), "{path}: {offsets:?}");
    }
});

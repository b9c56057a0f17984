//! CPython's readers against any memory: detection, code objects, lines, and merging.
#![no_main]

mod memory;

use agentperf::unwind::python::{
    CodeFile, CodeObject, Layout, Native, PythonFrames, Version, detect, merge, owner,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, bool, u64, [u64; 4], &[u8])| {
    let (minor, described, address, walked, bytes) = input;
    let memory = memory::Fuzzed::new(bytes);
    let symbol = |name: &str| (name == "_PyRuntime").then_some(0);
    let file = CodeFile { path: "/usr/bin/python3", bias: 0, symbol: &symbol, section: &symbol };
    let layout = if described {
        detect(&[file], &memory).ok().flatten()
    } else {
        Layout::of(Version::new(3, 8 + minor % 5), 0)
    };
    let Some(layout) = layout else { return };
    if let Ok(code) = CodeObject::read(&memory, &layout.names, address) {
        for position in walked {
            let _ = code.line(position);
        }
    }
    let owners = walked.map(owner);
    let natives: Vec<Native> = bytes.iter().take(128).map(native).collect();
    let python = PythonFrames { owners: &owners, entry: layout.entry, whole: true };
    let merged = merge(&natives, described, python);
    assert!(merged.order.len() >= natives.len());
});

fn native(byte: &u8) -> Native {
    match byte % 3 {
        0 => Native::Other,
        1 => Native::EvalLoop,
        _ => Native::Handler,
    }
}

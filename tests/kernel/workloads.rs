//! The workloads build: said by a test of its own, since everything else fails without them, and since
//! `cargo xtask vm` lets it build them for machines that have no compiler.

use std::path::Path;

use crate::{
    chains,
    support::{
        nvml,
        workload::{directory, program, source},
    },
    symbols, unwind, wire,
};

#[test]
fn each_one_builds() {
    let programs = std::fs::read_dir(source("")).unwrap().map(|entry| entry.unwrap().path());
    for path in programs.filter(|path| path.extension().is_some_and(|extension| extension == "c")) {
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        assert!(program(name).is_file(), "{name}");
    }
    unwind::build_all();
    assert!(nvml::library().is_file());
    assert!(wire::stdio::nested().is_file());
    assert!(wire::libraries::go().is_none_or(|program| program.is_file()));
    assert!(wire::rustls::Over::ALL.iter().all(|over| over.program().is_file()));
    assert!(wire::libraries::openssl().is_none_or(|program| program.is_file()));
    let chain: &Path = &chains::build(&directory(), "chain.c", "cc", &symbols::flags());
    assert!(chain.is_file());
}

//! Names of stacks that are known: real programs, built in the ways that programs are built, alive and gone.

use std::{fs, path::Path, process::Command};

use agentperf::model::{
    id::Slot,
    observation::{Addresses, RawCpu, RawStack, RawUserStack},
    stack::{FrameKind, StackEnd},
};

use crate::chains::{C_CHAIN, C_FLAGS, Chain, Names, binary, build, functions, user_stack};

/// Builds chain.c with more flags, runs it, and expects its names.
fn expect_c_chain(flags: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let program = build(directory.path(), "chain.c", "cc", &[&C_FLAGS, flags].concat());
    let (chain, names) = (Chain::start(&program, &[]), Names::new());
    names.see(chain.id);
    let stack = names.stack(chain.id, &chain.addresses);
    assert_eq!(functions(&stack), C_CHAIN, "{flags:?}");
    assert!(stack.frames.iter().all(|f| binary(f) == program.to_str().unwrap()));
    assert!(stack.frames.iter().all(|f| f.kind == FrameKind::Native));
    assert_eq!(stack.end, StackEnd::Complete);
}

#[test]
fn position_independent_or_not_static_or_not() {
    expect_c_chain(&["-pie", "-fPIE"]);
    expect_c_chain(&["-no-pie", "-fno-PIE"]);
    expect_c_chain(&["-static"]);
    expect_c_chain(&["-static-pie", "-fPIE"]);
}

#[test]
fn linked_by_lld() {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap().stdout;
    let sysroot = String::from_utf8(sysroot).unwrap();
    let lld = Path::new(sysroot.trim()).join("lib/rustlib/x86_64-unknown-linux-gnu/bin/gcc-ld");
    assert!(lld.join("ld.lld").exists(), "rustc brings lld along");
    expect_c_chain(&["-pie", "-fPIE", "-fuse-ld=lld", &format!("-B{}", lld.display())]);
}

#[test]
fn with_only_dynamic_symbols() {
    // The program exports its functions, as an interpreter does, and is stripped of all else.
    expect_c_chain(&["-pie", "-fPIE", "-rdynamic", "-s"]);
}

#[test]
fn without_symbols_the_place_remains() {
    let directory = tempfile::tempdir().unwrap();
    let program =
        build(directory.path(), "chain.c", "cc", &[&C_FLAGS[..], &["-s", "-Wl,--build-id"]].concat());
    let (chain, names) = (Chain::start(&program, &[]), Names::new());
    names.see(chain.id);
    let stack = names.stack(chain.id, &chain.addresses);
    assert_eq!(functions(&stack), ["[unknown]"; 5]);
    let file = stack.frames[0].binary.as_ref().unwrap();
    assert_eq!(file.path, program.to_str().unwrap());
    let notes = Command::new("readelf").arg("-n").arg(&program).output().unwrap().stdout;
    let build_id = file.build_id.as_deref().unwrap();
    assert!(String::from_utf8(notes).unwrap().contains(&format!("Build ID: {build_id}")));
    let maps = fs::read_to_string(format!("/proc/{}/maps", chain.id.pid())).unwrap();
    let base = maps.lines().find(|l| l.contains("chain-c")).unwrap().split('-').next().unwrap();
    let base = u64::from_str_radix(base, 16).unwrap();
    assert_eq!(stack.frames[0].address, chain.addresses[0] - base, "the offset in the file");
}

#[test]
fn lines_of_debug_information() {
    let directory = tempfile::tempdir().unwrap();
    let program = build(directory.path(), "chain.c", "cc", &[&C_FLAGS[..], &["-g"]].concat());
    let (chain, names) = (Chain::start(&program, &[]), Names::new());
    names.see(chain.id);
    let stack = names.stack(chain.id, &chain.addresses);
    assert_eq!(functions(&stack), C_CHAIN);
    let source = include_str!("../workloads/chain/chain.c");
    for (frame, call) in
        stack.frames.iter().skip(1).zip(["last calls", "middle calls", "outer calls", "main calls"])
    {
        let line = source.lines().position(|l| l.contains(call)).unwrap() as u32 + 1;
        assert_eq!(frame.line, Some(line), "{call}");
        assert!(frame.file.as_deref().unwrap().ends_with("workloads/chain/chain.c"));
    }
}

#[test]
fn names_of_cpp_and_rust_are_readable() {
    let directory = tempfile::tempdir().unwrap();
    let names = Names::new();
    let cpp = build(directory.path(), "chain.cpp", "g++", &C_FLAGS);
    let rust = build(
        directory.path(),
        "chain.rs",
        "rustc",
        &["-Copt-level=1", "-Cforce-frame-pointers=yes", "-Csymbol-mangling-version=v0"],
    );
    let chain = Chain::start(cpp, &[]);
    names.see(chain.id);
    let stack = names.stack(chain.id, &chain.addresses);
    let expected =
        ["chain::Walker<int>::stop", "chain::(anonymous namespace)::hidden", "chain::outer", "main"];
    assert_eq!(functions(&stack), expected);
    let chain = Chain::start(rust, &[]);
    names.see(chain.id);
    let stack = names.stack(chain.id, &chain.addresses);
    let expected =
        ["<u64 as chain::chain::Walk>::stop", "chain::chain::generic::<u64>", "chain::outer", "chain::main"];
    assert_eq!(functions(&stack), expected);
}

#[test]
fn after_exit_and_deletion() {
    let directory = tempfile::tempdir().unwrap();
    let program = build(directory.path(), "chain.c", "cc", &C_FLAGS);
    let (mut chain, names) = (Chain::start(&program, &[]), Names::new());
    names.see(chain.id);
    names.settle();
    names.resolver.exited(chain.id);
    chain.end();
    fs::remove_file(&program).unwrap();
    assert_eq!(functions(&names.stack(chain.id, &chain.addresses)), C_CHAIN);
    assert_eq!(names.lost("binary_unopened"), 0);
}

#[test]
fn a_file_that_is_truncated_is_survived() {
    let directory = tempfile::tempdir().unwrap();
    let names = Names::new();
    let [read, unread] = ["read", "unread"].map(|name| {
        let directory = directory.path().join(name);
        fs::create_dir(&directory).unwrap();
        let program = build(&directory, "chain.c", "cc", &C_FLAGS);
        let mut chain = Chain::start(&program, &[]);
        names.see(chain.id);
        if name == "read" {
            names.stack(chain.id, &chain.addresses[..1]);
        }
        names.settle();
        chain.end();
        fs::write(&program, "").unwrap();
        (chain.id, chain.addresses.clone())
    });
    assert_eq!(functions(&names.stack(read.0, &read.1)), C_CHAIN, "its symbols are a copy");
    assert_eq!(functions(&names.stack(unread.0, &unread.1)), ["[unknown]"; 5]);
    assert_eq!(names.lost("symbols_unread"), 1);
}

#[test]
fn before_and_after_exec() {
    let directory = tempfile::tempdir().unwrap();
    let program = build(directory.path(), "chain.c", "cc", &C_FLAGS);
    let names = Names::new();
    let script = format!("echo 0; read line; exec {}", program.display());
    let mut shell = Chain::start("/bin/sh", &["-c", &script]);
    names.see(shell.id);
    let maps = fs::read_to_string(format!("/proc/{}/maps", shell.id.pid())).unwrap();
    let in_shell = maps.lines().find(|l| l.contains(" r-xp ") && l.contains("sh")).unwrap();
    let in_shell = u64::from_str_radix(in_shell.split('-').next().unwrap(), 16).unwrap();
    let addresses = shell.go_on();
    names.see_after(1, shell.id);
    assert_eq!(functions(&names.stack_after(1, shell.id, &addresses)), C_CHAIN);
    let before = names.stack(shell.id, &[in_shell]);
    assert!(binary(&before.frames[0]).ends_with("sh"), "{before:?}");
}

#[test]
fn a_forked_process_has_its_parents_names_and_equal_stacks_are_shared() {
    let directory = tempfile::tempdir().unwrap();
    let program = build(directory.path(), "chain.c", "cc", &C_FLAGS);
    let (first, second, names) = (Chain::start(&program, &[]), Chain::start(&program, &[]), Names::new());
    names.see(first.id);
    names.see(second.id);
    let child = crate::chains::process_id(1 << 21);
    names.resolver.forked(first.id, child);
    let stack = names.stack(first.id, &first.addresses);
    assert_eq!(functions(&stack), C_CHAIN);
    assert!(std::sync::Arc::ptr_eq(&stack, &names.stack(child, &first.addresses)));
    assert!(std::sync::Arc::ptr_eq(&stack, &names.stack(second.id, &second.addresses)), "at other addresses");
}

#[test]
fn exited_processes_are_forgotten_after_two_windows() {
    let directory = tempfile::tempdir().unwrap();
    let program = build(directory.path(), "chain.c", "cc", &C_FLAGS);
    let (chain, names) = (Chain::start(&program, &[]), Names::new());
    names.see(chain.id);
    names.resolver.exited(chain.id);
    for _ in 0..2 {
        assert_eq!(functions(&names.stack(chain.id, &chain.addresses)), C_CHAIN);
    }
    assert_eq!(functions(&names.stack(chain.id, &chain.addresses)), ["[unknown]"; 5]);
}

#[test]
fn what_is_equal_is_merged_and_what_is_missing_is_told() {
    let names = Names::new();
    let row = |slot, kernel, user, samples| RawCpu {
        slot: Slot(slot),
        process: crate::chains::process_id(1 << 21),
        stack: RawStack { kernel, user },
        samples,
        cpu_ns: samples * 10,
    };
    let user = || user_stack(&[0x7f00_0000_1000, 0xdead_beef_0000]);
    let with_garbage = user_stack(&[0x7f00_0000_1000, 0xdead_beef_0000, 7]);
    let window = names.window(vec![
        row(1, Addresses::Absent, user(), 1),
        row(1, Addresses::Absent, with_garbage, 2),
        row(2, Addresses::Absent, user(), 4),
        row(1, Addresses::Lost, RawUserStack::without(StackEnd::Lost), 8),
        row(1, Addresses::Lost, RawUserStack::without(StackEnd::Absent), 16),
    ]);
    let seen: Vec<_> = window
        .cpu
        .iter()
        .map(|(slot, c)| (slot.0, c.samples, c.cpu_ns, c.stack.end, functions(&c.stack)))
        .collect();
    let expected = [
        (1, 3, 30, StackEnd::Complete, vec!["[unknown]", "[unknown]"]),
        (2, 4, 40, StackEnd::Complete, vec!["[unknown]", "[unknown]"]),
        (1, 8, 80, StackEnd::Lost, vec!["[lost]"]),
        (1, 16, 160, StackEnd::Absent, vec!["[lost]"]),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn generated_code_has_the_names_its_process_tells() {
    let names = Names::new();
    let me = crate::chains::process_id(std::process::id());
    let page = crate::chains::executable_page(None);
    let map = format!("/tmp/perf-{}.map", std::process::id());
    fs::write(&map, format!("{:x} 10 JS:*spin /app/x.js:7:1\n", page + 0x20)).unwrap();
    names.see(me);
    let stack = names.stack(me, &[page + 0x28, page + 0x31, page + 0x100]);
    assert_eq!(functions(&stack), ["spin", "[jit]", "[jit]"], "the second address is past the function");
    let kinds: Vec<_> = stack.frames.iter().map(|f| f.kind).collect();
    assert_eq!(kinds, [FrameKind::Javascript, FrameKind::Native, FrameKind::Native]);
    assert_eq!((stack.frames[0].file.as_deref(), stack.frames[0].line), (Some("/app/x.js"), Some(7)));
    assert_eq!(binary(&stack.frames[1]), "[jit]");
    let grown = fs::read_to_string(&map).unwrap() + &format!("{:x} 40 py::run:/app/x.py\n", page + 0xf0);
    fs::write(&map, grown).unwrap();
    let stack = names.stack(me, &[page + 0x28, page + 0x31, page + 0x100]);
    fs::remove_file(&map).unwrap();
    assert_eq!(functions(&stack), ["spin", "[jit]", "run"]);
}

#[test]
fn generated_code_has_the_names_and_lines_of_a_jitdump() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(format!("jit-{}.dump", std::process::id()));
    let page = crate::chains::executable_page(None);
    let numbers = |numbers: &[u64]| numbers.iter().flat_map(|n| n.to_ne_bytes()).collect::<Vec<_>>();
    // Pairs of 32-bit numbers as one number: magic and version, size and machine; then kind and size of each record.
    let pair = |first: u32, second: u64| u64::from(first) | second << 32;
    let header = numbers(&[pair(0x4a69_5444, 1), pair(40, 62), 0, 0, 0]);
    let lines = [&numbers(&[pair(2, 55), 0, page, 1, page, 7]), b"A.java\0".as_slice()].concat();
    let load = [&numbers(&[pair(0, 76), 0, 0, page, page, 16, 1]), b"run\0".as_slice(), &[0xcc; 16]].concat();
    fs::write(&path, [header, lines, load].concat()).unwrap();
    crate::chains::executable_page(Some(&fs::File::open(&path).unwrap()));
    let (names, me) = (Names::new(), crate::chains::process_id(std::process::id()));
    names.see(me);
    let stack = names.stack(me, &[page + 8, page + 32]);
    assert_eq!(functions(&stack), ["run", "[jit]"]);
    assert_eq!((stack.frames[0].file.as_deref(), stack.frames[0].line), (Some("A.java"), Some(7)));
    assert_eq!(binary(&stack.frames[0]), "[jit]");
}

#[test]
fn files_that_are_no_programs_are_survived_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let program = fs::read(build(directory.path(), "chain.c", "cc", &C_FLAGS)).unwrap();
    let names = Names::new();
    let me = crate::chains::process_id(std::process::id());
    let contents = [
        b"\x7fELF".to_vec(),
        vec![0xff; 8192],
        program[..100].to_vec(),
        program[..program.len() / 2].to_vec(),
    ];
    let pages: Vec<u64> = contents
        .iter()
        .enumerate()
        .map(|(i, bytes)| {
            let path = directory.path().join(i.to_string());
            fs::write(&path, bytes).unwrap();
            crate::chains::executable_page(Some(&fs::File::open(path).unwrap())) + 64
        })
        .collect();
    names.see(me);
    let stack = names.stack(me, &pages);
    assert_eq!(functions(&stack), vec!["[unknown]"; pages.len()]);
    assert!(stack.frames.iter().zip(0..).all(|(f, i)| binary(f).ends_with(&format!("/{i}"))));
    assert_eq!(names.lost("symbols_unread"), contents.len() as u64);
}

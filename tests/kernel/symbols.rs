//! Names that need root: of the kernel's functions, and of programs in mount namespaces of their own.

use std::{fs, os::unix::fs::MetadataExt, path::Path, sync::LazyLock};

use agentperf::model::{
    id::Slot,
    observation::{Addresses, Counted, RawCpu, RawOffCpu, RawStack, RawUserStack},
    off_cpu::WaitCause,
    stack::{FrameKind, StackEnd},
    time::Timestamp,
};

use crate::chains::{C_CHAIN, C_FLAGS, Chain, Names, binary, build, executable_page, functions, process_id};

/// A directory with the chain program in `hidden`, and a root directory `root` in which it is `/app/chain-c` once
/// somebody mounts it there.
fn namespace() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in ["hidden", "root/app", "root/old", "upper", "work"] {
        fs::create_dir_all(directory.path().join(name)).unwrap();
    }
    build(&directory.path().join("hidden"), "chain.c", "cc", &flags());
    directory
}

/// How the chain program is built here: into one file, which is all that some namespaces have.
pub(crate) fn flags() -> Vec<&'static str> {
    [&C_FLAGS[..], &["-static"]].concat()
}

/// Runs a shell script, which becomes the chain program, in a mount namespace of its own.
fn start(directory: &Path, script: &str) -> Chain {
    let script = format!("set -e; cd {}; {script}", directory.display());
    Chain::start("unshare", &["--mount", "sh", "-c", &script])
}

/// Expects the names of a chain, from a resolver that may open files by their mappings, and from one that may
/// not.
fn expect_names(chain: &Chain, path: &str) {
    for restricted in [false, true] {
        let names = if restricted { Names::restricted() } else { Names::new() };
        names.see(chain.id);
        let stack = names.stack(chain.id, &chain.addresses);
        assert_eq!(functions(&stack), C_CHAIN, "restricted: {restricted}");
        assert_eq!(binary(&stack.frames[0]), path);
        assert_eq!(names.lost("binary_unopened"), 0);
    }
}

#[test]
fn a_container_has_another_root() {
    let directory = namespace();
    let chain = start(
        directory.path(),
        "mount --bind root root; mount --bind hidden root/app; cd root; pivot_root . old; exec /app/chain-c",
    );
    assert!(!directory.path().join("root/app/chain-c").exists(), "only the namespace has it");
    expect_names(&chain, "/app/chain-c");
}

#[test]
fn a_container_on_overlayfs() {
    let directory = namespace();
    let chain = start(
        directory.path(),
        "mount --bind root root; \
         mount -t overlay -o lowerdir=hidden,upperdir=upper,workdir=work overlay root/app; \
         cd root; pivot_root . old; exec /app/chain-c",
    );
    expect_names(&chain, "/app/chain-c");
}

#[test]
fn a_program_that_was_deleted_before_it_was_seen() {
    let directory = namespace();
    let program = directory.path().join("hidden/chain-c");
    let chain = Chain::start(&program, &[]);
    fs::remove_file(&program).unwrap();
    expect_names(&chain, program.to_str().unwrap());
}

#[test]
fn a_library_that_was_replaced_before_it_was_seen() {
    let directory = namespace();
    let program = directory.path().join("hidden/chain-c");
    let chain = Chain::start(&program, &[]);
    let mappings = agentperf::collect::mappings::read(chain.id.pid()).unwrap();
    let inode = fs::metadata(&program).unwrap().ino();
    let code = mappings.iter().find(|m| m.inode == inode).unwrap();
    // Map the program's code into this process, as a library would be, and put another file in its place.
    let here = executable_page(Some(&fs::File::open(&program).unwrap()));
    let in_file = |address: &u64| here + (address - code.start) + code.offset;
    let addresses: Vec<u64> = chain.addresses.iter().map(in_file).filter(|a| *a < here + (1 << 20)).collect();
    assert!(!addresses.is_empty());
    fs::rename(directory.path().join("hidden"), directory.path().join("moved")).unwrap();
    fs::create_dir(directory.path().join("hidden")).unwrap();
    fs::write(&program, "another").unwrap();
    fs::remove_file(directory.path().join("moved/chain-c")).unwrap();
    let names = Names::new();
    let me = process_id(std::process::id());
    names.see(me);
    assert_eq!(functions(&names.stack(me, &addresses)), C_CHAIN);
    let restricted = Names::restricted();
    restricted.see(me);
    let stack = restricted.stack(me, &addresses);
    assert_eq!(functions(&stack), ["[unknown]"; 5], "the path leads to another file");
    assert!(restricted.lost("binary_unopened") > 0);
}

/// An address in a kernel function.
fn kernel(function: &str) -> u64 {
    static SYMBOLS: LazyLock<String> = LazyLock::new(|| fs::read_to_string("/proc/kallsyms").unwrap());
    let symbols = &*SYMBOLS;
    let line = symbols.lines().find(|l| l.split(' ').nth(2) == Some(function)).expect(function);
    let address = u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap();
    assert_ne!(address, 0, "only root sees the kernel's addresses");
    address + 5
}

fn kernel_stack(functions: &[&str]) -> RawStack {
    let addresses = functions.iter().map(|f| kernel(f)).collect::<Vec<_>>();
    RawStack { kernel: Addresses::Known(addresses.into()), user: RawUserStack::without(StackEnd::Absent) }
}

#[test]
fn kernel_stacks_begin_where_the_thread_was() {
    let names = Names::new();
    let process = process_id(1 << 21);
    let row = |kernel: &[&str], count| RawOffCpu {
        slot: Slot(0),
        process,
        cause: WaitCause::Timer,
        syscall: None,
        descriptor: None,
        waker: None,
        stack: kernel_stack(kernel),
        blocked_ns: 5,
        run_queue_ns: 1,
        count,
        max_ns: 3 * count,
    };
    let waits = ["__schedule", "schedule", "do_nanosleep", "hrtimer_nanosleep"];
    let tracer = ["bpf_get_stackid_raw_tp", "bpf_trace_run4", "__traceiter_sched_switch"];
    let (start, end) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
    let off_cpu = vec![
        row(&[&tracer[..], &waits].concat(), 1),
        row(&[&tracer[1..], &waits].concat(), 2),
        row(&waits, 4),
        row(&["schedule", "do_nanosleep"], 8),
    ];
    let sample = |stack| RawCpu { slot: Slot(0), process, stack, samples: 1, cpu_ns: 1 };
    let cpu = vec![sample(kernel_stack(&["vfs_read", "ksys_read"]))];
    let (syscalls, cuda, files, checkpoints) = Default::default();
    let (network, disk, http, ledgers, orders) = Default::default();
    let window = names.resolve(Counted {
        start,
        end,
        off_cpu,
        cpu,
        syscalls,
        cuda,
        files,
        checkpoints,
        network,
        disk,
        http,
        ledgers,
        orders,
    });
    let seen: Vec<_> = window
        .off_cpu
        .iter()
        .map(|(_, o)| (functions(&o.stack), o.count, o.blocked_ns, o.run_queue_ns, o.max_ns))
        .collect();
    let expected = [(waits.to_vec(), 7, 15, 3, 12), (vec!["schedule", "do_nanosleep"], 8, 5, 1, 24)];
    assert_eq!(seen, expected, "stacks that differ in the tracing only are one");
    let sampled = &window.cpu[0].1.stack;
    assert_eq!(functions(sampled), ["vfs_read", "ksys_read"]);
    assert!(sampled.frames.iter().all(|f| f.kind == FrameKind::Kernel && binary(f) == "[kernel]"));
}

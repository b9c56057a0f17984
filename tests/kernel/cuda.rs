//! Calls of CUDA: exact counts and bytes, waits as long as the caller's own clock says, asleep or spinning, of processes
//! that load the library late, fork, execute, and find another one in its place; and nobody else is touched.

use serde_json::{Value, json};

use crate::support::{
    api::{Api, eventually},
    cuda::{Cuda, caller, links, load, load_unseen, settle},
    daemon::Daemon,
    nvml::Nvml,
    puppet::Puppet,
    python::Python,
    tolerance::assert_within,
};

/// Calls of one kind.
#[derive(Debug, Default, PartialEq)]
struct Calls {
    count: u64,
    errors: u64,
    bytes: u64,
    seconds: f64,
}

fn report(api: &Api, agent: &str, query: &str) -> Value {
    api.get(&format!("/api/v1/agents/{agent}/cuda{query}")).expect(200).json()
}

/// The calls of one kind, of one process or of all.
fn calls(report: &Value, kind: &str, pid: Option<u32>) -> Calls {
    let rows = report["calls"].as_array().unwrap();
    let is_wanted = |row: &&Value| row["call"] == kind && pid.is_none_or(|pid| row["pid"] == pid);
    rows.iter().filter(is_wanted).fold(Calls::default(), |sum, row| Calls {
        count: sum.count + row["count"].as_u64().unwrap(),
        errors: sum.errors + row["errors"].as_u64().unwrap(),
        bytes: sum.bytes + row["bytes"].as_u64().unwrap(),
        seconds: sum.seconds + row["total_seconds"].as_f64().unwrap_or(0.0),
    })
}

fn counted(report: &Value, kind: &str) -> (u64, u64, u64) {
    let calls = calls(report, kind, None);
    (calls.count, calls.errors, calls.bytes)
}

/// A caller that is an agent by now.
fn attached(daemon: &Daemon) -> (Puppet, String) {
    let caller = caller();
    let agent = daemon.api().attach(caller.pid());
    settle();
    (caller, agent)
}

#[test]
fn calls_bytes_and_errors_are_counted_exactly() {
    count_exactly(&Daemon::start(json!({})));
}

/// As kernels before 6.10 do it.
#[test]
fn they_are_with_each_probe_attached_by_itself() {
    count_exactly(&Daemon::start_with(&["--single-uprobes"], json!({})));
}

/// As under `lockdown=confidentiality`, with thread state in a hash.
#[test]
fn they_are_where_the_kernels_memory_is_not_read() {
    let config = json!({ "kernel": { "thread_state": "tid_hash" } });
    count_exactly(&Daemon::start_with(&["--confidential"], config));
}

fn count_exactly(daemon: &Daemon) {
    let cuda = Cuda::new();
    let (mut caller, agent) = attached(daemon);
    load(daemon, &mut caller, &cuda);
    for command in [
        "launch 1000",
        "thread launch 7",
        "to_gpu 10 4096",
        "copy 5 1000",
        "to_host 4 512",
        "fill 3 16",
        "allocate 3 4096",
        "allocate 2 0",
        "free 3",
        "context",
    ] {
        caller.tell(command);
    }
    daemon.api().detach(&agent);
    let report = report(daemon.api(), &agent, "");
    assert_eq!(counted(&report, "launch"), (1007, 0, 0), "{report:#}");
    assert_eq!(counted(&report, "copy_to_gpu"), (15, 0, 10 * 4096 + 5 * 1000));
    assert_eq!(counted(&report, "copy_to_host"), (4, 0, 4 * 512));
    assert_eq!(counted(&report, "fill"), (3, 0, 3 * 16 * 4));
    assert_eq!(counted(&report, "allocate"), (5, 2, 3 * 4096));
    assert_eq!(counted(&report, "free"), (3, 0, 0));
    // The library's own call inside is a part of it.
    assert_eq!(counted(&report, "synchronize"), (1, 0, 0));
    assert_eq!((report["watched"].as_bool(), &report["gpus"]), (Some(true), &Value::Null));
    assert_eq!(daemon.api().loss("uprobes_unattached"), 0);
    eventually("all is detached", || (links(daemon.pid()) == 0).then_some(()));
}

#[test]
fn waits_are_as_long_as_they_were_asleep_or_spinning() {
    let daemon = Daemon::start(json!({}));
    let cuda = Cuda::new();
    let (mut caller, agent) = attached(&daemon);
    load(&daemon, &mut caller, &cuda);
    // Longer than a window: what lies in each is in each.
    let asleep = caller.tell("sleep 2.5").seconds("seconds");
    let spun = caller.tell("spin 0.7").seconds("seconds");
    daemon.api().detach(&agent);
    let report = report(daemon.api(), &agent, "");
    let waits = calls(&report, "synchronize", None);
    assert_eq!(waits.count, 2, "{report:#}");
    assert_within(0.03, asleep + spun, waits.seconds, "time in waits");
    assert_within(0.03, asleep + spun, report["waits"]["seconds"].as_f64().unwrap(), "waits");
    assert_within(0.03, asleep, report["waits"]["max_seconds"].as_f64().unwrap(), "the longest");
    assert_within(0.03, asleep, report["waits"]["asleep_seconds"].as_f64().unwrap(), "time asleep");

    let waits = daemon.api().rows_of(&agent, "off-cpu", "stacks");
    let for_gpu: Vec<_> = waits.iter().filter(|wait| wait["cause"] == "gpu").collect();
    let is_there = |wait: &&Value| {
        let frames = wait["stack"]["frames"].as_array().unwrap();
        ["cuStreamSynchronize", "wait_for_gpu"]
            .iter()
            .all(|name| frames.iter().any(|f| f["function"] == *name))
    };
    assert!(for_gpu.iter().any(is_there), "{for_gpu:#?}");
    let ledger = daemon.api().get(&format!("/api/v1/agents/{agent}/ledger")).expect(200).json();
    let causes = ledger["causes"].as_array().unwrap();
    let gpu = causes.iter().find(|cause| cause["cause"] == "gpu").unwrap();
    assert_within(0.03, asleep, gpu["seconds"].as_f64().unwrap(), "the ledger's gpu");
}

/// Has a caller fork, load another library under the same name, and execute itself, which loads it again.
fn changes(daemon: &Daemon) {
    let cuda = Cuda::new();
    let (mut caller, agent) = attached(daemon);
    load(daemon, &mut caller, &cuda);
    caller.tell("launch 3");
    caller.tell("fork launch 5");
    cuda.replace();
    load(daemon, &mut caller, &cuda);
    caller.tell("launch 11");
    caller.tell("exec");
    // What it had mapped before is probed by the time that it maps it again.
    load_unseen(&mut caller, &cuda);
    caller.tell("launch 17");
    daemon.api().detach(&agent);

    let report = report(daemon.api(), &agent, "?by=process");
    assert_eq!(calls(&report, "launch", Some(caller.pid())).count, 3 + 11 + 17, "{report:#}");
    assert_eq!(calls(&report, "launch", None).count, 3 + 5 + 11 + 17, "{report:#}");
}

#[test]
fn children_new_programs_and_new_libraries_are_attached_to() {
    changes(&Daemon::start(json!({})));
}

#[test]
fn they_are_attached_to_one_by_one() {
    changes(&Daemon::start_with(&["--single-uprobes"], json!({})));
}

/// A library that was mapped before the agent was attached; and another process that maps it, too.
#[test]
fn a_bystander_pays_nothing_and_is_not_counted() {
    let daemon = Daemon::start(json!({}));
    let cuda = Cuda::new();
    let (mut watched, mut bystander) = (caller(), caller());
    load_unseen(&mut watched, &cuda);
    load_unseen(&mut bystander, &cuda);
    let agent = daemon.api().attach(watched.pid());
    settle();
    let slow = watched.tell("launch 20000").seconds("seconds");
    let fast = bystander.tell("launch 20000").seconds("seconds");
    daemon.api().detach(&agent);
    assert_eq!(counted(&report(daemon.api(), &agent, ""), "launch"), (20000, 0, 0));
    // A breakpoint takes half a microsecond at least, a call of this function some nanoseconds.
    assert!(fast < slow / 4.0, "the bystander took {fast} s, the agent {slow} s");
    let after = watched.tell("launch 20000").seconds("seconds");
    assert!(after < slow / 4.0, "{after} s after it was let go, {slow} s before");
}

#[test]
fn an_agent_that_does_not_want_it_is_left_alone() {
    let daemon = Daemon::start(json!({}));
    let cuda = Cuda::new();
    let mut caller = caller();
    let before = links(daemon.pid());
    let agent = daemon.api().attach_with(&json!({ "pid": caller.pid(), "probes": ["ledger"] }));
    load_unseen(&mut caller, &cuda);
    settle();
    caller.tell("launch 5");
    assert_eq!(links(daemon.pid()), before);
    daemon.api().detach(&agent);
    let report = report(daemon.api(), &agent, "");
    assert_eq!((report["watched"].as_bool(), report["calls"].as_array().unwrap().len()), (Some(false), 0));
}

/// As most do: through a library of bindings, loaded when it is needed. With a GPU that is busy half of the time.
#[test]
fn python_is_seen_and_so_is_a_gpu_that_idles() {
    const PROGRAM: &str = "
import ctypes, sys, time
print('ready', flush=True)
time.sleep(1.5)
cuda = ctypes.CDLL(sys.argv[1])
time.sleep(1)
for _ in range(50):
    cuda.cuLaunchKernel(None, 1, 1, 1, 1, 1, 1, 0, None, None, None)
cuda.cuStreamSynchronize(ctypes.c_void_p(int(0.4e6) << 1))
time.sleep(60)
";
    let (mut nvml, cuda) = (Nvml::with_gpus(1), Cuda::new());
    let daemon = Daemon::start(nvml.config());
    let python = Python::start(PROGRAM, &[cuda.library().to_str().unwrap()]);
    nvml.run(0, python.pid(), 50);
    let agent = daemon.api().attach(python.pid());
    settle();
    let told = eventually("calls of Python, and GPU time", || {
        let told = report(daemon.api(), &agent, "");
        let is_whole =
            calls(&told, "synchronize", None).count == 1 && told["gpus"]["busy_seconds"].as_f64() > Some(2.0);
        is_whole.then_some(told)
    });
    assert_eq!(counted(&told, "launch"), (50, 0, 0), "{told:#}");
    assert_within(0.05, 0.4, told["waits"]["seconds"].as_f64().unwrap(), "the wait");
    let covered = told["covered"]["seconds"].as_f64().unwrap();
    let [busy, idle] =
        ["busy_seconds", "idle_while_working_seconds"].map(|of| told["gpus"][of].as_f64().unwrap());
    assert!((idle - (covered - busy - 0.4).max(0.0)).abs() < 0.05, "{told:#}");
    let text = daemon.api().get("/metrics").expect(200).text();
    let label = format!("agent_id=\"{agent}\"");
    for line in ["agentperf_agent_cuda_calls_total{", "agentperf_agent_cuda_wait_seconds_total{"] {
        assert!(text.lines().any(|l| l.starts_with(line) && l.contains(&label)), "{line}: {text}");
    }
}

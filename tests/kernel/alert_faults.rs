//! The default rules against real faults, all at once and sixty times as fast: each is told once with what caused it,
//! each resolves once, and nothing else is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{api::Api, daemon::Daemon, hook::Hook, nvml::Nvml, python::Python};

const RULES: &str = include_str!("../../agent-daemon/src/alert/default.yaml");
const ROUTES: &str = include_str!("../../agent-daemon/src/alert/default_routes.yaml");

const KEY: &str = "a-key-of-the-project-shop";

/// How long the slowest rule takes, and as long again: a leak has to be seen for 50 s.
const PATIENCE: Duration = Duration::from_secs(100);

/// Every CPU, in one process of each.
const HOG: &str = "
import os
print('ready', flush=True)
for _ in range(os.cpu_count() - 1):
    if os.fork() == 0: break
while True: pass
";

/// 4 MiB every second, kept.
const LEAK: &str = "
import time
kept = []
print('ready', flush=True)
while True:
    kept.append(bytearray(b'x' * (1 << 20)))
    time.sleep(0.25)
";

/// More different system calls in a window than can be told apart; the kernel knows none of them.
const CALLER: &str = "
import ctypes, time
call = ctypes.CDLL(None).syscall
print('ready', flush=True)
while True:
    for number in range(1000, 34000): call(number)
    time.sleep(0.3)
";

/// Two threads that hold what the other one waits for.
const DEADLOCK: &str = "
import threading
locks, both = [threading.Lock(), threading.Lock()], threading.Barrier(2)
def wait_for_the_other(mine, other):
    with locks[mine]:
        both.wait()
        with locks[other]: pass
threading.Thread(target=wait_for_the_other, args=(0, 1)).start()
print('ready', flush=True)
wait_for_the_other(1, 0)
";

/// The same with every length of time a sixtieth.
fn faster(text: &str) -> String {
    let text = text.replace("group_wait: 1s", "group_wait: 0s");
    let pieces = text.split_inclusive(['[', ' ']).map(|piece| {
        let end = piece.find([']', ' ', '\n', '}', ',']).unwrap_or(piece.len());
        let (word, rest) = piece.split_at(end);
        let number = word.trim_end_matches(['m', 'h', 'd']);
        match (number.parse::<u64>(), &word[number.len()..]) {
            (Ok(number), "m") => format!("{number}s{rest}"),
            (Ok(number), "h") => format!("{number}m{rest}"),
            (Ok(number), "d") => format!("{}m{rest}", number * 24),
            _ => piece.to_owned(),
        }
    });
    pieces.collect()
}

/// A file system of its own that is nearly full.
struct FullDisk(tempfile::TempDir);

impl FullDisk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        let done = mount.args(["-t", "tmpfs", "-o", "size=16m", "full"]).arg(folder.path()).status();
        assert!(done.unwrap().success());
        Self(folder)
    }

    fn fill(&self) {
        std::fs::write(self.0.path().join("data"), vec![0; 31 << 19]).unwrap();
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.path().join("data")).unwrap();
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Calls of an API, ten a second, fine at first.
struct Shop {
    is_ill: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Shop {
    fn open(base: String) -> Self {
        let (is_ill, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (ill, end) = (Arc::clone(&is_ill), Arc::clone(&stop));
        let serve = move || {
            while !end.load(Ordering::Relaxed) {
                let ill = ill.load(Ordering::Relaxed);
                let call = json!({
                    "kind": "http_server", "name": "/buy", "duration_seconds": if ill { 9.0 } else { 0.02 },
                    "success": !ill,
                });
                let _ = ureq::post(format!("{base}/api/v1/performance/collect"))
                    .header("authorization", format!("Bearer {KEY}"))
                    .send_json(call);
                thread::sleep(Duration::from_millis(100));
            }
        };
        Self { is_ill, stop, thread: Some(thread::spawn(serve)) }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Which alerts were told in this state, and how often each.
fn told(hook: &Hook, status: &str) -> BTreeMap<String, usize> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for body in hook.told(status) {
        for alert in body["alerts"].as_array().unwrap() {
            let name = alert["labels"]["alertname"].as_str().unwrap();
            let of = ["agent_id", "mountpoint", "loss", "gpu", "cause"]
                .map(|label| alert["labels"][label].as_str());
            let name = format!("{name} {}", of.into_iter().flatten().collect::<Vec<_>>().join(" "));
            *times.entry(name.trim().to_owned()).or_default() += 1;
        }
    }
    times
}

/// What may be so on a host that tests run on, or comes of these faults on a slow one: other losses, a daemon that
/// takes much of a small host which is short of CPU time, a host that is busy before its time, other disks that are full.
fn may_be_true(name: &str) -> bool {
    ["CaptureLosses ", "OwnOverheadHigh", "DiskFull", "HostCpuHigh", "HostMemoryHigh"]
        .iter()
        .any(|begin| name.starts_with(begin))
}

fn evidence(hook: &Hook, name: &str) -> Value {
    let firing = hook.told("firing").into_iter();
    let mut alerts = firing.flat_map(|body| body["alerts"].as_array().unwrap().clone());
    alerts.find(|alert| alert["labels"]["alertname"] == name).unwrap_or_else(|| panic!("{name} was not told"))
}

fn wait_for(hook: &Hook, status: &str, wanted: &BTreeSet<String>) {
    let begin = Instant::now();
    while !wanted.iter().all(|name| told(hook, status).contains_key(name)) {
        assert!(begin.elapsed() < PATIENCE, "{status}: wanted {wanted:#?}, told {:#?}", told(hook, status));
        thread::sleep(Duration::from_millis(200));
    }
    eprintln!("all {status} after {:.0} s", begin.elapsed().as_secs_f64());
}

fn config(folder: &Path, hook: &Hook) -> Value {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let routes =
        faster(ROUTES).replace("group_by: [alertname]", "group_by: [alertname, agent_id, loss, mountpoint]");
    let receivers = format!("receivers:\n- name: default\n  via: {{webhook: {{url: '{}'}}}}\n", hook.url);
    json!({
        "window": "500ms",
        "projects": [{ "name": "shop", "key_file": file("key", KEY) }],
        "alerts": {
            "rules": file("rules.yaml", &faster(RULES)),
            "routes": file("routes.yaml", &routes),
            "receivers": file("receivers.yaml", &receivers),
        },
    })
}

fn attach(api: &Api, program: &Python) -> String {
    api.attach_with(&json!({ "pid": program.pid(), "probes": ["cpu", "off_cpu", "syscalls"] }))
}

#[test]
fn each_fault_is_told_once_with_its_cause_and_resolves_once() {
    let (hook, folder, disk) = (Hook::start(), tempfile::tempdir().unwrap(), FullDisk::new());
    let daemon = Daemon::start(config(folder.path(), &hook));
    let shop = Shop::open(daemon.api().base().to_owned());
    // Whoever leaks was well for a while.
    let leak = Python::start(LEAK, &[]);
    let leaking = attach(daemon.api(), &leak);
    thread::sleep(Duration::from_secs(5));
    let others = |wanted: &BTreeSet<String>, calling: Option<&str>| -> Vec<String> {
        let all = told(&hook, "firing").into_keys();
        // Who makes so many calls may be busy by it.
        let calls = |name: &str| calling.is_some_and(|agent| name.ends_with(agent));
        all.filter(|name| !wanted.contains(name) && !may_be_true(name) && !calls(name)).collect()
    };
    assert_eq!(others(&BTreeSet::new(), None), Vec::<String>::new(), "nothing is wrong yet");

    shop.is_ill.store(true, Ordering::Relaxed);
    disk.fill();
    let caller = Python::start(CALLER, &[]);
    let calling = attach(daemon.api(), &caller);
    let mut wanted = BTreeSet::from([
        format!("AgentMemoryGrows {leaking}"),
        format!("DiskFull {}", disk.0.path().display()),
        "OperationErrorRateHigh".to_owned(),
        "OperationSlow".to_owned(),
        "CaptureLosses kernel_syscall_insert".to_owned(),
    ]);
    wait_for(&hook, "firing", &wanted);
    let why = evidence(&hook, "AgentMemoryGrows")["diagnosis"].to_string();
    assert!(why.contains(&format!("MiB/s  python3 ({})", leak.pid())), "{why}");
    drop((caller, leak));
    disk.empty();
    shop.is_ill.store(false, Ordering::Relaxed);

    let hog = Python::start(HOG, &[]);
    let hogging = attach(daemon.api(), &hog);
    wanted.extend(["HostCpuHigh".to_owned(), format!("AgentIdleBurnsCpu {hogging}")]);
    wait_for(&hook, "firing", &wanted);
    let why = evidence(&hook, "AgentIdleBurnsCpu")["diagnosis"].to_string();
    assert!(why.contains("<module>") && why.contains("python3 ("), "{why}");
    drop(hog);
    wait_for(&hook, "resolved", &wanted);

    for status in ["firing", "resolved"] {
        let mut all = told(&hook, status).into_iter();
        assert_eq!(
            all.find(|(name, times)| *times > 1 && wanted.contains(name) && name != "HostCpuHigh"),
            None,
            "{status}"
        );
    }
    assert_eq!(others(&wanted, Some(&calling)), Vec::<String>::new());
}

#[test]
fn what_hangs_and_a_gpu_that_fails_are_told_once_and_resolve_once() {
    let (hook, folder, mut nvml) = (Hook::start(), tempfile::tempdir().unwrap(), Nvml::with_gpus(2));
    let mut config = config(folder.path(), &hook);
    config["gpu"] = nvml.config()["gpu"].clone();
    let daemon = Daemon::start(config);
    let hung = Python::start(DEADLOCK, &[]);
    let probes = json!(["cpu", "off_cpu", "ledger"]);
    let hanging = daemon.api().attach_with(&json!({ "pid": hung.pid(), "probes": probes }));
    // A first reading, without which nothing can fall off.
    thread::sleep(Duration::from_secs(3));
    let before: Vec<String> = told(&hook, "firing").into_keys().filter(|name| !may_be_true(name)).collect();
    assert_eq!(before, Vec::<String>::new(), "nothing is wrong yet");

    nvml.set(&[("gpu.1.lost".into(), "1".into()), ("xid.1".into(), "1 79".into())]);
    let wanted =
        ["GpuXidError GPU-1".to_owned(), "GpuDown GPU-1".to_owned(), format!("AgentHung {hanging} lock")];
    let wanted = BTreeSet::from(wanted);
    wait_for(&hook, "firing", &wanted);
    let why = evidence(&hook, "AgentHung")["diagnosis"].to_string();
    assert!(why.contains("wait_for_the_other"), "{why}");
    assert_eq!(evidence(&hook, "GpuXidError")["labels"]["xid"], "79");

    // It tells whoever begins to listen of what is in the script.
    nvml.remove("xid.1");
    nvml.remove("gpu.1.lost");
    drop(hung);
    wait_for(&hook, "resolved", &wanted);
    for status in ["firing", "resolved"] {
        let all = told(&hook, status);
        assert!(wanted.iter().all(|name| all.get(name) == Some(&1)), "{status}: {all:#?}");
        let others = all.keys().filter(|name| !wanted.contains(*name) && !may_be_true(name));
        assert_eq!(others.collect::<Vec<_>>(), Vec::<&String>::new(), "{status}");
    }
}

//! What an agent's processes have, against a program that knows what it took, and against /proc.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::support::{api::eventually, daemon::Daemon, python::Python};

/// Takes 100 files, 5 threads and 64 MiB, says so, and then does a little again and again.
const WORK: &str = "
import threading, time
files = [open('/proc/self/stat') for _ in range(100)]
memory = bytearray(b'x' * (64 << 20))
for _ in range(5): threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
print('ready', flush=True)
while True:
    end = time.monotonic() + 0.02
    while time.monotonic() < end: pass
    time.sleep(0.02)
";

/// A number of a process's status.
fn status(pid: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn memory_threads_descriptors_and_switches_are_told_by_process_and_agent() {
    let daemon = Daemon::start(json!({}));
    let worker = Python::start(WORK, &[]);
    let agent = daemon.api().attach(worker.pid());
    let path = format!("/api/v1/agents/{agent}/processes");
    let tree = eventually("a window with what it has", || {
        let tree = daemon.api().get(&path).expect(200).json();
        // What is dear to read comes later where the machine is slow.
        (!tree["processes"][0]["descriptors"].is_null()).then_some(tree)
    });
    let process = &tree["processes"][0];
    let files = fs::read_dir(format!("/proc/{}/fd", worker.pid())).unwrap().count();
    assert_eq!((&process["threads"], &process["descriptors"]), (&json!(6), &json!(files)));
    assert!(files >= 103, "{files}");
    let (told, truth) = (process["rss_bytes"].as_f64().unwrap(), status(worker.pid(), "VmRSS:") * 1024.0);
    assert!((told - truth).abs() < 0.05 * truth && told > f64::from(64 << 20), "{told} and {truth}");
    let pss = process["pss_bytes"].as_f64().unwrap();
    assert!(pss > f64::from(64 << 20) && pss < 1.05 * told, "{process}");
    // It waits 25 times a second or less; of the five threads, each once.
    let voluntary = process["voluntary_switches"].as_f64().unwrap();
    assert!(
        (6.0..=status(worker.pid(), "voluntary_ctxt_switches:") + 100.0).contains(&voluntary),
        "{process}"
    );
    assert_eq!((&tree["live"]["processes"], &tree["live"]["threads"]), (&json!(1), &json!(6)));

    let text = daemon.api().get("/metrics").expect(200).text();
    let value = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(&format!("agentperf_agent_{name}{{")));
        line.unwrap_or_else(|| panic!("{name}: {text}")).rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!((value("resident_memory_bytes") - truth).abs() < 0.05 * truth, "{text}");
    assert_eq!((value("threads"), value("descriptors")), (6.0, files as f64));
}

/// Takes 2 MiB/s, a MiB at a time, and keeps it.
const GROWS: &str = "
import time
kept = []
print('ready', flush=True)
begin = time.monotonic()
while True:
    if len(kept) < 2 * (time.monotonic() - begin):
        kept.append(bytearray(b'x' * (1 << 20)))
    time.sleep(0.01)
";

#[test]
fn memory_that_grows_is_told_with_its_slope() {
    let daemon = Daemon::start(json!({}));
    let worker = Python::start(GROWS, &[]);
    let agent = daemon.api().attach(worker.pid());
    // It takes half a minute to tell.
    thread::sleep(Duration::from_secs(20));
    let path = format!("/api/v1/agents/{agent}/processes");
    let slope = eventually("enough windows to tell", || {
        daemon.api().get(&path).expect(200).json()["live"]["rss_bytes_per_second"].as_f64()
    });
    let truth = f64::from(2 << 20);
    assert!((slope - truth).abs() < 0.05 * truth, "{slope}");
}

/// A control group of ours that is gone afterwards.
struct Group(PathBuf);

impl Group {
    fn make(files: &[(&str, &str)]) -> Self {
        let root = Path::new("/sys/fs/cgroup");
        fs::write(root.join("cgroup.subtree_control"), "+cpu +memory").unwrap();
        let above = root.join("agentperf-test");
        fs::create_dir_all(&above).unwrap();
        fs::write(above.join("cgroup.subtree_control"), "+cpu +memory").unwrap();
        let group = Self(above.join("limited"));
        fs::create_dir_all(&group.0).unwrap();
        files.iter().for_each(|(name, text)| fs::write(group.0.join(name), text).unwrap());
        group
    }

    fn throttled_seconds(&self) -> f64 {
        let stat = fs::read_to_string(self.0.join("cpu.stat")).unwrap();
        let micros = stat.lines().find_map(|line| line.strip_prefix("throttled_usec ")).unwrap();
        micros.parse::<f64>().unwrap() / 1e6
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
        let _ = fs::remove_dir(self.0.parent().unwrap());
    }
}

#[test]
#[ignore = "needs the cpu and memory controllers of cgroup version 2 at /sys/fs/cgroup, as cargo xtask vm has them"]
fn what_a_control_group_allows_and_withholds_is_told() {
    let group = Group::make(&[("cpu.max", "30000 100000"), ("memory.high", "536870912")]);
    let spin = "
import os, sys
open(sys.argv[1] + '/cgroup.procs', 'w').write(str(os.getpid()))
print('ready', flush=True)
while True: pass
";
    let daemon = Daemon::start(json!({}));
    let worker = Python::start(spin, &[group.0.to_str().unwrap()]);
    let agent = daemon.api().attach(worker.pid());
    let path = format!("/api/v1/agents/{agent}/processes");
    let (tree, truth) = eventually("two seconds that were withheld", || {
        let tree = daemon.api().get(&path).expect(200).json();
        let truth = group.throttled_seconds();
        (tree["processes"][0]["cgroup"]["throttled_seconds"].as_f64()? > 2.0).then_some((tree, truth))
    });
    let told = &tree["processes"][0]["cgroup"];
    assert_eq!((&told["cpu_limit"], &told["memory_limit_bytes"]), (&json!(0.3), &json!(512 << 20)));
    assert!(told["throttled_seconds"].as_f64().unwrap() <= truth, "{told} and {truth}");
    let used = told["memory_limit_used_bytes"].as_u64().unwrap();
    assert!(used > 0 && used < 512 << 20, "{told}");
    assert_eq!(
        (&tree["live"]["cpu_limit"], &tree["live"]["memory_limit_bytes"]),
        (&json!(0.3), &json!(512 << 20))
    );

    let text = daemon.api().get("/metrics").expect(200).text();
    let value = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(&format!("agentperf_agent_cgroup_{name}{{")));
        line.unwrap_or_else(|| panic!("{name}: {text}")).rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!((value("cpu_limit_cpus"), value("memory_limit_bytes")), (0.3, f64::from(512 << 20)));
    assert!(value("cpu_throttled_seconds_total") > 0.5 && value("memory_bytes") > 0.0, "{text}");
}

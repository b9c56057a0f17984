//! What an agent's processes have, against a program that knows what it took, and against /proc.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::json;

use crate::support::{api::eventually, daemon::Daemon};

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

struct Worker(Child);

impl Worker {
    fn start() -> Self {
        let mut command = Command::new("python3");
        let mut child =
            command.args(["-c", WORK]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        Self(child)
    }

    /// A number of its status.
    fn status(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn memory_threads_descriptors_and_switches_are_told_by_process_and_agent() {
    let daemon = Daemon::start(json!({}));
    let worker = Worker::start();
    let agent = daemon.api().attach(worker.0.id());
    let path = format!("/api/v1/agents/{agent}/processes");
    let tree = eventually("a window with what it has", || {
        let tree = daemon.api().get(&path).expect(200).json();
        (!tree["processes"][0]["rss_bytes"].is_null()).then_some(tree)
    });
    let process = &tree["processes"][0];
    let files = fs::read_dir(format!("/proc/{}/fd", worker.0.id())).unwrap().count();
    assert_eq!((&process["threads"], &process["descriptors"]), (&json!(6), &json!(files)));
    assert!(files >= 103, "{files}");
    let (told, truth) = (process["rss_bytes"].as_f64().unwrap(), worker.status("VmRSS:") * 1024.0);
    assert!((told - truth).abs() < 0.05 * truth && told > f64::from(64 << 20), "{told} and {truth}");
    let pss = process["pss_bytes"].as_f64().unwrap();
    assert!(pss > f64::from(64 << 20) && pss < 1.05 * told, "{process}");
    // It waits 25 times a second or less; of the five threads, each once.
    let voluntary = process["voluntary_switches"].as_f64().unwrap();
    assert!((6.0..=worker.status("voluntary_ctxt_switches:") + 100.0).contains(&voluntary), "{process}");
    assert_eq!((&tree["live"]["processes"], &tree["live"]["threads"]), (&json!(1), &json!(6)));

    let text = daemon.api().get("/metrics").expect(200).text();
    let value = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(&format!("agentperf_agent_{name}{{")));
        line.unwrap_or_else(|| panic!("{name}: {text}")).rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!((value("resident_memory_bytes") - truth).abs() < 0.05 * truth, "{text}");
    assert_eq!((value("threads"), value("descriptors")), (6.0, files as f64));
}

//! What was answered once is there for ever: through kills at any moment, and on a disk that is full.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::Command,
    thread,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use crate::support::{api::eventually, binary::agentperf, daemon::Daemon, puppet::Puppet, workload::source};

/// `agentperf store verify`: nothing is wrong with the store.
fn assert_whole(store: &Path) {
    let mut command = Command::new(agentperf());
    let verified = command.args(["store", "verify", "--json", "--directory"]).arg(store).output().unwrap();
    let found: Value = serde_json::from_slice(&verified.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&verified.stderr)));
    assert_eq!((&found["whole"], &found["problem_count"]), (&json!(true), &json!(0)), "{found}");
}

/// No moment is like another, and nobody chose it.
fn a_moment() -> Duration {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
    Duration::from_micros(u64::from(nanos) % 700_000)
}

#[test]
fn ten_kills_lose_nothing_that_was_answered() {
    let mut daemon = Daemon::start(json!({ "window": "500ms" }));
    let mut released: Vec<(String, u64)> = Vec::new();
    for round in 0..10 {
        let (mut ended, mut live) = (Puppet::start(), Puppet::start());
        let agent = daemon.api().attach(ended.pid());
        ended.tell(&format!("getppid {}", 1000 + round));
        // Answered when its last window is stored.
        daemon.api().detach(&agent);
        released.push((agent, 1000 + round));
        let watched = daemon.api().attach(live.pid());
        live.tell("getppid 500");
        live.say("getppid 100000000");
        let moment = a_moment();
        thread::sleep(moment);
        let answered = daemon.api().calls(&watched, "getppid");
        let store = daemon.store();
        daemon.crash_and_restart_after(|| assert_whole(&store));
        let kept = daemon.api().calls(&watched, "getppid");
        assert!(kept >= answered, "round {round}, after {moment:?}: {kept} of {answered}");
        for (agent, calls) in &released {
            let kept = daemon.api().calls(agent, "getppid");
            assert_eq!(kept, *calls, "round {round}, after {moment:?}");
        }
    }
    assert_eq!(daemon.api().loss("store_record_unread"), 0);
    assert_eq!(daemon.stop().code(), Some(0));
    assert_whole(&daemon.store());
}

/// A small file system in memory, unmounted when this goes.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(size: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "agentperf-test"]).arg(folder.path());
        assert!(mount.status().unwrap().success(), "a file system in memory can be mounted");
        Self(folder)
    }

    /// Takes all the room that there is.
    fn fill(&self) {
        let mut file = fs::File::options().create(true).append(true).open(self.filler()).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }

    fn filler(&self) -> std::path::PathBuf {
        self.0.path().join("filler")
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_counted_and_survived() {
    let small = Small::mount("24m");
    let store = small.0.path().join("store");
    let mut daemon = Daemon::start(json!({ "history": { "directory": store } }));
    let (mut before, mut during, mut after) = (Puppet::start(), Puppet::start(), Puppet::start());
    let first = daemon.api().attach(before.pid());
    before.tell("getppid 100");
    daemon.api().detach(&first);

    small.fill();
    let second = daemon.api().attach(during.pid());
    during.tell("getppid 200");
    eventually("it says that nothing can be written", || {
        // Many processes are many records; what is left of a page that the file has holds a few.
        during.run_path("sh", &[source("secrets.sh").to_str().unwrap()]);
        small.fill();
        let log = daemon.log();
        (log.contains("is not durable for now") || log.contains("cannot be kept")).then_some(())
    });
    // Shells ask for their parent, too.
    eventually("readers see what waits", || (daemon.api().calls(&second, "getppid") >= 200).then_some(()));

    fs::remove_file(small.filler()).unwrap();
    eventually("it works again by itself", || daemon.log().contains("durable again").then_some(()));
    daemon.api().detach(&second);
    let known = daemon.api().calls(&second, "getppid");
    let third = daemon.api().attach(after.pid());
    after.tell("getppid 300");
    daemon.api().detach(&third);
    daemon.crash_and_restart_after(|| assert_whole(&store));
    for (agent, calls) in [(first, 100), (second, known), (third, 300)] {
        assert_eq!(daemon.api().calls(&agent, "getppid"), calls);
    }
    assert_eq!(daemon.stop().code(), Some(0));
    assert_whole(&store);
}

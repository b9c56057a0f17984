//! Code that comes and goes while it is watched: libraries, other programs, other namespaces, code of no file.

use std::{fs, path::Path, path::PathBuf, process::Command, thread, time::Duration};

use serde_json::json;

use super::{
    chain::{Chain, Seen},
    programs::{FLAGS, FREQUENCY_HZ, Running, daemon, deep, program, watch_cpu},
};
use crate::support::{api::Api, daemon::Daemon, stacks::Stack};

/// Time in which the daemon must have noticed new mappings and made their tables, on a busy machine too.
const SETTLE: Duration = Duration::from_millis(2000);

/// `changes.c`.
pub(super) fn changes() -> PathBuf {
    program("changes.c", "gcc", &[&FLAGS[..], &["-pthread"]].concat())
}

/// A build of `plugin.c`, whose frames have this much room, and whose inner function has this name.
fn plugin(room: &str, inner: &str) -> PathBuf {
    let own = ["-shared", "-fPIC", &format!("-DROOM={room}"), &format!("-DINNER={inner}")];
    program("plugin.c", "gcc", &[&FLAGS[..], &own].concat())
}

/// The builds of `plugin.c` that the tests load.
pub(super) fn plugins() -> [PathBuf; 3] {
    [plugin("40", "plugin_inner"), plugin("4000", "plugin_inner"), plugin("40", "another_name")]
}

/// The builds of `relay.c`: programs that lie at the same addresses, with other functions there.
pub(super) fn relays() -> [PathBuf; 2] {
    ["first", "second"].map(|name| {
        let own = [
            "-no-pie",
            "-fno-PIE",
            &format!("-DNAME={name}_work"),
            &format!("-DOTHER={}", u8::from(name == "first")),
        ];
        program("relay.c", "gcc", &[&FLAGS[..], &own].concat())
    })
}

/// Tells a process to compute, waits until all must be known, and judges what it does from then on.
fn judge(api: &Api, agent: &str, running: &mut Running, command: &str, chain: &Chain) -> Seen {
    running.say(&format!("{command} {}", SETTLE.as_secs_f64() + 2.5));
    thread::sleep(SETTLE);
    let from = jiff::Timestamp::now();
    // The window that is open now began before.
    thread::sleep(Duration::from_secs(1));
    assert_eq!(running.hear(), "done");
    let from = from + Duration::from_secs(1);
    chain.judge(&api.stacks_from(agent, "cpu", from), "complete")
}

#[test]
fn libraries_are_known_soon_after_they_are_loaded() {
    let daemon = daemon();
    let mut running = Running::start(&changes(), &[]);
    let agent = daemon.api().attach_with(&json!({ "pid": running.pid(), "probes": ["cpu"] }));
    let names = ["compute", "plugin_inner", "plugin_outer", "through_library", "repeat", "main"];
    let chain = Chain::new(&names, &[]);
    for room in ["40", "4000"] {
        assert_eq!(running.ask(&format!("load {}", plugin(room, "plugin_inner").display())), "done");
        let seen = judge(daemon.api(), &agent, &mut running, "library", &chain);
        seen.expect(&format!("library with {room} bytes of room"));
    }
    daemon.api().detach(&agent);
}

#[test]
fn a_library_in_the_place_of_another_is_noticed() {
    let daemon = daemon();
    let mut running = Running::start(&changes(), &[]);
    let agent = daemon.api().attach_with(&json!({ "pid": running.pid(), "probes": ["cpu"] }));
    let mut places = Vec::new();
    // The second one is walked right by what is known of the first, so that nothing but its names is wrong.
    for inner in ["plugin_inner", "another_name"] {
        assert_eq!(running.ask(&format!("load {}", plugin("40", inner).display())), "done");
        places.push(place_of(&running, "plugin"));
        let names = ["compute", inner, "plugin_outer", "through_library", "repeat", "main"];
        let seen = judge(daemon.api(), &agent, &mut running, "library", &Chain::new(&names, &[]));
        seen.expect(inner);
        assert_eq!(running.ask("unload"), "done");
    }
    assert_eq!(places[0], places[1], "the loader must reuse the place for this to tell anything");
    daemon.api().detach(&agent);
}

/// Where the code of the file whose name holds `name` begins, in a process.
fn place_of(running: &Running, name: &str) -> String {
    let maps = fs::read_to_string(format!("/proc/{}/maps", running.pid())).expect("it lives");
    let line = maps.lines().find(|line| line.contains("r-xp") && line.contains(name));
    let line = line.unwrap_or_else(|| panic!("{name} is not in {maps}"));
    line.split('-').next().expect("a start").to_owned()
}

#[test]
fn another_program_in_the_middle() {
    let deep = deep("gcc", &[]);
    let daemon = daemon();
    let mut running = Running::start(&changes(), &[]);
    let agent = daemon.api().attach_with(&json!({ "pid": running.pid(), "probes": ["cpu"] }));
    assert_eq!(running.ask("own 1"), "done");
    assert_eq!(running.ask(&format!("exec {} spin", deep.display())), "ready");
    thread::sleep(Duration::from_secs(2));
    daemon.api().detach(&agent);

    let stacks = daemon.api().stacks(&agent, "cpu");
    let (before, after): (Vec<Stack>, Vec<Stack>) = stacks.into_iter().partition(|s| s.calls("own"));
    let seen = Chain::new(&["compute", "own", "repeat", "main"], &[]).judge(&before, "complete");
    assert!(seen.right > 0 && seen.wrong == 0, "{seen:#?}");
    let walked: Vec<Stack> = after.into_iter().filter(|s| s.calls("leaf")).collect();
    let seen = Chain::of_deep(&["leaf"]).judge(&walked, "complete");
    seen.expect("after exec");
}

/// Two programs that lie at the same addresses, each of which becomes the other within a window.
#[test]
fn programs_at_the_same_place_are_kept_apart() {
    let [first, second] = relays();
    // One window holds them all.
    let daemon = Daemon::start(json!({ "window": "30s", "sampling": { "frequency_hz": FREQUENCY_HZ } }));
    let (a, b) = (first.display().to_string(), second.display().to_string());
    let mut running = Running::start(&first, &[&b, &a]);
    let agent = daemon.api().attach_with(&json!({ "pid": running.pid(), "probes": ["cpu"] }));
    running.say("go");
    assert_eq!(running.hear(), "done");
    daemon.api().detach(&agent);

    let stacks = daemon.api().stacks(&agent, "cpu");
    let counts = ["first_work", "second_work"].map(|name| {
        let own = stacks.iter().filter(|s| s.calls(name));
        own.map(|s| s.count).sum::<u64>()
    });
    let all: u64 = stacks.iter().filter(|s| s.calls("main")).map(|s| s.count).sum();
    eprintln!("first and second: {counts:?} of {all}");
    // Each computes half of the time; the second one must not be named by the first one's symbols, or the reverse.
    assert!(counts.iter().all(|n| *n as f64 > 0.4 * all as f64), "{counts:?} of {all}: {stacks:#?}");
}

#[test]
fn a_container_has_files_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["hidden", "root/app", "root/old"] {
        fs::create_dir_all(directory.path().join(name)).unwrap();
    }
    fs::copy(deep("gcc", &["-static"]), directory.path().join("hidden/deep")).unwrap();
    let daemon = daemon();
    let running = Running::spawn(in_namespace(
        directory.path(),
        "mount --bind root root; mount --bind hidden root/app; cd root; pivot_root . old; exec /app/deep spin",
    ));
    assert!(!directory.path().join("root/app/deep").exists(), "only the namespace has it");
    let stacks = watch_cpu(daemon.api(), &[running.pid()]).remove(0);
    let seen = Chain::of_deep(&["leaf"]).judge(&stacks, "complete");
    seen.expect("container");
    let leaf = stacks.iter().flat_map(|s| &s.frames).find(|f| f.function == "leaf").unwrap();
    assert_eq!(leaf.binary.as_deref(), Some("/app/deep"), "the path as the process knows it");
}

/// A shell script that becomes a program in a mount namespace of its own.
fn in_namespace(directory: &Path, script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &format!("set -e; cd {}; {script}", directory.display())]);
    command
}

/// The threads that run in code which stays must not suffer from one that maps and unmaps other code all the time.
#[test]
fn code_of_no_file_comes_and_goes() {
    let daemon = daemon();
    let mut running = Running::start(&changes(), &[]);
    let agent = daemon.api().attach_with(&json!({ "pid": running.pid(), "probes": ["cpu"] }));
    assert_eq!(running.ask("own 1"), "done");
    assert_eq!(running.ask("churn 2"), "done");
    daemon.api().detach(&agent);
    let stacks = daemon.api().stacks(&agent, "cpu");
    let beside: Vec<Stack> = stacks.into_iter().filter(|s| s.calls("spin")).collect();
    let seen = Chain::new(&["compute", "own", "repeat", "spin"], &[]).judge(&beside, "complete");
    seen.expect("beside changes");
}

//! The host as a whole, against facts: a file system of known size, work of known length, a transfer of known bytes, and
//! what other programs say of the same host.

use std::{
    ffi::CString,
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    api::{Api, eventually},
    binary::agentperf,
    daemon::Daemon,
};

const MIB: u64 = 1 << 20;

/// A file system in memory, for as long as it lives.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (path, options) = (path_of(folder.path()), CString::new(options).unwrap());
        // SAFETY: every text ends with a zero byte and outlives the call.
        let result = unsafe {
            libc::mount(c"known".as_ptr(), path.as_ptr(), c"tmpfs".as_ptr(), 0, options.as_ptr().cast())
        };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        Self(folder)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let path = path_of(self.0.path());
        // SAFETY: the text ends with a zero byte and outlives the call.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    }
}

fn path_of(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

/// What the host did since a moment, once all of the time up to now is told.
fn metrics_since(api: &Api, from: &str) -> Value {
    let now = agentperf_now(api);
    eventually("the window closes", || {
        let told = api.get(&format!("/api/v1/system/metrics?from={from}")).expect(200).json();
        let is_told = told["covered"]["to"].as_str().is_some_and(|to| to >= now.as_str());
        is_told.then_some(told)
    })
}

/// The time, as the daemon writes it.
fn agentperf_now(api: &Api) -> String {
    api.get("/api/v1/dashboard").expect(200).json()["to"].as_str().unwrap().to_owned()
}

fn row<'a>(told: &'a Value, list: &str, key: &str, name: &str) -> &'a Value {
    let rows = told[list].as_array().unwrap();
    rows.iter().find(|row| row[key] == name).unwrap_or_else(|| panic!("no {name} in {told}"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// The numbers that a program prints on the line that holds `word`.
fn numbers(program: &str, arguments: &[&str], word: &str) -> Vec<f64> {
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("{program}: {text}"));
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn a_file_system_of_known_size_is_told_to_the_byte() {
    let daemon = Daemon::start(json!({}));
    let mounted = Mounted::new("size=48m,nr_inodes=1000");
    fs::write(mounted.0.path().join("file"), vec![7; 16 << 20]).unwrap();
    let mount = mounted.0.path().to_str().unwrap();
    let told = metrics_since(daemon.api(), &agentperf_now(daemon.api()));
    let system = row(&told, "file_systems", "mount", mount);
    assert_eq!(system["size_bytes"], 48 * MIB);
    assert_eq!(system["available_bytes"], 32 * MIB);
    assert_eq!((&system["kind"], &system["device"]), (&json!("tmpfs"), &json!("known")));
    // The root and the file take one each.
    assert_eq!((&system["inodes"], &system["inodes_free"]), (&json!(1000), &json!(998)));
    let text = daemon.api().get("/metrics").expect(200).text();
    for (name, bytes) in [("size", 48 * MIB), ("available", 32 * MIB)] {
        let series = format!("agentperf_host_filesystem_{name}_bytes{{mountpoint=\"{mount}\"}} ");
        let line =
            text.lines().find_map(|line| line.strip_prefix(&series)).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(line.parse::<f64>().unwrap(), bytes as f64);
    }
    drop(mounted);
    let told = metrics_since(daemon.api(), &agentperf_now(daemon.api()));
    assert!(!told["file_systems"].to_string().contains("\"known\""), "what is unmounted is gone");
}

#[test]
fn work_forks_and_traffic_of_known_amounts_are_told() {
    const SENT: usize = 64 << 20;
    let daemon = Daemon::start(json!({}));
    let from = agentperf_now(daemon.api());
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        std::hint::black_box(0);
    }
    for _ in 0..50 {
        assert!(Command::new("true").status().unwrap().success());
    }
    send(SENT);
    let told = metrics_since(daemon.api(), &from);

    let seconds = number(&told["covered"]["seconds"]);
    let work = number(&told["cpu"]["user_seconds"]) + number(&told["cpu"]["nice_seconds"]);
    // It may have had to share its CPU; of two, it had the most of one.
    assert!(work >= 2.0, "{work} s of 3 s of spinning: {}", told["cpu"]);
    for cpu in told["cpus"].as_array().unwrap() {
        let modes = cpu["time"].as_object().unwrap().iter().filter(|(name, _)| name.ends_with("_seconds"));
        let all: f64 = modes.map(|(_, value)| number(value)).sum();
        assert!((0.9 * seconds..1.1 * seconds).contains(&all), "a CPU of {all} s in {seconds} s: {cpu}");
    }
    assert!(number(&told["activity"]["forks"]) >= 50.0, "{}", told["activity"]);
    assert!(number(&told["activity"]["context_switches"]) >= 50.0, "{}", told["activity"]);
    let loopback = row(&told, "interfaces", "name", "lo");
    for direction in ["received", "sent"] {
        let bytes = number(&loopback[direction]["bytes"]);
        assert!((SENT as f64..2.0 * SENT as f64).contains(&bytes), "{direction} {bytes} of {SENT}");
    }
}

/// Sends so many bytes over the loopback.
fn send(bytes: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let sender =
        thread::spawn(move || TcpStream::connect(address).unwrap().write_all(&vec![1; bytes]).unwrap());
    let mut received = Vec::new();
    listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
    assert_eq!(received.len(), bytes);
    sender.join().unwrap();
}

#[test]
fn other_programs_say_the_same_of_the_host() {
    let daemon = Daemon::start(json!({}));
    let from = agentperf_now(daemon.api());
    let told = metrics_since(daemon.api(), &from);
    let memory = numbers("free", &["-b", "-w"], "Mem:");
    assert_eq!(number(&told["memory"]["total_bytes"]), memory[0]);
    let (available, peer) = (number(&told["memory"]["available_bytes"]), memory[memory.len() - 1]);
    assert!((available - peer).abs() < 0.1 * memory[0], "{available} and {peer}");
    let root = numbers("df", &["-B1", "--output=itotal,size,avail,target", "/"], "/");
    let system = row(&told, "file_systems", "mount", "/");
    assert_eq!((number(&system["inodes"]), number(&system["size_bytes"])), (root[0], root[1]));
    assert!((number(&system["available_bytes"]) - root[2]).abs() < 0.02 * root[1], "{system} and {root:?}");

    let info = daemon.api().get("/api/v1/system/info").expect(200).json();
    let uname = Command::new("uname").args(["-n", "-r", "-m"]).output().unwrap();
    let said = ["hostname", "kernel", "architecture"].map(|field| info[field].as_str().unwrap().to_owned());
    assert_eq!(said.join(" "), String::from_utf8_lossy(&uname.stdout).trim());
    let container = Command::new("systemd-detect-virt").arg("--container").output().unwrap();
    let container = String::from_utf8_lossy(&container.stdout).trim().to_owned();
    let is_container = info["platform"] == "container";
    assert_eq!(is_container, container != "none", "{info} and {container}");
    assert!(!is_container || info["platform_name"] == container.as_str(), "{info} and {container}");
    let cpus = Command::new("nproc").arg("--all").output().unwrap();
    assert_eq!(info["cpus"].to_string(), String::from_utf8_lossy(&cpus.stdout).trim());
    let up: f64 = fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((number(&info["uptime_seconds"]) - up).abs() < 5.0, "{info} and {up}");
}

#[test]
fn history_outlasts_a_crash_and_the_command_line_shows_it() {
    let mut daemon = Daemon::start(json!({}));
    let from = agentperf_now(daemon.api());
    let before = metrics_since(daemon.api(), &from);
    let to = before["covered"]["to"].as_str().unwrap().to_owned();
    daemon.crash_and_restart();
    let again = daemon.api().get(&format!("/api/v1/system/metrics?from={from}&to={to}")).expect(200).json();
    assert_eq!(again, before);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(agentperf());
        let output =
            command.arg("system").args(arguments).args(["--url", daemon.api().base()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let shown: Value = serde_json::from_str(&run(&["--since", "5m", "--json"])).unwrap();
    let info = daemon.api().get("/api/v1/system/info").expect(200).json();
    assert_eq!(shown["info"]["boot_id"], info["boot_id"]);
    assert!(number(&shown["metrics"]["covered"]["windows"]) >= 1.0, "{shown}");
    let text = run(&["--since", "5m", "--cpus"]);
    for expected in ["BUSY", "MOUNTED AT", "INTERFACE", "lo", "load ", "memory "] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

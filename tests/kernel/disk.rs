//! Block I/O: bytes of what goes past the page cache exactly, of what is written through it by who wrote, whether it waited
//! for that or the kernel did it later.

use std::{path::PathBuf, process::Command};

use serde_json::{Value, json};

use crate::support::{
    api::{Api, eventually},
    daemon::Daemon,
    puppet::Puppet,
    workload::{directory, source},
};

const TIMES: u64 = 40;
const SIZE: u64 = 64 << 10;
/// What is written through the page cache, bytes.
const LARGE: u64 = 8 << 20;

fn agent() -> Puppet {
    let mut command = Command::new("python3");
    command.arg(source("disk.py"));
    Puppet::spawn(command)
}

fn attach(api: &Api, pid: u32) -> String {
    api.attach_with(&json!({ "pid": pid, "probes": ["disk"] }))
}

fn rows(api: &Api, agent: &str, query: &str) -> Vec<Value> {
    let report = api.get(&format!("/api/v1/agents/{agent}/disk{query}")).expect(200).json();
    report["requests"].as_array().unwrap().clone()
}

/// Bytes of the rows that match.
fn bytes(rows: &[Value], operation: &str, background: bool) -> u64 {
    let is_wanted = |row: &&Value| row["operation"] == operation && row["background"] == background;
    rows.iter().filter(is_wanted).map(|row| row["bytes"].as_u64().unwrap()).sum()
}

/// A file of so many bytes that is on the disk already; goes when it is dropped.
struct File(PathBuf);

impl File {
    fn written(name: &str, size: u64) -> Self {
        let path = directory().join(format!("disk-{name}-{}", std::process::id()));
        std::fs::write(&path, vec![7; size as usize]).unwrap();
        std::fs::File::open(&path).unwrap().sync_all().unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A loop device over a file: whole, with nothing but the agent's I/O on it.
struct Device(String);

impl Device {
    fn over(file: &File) -> Self {
        let made = Command::new("losetup").args(["--find", "--show", file.path()]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        Self(String::from_utf8(made.stdout).unwrap().trim().to_owned())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

#[test]
fn what_goes_past_the_page_cache_is_exact() {
    let daemon = Daemon::start(json!({}));
    let api = daemon.api();
    let file = File::written("direct", TIMES * SIZE);
    let device = Device::over(&file);
    let mut agent = agent();
    let id = attach(api, agent.pid());
    let command =
        |what: &str| json!({ "do": what, "path": device.0, "times": TIMES, "size": SIZE }).to_string();
    agent.tell(&command("direct"));
    agent.tell(&command("read"));
    api.detach(&id);

    let rows = rows(api, &id, "");
    let name = device.0.trim_start_matches("/dev/");
    for operation in ["write", "read"] {
        let row = rows.iter().find(|row| row["device"] == name && row["operation"] == operation);
        let row = row.unwrap_or_else(|| panic!("{operation} of {name}: {rows:#?}"));
        assert_eq!(row["bytes"], TIMES * SIZE, "{row:#}");
        assert_eq!((&row["background"], &row["errors"]), (&json!(false), &json!(0)));
        let [total, queue, at_device, longest] =
            ["total", "queue", "device", "max"].map(|part| row[format!("{part}_seconds")].as_f64().unwrap());
        assert!((total - queue - at_device).abs() < 1e-6 && longest > 0.0 && longest <= total, "{row:#}");
    }
}

#[test]
fn what_a_process_waits_for_is_its_own_also_of_children() {
    let daemon = Daemon::start(json!({}));
    let api = daemon.api();
    let (file, of_child) = (File::written("synced", 4096), File::written("child", 4096));
    let mut agent = agent();
    let id = attach(api, agent.pid());
    let command =
        |what: &str, file: &File| json!({ "do": what, "path": file.path(), "size": LARGE }).to_string();
    agent.tell(&command("synced", &file));
    let child = agent.tell(&command("child", &of_child)).pid();
    api.detach(&id);

    let rows = rows(api, &id, "?by=process");
    for pid in [agent.pid(), child] {
        let of: Vec<Value> = rows.iter().filter(|row| row["pid"] == pid).cloned().collect();
        let written = bytes(&of, "write", false) + bytes(&of, "write", true);
        assert!((LARGE..LARGE + (1 << 20)).contains(&written), "{written} bytes of {pid}: {rows:#?}");
    }
}

#[test]
fn what_the_kernel_writes_later_is_of_who_wrote_it() {
    let daemon = Daemon::start(json!({}));
    let api = daemon.api();
    let (file, of_other) = (File::written("left", 4096), File::written("other", 4096));
    let (mut one, mut other) = (agent(), agent());
    let (id, bystander) = (attach(api, one.pid()), attach(api, other.pid()));
    other.tell(&json!({ "do": "synced", "path": of_other.path(), "size": 65_536 }).to_string());
    one.tell(&json!({ "do": "left", "path": file.path(), "size": LARGE }).to_string());
    // SAFETY: no preconditions. The kernel's own threads write what is left, and they are waited for.
    unsafe { libc::sync() };
    let written = eventually("what was left is written", || {
        let written = bytes(&rows(api, &id, ""), "write", true);
        (written >= LARGE).then_some(written)
    });
    assert!(written < LARGE + (1 << 20), "{written} bytes");
    api.detach(&bystander);
    let rows = rows(api, &bystander, "");
    assert!(bytes(&rows, "write", false) + bytes(&rows, "write", true) < 1 << 20, "{rows:#?}");
}

//! Files: what programs do with them is counted exactly, under the paths that they have.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::support::{
    binary::target_directory,
    daemon::Daemon,
    puppet::{Puppet, Run},
    tolerance::assert_seconds,
    workload::{Truth, program, source},
};

/// An empty folder on a file system with storage; gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = target_directory().join(format!("files-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the workload under watch; what it printed, and the agent.
fn run(daemon: &Daemon, folder: &Folder, what: &str, n: usize) -> (Vec<String>, String) {
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let run = puppet.run("files", &[folder.path(), what, &n.to_string()]);
    daemon.api().detach(&agent);
    (run.lines, agent)
}

/// The agent's files below a folder, by path from there.
fn below(daemon: &Daemon, agent: &str, folder: &Folder) -> Vec<(String, Value)> {
    let files = daemon.api().rows_of(agent, "files?limit=1000", "files");
    let place = |file: &Value| {
        let path = Path::new(file["path"].as_str()?).strip_prefix(&folder.0).ok()?;
        Some((path.to_str()?.to_owned(), file.clone()))
    };
    let mut files: Vec<_> = files.iter().filter_map(place).collect();
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    files
}

fn sum(files: &[(String, Value)], amount: &str) -> u64 {
    files.iter().map(|(_, file)| file[amount].as_u64().unwrap()).sum()
}

#[track_caller]
fn assert_true(truth: &Truth, files: &[(String, Value)]) {
    for (seen, told) in [
        ("creates", "created"),
        ("deletes", "deleted"),
        ("renames", "renamed"),
        ("read_opens", "read_opens"),
        ("write_opens", "write_opens"),
        ("changes", "changes"),
        ("written_bytes", "written"),
        ("read_bytes", "read"),
    ] {
        assert_eq!(sum(files, seen), truth.count(told), "{seen}: {files:?}");
    }
}

fn loss(daemon: &Daemon) -> Vec<(String, u64)> {
    daemon.api().losses().into_iter().filter(|(name, n)| name.contains("file") && *n > 0).collect()
}

#[test]
fn names_are_counted_exactly_however_they_are_written() {
    let (daemon, folder) = (Daemon::start(json!({})), Folder::new("names"));
    let (lines, agent) = run(&daemon, &folder, "names", 100);
    let files = below(&daemon, &agent, &folder);
    assert_true(&Truth::parse(&lines[0]), &files);
    assert_eq!(loss(&daemon), []);
    let of = |path: &str| {
        let found = files.iter().find(|(known, _)| known == path);
        found.unwrap_or_else(|| panic!("{path} in {files:?}")).1.clone()
    };
    for n in 0..100 {
        let file = of(&format!("a/b/f{n}"));
        let amounts = ["creates", "write_opens", "read_opens", "changes", "written_bytes", "read_bytes"];
        assert_eq!(amounts.map(|amount| file[amount].as_u64().unwrap()), [1, 1, 1, 1, 100, 100], "{file}");
        assert_eq!(file["deletes"], n % 2, "{file}");
    }
    assert_eq!(of("a/b/g2")["renames"], 1);
    let renamed = of("a/b/g0");
    assert_eq!(
        (&renamed["renames"], &renamed["changes"], &renamed["written_bytes"]),
        (&json!(1), &json!(3), &json!(5))
    );
    assert_eq!((&of("a/b/hard")["creates"], &of("link")["creates"]), (&json!(1), &json!(1)));
    // Over processes and directories the same comes out.
    let report = daemon.api().get(&format!("/api/v1/agents/{agent}/files?by=directory")).json();
    let rows = report["files"].as_array().unwrap();
    let directory = rows.iter().find(|row| row["directory"] == json!(folder.0.join("a/b")));
    assert_eq!(directory.unwrap()["deletes"], 50, "{report}");
    assert_eq!(daemon.api().rows_of(&agent, "files?by=process", "files")[0]["comm"], "files");
}

#[test]
fn paths_of_any_bytes_and_any_length_are_bounded_and_printable() {
    let (daemon, folder) = (Daemon::start(json!({})), Folder::new("bytes"));
    let (_, agent) = run(&daemon, &folder, "bytes", 0);
    let files = below(&daemon, &agent, &folder);
    assert_eq!(files[0].0, "\u{fffd}\\n\\u{1b}[2J\\u{202e}", "{files:?}");
    let (lines, agent) = run(&daemon, &folder, "longest", 0);
    let files = daemon.api().rows_of(&agent, "files", "files");
    let paths: Vec<&str> = files.iter().filter_map(|file| file["path"].as_str()).collect();
    assert_eq!(lines[0].len(), 4095);
    assert!(paths.contains(&lines[0].as_str()), "{paths:?}");
    let cut = paths.iter().find(|path| path.ends_with('…')).expect("what no program can write is cut");
    assert_eq!((cut.len(), cut.starts_with(folder.path())), (4096, true));
    assert_eq!(loss(&daemon), []);
}

#[test]
fn files_of_a_directory_that_is_gone_keep_their_path() {
    let (daemon, folder) = (Daemon::start(json!({})), Folder::new("gone"));
    let (lines, agent) = run(&daemon, &folder, "gone", 0);
    let files = below(&daemon, &agent, &folder);
    assert_true(&Truth::parse(&lines[0]), &files);
    assert_eq!(files.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["gone/file"]);
}

#[test]
fn bytes_past_the_page_cache_and_syncs_are_counted() {
    let (daemon, folder) = (Daemon::start(json!({})), Folder::new("direct"));
    let (lines, agent) = run(&daemon, &folder, "direct", 64);
    let files = below(&daemon, &agent, &folder);
    assert_true(&Truth::parse(&lines[1]), &files);
    assert_eq!(sum(&files, "syncs"), 1);
    let seen = files[0].1["sync_seconds"].as_f64().unwrap();
    assert_seconds(Truth::parse(&lines[0]).seconds("sync_seconds"), seen, "time in fsync");
}

#[test]
fn a_mount_of_its_own_namespace_is_crossed() {
    let (daemon, folder) = (Daemon::start(json!({})), Folder::new("mount"));
    fs::create_dir(folder.0.join("inner")).unwrap();
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let script = folder.0.join("script.sh");
    let text = "set -e; cd $(dirname $0); mount -t tmpfs none inner; mkdir inner/d; echo x > inner/d/f";
    fs::write(&script, text).unwrap();
    let Run { status, .. } = puppet.run_path("unshare", &["-m", "sh", script.to_str().unwrap()]);
    assert_eq!(status, 0);
    daemon.api().detach(&agent);
    let files = below(&daemon, &agent, &folder);
    assert_eq!(files.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["inner/d/f", "script.sh"]);
    assert!(!folder.0.join("inner/d").exists(), "the mount was the namespace's own");
}

#[test]
fn files_of_a_container_have_the_paths_and_bytes_that_it_sees() {
    let (daemon, folder) = (Daemon::start(json!({})), Folder::new("overlay"));
    for name in ["lower", "upper", "work", "merged"] {
        fs::create_dir(folder.0.join(name)).unwrap();
    }
    // Opened for writing it is copied from one layer to the other, of which the program knows nothing.
    fs::write(folder.0.join("lower/below"), [b'x'; 100_000]).unwrap();
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let script = folder.0.join("script.sh");
    let text = "set -e; cd $(dirname $0)
        mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay merged
        $1 merged direct 64 >/dev/null; echo 12345 >>merged/below; cat merged/below >/dev/null
        echo 1 >merged/a; mv merged/a merged/b; rm merged/b";
    fs::write(&script, text).unwrap();
    let files = program("files");
    let Run { status, .. } =
        puppet.run_path("unshare", &["-m", "sh", script.to_str().unwrap(), files.to_str().unwrap()]);
    assert_eq!(status, 0);
    daemon.api().detach(&agent);
    let files = below(&daemon, &agent, &folder);
    let amounts = |path: &str| {
        let (_, file) = files.iter().find(|(known, _)| known == path).unwrap_or_else(|| panic!("{files:?}"));
        ["creates", "deletes", "renames", "written_bytes", "read_bytes"].map(|a| file[a].as_u64().unwrap())
    };
    assert_eq!(amounts("merged/below"), [0, 0, 0, 6, 100_006]);
    assert_eq!(amounts("merged/a"), [1, 0, 0, 2, 0]);
    assert_eq!(amounts("merged/b"), [0, 1, 1, 0, 0]);
    assert!(files.iter().all(|(path, _)| !path.starts_with("upper")), "{files:?}");
}

#[test]
fn ten_thousand_files_are_counted_and_few_are_told_apart() {
    let (daemon, folder) = (Daemon::start(json!({ "window": "60s" })), Folder::new("many"));
    let (lines, agent) = run(&daemon, &folder, "many", 10_000);
    let report = daemon.api().get(&format!("/api/v1/agents/{agent}/files?limit=1000")).json();
    let lost: u64 = loss(&daemon).iter().map(|(_, n)| n).sum();
    let told = report["total"]["creates"].as_u64().unwrap();
    assert_eq!(told + lost, Truth::parse(&lines[0]).count("created"), "{:?}", daemon.api().losses());
    assert_eq!(lost, 0);
    let rows = report["files"].as_array().unwrap();
    assert_eq!(rows.len(), 513);
    assert!(rows.iter().any(|row| row["path"] == "other"), "the smallest are one row");
    assert!(daemon.api().loss("rows_merged") > 9000);
}

#[test]
fn what_is_kept_of_paths_is_the_operators_choice() {
    let folder = Folder::new("choice");
    let daemon = Daemon::start(json!({ "files": { "paths": "directories" } }));
    let (lines, agent) = run(&daemon, &folder, "names", 10);
    let files = below(&daemon, &agent, &folder);
    assert_true(&Truth::parse(&lines[0]), &files);
    assert_eq!(files.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["", "a/b"]);
    drop(daemon);
    let (daemon, folder) = (Daemon::start(json!({ "files": { "paths": "off" } })), Folder::new("off"));
    let (_, agent) = run(&daemon, &folder, "names", 10);
    let report = daemon.api().get(&format!("/api/v1/agents/{agent}/files")).json();
    assert_eq!((&report["watched"], &report["rows"]), (&json!(false), &json!(0)), "{report}");
}

/// The operations of this kind, the first first.
fn operations_of(daemon: &Daemon, agent: &str, kind: &str) -> Vec<Value> {
    let path = format!("operations?source=kernel&kind={kind}&limit=1000");
    let mut found = daemon.api().rows_of(agent, &path, "operations");
    found.reverse();
    found
}

#[test]
fn checkpoints_are_operations_from_open_to_rename() {
    let (daemon, folder) = (Daemon::start(json!({})), Folder::new("checkpoints"));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let script = source("checkpoints.py");
    let mut run =
        |what: &str| puppet.run_path("python3", &[script.to_str().unwrap(), folder.path(), what]).truth();
    let (saved, loaded, database) = (run("save"), run("load"), run("database"));
    daemon.api().detach(&agent);

    let saves = operations_of(&daemon, &agent, "checkpoint_save");
    let of = |end: &str| {
        let found = saves.iter().filter(|save| save["labels"]["file.path"].as_str().unwrap().ends_with(end));
        found.cloned().collect::<Vec<Value>>()
    };
    let [save] = &of("/model.safetensors")[..] else {
        panic!("one save in {saves:?}, losses: {:?}", daemon.api().losses())
    };
    assert_eq!(
        (&save["size_bytes"], &save["success"]),
        (&json!(saved.count("bytes")), &json!(true)),
        "{save}"
    );
    assert_eq!(save["labels"]["file.path"], json!(folder.0.join("model.safetensors")));
    assert_seconds(saved.seconds("seconds"), save["duration_seconds"].as_f64().unwrap(), "the save");
    let sync: f64 = save["labels"]["file.sync_ns"].as_str().unwrap().parse().unwrap();
    // Python is slow beside a short fsync.
    let (sync, told) = (sync / 1e9, saved.seconds("sync_seconds"));
    assert!(sync > 0.0 && sync <= told && told - sync < 0.02, "{sync} of {told} s");

    let [load] = &operations_of(&daemon, &agent, "checkpoint_load")[..] else { panic!("one load") };
    assert_eq!(load["size_bytes"], loaded.count("bytes"), "{load}");
    assert_eq!(load["labels"]["file.bytes_of"], "size");

    let journal = of("checkpoints.sqlite-journal").len() as u64;
    assert!((1..=database.count("commits")).contains(&journal), "{saves:?}");
    assert!(!of("/checkpoints.sqlite").is_empty(), "{saves:?}");
}

#[test]
fn files_and_commands_become_operations_of_the_kinds_that_are_defined() {
    let operations = json!([
        { "kind": "dataset", "paths": ["**/data/*"], "labels": { "team": "research" } },
        { "kind": "rare", "paths": "*.rare", "sample": "0.000000001" },
        { "kind": "build", "command": "\\bmake all\\b", "labels": { "by": "make" } },
    ]);
    let (daemon, folder) = (Daemon::start(json!({ "operations": operations })), Folder::new("defined"));
    fs::create_dir(folder.0.join("data")).unwrap();
    let make = folder.0.join("make");
    fs::write(&make, "#!/bin/sh\nsleep 0.2\nexit $2\n").unwrap();
    fs::set_permissions(&make, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = std::process::Command::new("python3");
    command.arg(source("tools/agent.py")).env("PYTHONDONTWRITEBYTECODE", "1").current_dir(&folder.0);
    let mut puppet = Puppet::spawn(command);
    let agent = daemon.api().attach(puppet.pid());
    let write = "echo 12345 > data/a; cat data/a; echo 1 > x.rare";
    let path = format!("{}:/usr/bin:/bin", folder.path());
    for script in [write, "exec make all 0", "make all 3"] {
        let argv = ["env", &format!("PATH={path}"), "sh", "-c", script];
        puppet.say(&json!({ "do": "run", "argv": argv, "times": 1 }).to_string());
        while !puppet.hear().starts_with(r#"{"did":"#) {}
    }
    daemon.api().detach(&agent);

    let sets = operations_of(&daemon, &agent, "dataset");
    let ways: Vec<_> = sets.iter().map(|set| (&set["labels"]["file.way"], &set["size_bytes"])).collect();
    assert_eq!(ways, [(&json!("save"), &json!(6)), (&json!("load"), &json!(6))], "{sets:?}");
    assert_eq!((&sets[0]["labels"]["team"], &sets[0]["name"]), (&json!("research"), &json!("**/data/*")));
    assert_eq!(operations_of(&daemon, &agent, "rare"), [] as [Value; 0]);
    let unsampled = daemon.api().losses().into_iter().find(|(name, _)| name == "operation_unsampled");
    assert_eq!(unsampled.map(|(_, n)| n), Some(1));

    let builds = operations_of(&daemon, &agent, "build");
    let ends: Vec<_> = builds.iter().map(|build| (&build["success"], &build["error_type"])).collect();
    assert_eq!(ends, [(&json!(true), &json!(null)), (&json!(false), &json!("exit_3"))], "{builds:?}");
    for build in &builds {
        let lasted = build["duration_seconds"].as_f64().unwrap();
        assert!((0.2..0.7).contains(&lasted), "{build}");
        assert_eq!(build["labels"], json!({ "by": "make" }));
    }
    let metrics = daemon.api().get("/metrics").text();
    for (kind, outcome, n) in [("dataset", "success", 2), ("build", "error", 1)] {
        let series =
            format!(r#"agentperf_operations_total{{project="",kind="{kind}",outcome="{outcome}"}} {n}"#);
        assert!(metrics.contains(&series), "{series}");
    }
}

#[test]
fn what_is_moved_into_a_file_is_written() {
    let (daemon, folder) = (Daemon::start(json!({})), Folder::new("moved"));
    fs::write(folder.0.join("from"), [7; 9000]).unwrap();
    let mut command = std::process::Command::new("python3");
    command.arg(source("tools/agent.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut puppet = Puppet::spawn(command);
    let agent = daemon.api().attach(puppet.pid());
    let script = "import os, sys\nos.chdir(sys.argv[1])\nsource = os.open('from', os.O_RDONLY)\n\
        new = lambda name: os.open(name, os.O_WRONLY | os.O_CREAT)\n\
        assert os.sendfile(new('sent'), source, 0, 5000) == 5000\n\
        out, into = os.pipe()\n\
        assert os.splice(source, into, 3000, offset_src=0) == 3000\n\
        assert os.splice(out, new('spliced'), 3000) == 3000\n\
        assert os.copy_file_range(source, new('copied'), 2000, offset_src=0) == 2000";
    puppet.say(&json!({ "do": "run", "argv": ["python3", "-c", script, folder.path()] }).to_string());
    while !puppet.hear().starts_with(r#"{"did":"#) {}
    daemon.api().detach(&agent);

    let files = daemon.api().rows_of(&agent, "files?limit=1000", "files");
    let moved = |name: &str| {
        let path = json!(folder.0.join(name));
        let row =
            files.iter().find(|row| row["path"] == path).unwrap_or_else(|| panic!("{name}: {files:#?}"));
        (row["written_bytes"].as_u64().unwrap(), row["read_bytes"].as_u64().unwrap())
    };
    assert_eq!((moved("sent"), moved("spliced"), moved("copied")), ((5000, 0), (3000, 0), (2000, 0)));
    assert_eq!(moved("from"), (0, 10_000));
}

#[test]
fn a_tools_bill_says_what_it_did_to_files() {
    let (daemon, folder) = (Daemon::start(json!({})), Folder::new("bill"));
    for name in ["changed", "deleted", "renamed"] {
        fs::write(folder.0.join(name), name).unwrap();
    }
    let script =
        "cd \"$0\" && echo 1 > new && echo 2 >> new && echo 3 >> changed && rm deleted && mv renamed name";
    let mut command = std::process::Command::new("python3");
    command.arg(source("tools/agent.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut puppet = Puppet::spawn(command);
    let agent = daemon.api().attach(puppet.pid());
    let argv = json!({ "do": "run", "argv": ["sh", "-c", script, folder.path()], "times": 1 });
    puppet.say(&argv.to_string());
    while !puppet.hear().starts_with(r#"{"did":"#) {}
    daemon.api().detach(&agent);

    let tools = daemon.api().rows_of(&agent, "tools", "tools");
    let files = &tools[0]["files"];
    for (effect, n) in [("created", 1), ("changed", 1), ("deleted", 1), ("renamed", 1)] {
        assert_eq!(files[effect], n, "{effect}: {tools:?}");
    }
    let mut told: Vec<String> = files["top"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| {
            let path = Path::new(file["path"].as_str().unwrap()).strip_prefix(&folder.0).unwrap();
            format!("{} {}", file["effect"].as_str().unwrap(), path.display())
        })
        .collect();
    told.sort();
    assert_eq!(told, ["changed changed", "created new", "deleted deleted", "renamed name"]);
}

//! The journal, the export and the import of a real daemon: a store that is made of what was written answers alike,
//! and another program reads the same sums out of the tables.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    binary::{agentperf, target_directory},
    daemon::Daemon,
    puppet::Puppet,
    workload::source,
};

/// What `workloads/secrets.sh` plants in every secret.
const MARK: &str = "PLANTED0SECRET";

/// Runs a command of the command line; what it printed, as JSON.
fn store(verb: &str, directory: &Path, arguments: &[&Path]) -> Value {
    let mut command = Command::new(agentperf());
    command.args(["store", verb, "--json", "--directory"]).arg(directory).args(arguments);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// All that the API says of agents.
fn answers(daemon: &Daemon, agents: &[String]) -> Vec<Value> {
    const REPORTS: [&str; 8] = [
        "",
        "/processes",
        "/syscalls",
        "/syscalls?by=process",
        "/off-cpu?limit=1000",
        "/stacks/quality",
        "/profile?type=cpu&format=json",
        "/profile?type=off_cpu&format=json",
    ];
    let get = |agent: &String| {
        REPORTS.map(|report| daemon.api().get(&format!("/api/v1/agents/{agent}{report}")).expect(200).json())
    };
    agents.iter().flat_map(get).collect()
}

/// A daemon that works for a while; what it answered, about whom.
fn history(overrides: Value) -> (Vec<String>, Vec<Value>, tempfile::TempDir) {
    let kept = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(overrides);
    let (mut first, mut second) = (Puppet::start(), Puppet::start());
    let agents = vec![daemon.api().attach(first.pid()), daemon.api().attach(second.pid())];
    first.run_path("sh", &[source("secrets.sh").to_str().unwrap()]);
    first.run("cpu7030", &["2"]);
    second.tell("getppid 1000");
    daemon.api().detach(&agents[0]);
    second.tell("sleep 1");
    daemon.api().detach(&agents[1]);
    // Watched a second time.
    assert_eq!(daemon.api().attach(second.pid()), agents[1]);
    second.tell("getppid 500");
    daemon.api().detach(&agents[1]);
    let known = answers(&daemon, &agents);
    assert_eq!(daemon.api().loss("journal_dropped"), 0);
    assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
    fs::rename(daemon.store(), kept.path().join("store")).unwrap();
    (agents, known, kept)
}

#[test]
fn a_store_made_of_the_journal_or_of_an_export_answers_as_the_daemon_did() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal/journal.jsonl");
    let (agents, known, kept) = history(json!({ "journal": { "target": "file", "path": path } }));
    let journal = fs::read_to_string(&path).unwrap();
    assert!(!journal.contains(MARK), "the journal shows a secret");
    for line in journal.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let names: Vec<_> = line.as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, ["data", "level", "logger", "message", "timestamp"], "{line}");
    }
    let lines = folder.path().join("export.jsonl");
    let exported = store("export", &kept.path().join("store"), &[&lines]);
    for (name, file) in [("by-journal", &path), ("by-export", &lines)] {
        let directory = folder.path().join(name);
        let done = store("import", &directory, &[file]);
        assert_eq!((&done["broken"], &done["dropped"]), (&json!(0), &json!(0)), "{done}");
        assert_eq!(done["windows"], exported["windows"], "{done}");
        let again = store("import", &directory, &[file]);
        for kind in ["agents", "processes", "windows", "broken"] {
            assert_eq!(again[kind], 0, "a second time changes nothing: {again}");
        }
        let daemon = Daemon::start(json!({ "history": { "directory": directory } }));
        for (now, before) in answers(&daemon, &agents).iter().zip(&known) {
            assert_eq!(now, before, "{name}");
        }
    }
}

/// Reads the tables by DuckDB and prints sums, as JSON.
const SUMS: &str = r#"
import duckdb, json, sys
def one(sql): return duckdb.sql(sql.replace("@", sys.argv[1] + "/")).fetchall()
agent = sys.argv[2]
print(json.dumps({
    "cpu": one(f"select coalesce(sum(cpu_ns), 0)::bigint from '@cpu.parquet' where agent = '{agent}'")[0][0],
    "blocked": one(f"select sum(blocked_ns)::bigint from '@off_cpu.parquet' where agent = '{agent}'")[0][0],
    "run_queue": one(f"select sum(run_queue_ns)::bigint from '@windows.parquet' where agent = '{agent}'")[0][0],
    "calls": {n: int(c) for n, c in one(f"select coalesce(name, number::varchar), sum(count)::bigint from '@syscalls.parquet' where agent = '{agent}' group by all")},
    "timed": one(f"select sum(count)::bigint from '@syscall_latencies.parquet' where agent = '{agent}'")[0][0],
    "pids": sorted(p for (p,) in one(f"select pid from '@processes.parquet' where agent = '{agent}'")),
    "agents": sorted(a for (a,) in one("select agent from '@agents.parquet'")),
    "seventy_ns": one(f"select coalesce(sum(c.cpu_ns), 0)::bigint from '@cpu.parquet' c where agent = '{agent}' and exists (select 1 from '@frames.parquet' f where f.stack = c.stack and f.function = 'seventy')")[0][0],
    "dangling": one("select count(*) from '@cpu.parquet' c anti join '@stacks.parquet' s on s.stack = c.stack")[0][0],
    "frames": one("select (select sum(depth)::bigint from '@stacks.parquet') - (select count(*) from '@frames.parquet')")[0][0],
    "kernel": one("select count(*) from '@frames.parquet' where kind = 'kernel' and address >= 18446603336221196288")[0][0],
}))
"#;

/// A Python that has DuckDB, in a virtual environment that is made at its first use.
fn python() -> PathBuf {
    let environment = target_directory().join("venv/duckdb");
    let python = environment.join("bin/python");
    if !environment.join("installed").exists() {
        let run = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "duckdb>=1.1,<2"];
        run(Command::new(&python).args(pip));
        fs::write(environment.join("installed"), "").unwrap();
    }
    python
}

#[test]
fn another_program_reads_the_same_sums_out_of_the_tables() {
    let (agents, known, kept) = history(json!({}));
    let folder = tempfile::tempdir().unwrap();
    let tables = folder.path().join("tables");
    let done = store("export", &kept.path().join("store"), &[Path::new("--format=parquet"), &tables]);
    assert_eq!(done["agents"], 2, "{done}");
    let mut command = Command::new(python());
    let output = command.args(["-c", SUMS]).arg(&tables).arg(&agents[0]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sums: Value = serde_json::from_slice(&output.stdout).unwrap();

    let mut listed = agents.clone();
    listed.sort();
    assert_eq!(sums["agents"], json!(listed));
    let [_, processes, syscalls, _, off_cpu, _, cpu, _] = &known[..8] else { panic!("eight reports") };
    let near = |ns: &Value, seconds: &Value| {
        let (ns, seconds) = (ns.as_f64().unwrap() / 1e9, seconds.as_f64().unwrap());
        assert!((ns - seconds).abs() < 1e-6 * seconds.max(1.0), "{ns} {seconds}");
    };
    let total = |names: [&str; 2]| {
        json!(names.iter().map(|name| off_cpu["totals"][*name].as_f64().unwrap()).sum::<f64>())
    };
    near(&sums["blocked"], &total(["blocked_seconds", "page_fault_seconds"]));
    near(&sums["run_queue"], &total(["run_queue_seconds", "preempted_seconds"]));
    let mut pids: Vec<_> =
        processes["processes"].as_array().unwrap().iter().map(|p| p["pid"].as_u64().unwrap()).collect();
    pids.sort_unstable();
    assert_eq!(sums["pids"], json!(pids));
    for call in syscalls["syscalls"].as_array().unwrap() {
        assert_eq!(sums["calls"][call["name"].as_str().unwrap()], call["count"], "{call}");
    }
    assert_eq!((&sums["dangling"], &sums["frames"]), (&json!(0), &json!(0)));
    assert!(sums["kernel"].as_u64() > Some(0), "addresses keep all their bits: {sums}");
    let (cpu_ns, seventy) = (sums["cpu"].as_f64().unwrap(), sums["seventy_ns"].as_f64().unwrap());
    assert!(seventy > 0.5e9 && seventy < cpu_ns, "stacks have their names: {sums}");
    let text = cpu.to_string();
    assert!(text.contains("seventy"), "{text}");
}

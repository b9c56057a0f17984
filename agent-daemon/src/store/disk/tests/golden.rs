//! Stores of every released format, as that release wrote them: each opens, is whole, and answers as the lines beside it
//! say. A new format adds a folder; one that is there is never written again.
//!
//! Made by `cargo test -p agentperf --lib -- --ignored make_the_golden_store`, which refuses to change one that is there.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{close, open};
use crate::{
    export::{
        journal::{Import, Reader, export},
        select::Selection,
    },
    model::{
        agent::{AgentEnd, AgentSource},
        operation::Operation,
        process::Exit,
        record::Arrived,
        time::TimeRange,
    },
    store::{
        Disk, Options, Store, StoreError,
        disk::{database, info, schema},
        fixture::{
            answers, at, busy_window, host_window_at, numbered_agent, operation_at, process_at, sums_at,
        },
        query::{GroupBy, OperationFilter, Order, host_history, operation_summary, operations},
    },
};

/// Nothing is too old, and nothing is sealed by itself.
const OPTIONS: Options = Options {
    keep: Duration::from_secs(1 << 33),
    raw: Duration::from_secs(86_400),
    minutes: Duration::from_secs(3 * 86_400),
    max_bytes: 2 << 30,
    seal_after: Duration::from_secs(1 << 33),
    max_agents: 100,
    max_processes: 1_000,
};
const DAY: i64 = 86_400;
/// Formats that only this repository has seen.
const NEVER_RELEASED: [i64; 1] = [2];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/disk/tests/golden")
}

/// Every kind of record at every level: hours, minutes, raw windows, and some that are not sealed.
fn fill(store: &Disk) {
    for pid in 1..4 {
        let mut agent = numbered_agent(pid, at(0));
        if pid == 2 {
            agent.source = AgentSource::Rule("golden".to_owned());
            agent.ended = Some((at(9 * DAY), AgentEnd::Exited));
        }
        store.put_agent(agent.clone());
        for (n, exit) in [None, Some(Exit::Code(3)), Some(Exit::Signal { number: 9, core_dumped: true })]
            .into_iter()
            .enumerate()
        {
            let mut process = process_at(100 + n as u32, at(n as i64));
            process.ended = exit.map(|_| at(9 * DAY));
            process.exit = exit;
            store.put_process(&agent.id, process);
        }
        for begin in [0, 6 * DAY, 8 * DAY] {
            (0..30).for_each(|n| store.append(busy_window(&agent.id, at(begin + 5 * n), (n as u32) * pid)));
        }
    }
    for begin in [0, 6 * DAY, 8 * DAY] {
        put_operations(store, begin);
        put_host(store, begin);
    }
    store.compact(at(8 * DAY + 3600)).unwrap();
    for pid in 1..4 {
        let id = numbered_agent(pid, at(0)).id;
        (0..5).for_each(|n| store.append(busy_window(&id, at(9 * DAY + 5 * n), n as u32 + 7 * pid)));
    }
    put_operations(store, 9 * DAY);
    put_host(store, 9 * DAY);
    store.sync().unwrap();
}

/// What the host did for two minutes.
fn put_host(store: &Disk, begin: i64) {
    (0..24).for_each(|n| store.put_host(host_window_at(at(begin + 5 * n), n as u32 + 1)));
}

/// Those of an agent, those of nobody, and some that were told as sums.
fn put_operations(store: &Disk, begin: i64) {
    let one = |n: i64| {
        let mut operation = operation_at(at(begin + 7 * n), (begin + n + 1) as u64);
        operation.name = format!("/route{}", n % 3);
        operation.duration_ns = (n as u64 + 1) * 1_000_000;
        operation.agent = Some(numbered_agent(1, at(0)).id);
        if n % 4 == 0 {
            operation = Operation { agent: None, process: None, trace: None, user: None, ..operation };
        }
        operation
    };
    let operations = (0..20).map(one).collect();
    store.put_operations(Arrived { operations, sums: vec![sums_at(at(begin), 50)], place: None });
}

#[test]
#[ignore = "makes what the other test reads"]
fn make_the_golden_store() {
    let to = folder().join(format!("v{}", schema::VERSION));
    assert!(!to.exists(), "{} is released, and never written again", to.display());
    let (store, _) = open(&to, OPTIONS);
    fill(&store);
    let mut text = Vec::new();
    export::<()>(&store, &Selection::ALL, "golden".to_owned(), &mut |lines, _| {
        lines.iter().for_each(|line| text.extend([line.json().as_bytes(), b"\n"].concat()));
        Ok(())
    })
    .unwrap();
    drop(store);
    for left in ["lock", "agentperf.db-shm", "agentperf.db-wal"] {
        let _ = fs::remove_file(to.join(left));
    }
    fs::write(to.join("lines.jsonl.zst"), zstd::encode_all(text.as_slice(), 19).unwrap()).unwrap();
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), to.path().join(file.file_name())).unwrap();
    }
    to
}

/// A store that is made of a golden one's lines.
fn imported(from: &Path, to: &Path) -> Disk {
    let (store, _) = open(to, OPTIONS);
    let mut import = Import::new(&store, at(9 * DAY));
    for line in Reader::new(fs::File::open(from.join("lines.jsonl.zst")).unwrap()).unwrap() {
        let (number, line) = line.unwrap();
        import.line("golden", (number, line.as_deref())).unwrap();
    }
    assert_eq!(import.finish().unwrap().broken, 0);
    store.compact(at(9 * DAY)).unwrap();
    store
}

fn all_answers(store: &Disk) -> Vec<String> {
    let range = |from, to| TimeRange { from: at(from), to: at(to) };
    let ranges = [TimeRange::ALL, range(0, DAY), range(6 * DAY, 7 * DAY), range(8 * DAY, 8 * DAY + 60)];
    let agents = store.agents();
    let of = |range| agents.iter().map(move |agent| (agent.id.clone(), range)).collect::<Vec<_>>();
    let of_agents = ranges.into_iter().flat_map(of).map(|(id, range)| answers(store, &id, range));
    let of_all = ranges.into_iter().flat_map(|r| [of_operations(store, r), of_host(store, r)]);
    of_agents.chain(of_all).collect()
}

fn of_host(store: &Disk, range: TimeRange) -> String {
    format!("{:?}", host_history(store, range, 100).unwrap())
}

fn of_operations(store: &Disk, range: TimeRange) -> String {
    let all = OperationFilter::default();
    let page = operations(store, range, &all, (Order::Newest, 0, 1000)).unwrap();
    let by = [GroupBy::Endpoint, GroupBy::Agent, GroupBy::User];
    format!("{page:?}\n{:?}", by.map(|by| operation_summary(store, range, &all, by).unwrap()))
}

#[test]
fn every_released_format_opens_and_answers_as_it_did() {
    let mut seen = Vec::new();
    for golden in fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()) {
        let (folder, other) = (copy(&golden), tempfile::tempdir().unwrap());
        let (store, telemetry) = open(folder.path(), OPTIONS);
        let lines = imported(&golden, other.path());
        let known = all_answers(&lines);
        assert_eq!(known.len(), 20, "{}", golden.display());
        assert_eq!(all_answers(&store), known, "{}", golden.display());
        let mut losses = telemetry.losses.all();
        losses.retain(|_, n| *n > 0);
        assert!(losses.is_empty(), "{losses:?}");
        // And it goes on in it, in the present format.
        store.append(busy_window(&numbered_agent(1, at(0)).id, at(9 * DAY + 600), 5));
        store.compact(at(9 * DAY)).unwrap();
        let told = info(folder.path()).unwrap();
        assert_eq!(told.schema, schema::VERSION);
        assert!(told.levels.iter().all(|level| level.windows > 0), "{told:?}");
        close(store);
        seen.push(golden.file_name().unwrap().to_str().unwrap().to_owned());
    }
    seen.sort();
    let released = (1..=schema::VERSION).filter(|version| !NEVER_RELEASED.contains(version));
    let all: Vec<_> = released.map(|version| format!("v{version}")).collect();
    assert_eq!(seen, all, "one store of every version: see the top of this file");
}

#[test]
fn a_newer_format_is_refused_in_words_and_left_alone() {
    let golden = copy(&folder().join("v1"));
    let path = golden.path().join(database::FILE);
    let newer = schema::VERSION + 1;
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", newer).unwrap();
    let before = fs::read(&path).unwrap();
    let error = Disk::open(golden.path(), OPTIONS, Arc::default()).unwrap_err();
    assert!(matches!(error, StoreError::TooNew { found, .. } if found == newer), "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!("format {newer}")) && text.contains("start a newer agentperf"), "{text}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

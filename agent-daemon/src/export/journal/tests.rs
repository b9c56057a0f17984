//! What was told is told again: a store, its lines, and a store that is made of them answer alike.

mod host;
mod operations;
mod recorder;

use std::{fs, path::Path, time::Duration};

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest};

use super::{file::Rotation, *};
use crate::{
    config::Compression,
    export::select::Selection,
    model::{
        agent::AgentEnd,
        id::AgentId,
        process::{Exit, Process},
        time::TimeRange,
    },
    store::{
        Disk, Options, Store,
        fixture::{answers, at, busy_window, numbered_agent, operation_at, process_at, sums_at, windows},
    },
};

/// Nothing is forgotten, whatever the clock says.
fn options() -> Options {
    Options { keep: Duration::from_secs(1 << 30), seal_after: Duration::ZERO, ..Options::default() }
}

fn open(folder: &Path) -> Disk {
    Disk::open(folder, options(), Arc::default()).unwrap()
}

fn id(pid: u32) -> AgentId {
    numbered_agent(pid, at(0)).id
}

/// All that the store says of the three agents.
fn all_answers(store: &dyn Store) -> Vec<String> {
    (0..3).map(|pid| answers(store, &id(pid), TimeRange::ALL)).collect()
}

fn agent(pid: u32, watch: i64, ended: bool) -> Agent {
    let mut agent = numbered_agent(pid, at(0));
    agent.attached = at(watch * 100);
    agent.ended = ended.then_some((at(watch * 100 + 50), AgentEnd::Exited));
    agent
}

fn process(pid: u32, cpu_ns: u64, ended: Option<i64>) -> Process {
    let mut process = process_at(pid, at(i64::from(pid)));
    process.cpu_ns = cpu_ns;
    process.ended = ended.map(at);
    process.exit = ended.map(|_| Exit::Signal { number: 9, core_dumped: true });
    process
}

/// A history as an aggregator tells it: agents before what they did, each watch after the other, processes that use
/// more and more, and end once; windows that each begin elsewhere.
fn history() -> impl Strategy<Value = Vec<Record>> {
    let step = prop_oneof![
        1 => Just(0u32),
        4 => 1..5u32,
        6 => Just(9u32),
    ];
    proptest::collection::vec((step, 0..3u32, 0..6u32, any::<u32>()), 1..60).prop_map(|steps| {
        let mut watches = [0i64; 3];
        let mut records: Vec<_> = (0..3).map(|pid| Record::Agent(agent(pid, 0, false))).collect();
        let mut over = [[false; 6]; 3];
        for (n, (what, of, pid, seed)) in steps.into_iter().enumerate() {
            let now = n as i64 * 10;
            let watch = &mut watches[of as usize];
            match what {
                0 => {
                    records.push(Record::Agent(agent(of, *watch, true)));
                    *watch += 1;
                    records.push(Record::Agent(agent(of, *watch, false)));
                }
                9 => records.push(Record::Window(busy_window(&id(of), at(now), seed))),
                _ if !over[of as usize][pid as usize] => {
                    let ends = what == 4;
                    over[of as usize][pid as usize] = ends;
                    // Ends lie behind every watch.
                    let ended = ends.then_some(1_000_000 + now);
                    records.push(Record::Process(id(of), process(pid, n as u64 + 1, ended)));
                }
                _ => {}
            }
        }
        records
    })
}

fn put(store: &Disk, record: &Record) {
    match record {
        Record::Agent(agent) => store.put_agent(agent.clone()),
        Record::Process(agent, process) => store.put_process(agent, process.clone()),
        Record::Window(window) => store.append(window.clone()),
        _ => {}
    }
}

fn exported(store: &Disk) -> Vec<u8> {
    let mut text = Vec::new();
    export::<()>(store, &Selection::ALL, "export".to_owned(), &mut |lines, _| {
        lines.iter().for_each(|line| text.extend([line.json().as_bytes(), b"\n"].concat()));
        Ok(())
    })
    .unwrap();
    text
}

fn imported<'a>(store: &Disk, files: impl IntoIterator<Item = &'a [u8]>) -> Imported {
    imported_at(at(2_000_000), store, files)
}

fn imported_at<'a>(now: Timestamp, store: &Disk, files: impl IntoIterator<Item = &'a [u8]>) -> Imported {
    let mut import = Import::new(store, now);
    for (n, bytes) in files.into_iter().enumerate() {
        for line in Reader::new(bytes).unwrap() {
            let (number, line) = line.unwrap();
            import.line(&n.to_string(), (number, line.as_deref())).unwrap();
        }
    }
    import.finish().unwrap()
}

/// Tells a journal all of it, in files of about `max_bytes`; the files, oldest first.
fn journaled(records: &[Record], max_bytes: u64, compress: Compression) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let rotation = Rotation { max_bytes, max_age: Duration::from_secs(3600), max_files: 10_000, compress };
    let telemetry = Arc::new(Telemetry::default());
    let files = Files::open(&path, rotation, Timestamp::now()).unwrap();
    let (journal, thread) =
        Journal::over(Sink::Files(files), ("journal", Loss::JournalDropped), &telemetry).unwrap();
    records.iter().for_each(|record| journal.follow(record));
    thread.finish();
    assert_eq!(telemetry.losses.all()["journal_dropped"], 0);
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort_by_key(|name| (name.file_name() == path.file_name(), name.clone()));
    names.iter().map(|name| fs::read(name).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_store_made_of_an_export_or_of_a_journal_answers_alike(records in history(), rotate in 500..20_000u64) {
        let [original, by_export, by_journal] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let first = open(original.path());
        for (n, record) in records.iter().enumerate() {
            put(&first, record);
            if n % 7 == 0 {
                first.maintain(at(2_000_000));
            }
        }
        let lines = exported(&first);
        let journal = journaled(&records, rotate, Compression::Zstd);
        let known = all_answers(&first);
        for (folder, files) in [(&by_export, vec![lines.clone()]), (&by_journal, journal)] {
            let second = open(folder.path());
            let files = || files.iter().map(Vec::as_slice);
            let done = imported(&second, files());
            prop_assert_eq!((done.broken, &done.broken_lines), (0, &Vec::new()));
            prop_assert_eq!(&all_answers(&second), &known);
            let again = imported(&second, files());
            prop_assert_eq!((again.agents, again.processes, again.windows, again.broken), (0, 0, 0, 0));
            prop_assert_eq!(&all_answers(&second), &known);
        }
    }
}

#[test]
fn the_last_file_alone_knows_whom_it_speaks_of() {
    let records: Vec<_> = [Record::Agent(agent(1, 0, false)), Record::Process(id(1), process(3, 1, None))]
        .into_iter()
        .chain((0..200).map(|n| Record::Window(busy_window(&id(1), at(5 * n), n as u32))))
        .collect();
    let files = journaled(&records, 10_000, Compression::Gzip);
    assert!(files.len() > 4, "{}", files.len());
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let last = files.iter().rev().find(|file| !file.is_empty()).unwrap();
    let done = imported(&store, [last.as_slice()]);
    assert_eq!((done.agents, done.processes, done.broken), (1, 1, 0), "{done:?}");
    assert!(done.windows > 0 && done.windows < 200);
    // By then they are merged: how many are in the last file decides where that begins.
    assert_eq!(windows(&store, &id(1), TimeRange::ALL).last().unwrap().end, at(5 * 200));
    // The others join, in whatever order.
    let rest = imported(&store, files.iter().rev().map(Vec::as_slice));
    assert_eq!((rest.broken, done.windows + rest.windows), (0, 200), "{rest:?}");
}

#[test]
fn what_was_merged_since_is_not_put_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.put_agent(agent(1, 0, false));
    for n in 0..720 {
        store.append(busy_window(&id(1), at(5 * n), n as u32));
    }
    store.sync().unwrap();
    let lines = exported(&store);
    store.compact(at(10 * 86_400)).unwrap();
    let known = all_answers(&store);
    let done = imported(&store, [lines.as_slice()]);
    assert_eq!((done.windows, done.broken), (0, 0));
    assert_eq!(all_answers(&store), known);
}

#[test]
fn broken_lines_are_counted_with_their_numbers_and_the_rest_is_read() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(from.path());
    store.put_agent(agent(1, 0, false));
    (0..10).for_each(|n| store.append(busy_window(&id(1), at(5 * n), 2 * n as u32 + 1)));
    let text = String::from_utf8(exported(&store)).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let names = lines.iter().position(|l| l.contains("agentperf.names")).unwrap();
    let orphan = lines.last().unwrap().replace(id(1).as_str(), "9-9");
    let newer = lines[1].replacen("\"v\":1", "\"v\":2", 1);
    lines.extend([
        orphan,
        newer,
        "{}".to_owned(),
        "{\"logger\":\"x\",\"data\":{}}".to_owned(),
        String::new(),
    ]);
    let count = lines.len() as u64;
    let store = open(to.path());
    let done = imported(&store, [lines.join("\n").as_bytes()]);
    let numbers: Vec<_> = done.broken_lines.iter().map(|b| b.line).collect();
    assert_eq!(numbers, (count - 4..=count - 1).collect::<Vec<_>>(), "{done:?}");
    assert_eq!((done.windows, done.lines), (10, count - 1));
    let reasons: Vec<_> = done.broken_lines.iter().map(|b| b.reason.as_str()).collect();
    assert_eq!(reasons[0], "its agent is not told of before it");
    assert!(reasons[1].contains("version 2 is newer"), "{reasons:?}");

    // Without a line of names, the windows that need it are broken, and no stack is another one.
    lines.remove(names);
    let third = tempfile::tempdir().unwrap();
    let done = imported(&open(third.path()), [lines.join("\n").as_bytes()]);
    assert!(
        done.broken > 4 && done.broken_lines.iter().any(|b| b.reason.contains("has not told")),
        "{done:?}"
    );
}

#[test]
fn what_is_known_better_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let old = [
        Record::Agent(agent(1, 0, false)),
        Record::Process(id(1), process(3, 5, None)),
        Record::Process(id(1), process(4, 5, None)),
    ];
    for record in [
        Record::Agent(agent(1, 2, false)),
        Record::Process(id(1), process(3, 9, Some(500))),
        Record::Process(id(1), process(4, 9, None)),
    ] {
        put(&store, &record);
    }
    let known = all_answers(&store);
    let files = journaled(&old, 1 << 20, Compression::None);
    let done = imported(&store, files.iter().map(Vec::as_slice));
    assert_eq!((done.agents, done.processes, done.known, done.broken), (0, 0, 3, 0), "{done:?}");
    assert_eq!(all_answers(&store), known);
}

#[test]
fn entries_of_journald_are_read_as_journalctl_shows_them() {
    let mut lines = Vec::new();
    let mut encoder = Encoder::default();
    encoder.begin("s".to_owned(), at(0), &mut lines);
    encoder.agent(&agent(1, 0, false), &mut lines);
    encoder.window(busy_window(&id(1), at(0), 5), &mut lines);
    let mut shown: Vec<String> = lines
        .iter()
        .map(|l| serde_json::json!({ "MESSAGE": l.message, "AGENTPERF_RECORD": l.json() }).to_string())
        .collect();
    shown.push(serde_json::json!({ "MESSAGE": "listening", "__CURSOR": "s=1;i=2" }).to_string());
    let folder = tempfile::tempdir().unwrap();
    let done = imported(&open(folder.path()), [shown.join("\n").as_bytes()]);
    assert_eq!((done.agents, done.windows, done.broken), (1, 1, 0), "{done:?}");
}

#[test]
fn a_sink_that_fails_costs_its_records_and_tells_names_anew() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let listener = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    let telemetry = Arc::new(Telemetry::default());
    let mut writer = Writer::new(
        Sink::Journald(Journald::new(&socket, Timestamp::now()).unwrap()),
        ("journal", Loss::JournalDropped),
        Arc::clone(&telemetry),
    );
    let window = |n: i64| Entry::Window(busy_window(&id(1), at(5 * n), 1));
    writer.write(Entry::Agent(agent(1, 0, false)));
    writer.write(window(0));
    drop(listener);
    fs::remove_file(&socket).unwrap();
    writer.write(window(1));
    assert_eq!(telemetry.losses.all()["journal_dropped"], 1);
    let listener = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    writer.write(window(2));
    listener.set_nonblocking(true).unwrap();
    let mut decoder = Decoder::default();
    let (mut buffer, mut entries) = (vec![0; 1 << 20], Vec::new());
    while let Ok(length) = listener.recv(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let record = text.lines().find_map(|l| l.strip_prefix("AGENTPERF_RECORD=")).unwrap();
        entries.extend(decoder.line(record.as_bytes()).unwrap());
    }
    assert!(matches!(&entries[..], [Entry::Agent(_), Entry::Window(w)] if w.start == at(10)), "{entries:?}");
    assert_eq!(telemetry.losses.all()["journal_dropped"], 1);
}

proptest! {
    #[test]
    fn any_line_ends_in_a_record_or_an_error(
        seed in any::<u32>(), at_byte in any::<usize>(), byte in any::<u8>(), cut in any::<bool>()
    ) {
        let (mut lines, mut encoder) = (Vec::new(), Encoder::default());
        encoder.begin("s".to_owned(), at(0), &mut lines);
        encoder.agent(&agent(1, 0, true), &mut lines);
        encoder.process(&id(1), at(0), &process(3, 1, Some(5)), &mut lines);
        encoder.window(busy_window(&id(1), at(0), seed), &mut lines);
        encoder.operation(&operation_at(at(0), 10), &mut lines);
        encoder.sums(&sums_at(at(0), 9), &mut lines);
        let mut decoder = Decoder::default();
        for line in lines {
            let mut damaged = line.json().as_bytes().to_vec();
            let place = at_byte % damaged.len();
            if cut { damaged.truncate(place) } else { damaged[place] = byte }
            let _ = decoder.line(&damaged);
            decoder.line(line.json().as_bytes()).unwrap();
        }
    }
}

/// Every name in a line of each kind.
fn keys(value: &serde_json::Value, to: &mut std::collections::BTreeSet<String>) {
    match value {
        serde_json::Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            to.insert(name.clone());
            keys(value, to);
        }),
        serde_json::Value::Array(items) => items.iter().for_each(|item| keys(item, to)),
        _ => {}
    }
}

#[test]
fn every_name_is_documented() {
    let (mut lines, mut encoder) = (Vec::new(), Encoder::default());
    encoder.begin("s".to_owned(), at(0), &mut lines);
    let mut known = agent(1, 0, true);
    known.expires = Some(at(9));
    known.source = crate::model::agent::AgentSource::Rule("r".to_owned());
    encoder.agent(&known, &mut lines);
    let mut parent = process(3, 1, Some(5));
    parent.parent = Some(crate::store::fixture::process_id(1));
    encoder.process(&id(1), at(0), &parent, &mut lines);
    parent.exit = Some(Exit::Code(1));
    encoder.process(&id(1), at(0), &parent, &mut lines);
    (0..9).for_each(|seed| encoder.window(busy_window(&id(1), at(0), seed), &mut lines));
    encoder.operation(&operation_at(at(0), 10), &mut lines);
    encoder.sums(&sums_at(at(0), 9), &mut lines);
    let mut names = std::collections::BTreeSet::new();
    lines.iter().for_each(|line| keys(&serde_json::from_str(line.json()).unwrap(), &mut names));
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/journal.md")).unwrap();
    let missing: Vec<_> = names.iter().filter(|name| !text.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty() && names.len() > 40, "{missing:?} of {}", names.len());
}

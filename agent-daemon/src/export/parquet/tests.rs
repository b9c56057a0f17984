//! What can be shown without another reader: the crate's own, and the reference.

use std::sync::Arc;

use ::parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};

use super::{super::select::Selection, tables::TABLES, *};
use crate::{
    model::{operation::Operation, record::Arrived, window::Window},
    store::{
        Limits, Memory,
        fixture::{
            agent_at, at, busy_window, host_window_at, ledger, llm_call_at, operation_at, process_at,
            sums_at, tool_call_at,
        },
    },
};

fn read(folder: &Path, table: &str) -> Vec<Vec<(String, Field)>> {
    let file = std::fs::File::open(folder.join(format!("{table}.parquet"))).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    reader.get_row_iter(None).unwrap().map(|row| row.unwrap().into_columns()).collect()
}

#[test]
fn every_table_is_written_and_its_rows_are_those_of_the_windows() {
    let store = Memory::new(Limits::default(), Arc::default());
    let agent = agent_at(at(0));
    store.put_agent(agent.clone());
    store.put_process(&agent.id, process_at(100, at(0)));
    let window = |n: i64| Window { ledger: ledger(n as u64), ..busy_window(&agent.id, at(5 * n), n as u32) };
    let windows: Vec<_> = (0..50).map(window).collect();
    windows.iter().for_each(|window| store.append(window.clone()));
    let plain = Operation { agent: None, process: None, trace: None, status: None, ..operation_at(at(2), 9) };
    let operations = vec![operation_at(at(1), 7), plain, tool_call_at(at(3), 8), llm_call_at(at(4), 7)];
    store.put_operations(Arrived { operations, sums: vec![sums_at(at(60), 100)], place: None });
    (0..3).for_each(|n| store.put_host(host_window_at(at(5 * n), n as u32 + 1)));
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("tables");
    let done = export(&store, &Selection::ALL, &folder, &mut |_| {}).unwrap();
    assert_eq!((done.agents, done.processes, done.windows), (1, 1, 50));
    assert_eq!((done.operations, done.operation_sums, done.host_windows), (4, 1, 3));
    for (id, columns) in &TABLES {
        let rows = read(&folder, id.name());
        assert!(!rows.is_empty(), "{}", id.name());
        let names: Vec<_> = rows[0].iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, columns.iter().map(|c| c.name).collect::<Vec<_>>());
    }
    let cell = |table: &str, row: usize, column: &str| {
        let rows = read(&folder, table);
        rows[row].iter().find(|(name, _)| name == column).map(|(_, field)| field.clone()).unwrap()
    };
    assert_eq!(cell("operations", 0, "duration_ns"), Field::Long(7_000_000));
    assert_eq!(cell("operations", 0, "trace_id"), Field::Str("01".repeat(16)));
    assert_eq!(cell("operations", 0, "calls"), Field::Str(r#"[[0,"load",7]]"#.to_owned()));
    assert_eq!(cell("operations", 1, "pid"), Field::Null);
    assert_eq!(cell("operations", 0, "tool_end"), Field::Null);
    assert_eq!(cell("operations", 2, "tool_end"), Field::Str("exited".to_owned()));
    assert_eq!(cell("operations", 2, "written_bytes"), Field::Long(8 * 512));
    assert_eq!(cell("operations", 2, "provider"), Field::Null);
    assert_eq!(cell("operations", 3, "provider"), Field::Str("openai".to_owned()));
    assert_eq!(
        (cell("operations", 3, "input_tokens"), cell("operations", 3, "cost_usd")),
        (Field::Long(7), Field::Double(7e-12))
    );
    assert_eq!(cell("operation_sums", 0, "count"), Field::Long(100));
    assert_eq!(cell("operation_sums", 0, "errors"), Field::Long(10));
    assert_eq!(cell("host", 2, "load1"), Field::Double(1.5));
    assert_eq!(cell("host", 2, "io_some_ns"), Field::Long(5_000_000));
    assert_eq!(
        (cell("host_cpus", 5, "cpu"), cell("host_cpus", 5, "user_ns")),
        (Field::Long(3), Field::Long(3_000_000))
    );
    assert_eq!(cell("host_file_systems", 1, "read_only"), Field::Bool(true));
    assert_eq!(cell("host_disks", 1, "written_bytes"), Field::Long(2 * 8192));
    assert_eq!(cell("host_interfaces", 2, "sent_errors"), Field::Long(3));
    let causes = [0, 1, 2].map(|row| cell("ledger", row, "cause"));
    assert_eq!(causes, ["agent_cpu", "idle", "llm_first_token"].map(|cause| Field::Str(cause.to_owned())));
    assert_eq!(cell("thread_time", 1, "state"), Field::Str("llm_first_token".to_owned()));
    let cpu = read(&folder, "cpu");
    let expected: u64 = windows.iter().flat_map(|w| &w.cpu).map(|row| row.samples).sum();
    let samples = cpu.iter().flatten().filter(|(name, _)| name == "samples").map(|(_, field)| match field {
        Field::Long(n) => *n as u64,
        other => panic!("{other:?}"),
    });
    assert_eq!(samples.sum::<u64>(), expected);
    let error = export(&store, &Selection::ALL, &folder, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("agents.parquet"), "nothing is overwritten: {error}");
}

/// `UPDATE_GOLDEN=1` writes the file anew.
#[test]
fn the_reference_in_docs_is_that_of_the_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/parquet.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, reference()).unwrap();
    }
    let file = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(file, reference(), "docs/parquet.md has drifted: run the tests with UPDATE_GOLDEN=1");
}

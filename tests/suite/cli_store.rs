//! `agentperf store export` and `import`: what they say, and what they refuse.

use std::{fs, process::Stdio};

use crate::cli_binary::{Ran, agentperf, run};

#[test]
fn what_cannot_be_exported_or_imported_is_said_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let directory = store.to_str().unwrap();
    let none = run(&["store", "export", "--directory", directory]);
    assert!(none.failed(1).contains("agentperf.db"), "{none:?}");
    assert!(!store.exists(), "looking makes no store");
    let missing = run(&["store", "import", "--directory", directory, "/nonexistent"]);
    assert!(missing.failed(1).starts_with("cannot read /nonexistent: "), "{missing:?}");
    assert!(!store.exists());
    let empty = folder.path().join("empty.jsonl");
    fs::write(&empty, "").unwrap();
    let empty = empty.to_str().unwrap();
    assert_eq!(run(&["store", "import", "--directory", directory, "--json", empty]).json()["lines"], 0);
    let nowhere = run(&["store", "export", "--format", "parquet", "--directory", directory]);
    assert_eq!(nowhere.failed(2), "name a folder for the tables");
    let there = run(&["store", "export", "--directory", directory, empty]);
    assert!(there.failed(2).contains("is there already"), "nothing is overwritten: {there:?}");
    let backwards = ["--from", "2026-01-02T00:00:00Z", "--until", "2026-01-01T00:00:00Z"];
    let backwards = run(&[&["store", "export", "--directory", directory], &backwards[..]].concat());
    assert_eq!(backwards.failed(2), "--from must be before --until");
    for wrong in [["--agent", "nobody"], ["--since", "soon"]] {
        assert_eq!(run(&[&["store", "export", "--directory", directory], &wrong[..]].concat()).code, Some(2));
    }
}

#[test]
fn broken_lines_on_standard_input_are_named_and_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("lines");
    fs::write(&lines, "nonsense\n\n{\"logger\":\"agentperf.agent\",\"data\":{\"v\":7}}\n").unwrap();
    let store = folder.path().join("store");
    let mut command = agentperf(&["store", "import", "--directory", store.to_str().unwrap(), "-"]);
    let ran: Ran = command.stdin(fs::File::open(&lines).unwrap()).output().unwrap().into();
    assert_eq!(ran.code, Some(1), "nothing was a record: {ran:?}");
    assert!(ran.out.starts_with("0 windows, 0 processes, 0 agents, 0 operations"), "{ran:?}");
    for part in ["2 broken lines", "  -:1: expected", "  -:3: version 7 is newer"] {
        assert!(ran.err.contains(part), "{part}: {ran:?}");
    }
    let mut export = agentperf(&["store", "export", "--directory", store.to_str().unwrap()]);
    let mut child = export.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success(), "a reader that goes away is no error");
}

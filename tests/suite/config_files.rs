//! The configuration as an operator meets it: the example, the check, the rules.

use crate::cli_binary::{agentperf, run};

#[test]
fn the_example_is_fine_and_is_the_one_in_docs() {
    let example = run(&["config", "example"]);
    let docs =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/agentperf.example.yaml"));
    assert_eq!(example.out, docs.unwrap());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &example.out).unwrap();
    let checked = run(&["config", "check", file.path().to_str().unwrap()]);
    assert!(checked.code == Some(0) && checked.out.contains("is fine"), "{checked:?}");
    let values = run(&["config", "check", "--json", file.path().to_str().unwrap()]).json();
    assert_eq!(values["window"], "5s");
}

#[test]
fn ages_that_nothing_reaches_are_noted() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    for (yaml, is_noted) in [
        ("history: {keep: 1h, raw: 2h}", true),
        ("history: {keep: 1h}", false),
        ("history: {keep: 7d, raw: 2h}", false),
    ] {
        std::fs::write(path, yaml).unwrap();
        let checked = run(&["config", "check", path]);
        assert_eq!(checked.code, Some(0));
        assert_eq!(checked.err.contains("history.raw is longer than history.keep"), is_noted, "{checked:?}");
    }
}

#[test]
fn a_wrong_key_is_code_2_with_line_and_column() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    std::fs::write(path, "listen: 127.0.0.1:1\nsampling:\n  frequenzy_hz: 97\n").unwrap();
    for args in [&["config", "check", path][..], &["serve", "--config", path], &["rules", "--config", path]] {
        let sentence = run(args).failed(2).to_owned();
        assert_eq!(sentence, format!("{path}:3:3: unknown key frequenzy_hz: did you mean frequency_hz?"));
    }
}

#[test]
fn wrong_flags_variables_and_files_are_code_2() {
    let listen = run(&["serve", "--listen", "localhost"]);
    assert!(
        listen.failed(2).starts_with("--listen: listen is \"localhost\" but must be an address"),
        "{listen:?}"
    );
    let missing = run(&["serve", "--config", "/nonexistent.yaml"]);
    assert!(
        missing.failed(2).starts_with("cannot read the configuration /nonexistent.yaml: "),
        "{missing:?}"
    );
    let variable: crate::cli_binary::Ran =
        agentperf(&["rules"]).env("AGENTPERF_WINDOW", "never").output().unwrap().into();
    assert!(
        variable.failed(2).starts_with("environment variable AGENTPERF_WINDOW: window is"),
        "{variable:?}"
    );
}

#[test]
fn rules_are_listed_in_their_order() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    std::fs::write(path, "agents:\n  rules:\n    - {name: mine, executable: x, action: exclude}\n").unwrap();
    let rules = run(&["rules", "--json", "--config", path]).json();
    let rules = rules["rules"].as_array().unwrap();
    assert_eq!((&rules[0]["name"], &rules[0]["source"]), (&"mine".into(), &"configured".into()));
    assert_eq!((&rules[1]["name"], &rules[1]["source"]), (&"claude".into(), &"builtin".into()));
    let table = run(&["rules"]);
    for name in ["claude", "codex", "aider", "ollama", "vllm"] {
        assert!(table.out.lines().any(|l| l.starts_with(name)), "{name}");
    }
    let none: crate::cli_binary::Ran = agentperf(&["rules", "--json"])
        .env("AGENTPERF_AGENTS_BUILTIN_RULES", "false")
        .output()
        .unwrap()
        .into();
    assert_eq!(none.json()["rules"], serde_json::json!([]));
}

#[test]
fn a_check_tells_of_slips_that_are_no_mistakes() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let rules =
        "    - {name: a, executable: x, user: nosuchuser}\n    - {name: a, executable: y, user: root}\n";
    std::fs::write(path, format!("listen: 0.0.0.0:80\nagents:\n  rules:\n{rules}")).unwrap();
    let checked = run(&["config", "check", path]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    for note in ["there is no password", "the user nosuchuser", "another rule is called a"] {
        assert!(checked.err.contains(note), "{note}: {checked:?}");
    }
    assert_eq!(checked.err.lines().count(), 3, "{checked:?}");
}

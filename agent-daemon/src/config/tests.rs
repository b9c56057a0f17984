//! Files, environment and flags together, and every way in which they can be wrong.

use std::{path::Path, time::Duration};

use super::{Action, Config, OPTIONS, Overrides, unknown_variables};
use crate::model::probe::ProbeSet;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("a.yaml")).map_err(|e| e.to_string())
}

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn an_empty_file_is_the_defaults() {
    for text in ["", "# nothing\n", "listen:\nagents:\n  rules:\n"] {
        assert_eq!(parse(text).unwrap(), Config::default());
    }
}

/// A value other than the default for each option, so that a forgotten key shows.
const VALUES: [&str; 65] = [
    "127.0.0.1:1",
    "1s",
    "11",
    "false",
    "7",
    "777",
    "127.0.0.1:8080",
    "/srv/a",
    "2m",
    "2h",
    "2d",
    "3GB",
    "7777",
    "file",
    "/srv/j.jsonl",
    "5MB",
    "3m",
    "3",
    "gzip",
    "77",
    "false",
    "/srv/rules.yaml",
    "/srv/routes.yaml",
    "/srv/receivers.yaml",
    "true",
    "true",
    "/srv/reactions.yaml",
    "/srv/reactions",
    "3MB",
    "4MB",
    "debug",
    "json",
    "true",
    "tid_hash",
    "false",
    "/srv/libnvidia-ml.so.1",
    "/host/proc",
    "12.50",
    "1000",
    "true",
    "32MB",
    "directories",
    "model.bin",
    "false",
    "/srv/spool",
    "http://127.0.0.1:9090/api/v1/write",
    "1s",
    "2MB",
    "3s",
    "/srv/token",
    "/srv/headers",
    "/srv/ca.pem",
    "http://127.0.0.1:4317",
    "http/protobuf",
    "1s",
    "3s",
    "gzip",
    "/srv/headers",
    "/srv/ca.pem",
    "true",
    "http://127.0.0.1:4040",
    "1s",
    "/srv/token",
    "/srv/headers",
    "/srv/ca.pem",
];

#[test]
fn every_option_can_be_set_in_the_file_and_in_the_environment() {
    assert_eq!(VALUES.len(), OPTIONS.len());
    for (option, value) in OPTIONS.iter().zip(VALUES) {
        let text = option.key.rsplit('.').fold(value.to_owned(), |inner, key| format!("{{{key}: {inner}}}"));
        let from_file = parse(&text).unwrap();
        assert_eq!(option.get(&from_file), value, "{}", option.key);
        let from_environment =
            Config::load_from(None, environment(&[(&option.variable(), value)]), Overrides::default())
                .unwrap();
        assert_eq!(from_file, from_environment);
        assert_ne!(from_file, Config::default());
    }
}

#[test]
fn flags_lie_over_environment_over_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "window: 1s\nlisten: 127.0.0.1:1\nlog: {level: warn}\n").unwrap();
    let flags = Overrides::default().set("--listen", "listen", Some("127.0.0.1:3".to_owned()));
    let variables = environment(&[("AGENTPERF_LISTEN", "127.0.0.1:2"), ("AGENTPERF_LOG_LEVEL", "debug")]);
    let config = Config::load_from(Some(file.path()), variables, flags).unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.log.level, "debug");
    assert_eq!(config.window, Duration::from_secs(1));
    std::fs::write(file.path(), "window: 2s\n").unwrap();
    let again = config.reload(Some(file.path())).unwrap();
    assert_eq!((again.window.as_secs(), again.listen.port()), (2, 3));
}

#[test]
fn rules_are_read_whole() {
    let config = parse(
        "agents:\n  rules:\n    - name: a\n      action: exclude\n      user: [1000, me]\n    - name: b\n      \
         agent_name: b in {directory}\n      probes: [syscalls]\n      comm: yes\n      executable: [x, '**/y']\n      argv: \"-m b\"\n",
    )
    .unwrap();
    let [a, b] = config.agents.rules.as_slice() else { panic!("{config:?}") };
    assert_eq!((a.action, a.matchers.user.len(), a.probes), (Action::Exclude, 2, ProbeSet::RULE_DEFAULT));
    assert_eq!(b.matchers.comm[0].as_str(), "yes");
    assert_eq!((b.matchers.executable.len(), b.probes.bits(), b.agent_name.0.len()), (2, 4, 2));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, message) in [
        ("windw: 5s\n", "a.yaml:1:1: unknown key windw: did you mean window?"),
        ("agents:\n  rulez: []\n", "a.yaml:2:3: unknown key rulez: did you mean rules?"),
        ("log:\n  colour: red\n", "a.yaml:2:3: unknown key colour: known here are level, format"),
        ("window: 5\n", "a.yaml:1:9: window is \"5\" but must be a duration from 500ms to 60s"),
        ("window: 2m\n", "a.yaml:1:9: window is \"2m\" but must be a duration from 500ms to 60s"),
        (
            "listen: localhost\n",
            "a.yaml:1:9: listen is \"localhost\" but must be an address and port, as in 127.0.0.1:7575",
        ),
        (
            "log: {level: inof}\n",
            "a.yaml:1:14: log.level is \"inof\" but must be error, warn, info, debug, trace or off, or a list of MODULE=LEVEL",
        ),
        ("sampling: 97\n", "a.yaml:1:11: expected keys with values here (key: value)"),
        ("listen: [1]\n", "a.yaml:1:9: expected a single value here"),
        ("listen: a\nlisten: b\n", "a.yaml:2:1: listen is given twice"),
        (
            "agents:\n  rules:\n    - executable: x\n",
            "a.yaml:3:7: agents.rules[0].name is missing: every rule needs one",
        ),
        (
            "agents:\n  rules:\n    - name: x\n",
            "a.yaml:3:13: agents.rules[0].name has nothing to match by: give executable, comm, argv, cgroup, systemd_unit or user",
        ),
        (
            "agents:\n  rules:\n    - name: x\n      comm: [a, '']\n",
            "a.yaml:4:17: agents.rules[0].comm must not be empty",
        ),
        (
            "agents:\n  rules:\n    - name: x\n      comm: y\n      probes: [gpu]\n",
            "a.yaml:5:16: agents.rules[0].probes has \"gpu\" but knows only cpu, off_cpu, syscalls, ledger, cuda, wire, files, network, disk",
        ),
        (
            "agents:\n  rules:\n    - name: x\n      argv: '('\n",
            "a.yaml:4:13: agents.rules[0].argv is no regular expression: unclosed group",
        ),
        (
            "agents:\n  rules:\n    - name: x\n      comm: y\n      agent_name: '{who}'\n",
            "a.yaml:5:19: agents.rules[0].agent_name has the unknown part {who}: known are rule, pid, comm, executable, user, unit, container, directory",
        ),
        (
            "agents:\n  rules:\n    - name: x\n      executable: **/y\n",
            "a.yaml:4:19: a value that begins with * must stand in quotes",
        ),
    ] {
        assert_eq!(parse(text).unwrap_err(), message, "{text}");
    }
}

#[test]
fn wrong_variables_and_flags_are_named() {
    let error =
        Config::load_from(None, environment(&[("AGENTPERF_WINDOW", "x")]), Overrides::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment variable AGENTPERF_WINDOW: window is \"x\" but must be a duration from 500ms to 60s"
    );
    let flags = Overrides::default().set("--listen", "listen", Some("x".to_owned()));
    let error = Config::load_from(None, [], flags).unwrap_err();
    assert_eq!(
        error.to_string(),
        "--listen: listen is \"x\" but must be an address and port, as in 127.0.0.1:7575"
    );
    let names = ["AGENTPERF_WINDOWS", "AGENTPERF_URL", "AGENTPERF_WINDOW", "PATH"].map(str::to_owned);
    assert_eq!(unknown_variables(names), ["AGENTPERF_WINDOWS"]);
}

#[test]
fn files_that_are_none_are_refused() {
    let missing =
        Config::load_from(Some(Path::new("/nonexistent/a.yaml")), [], Overrides::default()).unwrap_err();
    assert!(
        missing.to_string().starts_with("cannot read the configuration /nonexistent/a.yaml: "),
        "{missing}"
    );
    let endless = Config::load_from(Some(Path::new("/dev/zero")), [], Overrides::default()).unwrap_err();
    assert!(endless.to_string().contains("more than"), "{endless}");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[ -~\\n]{0,200}") {
        let _ = parse(&text);
        let _ = parse(&format!("agents:\n  rules:\n    - name: x\n      executable: {text}\n"));
    }
}

#[test]
fn a_reload_brings_the_rules_into_force_and_nothing_else() {
    let mut config = Config::default();
    let rules = parse("agents:\n  builtin_rules: false\n  rules: [{ name: a, comm: b }]\n").unwrap();
    assert!(config.same_but_rules(&rules));
    config.agents.take_rules(&rules.agents);
    assert_eq!(config, rules);
    for other in ["agents: { max_agents: 9 }", "agents: { max_processes: 900 }", "window: 9s"] {
        assert!(
            !config.same_but_rules(&parse(other).unwrap()),
            "{other} needs a restart, and the log says so"
        );
    }
}

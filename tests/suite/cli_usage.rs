//! Everything about the command line that needs no daemon.

use std::{os::unix::fs::PermissionsExt, process::Command};

use crate::cli_binary::{Ran, agentperf, path, run};

const VERBS: [&str; 13] = [
    "serve",
    "attach",
    "record",
    "report",
    "agents",
    "alerts",
    "blocked-on",
    "check",
    "rules",
    "config",
    "completions",
    "man",
    "top",
];

#[test]
fn help_lists_every_verb_and_none_that_is_hidden() {
    let help = run(&["--help"]);
    assert_eq!(help.code, Some(0));
    for verb in VERBS {
        assert!(help.out.contains(&format!("  {verb} ")), "{verb}: {}", help.out);
        let own = run(&[verb, "--help"]);
        assert!(
            own.code == Some(0) && own.out.contains("Examples:") && own.out.contains("Exit codes:"),
            "{own:?}"
        );
    }
    assert!(!help.out.contains("gate"));
}

#[test]
fn bad_usage_is_code_2() {
    for args in [
        &[][..],
        &["no-such-verb"],
        &["attach"],
        &["attach", "0"],
        &["attach", "4194305"],
        &["attach", "1", "--duration", "5"],
        &["attach", "1", "--duration", "0s"],
        &["attach", "1", "--type", "gpu"],
        &["attach", "1", "--probes", "cpu,gpu"],
        &["attach", "1", "--format", "folded", "--json"],
        &["attach", "1", "--type", "syscalls", "--format", "svg"],
        &["attach", "1", "--type", "off_cpu", "--probes", "cpu", "--output", "/dev/null"],
        &["attach", "1", "--url", "ftp://x"],
        &["record"],
        &["record", "--format", "folded", "--", "true"],
        &["gate", "--release", "0", "--status", "0", "--", "true"],
        &["completions", "no-such-shell"],
    ] {
        assert_eq!(run(args).code, Some(2), "{args:?}");
    }
}

#[test]
fn completions_and_manuals_leave_out_what_is_hidden() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]);
        assert!(
            script.code == Some(0) && script.out.contains("attach") && !script.out.contains("gate"),
            "{shell}"
        );
    }
    let page = run(&["man"]);
    assert!(page.out.contains(".TH agentperf 1") && page.out.contains("record"), "{page:?}");
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(run(&["man", directory.path().to_str().unwrap()]).code, Some(0));
    for verb in VERBS {
        assert!(directory.path().join(format!("agentperf-{verb}.1")).exists(), "{verb}");
    }
    assert!(!directory.path().join("agentperf-gate.1").exists());
    let deep = directory.path().join("no/man1");
    let refused = run(&["man", deep.to_str().unwrap()]);
    assert!(refused.failed(1).contains("cannot write") && !directory.path().join("no").exists());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for args in [&["rules"][..], &["rules", "--json"], &["config", "example"], &["completions", "bash"]] {
        let mut child = agentperf(args).stdout(std::process::Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert!(child.wait().unwrap().success(), "{args:?}");
    }
}

#[test]
fn check_says_what_the_host_allows() {
    let check = run(&["check", "--json"]);
    let findings: serde_json::Value = serde_json::from_str(&check.out).unwrap();
    assert_eq!(check.code, Some(if findings["can_run"] == true { 0 } else { 1 }), "{check:?}");
    let checks = findings["checks"].as_array().unwrap();
    let named = |name: &str| checks.iter().find(|c| c["name"] == name).unwrap_or_else(|| panic!("{name}"));
    for name in
        ["kernel_version", "btf", "CAP_BPF", "CAP_PERFMON", "lockdown", "kallsyms", "ptrace_scope", "bpffs"]
    {
        assert!(named(name)["purpose"].is_string(), "{name}");
    }
    for check in checks.iter().filter(|c| c["state"] != "ready") {
        assert!(check["reason"].is_string(), "{check}");
    }
    let table = run(&["check"]);
    assert!(table.out.contains("kernel_version") && table.out.contains("agentperf can"), "{}", table.out);
}

#[test]
fn who_may_not_trace_is_told_so_first() {
    if std::net::TcpStream::connect("127.0.0.1:7575").is_ok() {
        // A daemon runs here and would be used.
        return;
    }
    // Out of a place that everybody may read, by a user without capabilities.
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let copy = directory.path().join("agentperf");
    // By a process of its own: a child of another test would keep the copy open for writing, and it could not be run.
    assert!(Command::new("cp").arg(path()).arg(&copy).status().unwrap().success());
    let attach = ["attach", "1", "--duration", "1s"];
    // SAFETY: geteuid has no preconditions.
    let ran: Ran = if unsafe { libc::geteuid() } == 0 {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]);
        command.arg(copy).args(attach).env_remove("AGENTPERF_URL").output().unwrap().into()
    } else {
        Command::new(copy).args(attach).env_remove("AGENTPERF_URL").output().unwrap().into()
    };
    let sentence = ran.failed(2);
    assert!(
        sentence.contains("CAP_BPF (to load kernel programs)") && sentence.contains("sudo"),
        "{sentence}"
    );
}

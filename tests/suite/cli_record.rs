//! `record`: the command keeps its exit code, output, signals and standing; the report comes after.

use std::{
    fs::Permissions,
    io::{BufRead, BufReader, Read},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Command, Stdio},
};

use crate::{
    api_world::World,
    cli_binary::{Ran, agentperf, run},
};

fn record(world: &World, command: &[&str]) -> Ran {
    let url = world.url("");
    let args: Vec<&str> = ["record", "--url", &url, "--"].iter().chain(command).copied().collect();
    run(&args)
}

#[test]
fn output_and_exit_code_are_the_commands() {
    let world = World::new();
    let ran = record(&world, &["sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(7), "out\n"), "{ran:?}");
    assert!(ran.err.starts_with("err\n\nsh (pid "), "{ran:?}");
    assert!(ran.err.contains("PROCESSES") && ran.err.contains("CPU"), "{ran:?}");
    assert_eq!(record(&world, &["true"]).code, Some(0));
}

#[test]
fn a_signal_is_128_and_its_number() {
    let world = World::new();
    assert_eq!(record(&world, &["sh", "-c", "kill -9 $$"]).code, Some(137));
}

#[test]
fn what_cannot_be_run_is_126_or_127() {
    let world = World::new();
    let ran = record(&world, &["/nonexistent/command"]);
    assert!(ran.code == Some(127) && ran.err.contains("cannot run /nonexistent/command"), "{ran:?}");
    assert!(!ran.err.contains("PROCESSES"), "nothing ran that could be reported: {ran:?}");
    assert_eq!(record(&world, &["/etc/passwd"]).code, Some(126));
    assert_eq!(record(&world, &["no-such-command"]).code, Some(127));
    assert_eq!(world.get("/api/v1/agents").json()["agents"].as_array().unwrap().len(), 2, "nor watched");
    // Found, but what it names as its interpreter is not there.
    let script = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(script.path(), "#!/nonexistent/shell\n").unwrap();
    std::fs::set_permissions(script.path(), Permissions::from_mode(0o755)).unwrap();
    let path = script.into_temp_path();
    let ran = record(&world, &[path.to_str().unwrap()]);
    assert!(ran.code == Some(127) && !ran.err.contains("PROCESSES"), "{ran:?}");
}

#[test]
fn a_name_is_refused_as_attach_refuses_it() {
    let world = World::new();
    let url = world.url("");
    for verb in [
        &["record", "--url", &url, "--name", "a\u{1b}[31mb", "--", "true"][..],
        &["attach", "4711", "--url", &url, "--name", "a\u{1b}[31mb"],
    ] {
        assert!(run(verb).failed(2).contains("printable"), "{verb:?}");
    }
}

#[test]
fn it_is_watched_before_it_begins() {
    let world = World::new();
    let url = world.url("");
    // The command asks the daemon who is watched: its own pid must be among them.
    let script = format!(
        "exec 3<>/dev/tcp/{}/{}; printf 'GET /api/v1/agents HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3; \
         cat <&3 | grep -c \"\\\"pid\\\":$$,\"",
        world.address.ip(),
        world.address.port()
    );
    let ran = run(&["record", "--url", &url, "--name", "early", "--", "bash", "-c", &script]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "1\n"), "{ran:?}");
    assert!(ran.err.contains("early (pid "), "{ran:?}");
}

#[test]
fn a_refused_watch_runs_nothing() {
    let world = World::new();
    let marker = tempfile::tempdir().unwrap();
    let file = marker.path().join("ran");
    world.ready.send(false).unwrap();
    world.stop.send(true).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    let ran = record(&world, &["touch", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(!file.exists());
}

#[test]
fn signals_reach_the_command_and_the_report_still_comes() {
    let world = World::new();
    let url = world.url("");
    let script = "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let mut command = agentperf(&["record", "--url", &url, "--", "bash", "-c", script]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    // SAFETY: the pid is a child's that is not waited for yet.
    unsafe { libc::kill(child.id().cast_signed(), libc::SIGTERM) };
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!((ran.code, rest.as_str()), (Some(5), "caught\n"), "{ran:?}");
    assert!(ran.err.contains("PROCESSES"), "{ran:?}");
}

#[test]
fn descriptors_and_directory_are_as_if_started_alone() {
    let world = World::new();
    let url = world.url("");
    let script = "ls /proc/self/fd | wc -l; pwd; cat";
    let mut alone = Command::new("sh");
    alone.args(["-c", script]);
    let alone = typed_into(alone);
    // More descriptors than four where whoever runs the tests leaves some open: the same ones for both.
    assert!(alone.ends_with("\n/usr\ntyped\n"), "{alone}");
    assert_eq!(typed_into(agentperf(&["record", "--url", &url, "--", "sh", "-c", script])), alone);
}

/// What a command prints that is started in /usr and reads `typed` from its standard input.
fn typed_into(mut command: Command) -> String {
    let command =
        command.current_dir("/usr").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"typed\n").unwrap();
    Ran::from(child.wait_with_output().unwrap()).out
}

#[test]
fn root_by_sudo_is_given_up() {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        return;
    }
    let world = World::new();
    let url = world.url("");
    let script = "id -u; id -g; echo $HOME $USER; grep CapEff /proc/self/status; env | grep -c ^SUDO_";
    let mut command = agentperf(&["record", "--url", &url, "--", "sh", "-c", script]);
    command.env("SUDO_UID", "1").env("SUDO_GID", "1").env("SUDO_USER", "daemon").env("HOME", "/root");
    let ran: Ran = command.current_dir("/").process_group(0).output().unwrap().into();
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines, ["1", "1", "/usr/sbin daemon", "CapEff:\t0000000000000000", "0"], "{ran:?}");

    for (uid, gid) in [("abc", "1"), ("1", "-1"), ("1", "")] {
        let mut command = agentperf(&["record", "--url", &url, "--", "id"]);
        let ran: Ran = command.env("SUDO_UID", uid).env("SUDO_GID", gid).output().unwrap().into();
        assert!(ran.failed(2).contains("which is no id"), "{ran:?}");
    }
}

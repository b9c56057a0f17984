//! Commands that speak to a running daemon: the real API over data that was made up.

use std::{
    net::TcpListener,
    process::Stdio,
    time::{Duration, Instant},
};

use crate::{
    api_world::World,
    cli_binary::{Ran, agentperf, run},
};

#[test]
fn agents_are_listed() {
    let world = World::new();
    let url = world.url("");
    let text = run(&["agents", "--url", &url]);
    assert_eq!(text.code, Some(0), "{text:?}");
    assert!(text.out.contains(world.live.as_str()) && text.out.contains("rule claude-code"), "{}", text.out);
    assert!(!text.out.contains(world.ended.as_str()));
    let json = run(&["agents", "--all", "--json", "--url", &url]).json();
    assert_eq!(json["agents"].as_array().unwrap().len(), 2);
    let by_variable: Ran =
        agentperf(&["agents", "--json"]).env("AGENTPERF_URL", &url).output().unwrap().into();
    assert_eq!(by_variable.json()["agents"][0]["id"], world.live.as_str());
}

#[test]
fn an_attach_reports_as_text_and_as_json() {
    let world = World::new();
    let url = world.url("");
    let text = run(&["attach", "4711", "--duration", "1s", "--name", "mine", "--url", &url]);
    assert_eq!(text.code, Some(0), "{text:?}");
    for part in [
        "mine (pid 4711)",
        "PROCESSES  1 in all",
        "python3 agent.py",
        "CPU  1.03 s sampled",
        "hot",
        "OFF-CPU",
        "SYSCALLS",
    ] {
        assert!(text.out.contains(part), "{part}: {}", text.out);
    }
    let json =
        run(&["attach", "4711", "--duration", "1s", "--json", "--probes", "cpu", "--url", &url]).json();
    assert_eq!(json["agent"]["state"], "ended");
    assert_eq!(json["agent"]["probes"], serde_json::json!(["cpu"]));
    assert_eq!(json["functions"][0]["function"], "hot");
    assert!(json["off_cpu"].is_null() && json["syscalls"].is_null());
}

#[test]
fn a_report_has_the_bills_of_tools_and_a_time_without_windows_one_sentence() {
    let world = World::new();
    let url = world.url("");
    let text = run(&["report", "100", "--url", &url]);
    assert_eq!(text.code, Some(0), "{text:?}");
    for part in [
        "LEDGER",
        "TURNS",
        "TOOLS  3 calls, 1 failed",
        "cargo test",
        "LONGEST WAITS",
        // One of the agent's, and six of its tools.
        "PROCESSES  4 in all, 2 failed, 4.94 s of CPU time; 3 more were forgotten",
        "SYSCALLS",
    ] {
        assert!(text.out.contains(part), "{part}: {}", text.out);
    }
    let json = run(&["report", "coder <1>", "--json", "--url", &url]).json();
    assert_eq!(
        (&json["tools"]["total"], &json["forgotten_processes"]),
        (&serde_json::json!(3), &serde_json::json!(3)),
        "{json}"
    );
    let empty = run(&["report", "100", "--since", "1s", "--url", &url]);
    assert!(
        empty.out.contains("nothing was counted in this time") && !empty.out.contains("LEDGER"),
        "{empty:?}"
    );
}

#[test]
fn operations_of_an_agent_are_found_by_its_name_and_by_where_they_come_from() {
    let world = World::new();
    let url = world.url("");
    let of = |more: &[&str]| run(&[&["operations", "--since", "24h", "--url", &url], more].concat());
    let kernel = of(&["--source", "kernel", "--agent", "coder <1>"]);
    assert!(kernel.out.contains("kernel tool cargo test") && kernel.out.contains("git status"), "{kernel:?}");
    let none = of(&["--source", "kernel", "--kind", "checkpoint_save", "--agent", "100", "--slowest"]);
    assert!(none.out.contains("no such operations"), "{none:?}");
    assert!(of(&["--agent", "nobody"]).failed(2).contains("no agent is called"));
    let refused = of(&["--source", "hearsay"]);
    assert!(refused.code == Some(2) && refused.err.contains("otlp_metrics"), "{refused:?}");
}

#[test]
fn profiles_are_written_in_the_format_that_the_name_asks_for() {
    let world = World::new();
    let url = world.url("");
    let directory = tempfile::tempdir().unwrap();
    for (file, begin) in
        [("a.svg", &b"<?xml"[..]), ("a.pb.gz", &[0x1f, 0x8b]), ("a.folded", b"python3"), ("a.json", b"{")]
    {
        let path = directory.path().join(file);
        let ran =
            run(&["attach", "4711", "--duration", "200ms", "-o", path.to_str().unwrap(), "--url", &url]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(std::fs::read(&path).unwrap().starts_with(begin), "{file}");
    }
    let piped = run(&["attach", "4711", "--duration", "200ms", "--format", "folded", "--url", &url]);
    assert!(piped.out.lines().all(|l| l.rsplit(' ').next().unwrap().parse::<u64>().is_ok()), "{piped:?}");
    assert!(piped.err.contains("PROCESSES"), "the report makes way: {piped:?}");
}

#[test]
fn a_file_that_cannot_be_written_is_said_before_the_wait() {
    let world = World::new();
    let begin = Instant::now();
    let ran =
        run(&["attach", "4711", "--duration", "1h", "-o", "/nonexistent/x.svg", "--url", &world.url("")]);
    assert!(ran.failed(1).starts_with("cannot write /nonexistent/x.svg: "), "{ran:?}");
    assert!(begin.elapsed() < Duration::from_secs(30));
}

#[test]
fn refusals_are_passed_on_in_the_daemons_words() {
    let world = World::new();
    let url = world.url("");
    for (pid, sentence) in [
        ("9", "no process has pid 9"),
        ("2", "process 2 is a kernel thread; agents run in user space"),
        ("3", "process 3 has exited and is only waiting to be reaped by its parent"),
        ("5", "process 5 is agentperf itself, which never traces itself"),
        ("7", "already tracing 256 agents, the most at once: detach one first"),
    ] {
        let ran = run(&["attach", pid, "--duration", "1s", "--url", &url]);
        assert_eq!(ran.failed(2), sentence);
    }
}

#[test]
fn who_is_watched_already_is_reported_from_now_on_and_stays_watched() {
    let world = World::new();
    let ran = run(&["attach", "100", "--duration", "300ms", "--url", &world.url("")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("already watched as coder <1>"), "{ran:?}");
    assert!(ran.out.contains("still watched"), "{ran:?}");
    assert_eq!(world.get(&world.of_live("")).json()["state"], "live");
}

#[test]
fn ctrl_c_stops_early_and_still_reports() {
    let world = World::new();
    let mut command = agentperf(&["attach", "4711", "--duration", "1h", "--json", "--url", &world.url("")]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while world.get("/api/v1/agents").json()["agents"].as_array().unwrap().len() < 3 {
        std::thread::sleep(Duration::from_millis(10));
    }
    // SAFETY: the pid is a child's that is not waited for yet.
    unsafe { libc::kill(child.id().cast_signed(), libc::SIGINT) };
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!(ran.json()["agent"]["end_reason"], "detached");
}

#[test]
fn no_daemon_and_a_foreign_server_are_told_apart() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = run(&["agents", "--url", &format!("http://{free}")]);
    assert!(ran.failed(1).starts_with(&format!("no agentperf answers at http://{free} (")), "{ran:?}");

    let foreign = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", foreign.local_addr().unwrap());
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut stream in foreign.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
        }
    });
    let ran = run(&["agents", "--url", &url]);
    assert!(ran.failed(1).contains("is no agentperf of this version"), "{ran:?}");
}

#[test]
fn no_proxy_is_asked() {
    let world = World::new();
    let mut command = agentperf(&["agents", "--json", "--url", &world.url("")]);
    for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"] {
        command.env(name, "http://127.0.0.1:1");
    }
    Ran::from(command.output().unwrap()).json();
}

//! The exposition as a whole.

use std::time::Duration;

use super::*;
use crate::{
    model::{
        agent::AgentEnd,
        process::{Exit, Process},
    },
    store::fixture::{agent_at, at, host_window_at, ledger, numbered_agent, process_at, window_at},
};

fn metrics(max_series: usize) -> Metrics {
    Metrics::new(max_series, Arc::default(), HostInfo::read(), Budget::default())
}

/// The value of the series whose name and labels begin like this.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(series))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn ended(process: &Process, cpu_ns: u64, exit: Exit) -> Process {
    Process { cpu_ns, exit: Some(exit), ended: Some(process.started), ..process.clone() }
}

#[test]
fn what_is_recorded_is_counted_once() {
    let metrics = metrics(100);
    let now = Timestamp::now();
    let agent = agent_at(now);
    let process = Process { cpu_before_ns: 500_000_000, ..process_at(100, now) };
    metrics.follow(&Record::Agent(agent.clone()));
    metrics.follow(&Record::Process(agent.id.clone(), Process { resources: None, ..process.clone() }));
    let text = metrics.text(TextFormat::Prometheus);
    assert!(
        !text.contains("\nagentperf_agent_resident_memory_bytes{"),
        "it is not 0 before it is read: {text}"
    );
    // Told again and again as it grows.
    for cpu_ns in [1_500_000_000, 2_500_000_000, 2_500_000_000] {
        metrics.follow(&Record::Process(agent.id.clone(), Process { cpu_ns, ..process.clone() }));
    }
    let text = metrics.text(TextFormat::Prometheus);
    let labels = format!("{{agent=\"worker\",agent_id=\"{}\"", agent.id);
    for (name, expected) in [("resident_memory_bytes", 524_288.0), ("threads", 3.0), ("descriptors", 7.0)] {
        assert_eq!(value(&text, &format!("agentperf_agent_{name}{labels}")), Some(expected), "{text}");
    }
    let last = ended(&process, 3_500_000_000, Exit::Code(0));
    metrics.follow(&Record::Process(agent.id.clone(), last.clone()));
    metrics.follow(&Record::Process(agent.id.clone(), last));
    for start in [now, now + Duration::from_secs(5)] {
        let mut window = window_at(&agent.id, start, 3);
        window.ledger = ledger(500);
        metrics.follow(&Record::Window(window));
    }
    let text = metrics.text(TextFormat::Prometheus);
    let of_agent = |name: &str| value(&text, &format!("agentperf_agent_{name}{labels}"));
    assert_eq!(of_agent("cpu_seconds_total"), Some(3.0), "{text}");
    assert_eq!(of_agent("processes_started_total"), Some(1.0));
    assert_eq!((of_agent("processes"), of_agent("resident_memory_bytes")), (Some(0.0), Some(0.0)));
    assert_eq!(of_agent("up"), Some(1.0));
    assert_eq!(
        value(&text, &format!("agentperf_agent_process_exits_total{labels},result=\"success\"")),
        Some(1.0)
    );
    assert_eq!(value(&text, &format!("agentperf_agent_syscalls_total{labels},syscall=\"read\"")), Some(2.0));
    let idle = format!("agentperf_agent_ledger_seconds_total{labels},cause=\"idle\"");
    assert_eq!(value(&text, &idle), Some(8.998), "{text}");
    let error = format!("agentperf_agent_syscall_errors_total{labels},syscall=\"read\",errno=\"ENOENT\"");
    assert_eq!(value(&text, &error), Some(2.0), "{text}");
}

#[test]
fn an_agents_series_go_some_time_after_it() {
    let metrics = metrics(100);
    let long_ago = Timestamp::now() - Duration::from_secs(3600);
    for (ended, shown) in [(Timestamp::now(), true), (long_ago, false)] {
        let mut agent = agent_at(long_ago);
        agent.ended = Some((ended, AgentEnd::Exited));
        metrics.follow(&Record::Agent(agent));
        let text = metrics.text(TextFormat::Prometheus);
        assert_eq!(text.contains("agentperf_agent_up"), shown, "{text}");
    }
}

#[test]
fn more_processes_than_there_is_room_for_are_counted_together() {
    let metrics = metrics(10);
    let now = Timestamp::now();
    let agent = agent_at(now);
    metrics.follow(&Record::Agent(agent.clone()));
    for pid in 1..=1000 {
        let process =
            ended(&process_at(pid, now), 1_000_000_000, Exit::Signal { number: 9, core_dumped: false });
        metrics.follow(&Record::Process(agent.id.clone(), process));
    }
    let text = metrics.text(TextFormat::OpenMetrics);
    let series: Vec<&str> =
        text.lines().filter(|l| l.starts_with("agentperf_process_cpu_seconds_total{")).collect();
    assert_eq!(series.len(), 11, "{series:?}");
    assert!(
        series.iter().any(|line| line.contains("pid=\"other\"") && line.ends_with(" 990.0")),
        "{series:?}"
    );
    let sum: f64 = series.iter().filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    assert!((sum - 1000.0).abs() < 1e-9);
    assert!(
        value(&text, "agentperf_series_overflow_total{kind=\"processes\"").is_some_and(|n| n >= 10.0),
        "{text}"
    );
}

#[test]
fn names_that_agents_choose_are_escaped() {
    let metrics = metrics(10);
    let now = Timestamp::now();
    let mut agent = agent_at(now);
    agent.name = "a\"b\\c\nd".to_owned();
    metrics.follow(&Record::Agent(agent));
    let text = metrics.text(TextFormat::Prometheus);
    assert!(text.contains(r#"agent="a\"b\\c\nd""#), "{text}");
}

#[test]
fn both_forms_say_the_same() {
    let metrics = metrics(10);
    metrics.follow(&Record::Agent(agent_at(Timestamp::now())));
    let samples = |text: &str| -> Vec<String> {
        text.lines().filter(|l| l.starts_with("agentperf_agent_")).map(str::to_owned).collect()
    };
    let (new, old) = (metrics.text(TextFormat::OpenMetrics), metrics.text(TextFormat::Prometheus));
    assert_eq!(samples(&new), samples(&old));
    assert!(new.ends_with("# EOF\n") && !old.contains("# EOF") && !old.contains("# UNIT"));
    assert!(new.contains("# TYPE agentperf_agent_cpu_seconds counter\n"), "{new}");
    assert!(old.contains("# TYPE agentperf_agent_cpu_seconds_total counter\n"), "{old}");
}

#[test]
fn agents_that_ended_make_room_though_nobody_scrapes_and_those_without_are_counted_together() {
    let metrics = metrics(100);
    let now = Timestamp::now();
    let tell = |pid: u32, at: Timestamp, ended: bool| {
        let mut agent = numbered_agent(pid, at);
        agent.ended = ended.then_some((at, AgentEnd::Exited));
        metrics.follow(&Record::Agent(agent.clone()));
        agent.id
    };
    for pid in 1..=1024 {
        tell(pid, now - Duration::from_secs(3600), true);
    }
    for pid in 2001..=3030 {
        let id = tell(pid, now, false);
        metrics.follow(&Record::Process(id.clone(), process_at(pid, now)));
        metrics.follow(&Record::Window(window_at(&id, now, 1)));
    }
    let text = metrics.text(TextFormat::Prometheus);
    let of_others =
        |name: &str| value(&text, &format!("agentperf_agent_{name}{{agent=\"other\",agent_id=\"other\""));
    assert_eq!(of_others("processes_started_total"), Some(6.0));
    assert_eq!(of_others("processes"), Some(6.0));
    assert_eq!(of_others("syscalls_total"), Some(6.0));
    assert_eq!((of_others("up"), of_others("info")), (None, None));
    assert_eq!(value(&text, "agentperf_agents"), Some(1030.0));
    assert_eq!(value(&text, "agentperf_series_overflow_total{kind=\"agents\"}"), Some(6.0));
    assert_eq!(text.matches("\nagentperf_agent_up{").count(), 1024);
    // What one of the others no longer does goes with it, what it did stays.
    let ended = now - Duration::from_secs(3600);
    let mut agent = numbered_agent(3030, now);
    agent.ended = Some((ended, AgentEnd::Detached));
    metrics.follow(&Record::Agent(agent));
    let text = metrics.text(TextFormat::Prometheus);
    let of_others =
        |name: &str| value(&text, &format!("agentperf_agent_{name}{{agent=\"other\",agent_id=\"other\""));
    assert_eq!(of_others("processes"), Some(5.0));
    assert_eq!(of_others("processes_started_total"), Some(6.0));
}

#[test]
fn windows_of_the_host_are_added_up_and_what_is_of_their_end_is_that_of_the_last() {
    let metrics = metrics(10);
    let nothing = metrics.text(TextFormat::Prometheus);
    assert!(
        !nothing.contains("agentperf_host_processes ") && nothing.contains("agentperf_host_cpus "),
        "{nothing}"
    );
    for (i, n) in [3, 4].into_iter().enumerate() {
        metrics.follow(&Record::Host(Box::new(host_window_at(at(5 * i as i64), n))));
    }
    let text = metrics.text(TextFormat::Prometheus);
    for (series, expected) in [
        ("host_processes", 104.0),
        ("host_forks_total", 7.0),
        ("host_pressure_seconds_total{resource=\"io\",stalled=\"some\"}", 0.011),
        ("host_filesystem_size_bytes{mountpoint=\"/\"}", (1_u64 << 40) as f64),
        ("host_filesystem_available_bytes{mountpoint=\"/\"}", ((1_u64 << 39) - 4) as f64),
        ("host_filesystem_readonly{mountpoint=\"/\"}", 1.0),
        ("host_disk_bytes_total{device=\"vda\",direction=\"written\"}", 7.0 * 8192.0),
        ("host_disk_operation_seconds_total{device=\"vda\",direction=\"read\"}", 0.007),
        ("host_network_bytes_total{interface=\"eth0\",direction=\"received\"}", 7.0 * 1500.0),
        ("host_network_errors_total{interface=\"eth0\",direction=\"sent\"}", 7.0),
    ] {
        assert_eq!(value(&text, &format!("agentperf_{series}")), Some(expected), "{series}: {text}");
    }
}

#[test]
fn gpus_are_told_and_what_each_agent_did_with_them() {
    let metrics = metrics(10);
    let agent = numbered_agent(100, at(0));
    metrics.follow(&Record::Agent(agent.clone()));
    metrics.follow(&Record::Process(agent.id.clone(), process_at(100, at(0))));
    for (i, n) in [3, 4].into_iter().enumerate() {
        metrics.follow(&Record::Host(Box::new(host_window_at(at(5 * i as i64), n))));
    }
    let text = metrics.text(TextFormat::Prometheus);
    let own = format!("{{agent=\"{}\",agent_id=\"{}\",gpu=\"GPU-1\"}}", agent.name, agent.id);
    for (series, expected) in [
        ("gpu_up{gpu=\"GPU-1\"}", 1.0),
        ("gpu_busy_seconds_total{gpu=\"GPU-1\",engine=\"compute\"}", 0.014),
        ("gpu_memory_used_bytes{gpu=\"GPU-1\"}", (1_u64 << 34) as f64),
        ("gpu_temperature_celsius{gpu=\"GPU-1\"}", 64.0),
        ("gpu_energy_joules_total{gpu=\"GPU-1\"}", 0.21),
        ("gpu_clock_hertz{gpu=\"GPU-1\",clock=\"sm\"}", 1.98e9),
        ("gpu_xid_errors_total{gpu=\"GPU-1\",xid=\"31\"}", 7.0),
        ("gpu_pcie_bytes_total{gpu=\"GPU-1\",direction=\"received\"}", 1400.0),
        (&format!("agent_gpu_seconds_total{own}"), 0.007),
        (&format!("agent_gpu_energy_joules_total{own}"), 0.07),
        (&format!("agent_gpu_memory_bytes{own}"), (1_u64 << 30) as f64),
    ] {
        assert_eq!(value(&text, &format!("agentperf_{series}")), Some(expected), "{series}: {text}");
    }
    // Nobody knows of a GPU that is gone how much of its memory is in use, and nobody has any.
    let mut gone = host_window_at(at(10), 5);
    gone.gpus.iter_mut().for_each(|gpu| {
        gpu.down = Some("lost".to_owned());
        (gpu.levels, gpu.processes) = Default::default();
    });
    metrics.follow(&Record::Host(Box::new(gone)));
    let text = metrics.text(TextFormat::Prometheus);
    assert_eq!(value(&text, "agentperf_gpu_up{gpu=\"GPU-1\"}"), Some(0.0));
    assert_eq!(value(&text, "agentperf_gpu_memory_used_bytes"), None);
    assert_eq!(value(&text, &format!("agentperf_agent_gpu_memory_bytes{own}")), Some(0.0));
}

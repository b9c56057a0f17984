//! A process that is killed while it writes, again and again: whatever it was told is safe, is there.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    time::Duration,
};

use super::{Options, QUICK, close, open};
use crate::{
    model::time::TimeRange,
    store::{
        Store,
        fixture::{agent_at, at, cpu, window_at, windows},
    },
};

/// The folder, told to the process that is killed.
const FOLDER: &str = "AGENTPERF_TEST_KILLED_FOLDER";

/// Nothing is merged or forgotten, whatever the clock says.
const OPTIONS: Options = Options { keep: Duration::MAX, raw: Duration::MAX, minutes: Duration::MAX, ..QUICK };

/// Writes windows, and says how many are safe. Ends only by a signal.
#[test]
#[ignore = "the part of the process that is killed"]
fn write_until_killed() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let (store, _) = open(folder.as_ref(), OPTIONS);
    let agent = agent_at(at(0));
    store.put_agent(agent.clone());
    let first = windows(&store, &agent.id, TimeRange::ALL).len() as i64;
    for n in first.. {
        let mut window = window_at(&agent.id, at(n), n as u32 % 4);
        window.cpu = vec![cpu(100, &["leaf", &format!("function {}", n % 50), "main"], n as u64 + 1)];
        store.append(window);
        if n % 3 == 0 {
            store.sync().unwrap();
            // Past libtest, which would keep it to itself.
            let _ = writeln!(std::io::stdout(), "safe {}", n + 1);
        }
        if n % 20 == 0 {
            store.maintain(at(n));
        }
    }
}

#[test]
fn what_was_safe_is_there_after_ten_kills() {
    let folder = tempfile::tempdir().unwrap();
    let mut safe = 0;
    for round in 0..10_u64 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "store::disk::tests::killed::write_until_killed"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let told = |line: String| line.strip_prefix("safe ").and_then(|n| n.parse::<usize>().ok());
        // It writes by now; how far it comes differs from round to round.
        safe = lines.by_ref().find_map(told).unwrap();
        std::thread::sleep(Duration::from_micros(1 + round * round * 3_700 % 150_000));
        child.kill().unwrap();
        child.wait().unwrap();
        safe = lines.filter_map(told).last().unwrap_or(safe);

        let (store, telemetry) = open(folder.path(), OPTIONS);
        let id = agent_at(at(0)).id;
        let seen: Vec<_> = windows(&store, &id, TimeRange::ALL).iter().map(|w| w.cpu[0].samples).collect();
        assert!(seen.len() >= safe, "round {round}: {} of {safe}", seen.len());
        assert!(seen.iter().copied().eq(1..=seen.len() as u64), "round {round}: each once, in order");
        assert_eq!(telemetry.losses.all()["store_record_unread"], 0);
        close(store);
    }
    assert!(safe > 30, "{safe}");
}

//! Commands that do as they should, and others.

use std::time::{Duration, Instant};

use super::{firing, open, report, submit, until};
use crate::alert::{
    channel::{Channels, Outcome},
    route::Delivery,
};

fn shell(script: &str, timeout: &str) -> Channels {
    let argv = serde_json::json!(["/bin/sh", "-c", script]);
    open(&format!(
        "receivers: [{{ name: a, timeout: {timeout}, via: {{ command: {{ argv: {argv}, env: {{ MORE: m }} }} }} }}]"
    ))
}

async fn outcome(script: &str) -> Outcome {
    shell(script, "1s").test("a").await.unwrap().outcome
}

#[tokio::test]
async fn it_is_given_the_payload_and_little_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out").display().to_string();
    let mut channels = shell(&format!("cat > {path}; env > {path}.env; pwd >> {path}.env"), "5s");
    let told = firing("a", 1);
    submit(&channels, told.clone());
    assert_eq!(report(&mut channels).await.delivery, Delivery::Delivered);
    let payload: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!((&payload["version"], &payload["id"]), (&"4".into(), &told.id.to_string().into()));
    let env = std::fs::read_to_string(format!("{path}.env")).unwrap();
    assert!(env.contains("MORE=m\n") && env.contains(&format!("AGENTPERF_ID={}\n", told.id)), "{env}");
    assert!(!env.contains("CARGO"), "{env}");
    assert!(env.ends_with("\n/\n"), "{env}");
}

#[tokio::test]
async fn its_exit_status_says_how_it_went() {
    assert_eq!(outcome("echo thanks").await, Outcome::Taken("exit status: 0: thanks".to_owned()));
    assert_eq!(outcome("echo no >&2; exit 65").await, Outcome::Refused("exit status: 65: no".to_owned()));
    for (script, said) in [("exit 1", "exit status: 1"), ("kill -9 $$", "signal: 9"), ("exit 75", "75")] {
        let outcome = outcome(script).await;
        assert!(matches!(&outcome, Outcome::Later(later) if later.why.contains(said)), "{outcome:?}");
    }
    let missing = open("receivers: [{ name: a, via: { command: { argv: [/nonexistent] } } }]");
    let outcome = missing.test("a").await.unwrap().outcome;
    assert!(matches!(&outcome, Outcome::Later(later) if later.why.contains("No such file")), "{outcome:?}");
}

#[tokio::test]
async fn it_need_not_read_and_may_write_without_end() {
    assert!(matches!(outcome("exec <&-; echo x").await, Outcome::Taken(_)));
    let start = Instant::now();
    let endless = outcome("yes xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx").await;
    assert!(matches!(&endless, Outcome::Later(later) if later.why.contains("killed")), "{endless:?}");
    let much = outcome("head -c 50000000 /dev/zero | tr '\\0' x").await;
    assert!(matches!(&much, Outcome::Taken(said) if said.len() < 1000), "{much:?}");
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn its_whole_group_dies_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids").display().to_string();
    let outcome =
        outcome(&format!("echo $$ > {pids}; sleep 61 & echo $! >> {pids}; trap '' TERM; wait")).await;
    assert!(matches!(outcome, Outcome::Later(_)), "{outcome:?}");
    let pids = std::fs::read_to_string(&pids).unwrap();
    assert_eq!(pids.lines().count(), 2);
    until("nobody is left", || pids.lines().all(is_dead)).await;
}

#[tokio::test]
async fn what_it_leaves_in_the_background_is_not_waited_for() {
    let start = Instant::now();
    assert_eq!(outcome("sleep 3 & echo done").await, Outcome::Taken("exit status: 0: done".to_owned()));
    assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
}

/// Whether a process is gone, or will never run again.
fn is_dead(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

//! Processes that are gone before anybody could look at them, and programs that follow each other in one process:
//! nothing panics, nothing stays behind, and what was lost has a name.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::json;

use super::programs::{FLAGS, program};
use crate::support::{daemon::Daemon, puppet::Puppet};

/// Times 200 processes.
const ROUNDS: usize = 5;

/// `storm.c`.
pub(super) fn build() -> PathBuf {
    program("storm.c", "gcc", &FLAGS)
}

#[test]
fn short_lives_and_storms_of_programs() {
    let storm = build();
    let daemon = Daemon::start(json!({ "sampling": { "frequency_hz": 997 } }));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let (mut truths, mut resident) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        truths.push(puppet.run_path(&storm, &["200", "8"]).truth());
        resident.push(daemon.rss_bytes() >> 10);
    }
    daemon.api().detach(&agent);

    let losses = daemon.api().losses();
    let stacks = daemon.api().stacks(&agent, "cpu");
    let count = |end: &str| stacks.iter().filter(|s| s.end == end).map(|s| s.count).sum::<u64>();
    let ends: BTreeMap<&str, u64> = stacks.iter().map(|s| (s.end.as_str(), count(&s.end))).collect();
    eprintln!("stacks {ends:?}; resident {resident:?} KiB; losses {losses:?}");

    let log = daemon.log();
    assert!(!log.contains("panicked"), "{log}");
    let processes = daemon.api().processes(&agent);
    for truth in truths {
        let children = processes.iter().filter(|p| p.parent == Some(truth.pid())).count();
        assert_eq!(children as u64, truth.count("children"), "losses: {losses:?}");
    }
    let grown = resident[ROUNDS - 1].saturating_sub(resident[ROUNDS / 2]);
    assert!(grown < 4 << 10, "400 more dead processes cost {grown} KiB: {resident:?}");
    assert!(count("complete") > 0, "{ends:?}");
}

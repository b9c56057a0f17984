//! Frames at the edges of what unwind information says: an interrupted first instruction, a return address in a
//! register.

use std::{path::PathBuf, time::Duration};

use super::{
    chain::Chain,
    programs::{FLAGS, Running, daemon, program, watch, watch_cpu},
};
use crate::support::stacks::Stack;

/// `edges.c`.
pub(super) fn build() -> PathBuf {
    program("edges.c", "gcc", &FLAGS)
}

/// The byte before the interrupted instruction belongs to another function.
#[test]
fn a_signal_at_the_first_instruction_of_a_function() {
    let daemon = daemon();
    let running = Running::start(&build(), &["fault"]);
    let stacks = watch_cpu(daemon.api(), &[running.pid()]).remove(0);
    let in_handler: Vec<Stack> = stacks.into_iter().filter(|s| s.calls("on_fault")).collect();
    let chain = Chain::new(&["compute", "on_fault", "faulty", "before", "main"], &["on_fault"]);
    chain.judge(&in_handler, "complete").expect("fault");
}

/// glibc's vfork keeps it there: child and parent share the stack.
#[test]
fn waits_for_a_vforked_child() {
    let daemon = daemon();
    let running = Running::start(&build(), &["vfork"]);
    let stacks = watch(daemon.api(), &[running.pid()], "off_cpu", Duration::from_secs(3)).remove(0);
    let waits: Vec<Stack> =
        stacks.into_iter().filter(|s| s.pid == running.pid() && s.calls("spawn")).collect();
    let seen = Chain::new(&["spawn", "before", "main"], &[]).judge(&waits, "complete");
    assert!(seen.right >= 50 && seen.wrong == 0, "{seen:#?}");
    let of_vfork = waits.iter().filter(|s| s.functions().iter().any(|f| f.contains("vfork")));
    assert!(of_vfork.map(|s| s.count).sum::<u64>() >= 50, "{waits:#?}");
}

//! What windows come to.

use super::*;
use crate::store::fixture::{agent_at, at, cpu, off_cpu, process_id, syscall, window_at};

fn window() -> Window {
    let mut window = window_at(&agent_at(at(0)).id, at(0), 0);
    window.cpu = vec![cpu(100, &["hot", "main"], 7), cpu(101, &["hot", "other"], 1)];
    window.off_cpu = vec![
        off_cpu(100, WaitCause::Lock, &["k_futex", "take", "main"], 50, 5),
        off_cpu(101, WaitCause::Lock, &["k_futex", "take"], 10, 0),
        off_cpu(101, WaitCause::Preempted, &["k_only"], 0, 3),
    ];
    window.syscalls = vec![syscall(100, 0, 40), syscall(101, 0, 2), syscall(100, 1, 1)];
    window
}

#[test]
fn a_window_comes_to_its_sums_and_their_largest_shares() {
    let summary = Summary::of(&window());
    assert_eq!((summary.sums.cpu_samples, summary.sums.blocked_ns, summary.sums.run_queue_ns), (8, 60, 8));
    assert_eq!((summary.sums.syscalls, summary.sums.syscall_errors), (3, 3));
    let lock = Waits { blocked_ns: 60, run_queue_ns: 5, count: 2 };
    assert_eq!(summary.shares.causes.first(), Some(&(WaitCause::Lock, lock)));
    let names =
        |rows: &[(Function, u64)]| rows.iter().map(|(f, ns)| (f.name().to_owned(), *ns)).collect::<Vec<_>>();
    assert_eq!(names(&summary.shares.cpu), [("hot".to_owned(), 80_000_000)], "of two stacks");
    let waits = [("take".to_owned(), 65), ("k_only".to_owned(), 3)];
    assert_eq!(names(&summary.shares.off_cpu), waits, "where user code waits");
    let first = Calls { count: 2, errors: 2, total_ns: 42 };
    assert_eq!(summary.shares.calls.first(), Some(&(0, first)));
    assert_eq!(summary.shares.processes.first(), Some(&(process_id(100), 70_000_000)));
}

#[test]
fn shares_add_up_and_stay_few() {
    let one = Summary::of(&window()).shares;
    let twice = Shares::merge([&one, &one]);
    assert_eq!(twice.cpu.first().map(|(_, ns)| *ns), Some(160_000_000));
    assert_eq!(twice.causes.iter().map(|(_, w)| w.ns()).sum::<u64>(), 136);
    let mut many = window();
    many.cpu = (0..50).map(|n| cpu(n, &[&format!("f{n}")], 1 + u64::from(n))).collect();
    let shares = Summary::of(&many).shares;
    assert_eq!((shares.cpu.len(), shares.processes.len()), (TOP, TOP));
    assert_eq!(shares.cpu.first().map(|(f, _)| f.name()), Some("f49"));
}

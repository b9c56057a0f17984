//! A window as samples of series, for designs that know nothing else.

use agentperf::model::{off_cpu::OffCpuStat, syscall::SyscallStat, window::Window};
use std::sync::Arc;

/// One number: whose and what it is, the metric, and the number. Labels are `{name="value",…}` without braces.
pub(crate) struct Sample {
    pub(crate) metric: &'static str,
    pub(crate) labels: String,
    pub(crate) value: u64,
}

/// Every number of a window.
pub(crate) fn of(window: &Window) -> Vec<Sample> {
    let mut samples = Vec::with_capacity(300);
    let agent = window.agent.as_str();
    for row in &window.syscalls {
        call(agent, row, &mut samples);
    }
    for row in &window.off_cpu {
        wait(agent, row, &mut samples);
    }
    for row in &window.cpu {
        let (pid, stack) = (row.process.pid(), Arc::as_ptr(&row.stack) as usize);
        let labels = format!("agent=\"{agent}\",pid=\"{pid}\",stack=\"{stack:x}\"");
        samples.push(Sample { metric: "cpu_samples", labels: labels.clone(), value: row.samples });
        samples.push(Sample { metric: "cpu_ns", labels, value: row.cpu_ns });
    }
    samples
}

/// How many these are, without making them.
pub(crate) fn count(window: &Window) -> u64 {
    let of_call =
        |row: &SyscallStat| 3 + row.errors.len() + row.histogram.0.iter().filter(|n| **n > 0).count();
    let calls: usize = window.syscalls.iter().map(of_call).sum();
    (calls + 4 * window.off_cpu.len() + 2 * window.cpu.len()) as u64
}

fn call(agent: &str, row: &SyscallStat, samples: &mut Vec<Sample>) {
    let labels = format!("agent=\"{agent}\",pid=\"{}\",syscall=\"{}\"", row.process.pid(), row.number);
    let mut push = |metric, labels, value| samples.push(Sample { metric, labels, value });
    push("calls", labels.clone(), row.count);
    push("calls_ns", labels.clone(), row.total_ns);
    push("calls_max_ns", labels.clone(), row.max_ns);
    for (errno, count) in &row.errors {
        push("call_errors", format!("{labels},errno=\"{errno}\""), *count);
    }
    for (bucket, count) in row.histogram.0.iter().enumerate().filter(|(_, count)| **count > 0) {
        push("calls_bucket", format!("{labels},le=\"{}\"", 2u64 << bucket), *count);
    }
}

fn wait(agent: &str, row: &OffCpuStat, samples: &mut Vec<Sample>) {
    let (pid, stack) = (row.process.pid(), Arc::as_ptr(&row.stack) as usize);
    let cause = row.cause.name();
    let labels = format!("agent=\"{agent}\",pid=\"{pid}\",cause=\"{cause}\",stack=\"{stack:x}\"");
    let values = [
        ("blocked_ns", row.blocked_ns),
        ("run_queue_ns", row.run_queue_ns),
        ("waits", row.count),
        ("wait_max_ns", row.max_ns),
    ];
    for (metric, value) in values {
        samples.push(Sample { metric, labels: labels.clone(), value });
    }
}

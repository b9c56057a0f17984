//! A report as text: a heading, then the ledger, turns, tools, the longest waits, calls, processes, CPU, waits, locks, network,
//! disks, calls of CUDA, files and syscalls, the most expensive of each.

use std::fmt::Write;

use super::{
    super::{
        blocked_on::longest,
        out::plain,
        table::{Align, Table, cut},
        units::{bytes, percent, seconds},
    },
    Report, calls,
    cuda::cuda,
    devices,
    files::files,
    http::http,
    ledger::ledger,
    tools::tools,
    turns::turns,
};
use crate::api::dto::{
    names::FrameKindDto,
    off_cpu::{LongestWaitsDto, OffCpuReportDto, WaitDto},
    process::{KillerDto, ProcessDto},
    profile::ProfileDto,
    stack::{FrameDto, StackDto},
    syscall::SyscallReportDto,
};

/// Processes shown; of more, those that took most CPU time or failed.
const PROCESSES: usize = 24;

/// Functions, causes and syscalls shown.
const ROWS: usize = 10;

/// Stacks shown.
const STACKS: usize = 3;

/// Frames of a stack shown.
const FRAMES: usize = 6;

/// What stands in place of sections without anything in them.
const NOTHING: &str = "\nnothing was counted in this time: it was not watched then, its first window is not over yet, or \
    what was stored is forgotten\n";

/// The report as text.
pub(in crate::cli) fn render(report: &Report) -> String {
    let mut out = heading(report);
    if !report.has_windows() {
        out += NOTHING;
        out += &tools(&report.tools);
        if !report.processes.is_empty() {
            out += &processes(&report.processes, report.forgotten_processes);
        }
        return out;
    }
    if let Some(times) = &report.ledger {
        out.push_str(&ledger(times));
    }
    out.extend(report.turns.iter().map(turns));
    out.push_str(&tools(&report.tools));
    out.extend(report.longest_waits.iter().map(longest_waits));
    out.extend(report.llm_calls.iter().map(calls::llm));
    out.extend(report.mcp_calls.iter().map(calls::mcp));
    out.extend(report.http.iter().map(http));
    out.extend(report.coverage.iter().map(calls::blind));
    out.push_str(&processes(&report.processes, report.forgotten_processes));
    if let Some(profile) = &report.cpu {
        out.push_str(&cpu(report, profile));
    }
    if let Some(waits) = &report.off_cpu {
        out.push_str(&off_cpu(waits));
    }
    out.extend(report.locks.iter().map(devices::locks));
    out.extend(report.network.iter().map(devices::network));
    out.extend(report.disk.iter().map(devices::disk));
    if let Some(calls) = &report.cuda {
        out.push_str(&cuda(calls));
    }
    out.extend(report.files.iter().map(files));
    if let Some(calls) = &report.syscalls {
        out.push_str(&syscalls(calls));
    }
    out
}

fn heading(report: &Report) -> String {
    let agent = &report.agent;
    let live = if agent.ended.is_some() { "" } else { ", still watched" };
    format!("{} (pid {}), {}{live}\n", plain(&agent.name), agent.pid, seconds(report.seconds))
}

/// The longest waits that were for somebody, a line for each.
fn longest_waits(waits: &LongestWaitsDto) -> String {
    let lines = longest::lines(waits);
    if lines.is_empty() {
        return String::new();
    }
    let lines = lines.iter().map(|line| format!("  {line}\n"));
    std::iter::once("\nLONGEST WAITS\n".to_owned()).chain(lines).collect()
}

fn processes(all: &[ProcessDto], forgotten: u64) -> String {
    let failed = all.iter().filter(|p| is_failure(p)).count();
    let cpu: f64 = all.iter().map(|p| p.cpu_seconds).sum();
    let more = if forgotten > 0 { format!("; {forgotten} more were forgotten") } else { String::new() };
    let mut out =
        format!("\nPROCESSES  {} in all, {failed} failed, {} of CPU time{more}\n", all.len(), seconds(cpu));
    let mut table = Table::new(&[
        ("PID", Align::Right),
        ("CPU", Align::Right),
        ("PEAK RSS", Align::Right),
        ("EXIT", Align::Left),
        ("COMMAND", Align::Left),
    ]);
    let shown = chosen(all);
    for process in &shown {
        let line = if process.argv.is_empty() { process.comm.clone() } else { process.argv.join(" ") };
        table.row(vec![
            process.pid.to_string(),
            seconds(process.cpu_seconds),
            bytes(process.peak_rss_bytes),
            exit(process),
            format!("{}{line}", "  ".repeat(process.depth.min(8))),
        ]);
    }
    out.push_str(&table.render("  "));
    if shown.len() < all.len() {
        let _ = writeln!(out, "  and {} more", all.len() - shown.len());
    }
    out
}

/// The processes to show, in the order of the tree: the root, then those that took most CPU time, with a
/// third of the room for failures, the nearest to the root first.
fn chosen(all: &[ProcessDto]) -> Vec<&ProcessDto> {
    let mut ranked: Vec<(usize, &ProcessDto)> = all.iter().enumerate().collect();
    ranked.sort_by(|(_, a), (_, b)| {
        (a.depth > 0).cmp(&(b.depth > 0)).then(b.cpu_seconds.total_cmp(&a.cpu_seconds))
    });
    let mut rest = ranked.split_off(ranked.len().min(PROCESSES - PROCESSES / 3));
    rest.sort_by_key(|(_, process)| (!is_failure(process), process.depth));
    ranked.extend(rest.into_iter().take(PROCESSES / 3));
    ranked.sort_by_key(|(at, _)| *at);
    ranked.into_iter().map(|(_, process)| process).collect()
}

fn is_failure(process: &ProcessDto) -> bool {
    process.signal.is_some() || process.exit_code.is_some_and(|code| code != 0)
}

fn exit(process: &ProcessDto) -> String {
    match (process.exit_code, process.signal) {
        (Some(code), _) => code.to_string(),
        (None, Some(number)) => {
            let signal = process.signal_name.clone().unwrap_or_else(|| format!("signal {number}"));
            killed(process, signal)
        }
        (None, None) if process.end.is_some() => "?".to_owned(),
        (None, None) => "running".to_owned(),
    }
}

/// By which signal, and who sent it.
fn killed(process: &ProcessDto, signal: String) -> String {
    let Some(killed) = &process.killed else { return signal };
    match killed.by {
        KillerDto::OutOfMemory => "killed by the kernel: out of memory".to_owned(),
        KillerDto::Kernel => format!("{signal} from the kernel"),
        KillerDto::Process if killed.pid == Some(process.pid) => format!("{signal} from itself"),
        KillerDto::Process => {
            let (pid, comm) = (killed.pid.unwrap_or(0), killed.comm.as_deref().unwrap_or_default());
            format!("{signal} from {pid} ({comm})")
        }
    }
}

fn cpu(report: &Report, profile: &ProfileDto) -> String {
    let mut out = format!("\nCPU  {} sampled\n", seconds(profile.seconds));
    if report.functions.is_empty() {
        return out;
    }
    let mut table = Table::new(&[("SELF", Align::Right), ("TIME", Align::Right), ("FUNCTION", Align::Left)]);
    for function in report.functions.iter().take(ROWS) {
        let file = function.binary.as_deref().and_then(|b| b.rsplit('/').next()).unwrap_or_default();
        table.row(vec![
            percent(function.seconds, profile.seconds),
            seconds(function.seconds),
            format!("{}  {file}", cut(&function.function, 70)),
        ]);
    }
    out.push_str(&table.render("  "));
    for stack in profile.stacks.iter().take(STACKS) {
        out.push_str(&stack_line(&percent(stack.seconds, profile.seconds), &stack.stack.frames));
    }
    out
}

fn off_cpu(waits: &OffCpuReportDto) -> String {
    let totals = &waits.totals;
    let mut out = format!(
        "\nOFF-CPU  {} over all threads: {} blocked, {} page faults, {} on the run queue, {} preempted\n",
        seconds(totals.seconds),
        seconds(totals.blocked_seconds),
        seconds(totals.page_fault_seconds),
        seconds(totals.run_queue_seconds),
        seconds(totals.preempted_seconds),
    );
    if waits.causes.is_empty() {
        return out;
    }
    let mut table = Table::new(&[
        ("SHARE", Align::Right),
        ("TIME", Align::Right),
        ("ENDED", Align::Right),
        ("LONGEST", Align::Right),
        ("CAUSE", Align::Left),
    ]);
    for cause in waits.causes.iter().take(ROWS) {
        table.row(vec![
            percent(cause.seconds, totals.seconds),
            seconds(cause.seconds),
            cause.count.to_string(),
            seconds(cause.max_seconds),
            word(&cause.cause),
        ]);
    }
    out.push_str(&table.render("  "));
    for wait in waits.stacks.iter().take(STACKS) {
        out.push_str(&stack_line(&seconds(wait.cause.seconds), waiting(&wait.stack)));
        let _ = writeln!(out, "    {}", wait_line(wait));
    }
    out
}

/// Who waited, for what, in which call, and who ended it.
fn wait_line(wait: &WaitDto) -> String {
    let mut line = format!("{} {}", wait.pid, plain(wait.comm.as_deref().unwrap_or("?")));
    let _ = write!(line, ": {}", word(&wait.cause.cause));
    if let Some(call) = &wait.syscall {
        let _ = write!(line, " in {call}");
    }
    if let Some(descriptor) = &wait.descriptor {
        let _ = write!(line, " on a {}", word(descriptor).replace('_', " "));
    }
    if let Some(waker) = wait.waker_pid {
        let _ = write!(line, ", woken by {waker}");
    }
    line
}

fn syscalls(report: &SyscallReportDto) -> String {
    let count: u64 = report.syscalls.iter().map(|s| s.count).sum();
    let total: f64 = report.syscalls.iter().map(|s| s.total_seconds).sum();
    let merged: u64 = report.syscalls.iter().map(|s| s.merged).sum();
    let more = if merged > 0 { format!("; {merged} of them by process no more") } else { String::new() };
    let mut out = format!("\nSYSCALLS  {count} calls, {}{more}\n", seconds(total));
    if report.syscalls.is_empty() {
        return out;
    }
    let mut table = Table::new(&[
        ("CALLS", Align::Right),
        ("TIME", Align::Right),
        ("P50", Align::Right),
        ("P99", Align::Right),
        ("MAX", Align::Right),
        ("NAME", Align::Left),
        ("ERRORS", Align::Left),
    ]);
    let maybe = |value: Option<f64>| value.map(seconds).unwrap_or_default();
    for call in report.syscalls.iter().take(ROWS) {
        let errors: Vec<String> = call.errors.iter().map(|(name, n)| format!("{name} {n}")).collect();
        table.row(vec![
            call.count.to_string(),
            seconds(call.total_seconds),
            maybe(call.p50_seconds),
            maybe(call.p99_seconds),
            seconds(call.max_seconds),
            call.name.clone(),
            errors.join(", "),
        ]);
    }
    out.push_str(&table.render("  "));
    out
}

/// A stack in one line, innermost function first.
fn stack_line(weight: &str, frames: &[FrameDto]) -> String {
    let names: Vec<String> = frames.iter().take(FRAMES).map(|f| cut(&plain(&f.function), 40)).collect();
    let more = if frames.len() > FRAMES { " ← …" } else { "" };
    let names = if names.is_empty() { "no stack".to_owned() } else { names.join(" ← ") };
    format!("  {weight:>8}  {names}{more}\n")
}

/// Where a wait began: how the kernel then came to wait is the same for all waits of one cause, so a stack
/// that has user frames is shown from the first of them.
fn waiting(stack: &StackDto) -> &[FrameDto] {
    let user = stack.frames.iter().position(|f| f.kind != FrameKindDto::Kernel).unwrap_or(0);
    stack.frames.get(user..).unwrap_or_default()
}

/// The wire's word for a cause or a kind of descriptor.
pub(in crate::cli) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{KillerDto, PROCESSES, chosen, exit};
    use crate::{
        api::dto::process::{KilledDto, ProcessDto},
        model::time::Timestamp,
    };

    fn process(pid: u32, depth: usize, cpu_seconds: f64, exit_code: u8) -> ProcessDto {
        ProcessDto {
            pid,
            parent: 1,
            depth,
            children: vec![],
            executable: None,
            comm: "x".to_owned(),
            argv: vec![],
            start: Timestamp::UNIX_EPOCH,
            end: None,
            exit_code: Some(exit_code),
            signal: None,
            signal_name: None,
            core_dumped: false,
            killed: None,
            cpu_seconds,
            cpu_before_seconds: 0.0,
            peak_rss_bytes: 0,
            rss_bytes: None,
            pss_bytes: None,
            threads: None,
            descriptors: None,
            voluntary_switches: None,
            involuntary_switches: None,
            rss_bytes_per_second: None,
            cgroup: None,
        }
    }

    #[test]
    fn who_killed_a_process_is_told() {
        let killed = |by, pid: Option<u32>| {
            let comm = pid.map(|_| "sh".to_owned());
            let (signal, signal_name) = (Some(15), Some("SIGTERM".to_owned()));
            let killed = Some(KilledDto { by, pid, comm });
            exit(&ProcessDto { exit_code: None, signal, signal_name, killed, ..process(7, 1, 0.0, 0) })
        };
        assert_eq!(killed(KillerDto::Process, Some(9)), "SIGTERM from 9 (sh)");
        assert_eq!(killed(KillerDto::Process, Some(7)), "SIGTERM from itself");
        assert_eq!(killed(KillerDto::Kernel, None), "SIGTERM from the kernel");
        assert_eq!(killed(KillerDto::OutOfMemory, None), "killed by the kernel: out of memory");
    }

    #[test]
    fn of_many_processes_the_root_the_dear_and_the_failed_are_shown() {
        let mut all = vec![process(1, 0, 0.0, 0)];
        all.extend((2..200).map(|pid| process(pid, 1, f64::from(pid % 100), 0)));
        all.push(process(500, 1, 0.0, 7));
        let shown: Vec<u32> = chosen(&all).iter().map(|p| p.pid).collect();
        assert_eq!(shown.len(), PROCESSES);
        for pid in [1, 99, 199, 500] {
            assert!(shown.contains(&pid), "{pid}: {shown:?}");
        }
        assert!(shown.is_sorted());
        assert_eq!(chosen(&all[..3]).len(), 3);
    }
}

//! What a process has used, by the kernel's account.

use std::fs;

use anyhow::{Context, Result};

/// CPU time of all its threads, ended ones too, seconds in steps of a clock tick (10 ms).
pub(super) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = parse_cpu_ticks(&stat).with_context(|| format!("{stat:?} is no stat"))?;
    // SAFETY: sysconf takes a number, touches no memory of ours, and knows this one.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    Ok(ticks as f64 / per_second as f64)
}

/// Resident memory, bytes.
pub(super) fn rss_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse_rss(&status).context("/proc/PID/status has no VmRSS")
}

/// How often its threads left the CPU, those of its first thread only.
pub(super) fn switches(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse_switches(&status).context("/proc/PID/status has no ctxt_switches")
}

/// CPU time of our children that have ended and were waited for, and of theirs, seconds.
pub(super) fn children_cpu_seconds() -> f64 {
    // SAFETY: rusage is integers only, for which zeros are values.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one rusage to the pointer, which is valid for that.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// User and system time, the 14th and 15th field; the second is a name that may hold anything.
fn parse_cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

fn parse_rss(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

fn parse_switches(status: &str) -> Option<u64> {
    let count = |field| status.lines().find_map(|line| line.strip_prefix(field))?.trim().parse::<u64>().ok();
    Some(count("voluntary_ctxt_switches:")? + count("nonvoluntary_ctxt_switches:")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_formats_are_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 900 0 0 0 250 41 0 0 20 0 1 0 5 0 0";
        assert_eq!(parse_cpu_ticks(stat), Some(291));
        assert_eq!(parse_cpu_ticks("7 (a) S 1"), None);
        assert_eq!(parse_rss("Name:\tx\nVmRSS:\t   1234 kB\n"), Some(1234 * 1024));
        assert_eq!(parse_rss("Name:\tx\n"), None);
        let switches = "voluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t2\n";
        assert_eq!(parse_switches(switches), Some(42));
        assert_eq!(parse_switches("voluntary_ctxt_switches:\t40\n"), None);
    }

    #[test]
    fn what_a_child_used_is_ours_once_it_is_waited_for() {
        let before = children_cpu_seconds();
        let program = "n=0; while [ $n -lt 100000 ]; do n=$((n+1)); done";
        assert!(std::process::Command::new("sh").args(["-c", program]).status().unwrap().success());
        assert!(children_cpu_seconds() > before);
    }

    #[test]
    fn work_shows_as_cpu_time() {
        let used = || cpu_seconds(std::process::id()).unwrap();
        let (before, start) = (used(), std::time::Instant::now());
        // A busy machine lets us work when it likes.
        while used() - before <= 0.02 {
            assert!(start.elapsed().as_secs() < 60, "{}", used() - before);
        }
        assert!(rss_bytes(std::process::id()).unwrap() > 100_000);
    }
}

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
    }

    #[test]
    fn work_shows_as_cpu_time() {
        let before = cpu_seconds(std::process::id()).unwrap();
        let start = std::time::Instant::now();
        while start.elapsed().as_millis() < 100 {
            std::hint::spin_loop();
        }
        let used = cpu_seconds(std::process::id()).unwrap() - before;
        assert!(used > 0.02, "{used}");
        assert!(rss_bytes(std::process::id()).unwrap() > 100_000);
    }
}

//! What this process uses, by the kernel's account; and quantiles of times.

use std::time::Duration;

/// CPU time of this process so far, seconds.
pub(crate) fn cpu_seconds() -> f64 {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID).as_secs_f64()
}

/// CPU time of this thread so far.
pub(crate) fn thread_cpu() -> Duration {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn clock(id: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec to the pointer, which is valid for that.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Resident set now, MB.
pub(crate) fn rss_mb() -> f64 {
    agentperf::telemetry::own_usage().rss_bytes as f64 / 1e6
}

/// The value below which a share `q` of the times lies, in milliseconds.
pub(crate) fn quantile_ms(times: &mut [Duration], q: f64) -> f64 {
    times.sort();
    let place = (times.len() as f64 * q) as usize;
    times.get(place.min(times.len().saturating_sub(1))).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

//! What a process has: memory, threads, descriptors, and how often its threads left a CPU. From /proc, at one moment.
//!
//! What would cost much is left out: switches where there are more threads than [`MAX_THREADS`]; and all that is dear,
//! where the caller has no time left. /proc tells switches of each thread alone, so those of threads that ended are in no
//! sum.

use std::fs;

use crate::model::process::{ContextSwitches, Resources};

/// Most threads of a process that are asked for their switches, at some 15 µs each.
const MAX_THREADS: u32 = 64;

/// Most descriptors that are counted one by one, where the kernel (before 6.2) does not tell their number.
const MAX_DESCRIPTORS: usize = 4096;

/// The largest resident set whose pages are walked for the proportional one: some 10 ms.
const MAX_WALKED: u64 = 512 << 20;

/// What may be read beside what is cheap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dear {
    /// Nothing.
    Nothing,
    /// Descriptors and switches.
    Counts,
    /// The proportional set size, too.
    Pages,
}

/// What this process has, but for its control group and the slope of its memory; `None` if it is gone.
pub(super) fn read(pid: u32, dear: Dear) -> Option<Resources> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let threads = u32::try_from(field(&status, "Threads:")?).ok()?;
    let rss_bytes = field(&status, "VmRSS:").unwrap_or(0).saturating_mul(1024);
    let cheap = Resources { rss_bytes, threads, ..Resources::default() };
    if dear == Dear::Nothing {
        return Some(cheap);
    }
    Some(Resources {
        pss_bytes: if dear == Dear::Pages && rss_bytes <= MAX_WALKED { pss(pid) } else { None },
        descriptors: descriptors(pid),
        context_switches: context_switches(pid, threads, &status),
        ..cheap
    })
}

fn pss(pid: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    field(&rollup, "Pss:")?.checked_mul(1024)
}

/// The number of a line of a status file.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn descriptors(pid: u32) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let path = format!("/proc/{pid}/fd");
    let told = fs::metadata(&path).ok()?.size();
    let count = || fs::read_dir(&path).ok().map(|all| all.take(MAX_DESCRIPTORS).count() as u64);
    let number = if told > 0 { Some(told) } else { count() };
    u32::try_from(number?).ok()
}

fn context_switches(pid: u32, threads: u32, status: &str) -> Option<ContextSwitches> {
    if threads == 1 {
        return of_one(status);
    }
    if threads > MAX_THREADS {
        return None;
    }
    let mut sum = ContextSwitches::default();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        // One that ends meanwhile is no longer among them.
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        if let Some(one) = of_one(&status) {
            sum.voluntary = sum.voluntary.saturating_add(one.voluntary);
            sum.involuntary = sum.involuntary.saturating_add(one.involuntary);
        }
    }
    Some(sum)
}

fn of_one(status: &str) -> Option<ContextSwitches> {
    let voluntary = field(status, "voluntary_ctxt_switches:")?;
    Some(ContextSwitches { voluntary, involuntary: field(status, "nonvoluntary_ctxt_switches:")? })
}

#[cfg(test)]
mod tests {
    use std::{fs::File, sync::mpsc::channel, thread, time::Duration};

    use super::*;

    #[test]
    fn what_this_process_opens_starts_and_waits_for_is_told() {
        let pid = std::process::id();
        let before = read(pid, Dear::Counts).unwrap();
        let files: Vec<_> = (0..300).map(|_| File::open("/proc/self/stat").unwrap()).collect();
        let memory = vec![1_u8; 64 << 20];
        let (done, wait) = channel::<()>();
        let sleeper = thread::spawn(move || {
            (0..200).for_each(|_| thread::sleep(Duration::from_micros(50)));
            let _ = wait.recv();
        });
        while read(pid, Dear::Counts).unwrap().context_switches.is_some_and(|now| now.voluntary < 200) {
            thread::sleep(Duration::from_millis(10));
        }
        let after = read(pid, Dear::Pages).unwrap();
        // Other tests run beside this one, in this process.
        assert!(
            after.descriptors.unwrap() >= 300 && before.descriptors.unwrap() >= 3,
            "{before:?} {after:?}"
        );
        let pss = after.pss_bytes.unwrap();
        assert!(
            before.pss_bytes.is_none() && pss >= memory.len() as u64 && pss <= 2 * after.rss_bytes,
            "{after:?}"
        );
        assert!(after.rss_bytes >= memory.len() as u64 && after.threads >= 2, "{after:?}");
        drop((files, done, memory));
        sleeper.join().unwrap();
        let cheap = read(pid, Dear::Nothing).unwrap();
        assert!(cheap.threads > 0 && cheap.descriptors.is_none() && cheap.context_switches.is_none());
        assert_eq!(read(4_194_304, Dear::Pages), None);
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let status = "Name:\tThreads: 9\nVmRSS:\t     120 kB\nThreads:\t3\nvoluntary_ctxt_switches:\t7\n\
                      nonvoluntary_ctxt_switches:\t2\n";
        assert_eq!((field(status, "VmRSS:"), field(status, "Threads:")), (Some(120), Some(3)));
        assert_eq!(of_one(status), Some(ContextSwitches { voluntary: 7, involuntary: 2 }));
        assert_eq!(field("VmRSS:\n", "VmRSS:"), None);
    }
}

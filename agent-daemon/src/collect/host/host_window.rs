//! What the host did between two readings. Counters of a device that went back are those of another, which count from
//! zero. A CPU's go back a little now and then by themselves (idle and iowait, proc(5)): that is no time.

use rustc_hash::FxHashMap;

use super::counters::{Counters, Device};
use crate::model::host::{self, Activity, Cpu, Disk, HostWindow, Interface, OTHER, Pressure, Stall, Traffic};

/// The window from one reading to the next; `tick` is the length of a clock tick, ns.
pub(super) fn between(before: &Counters, after: Counters, tick: u64) -> HostWindow {
    let cpus = after.cpus.iter().filter_map(|(number, now)| {
        let (_, then) = before.cpus.iter().find(|(other, _)| other == number)?;
        let mut ticks = *now;
        ticks.iter_mut().zip(then).for_each(|(now, then)| *now = now.saturating_sub(*then));
        Some(Cpu::new(*number, ticks.map(|ticks| ticks.saturating_mul(tick))))
    });
    HostWindow {
        start: before.at,
        end: after.at,
        cpus: cpus.collect(),
        activity: Activity {
            load: after.load,
            processes: after.processes,
            running: after.running,
            blocked: after.blocked,
            forks: since(after.forks, before.forks),
            context_switches: since(after.context_switches, before.context_switches),
        },
        pressure: before.pressure.zip(after.pressure).map(|(then, now)| pressure(then, now)),
        memory: after.memory,
        disks: paired(&before.disks, &after.disks, disk),
        interfaces: paired(&before.interfaces, &after.interfaces, interface),
        file_systems: after.file_systems,
        gpus: Vec::new(),
    }
}

fn since(now: u64, then: u64) -> u64 {
    now.checked_sub(then).unwrap_or(now)
}

fn grown<const N: usize>(now: [u64; N], then: [u64; N]) -> [u64; N] {
    let mut grown = now;
    grown.iter_mut().zip(then).for_each(|(now, then)| *now = since(*now, then));
    grown
}

fn pressure(then: [Stall; 3], now: [Stall; 3]) -> Pressure {
    let ns = |us: u64| us.saturating_mul(1000);
    let stall = |then: Stall, now: Stall| Stall {
        some: ns(since(now.some, then.some)),
        full: ns(since(now.full, then.full)),
    };
    let ([cpu, memory, io], [cpu_now, memory_now, io_now]) = (then, now);
    Pressure { cpu: stall(cpu, cpu_now), memory: stall(memory, memory_now), io: stall(io, io_now) }
}

/// Devices that were there at both moments, by name, and those beyond the most that are told apart last.
fn paired<T, U: host::Device>(
    before: &[Device<T>],
    after: &[Device<T>],
    make: fn(&Device<T>, &T) -> U,
) -> Vec<U> {
    let known: FxHashMap<&str, &T> = before.iter().map(|device| (&*device.name, &device.counted)).collect();
    let then = |device: &Device<T>| known.get(&*device.name).copied();
    let mut rows = host::bounded(after.iter().filter_map(|device| Some(make(device, then(device)?))));
    rows.sort_by_cached_key(|row| (row.name() == OTHER, row.name().to_owned()));
    rows
}

fn disk(now: &Device<[u64; 7]>, then: &[u64; 7]) -> Disk {
    let [reads, read_bytes, read_ms, writes, written_bytes, write_ms, busy_ms] = grown(now.counted, *then);
    let [read_ns, write_ns, busy_ns] = [read_ms, write_ms, busy_ms].map(|ms| ms.saturating_mul(1_000_000));
    let name = now.name.clone();
    Disk { name, reads, read_bytes, read_ns, writes, written_bytes, write_ns, busy_ns }
}

fn interface(now: &Device<[Traffic; 2]>, then: &[Traffic; 2]) -> Interface {
    let traffic = |now: Traffic, then: Traffic| grown(now.counts(), then.counts()).into();
    let ([received, sent], [received_then, sent_then]) = (now.counted, *then);
    Interface {
        name: now.name.clone(),
        received: traffic(received, received_then),
        sent: traffic(sent, sent_then),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_devices_that_went_back_count_from_zero() {
        let device = |name: &str, reads| Device { name: name.to_owned(), counted: [reads, 0, 2, 0, 0, 0, 3] };
        let before = Counters { disks: vec![device("sda", 10), device("gone", 1)], ..Counters::default() };
        let after = Counters { disks: vec![device("new", 7), device("sda", 4)], ..Counters::default() };
        let window = between(&before, after, 1);
        assert_eq!(window.disks, [Disk { name: "sda".to_owned(), reads: 4, ..Disk::default() }]);
    }

    #[test]
    fn ticks_become_time_of_the_same_cpu() {
        let counters = |cpus: &[(u32, [u64; 8])]| Counters { cpus: cpus.to_vec(), ..Counters::default() };
        let before = counters(&[(0, [1; 8]), (1, [5; 8])]);
        let after = counters(&[(1, [5, 5, 5, 15, 5, 5, 5, 5]), (2, [1; 8])]);
        let window = between(&before, after, 10_000_000);
        assert_eq!(window.cpus, [Cpu { number: 1, idle: 100_000_000, ..Cpu::default() }]);
        assert_eq!((window.cpus[0].busy(), window.cpus[0].all()), (0, 100_000_000));
    }

    #[test]
    fn a_cpu_that_waited_less_than_before_has_not_waited_since_boot() {
        let counters =
            |iowait| Counters { cpus: vec![(0, [9, 0, 0, 50, iowait, 0, 0, 0])], ..Counters::default() };
        let window = between(&counters(1000), counters(998), 10_000_000);
        assert_eq!(window.cpus, [Cpu::default()]);
    }

    #[test]
    fn a_busy_cpu_is_seen_as_such() {
        let before = Counters::read();
        let until = std::time::Instant::now() + std::time::Duration::from_millis(300);
        while std::time::Instant::now() < until {}
        let window = between(&before, Counters::read(), 1_000_000_000 / procfs::ticks_per_second());
        let busy: u64 = window.cpus.iter().map(Cpu::busy).sum();
        assert!(busy >= 200_000_000, "{busy} ns in 300 ms of spinning");
        assert!(window.activity.context_switches > 0 && window.pressure.is_some());
    }
}

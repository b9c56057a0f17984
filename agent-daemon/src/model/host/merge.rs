//! Windows of the host merged into a longer one: amounts are added up, what is of a window's end is that of the last
//! one. Sums saturate, so neither the order matters nor whether some were merged before; only which devices have a row of
//! their own, where there are too many, depends on who came first.

use super::{
    Activity, Cpu, Disk, HostWindow, Interface, MAX_DEVICES, Memory, OTHER, Pressure, Stall, Traffic, gpu,
};

impl HostWindow {
    /// One window in place of these, from the first one's start to the last one's end; `None` if there are none.
    #[must_use]
    pub fn merge(windows: impl IntoIterator<Item = Self>) -> Option<Self> {
        windows.into_iter().reduce(|mut sum, window| {
            sum.absorb(&window);
            sum
        })
    }

    /// Takes another window in.
    pub fn absorb(&mut self, other: &Self) {
        let is_later = other.end >= self.end;
        (self.start, self.end) = (self.start.min(other.start), self.end.max(other.end));
        self.activity.absorb(&other.activity, is_later);
        self.memory.absorb(&other.memory, is_later);
        if is_later {
            self.file_systems.clone_from(&other.file_systems);
        }
        self.pressure = match (self.pressure, other.pressure) {
            (Some(mut sum), Some(more)) => {
                sum.add(more);
                Some(sum)
            }
            (one, another) => one.or(another),
        };
        for (i, cpu) in other.cpus.iter().enumerate() {
            match find(&mut self.cpus, i, |known| known.number == cpu.number) {
                Some(known) => known.add(cpu),
                None => self.cpus.push(*cpu),
            }
        }
        other.disks.iter().enumerate().for_each(|(i, disk)| push(&mut self.disks, i, disk));
        other
            .interfaces
            .iter()
            .enumerate()
            .for_each(|(i, interface)| push(&mut self.interfaces, i, interface));
        gpu::absorb_all(&mut self.gpus, &other.gpus, is_later);
    }
}

/// A disk or an interface.
pub trait Device: Clone {
    /// Its name.
    fn name(&self) -> &str;
    /// The same by another name.
    fn renamed(self, name: &str) -> Self;
    /// Adds what another did.
    fn add(&mut self, other: &Self);
}

/// At most [`MAX_DEVICES`] of these with a row of their own, the first ones, and the others added up.
#[must_use]
pub fn bounded<D: Device>(devices: impl IntoIterator<Item = D>) -> Vec<D> {
    let mut all = Vec::new();
    devices.into_iter().enumerate().for_each(|(i, device)| push(&mut all, i, &device));
    all
}

/// Adds a device to those of its name, which is probably at place `i`; beyond [`MAX_DEVICES`] to the others.
fn push<D: Device>(all: &mut Vec<D>, i: usize, device: &D) {
    let own = all.len() < MAX_DEVICES;
    if let Some(known) = find(all, i, |known| known.name() == device.name()) {
        known.add(device);
    } else if own {
        all.push(device.clone());
    } else if let Some(others) = find(all, MAX_DEVICES, |known| known.name() == OTHER) {
        others.add(device);
    } else {
        all.push(device.clone().renamed(OTHER));
    }
}

/// The row that is the one, looked for at place `i` first.
fn find<T>(all: &mut [T], i: usize, is_it: impl Fn(&T) -> bool) -> Option<&mut T> {
    let at = match all.get(i) {
        Some(row) if is_it(row) => i,
        _ => all.iter().position(is_it)?,
    };
    all.get_mut(at)
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

/// The sums of each two.
fn added<const N: usize>(sums: [u64; N], more: [u64; N]) -> [u64; N] {
    let mut sums = sums;
    sums.iter_mut().zip(more).for_each(|(sum, more)| add(sum, more));
    sums
}

impl Cpu {
    pub(super) fn add(&mut self, other: &Self) {
        *self = Self::new(self.number, added(self.modes(), other.modes()));
    }
}

impl Activity {
    fn absorb(&mut self, other: &Self, is_later: bool) {
        let forks = self.forks.saturating_add(other.forks);
        let context_switches = self.context_switches.saturating_add(other.context_switches);
        let last = if is_later { *other } else { *self };
        *self = Self { forks, context_switches, ..last };
    }
}

impl Memory {
    fn absorb(&mut self, other: &Self, is_later: bool) {
        let least_available = self.least_available.min(other.least_available);
        let last = if is_later { *other } else { *self };
        *self = Self { least_available, ..last };
    }
}

impl Pressure {
    fn add(&mut self, other: Self) {
        self.cpu.add(other.cpu);
        self.memory.add(other.memory);
        self.io.add(other.io);
    }
}

impl Stall {
    fn add(&mut self, other: Self) {
        add(&mut self.some, other.some);
        add(&mut self.full, other.full);
    }
}

impl std::iter::Sum for Traffic {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| added(sum.counts(), one.counts()).into())
    }
}

impl Device for Disk {
    fn name(&self) -> &str {
        &self.name
    }

    fn renamed(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    fn add(&mut self, other: &Self) {
        *self = Self::new(std::mem::take(&mut self.name), added(self.counts(), other.counts()));
    }
}

impl Device for Interface {
    fn name(&self) -> &str {
        &self.name
    }

    fn renamed(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    fn add(&mut self, other: &Self) {
        self.received = added(self.received.counts(), other.received.counts()).into();
        self.sent = added(self.sent.counts(), other.sent.counts()).into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::{at, host_window_at};

    #[test]
    fn amounts_are_added_up_and_the_rest_is_of_the_end() {
        let windows = [host_window_at(at(0), 1), host_window_at(at(5), 3), host_window_at(at(10), 2)];
        let merged = HostWindow::merge(windows.clone()).unwrap();
        assert_eq!((merged.start, merged.end), (at(0), at(15)));
        let total = |of: fn(&HostWindow) -> u64| windows.iter().map(of).sum::<u64>();
        assert_eq!(merged.all_cpus().all(), total(|w| w.all_cpus().all()));
        assert_eq!(merged.activity.forks, total(|w| w.activity.forks));
        assert_eq!(merged.disks[0].written_bytes, total(|w| w.disks[0].written_bytes));
        assert_eq!(merged.interfaces[0].sent.errors, total(|w| w.interfaces[0].sent.errors));
        assert_eq!(merged.pressure.unwrap().io.some, total(|w| w.pressure.unwrap().io.some));
        let [first, most, last] = &windows;
        assert_eq!((merged.activity.load, &merged.file_systems), (last.activity.load, &last.file_systems));
        assert_eq!(merged.memory.available, last.memory.available);
        assert_eq!(merged.memory.least_available, most.memory.available.min(first.memory.available));
        let mut backwards = windows.to_vec();
        backwards.reverse();
        assert_eq!(HostWindow::merge(backwards), Some(merged));
        assert_eq!(HostWindow::merge(Vec::new()), None);
    }

    #[test]
    fn what_the_kernel_did_not_tell_for_a_while_is_still_told() {
        let mut silent = host_window_at(at(0), 1);
        silent.pressure = None;
        let pressure = host_window_at(at(5), 1).pressure;
        for windows in [[silent.clone(), host_window_at(at(5), 1)], [host_window_at(at(5), 1), silent]] {
            assert_eq!(HostWindow::merge(windows).unwrap().pressure, pressure);
        }
    }

    #[test]
    fn many_devices_are_few_rows_with_the_same_sums() {
        let disk = |n: u64| Disk { name: format!("d{n}"), reads: n, ..Disk::default() };
        let few = bounded((0..60).map(disk));
        assert_eq!(few.len(), 60);
        let mut window = HostWindow { disks: few, ..HostWindow::default() };
        for _ in 0..2 {
            window.absorb(&HostWindow { disks: (50..200).map(disk).collect(), ..HostWindow::default() });
        }
        assert_eq!(window.disks.len(), MAX_DEVICES + 1);
        assert_eq!(window.disks.last().unwrap().name, OTHER);
        let reads: u64 = window.disks.iter().map(|disk| disk.reads).sum();
        assert_eq!(reads, (0..60).sum::<u64>() + 2 * (50..200).sum::<u64>());
    }
}

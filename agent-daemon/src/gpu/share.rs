//! What each process had of a GPU: seconds and energy. Shares never sum to more than the GPU's own; what they leave
//! out is said.
//!
//! NVML's utilisation of a process is the share of time in which its kernels ran. Where processes run at the same
//! time these sum to more than the GPU was busy, and are scaled down to it. Energy is divided by time: a process that
//! had the GPU for half of the interval is billed half of the energy of the interval, and nobody is billed for time
//! in which nothing ran. That a busy second draws more than an idle one is not known from sums, so that users of a
//! GPU that is mostly idle are billed too little.

use super::reading::{Gpu, GpuProcess};

/// What was used of a GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// Seconds in which the GPU was busy.
    pub gpu_seconds: f64,
    /// Energy in joules; `None` where the GPU does not tell.
    pub joules: Option<f64>,
}

/// What a process used of a GPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// The pid as NVML tells it.
    pub host_pid: u32,
    /// The pid in the daemon's namespace.
    pub pid: Option<u32>,
    /// What it used.
    pub used: Used,
    /// What that was made of.
    pub basis: ShareBasis,
}

/// What a share was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareBasis {
    /// The driver's figures of this process.
    Measured,
    /// The driver has none, and no other process is on the GPU.
    OnlyProcess,
}

/// A GPU's use in an interval, divided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shares {
    /// Of the GPU as a whole.
    pub total: Used,
    /// Of each process that used it.
    pub processes: Vec<Share>,
    /// What could not be told to any process, idle energy included.
    pub rest: Used,
}

/// Divides what a GPU did in the interval of a reading; `None` if that is not known.
#[must_use]
pub fn shares(gpu: &Gpu) -> Option<Shares> {
    let seconds = gpu.interval?.as_secs_f64();
    let busy_percent = sound(gpu.utilisation?.gpu_percent);
    let joules = gpu.energy.map(|energy| energy.joules).filter(|joules| joules.is_finite() && *joules >= 0.0);
    let total = Used { gpu_seconds: busy_percent / 100.0 * seconds, joules };
    let weights = weights(gpu, busy_percent);
    let sum: f64 = weights.iter().map(|(_, percent, _)| percent).sum();
    let scale = if sum > busy_percent { busy_percent / sum } else { 1.0 };
    let processes: Vec<Share> = weights
        .into_iter()
        .map(|(process, percent, basis)| {
            let part = percent * scale / 100.0;
            let used = Used { gpu_seconds: part * seconds, joules: joules.map(|joules| part * joules) };
            Share { host_pid: process.host_pid, pid: process.pid, used, basis }
        })
        .collect();
    let rest = rest(total, &processes);
    Some(Shares { total, processes, rest })
}

/// The processes that used the GPU, by percent of the time.
fn weights(gpu: &Gpu, busy_percent: f64) -> Vec<(&GpuProcess, f64, ShareBasis)> {
    let processes = gpu.processes.as_deref().unwrap_or_default();
    if let [only] = processes
        && only.utilisation.is_none()
    {
        return vec![(only, busy_percent, ShareBasis::OnlyProcess)];
    }
    let measured = processes.iter().filter_map(|process| {
        let percent = sound(process.utilisation?.sm_percent);
        (percent > 0.0).then_some((process, percent, ShareBasis::Measured))
    });
    measured.collect()
}

fn rest(total: Used, processes: &[Share]) -> Used {
    let seconds: f64 = processes.iter().map(|share| share.used.gpu_seconds).sum();
    let joules: f64 = processes.iter().filter_map(|share| share.used.joules).sum();
    Used {
        gpu_seconds: (total.gpu_seconds - seconds).max(0.0),
        joules: total.joules.map(|total| (total - joules).max(0.0)),
    }
}

/// A percentage that can be one.
fn sound(percent: f64) -> f64 {
    if percent.is_nan() { 0.0 } else { percent.clamp(0.0, 100.0) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{any, prop, prop_assert, proptest};

    use super::*;
    use crate::gpu::reading::{Energy, EnergySource, ProcessUtilisation, Utilisation, UtilisationBasis};

    fn gpu(busy: f64, joules: f64, processes: &[Option<f64>]) -> Gpu {
        let process = |(index, percent): (usize, &Option<f64>)| GpuProcess {
            host_pid: index as u32,
            pid: None,
            is_compute: true,
            is_graphics: false,
            memory_bytes: None,
            instance: None,
            utilisation: percent.map(|sm_percent| ProcessUtilisation { sm_percent, ..Default::default() }),
        };
        Gpu {
            interval: Some(Duration::from_secs(10)),
            utilisation: Some(Utilisation {
                gpu_percent: busy,
                memory_percent: None,
                basis: UtilisationBasis::LastPeriod,
            }),
            energy: Some(Energy { joules, source: EnergySource::Counter }),
            processes: Some(processes.iter().enumerate().map(process).collect()),
            ..Gpu::default()
        }
    }

    fn seconds(shares: &Shares) -> Vec<f64> {
        shares.processes.iter().map(|share| share.used.gpu_seconds).collect()
    }

    #[test]
    fn processes_that_overlap_are_scaled_to_the_gpu() {
        let divided = shares(&gpu(90.0, 1000.0, &[Some(90.0), Some(90.0), Some(0.0)])).unwrap();
        assert_eq!(seconds(&divided), [4.5, 4.5], "who used nothing has no share");
        assert_eq!(divided.processes[0].used.joules, Some(450.0));
        assert!((divided.rest.joules.unwrap() - 100.0).abs() < 1e-9);
    }

    #[test]
    fn what_nobody_is_known_to_have_used_is_the_rest() {
        let divided = shares(&gpu(80.0, 1000.0, &[Some(30.0), Some(20.0)])).unwrap();
        assert_eq!(seconds(&divided), [3.0, 2.0]);
        assert_eq!(divided.rest, Used { gpu_seconds: 3.0, joules: Some(500.0) });
    }

    #[test]
    fn without_figures_only_a_single_process_can_be_billed() {
        let divided = shares(&gpu(50.0, 1000.0, &[None])).unwrap();
        assert_eq!((seconds(&divided), divided.processes[0].basis), (vec![5.0], ShareBasis::OnlyProcess));
        let divided = shares(&gpu(50.0, 1000.0, &[None, None])).unwrap();
        assert_eq!((divided.processes.len(), divided.rest.gpu_seconds), (0, 5.0));
    }

    #[test]
    fn nothing_is_divided_without_an_interval() {
        let mut first = gpu(50.0, 1000.0, &[Some(50.0)]);
        first.interval = None;
        assert_eq!(shares(&first), None);
    }

    proptest! {
        #[test]
        fn shares_never_exceed_the_gpu(
            busy in any::<f64>(),
            joules in any::<f64>(),
            processes in prop::collection::vec(any::<Option<f64>>(), 0..20),
            percents in prop::collection::vec(0.0..150.0, 0..20),
        ) {
            let processes: Vec<_> = processes.into_iter().chain(percents.into_iter().map(Some)).collect();
            for busy in [busy, busy.abs() % 100.0] {
                let divided = shares(&gpu(busy, joules, &processes)).unwrap();
                let sum: f64 = seconds(&divided).iter().sum();
                prop_assert!(divided.total.gpu_seconds <= 10.0);
                prop_assert!(sum <= divided.total.gpu_seconds * (1.0 + 1e-9) + f64::MIN_POSITIVE, "{sum}");
                prop_assert!(seconds(&divided).iter().all(|seconds| *seconds >= 0.0));
                if let Some(total) = divided.total.joules {
                    let sum: f64 = divided.processes.iter().filter_map(|share| share.used.joules).sum();
                    prop_assert!(sum <= total * (1.0 + 1e-9) + f64::MIN_POSITIVE, "{sum} of {total}");
                }
            }
        }
    }
}

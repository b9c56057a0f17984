//! What must be remembered of a GPU from one reading to the next: counters, since NVML counts from the driver's load,
//! and the times up to which samples were seen. Kept by uuid across restarts of NVML, for 256 GPUs at most.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    reading::{Count, Energy, EnergySource, Traffic},
    reason::Reason,
};

const GPUS: usize = 256;
/// More than any GPU draws, several times.
const MOST_WATTS: f64 = 5000.0;

/// The memory of one GPU.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// When it was read last.
    pub(super) read: Option<Instant>,
    /// Its index and name then.
    pub(super) index: u32,
    pub(super) name: Option<String>,
    /// Times of the newest samples seen, in µs of Unix time.
    pub(super) samples_until: u64,
    pub(super) memory_samples_until: u64,
    pub(super) process_samples_until: u64,
    pub(super) meter: EnergyMeter,
    corrected: Option<u64>,
    uncorrected: Option<u64>,
    nvlink: Option<Traffic>,
}

impl Past {
    /// Time since the reading before.
    pub(super) fn interval(&self, now: Instant) -> Option<Duration> {
        Some(now.saturating_duration_since(self.read?))
    }

    pub(super) fn corrected(&mut self, total: u64) -> Count {
        count(&mut self.corrected, total)
    }

    pub(super) fn uncorrected(&mut self, total: u64) -> Count {
        count(&mut self.uncorrected, total)
    }

    /// What went over NVLink since; `None` at first and after a reset of the counters.
    pub(super) fn nvlink(&mut self, total: Traffic) -> Option<Traffic> {
        let before = self.nvlink.replace(total)?;
        Some(Traffic {
            sent_bytes: total.sent_bytes.checked_sub(before.sent_bytes)?,
            received_bytes: total.received_bytes.checked_sub(before.received_bytes)?,
        })
    }
}

fn count(before: &mut Option<u64>, total: u64) -> Count {
    let added = before.replace(total).map(|before| total.checked_sub(before).unwrap_or(total));
    Count { total, added }
}

/// Makes energy of the GPU's counter, or of its power draw.
#[derive(Debug, Default)]
pub(super) struct EnergyMeter {
    counter: Option<(Instant, u64)>,
    last_power: Option<(Instant, f64)>,
    integrated_joules: Option<f64>,
    has_no_counter: bool,
}

impl EnergyMeter {
    /// Takes the counter, in mJ since the driver was loaded, and says what was added since it was told last.
    ///
    /// # Errors
    /// It went up by more than any GPU can draw: it was wrong now or then.
    pub(super) fn counter(&mut self, now: Instant, total_mj: u64) -> Result<Option<Energy>, Reason> {
        self.has_no_counter = false;
        self.last_power = None;
        self.integrated_joules = None;
        let Some((then, before)) = self.counter.replace((now, total_mj)) else { return Ok(None) };
        // A reload of the driver starts at 0 again: what it counted since is known.
        let added = total_mj.checked_sub(before).unwrap_or(total_mj);
        let joules = added as f64 / 1000.0;
        let seconds = now.saturating_duration_since(then).as_secs_f64();
        if joules > MOST_WATTS * seconds.max(1.0) {
            return Err(Reason::BadAnswer(format!("{joules} J more energy after {seconds} s")));
        }
        Ok(Some(Energy { joules, source: EnergySource::Counter }))
    }

    /// Says that there is no counter: power is to be sampled from now on.
    pub(super) fn no_counter(&mut self) {
        self.has_no_counter = true;
        self.counter = None;
    }

    /// Whether [`Self::power`] should be told in between readings.
    pub(super) fn wants_power(&self) -> bool {
        self.has_no_counter
    }

    /// Takes the power draw; the energy between two samples is their mean times the time.
    pub(super) fn power(&mut self, now: Instant, watts: f64) {
        if let Some((before, watts_before)) = self.last_power.replace((now, watts)) {
            let seconds = now.saturating_duration_since(before).as_secs_f64();
            *self.integrated_joules.get_or_insert(0.0) += (watts + watts_before) / 2.0 * seconds;
        }
    }

    /// Says that the power draw could not be read: the time until the next sample counts for nothing.
    pub(super) fn gap(&mut self) {
        self.last_power = None;
    }

    /// What was summed up since the reading before.
    pub(super) fn integrated(&mut self) -> Option<Energy> {
        let joules = self.integrated_joules.take()?;
        Some(Energy { joules, source: EnergySource::IntegratedPower })
    }
}

/// The memory of all GPUs, by uuid.
#[derive(Debug, Default)]
pub(super) struct History(HashMap<String, Past>);

impl History {
    /// The memory of a GPU; of a new one, an empty one. Where it is full, who was not seen for longest is forgotten.
    pub(super) fn of(&mut self, uuid: &str) -> &mut Past {
        if self.0.len() >= GPUS && !self.0.contains_key(uuid) {
            let oldest = self.0.iter().min_by_key(|(_, past)| past.read).map(|(uuid, _)| uuid.clone());
            oldest.map(|uuid| self.0.remove(&uuid));
        }
        self.0.entry(uuid.to_owned()).or_default()
    }

    /// Uuid and memory of the GPU that had an index when it was last read.
    pub(super) fn at_index(&self, index: u32) -> Option<(&str, &Past)> {
        let at_index = self.0.iter().filter(|(_, past)| past.index == index);
        at_index.max_by_key(|(_, past)| past.read).map(|(uuid, past)| (uuid.as_str(), past))
    }

    /// GPUs that were read once, by index.
    pub(super) fn all(&self) -> Vec<(&str, &Past)> {
        let mut all: Vec<_> = self.0.iter().map(|(uuid, past)| (uuid.as_str(), past)).collect();
        all.sort_by_key(|(uuid, past)| (past.index, *uuid));
        all
    }

    /// Those whose power is to be sampled.
    pub(super) fn metered(&mut self) -> impl Iterator<Item = (&str, &mut Past)> {
        let all = self.0.iter_mut().map(|(uuid, past)| (uuid.as_str(), past));
        all.filter(|(_, past)| past.meter.wants_power())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_integrated_by_trapezoids() {
        let mut meter = EnergyMeter::default();
        let start = Instant::now();
        meter.no_counter();
        meter.power(start, 100.0);
        assert_eq!(meter.integrated(), None, "one sample is no energy");
        meter.power(start + Duration::from_secs(2), 300.0);
        meter.power(start + Duration::from_secs(3), 300.0);
        assert_eq!(meter.integrated().map(|energy| energy.joules), Some(700.0));
        meter.gap();
        meter.power(start + Duration::from_secs(9), 300.0);
        assert_eq!(meter.integrated(), None, "a gap counts for nothing");
    }

    #[test]
    fn a_counter_that_starts_again_is_counted_from_there() {
        let (mut meter, start) = (EnergyMeter::default(), Instant::now());
        let mut joules = |seconds, total| {
            let energy = meter.counter(start + Duration::from_secs(seconds), total);
            energy.map(|energy| energy.map(|energy| energy.joules))
        };
        assert_eq!(joules(0, 5000), Ok(None));
        assert_eq!(joules(5, 7500), Ok(Some(2.5)));
        assert_eq!(joules(10, 400), Ok(Some(0.4)));
    }

    #[test]
    fn a_counter_that_is_wrong_once_makes_no_spike() {
        let (mut meter, start) = (EnergyMeter::default(), Instant::now());
        let mut read = |seconds, total| meter.counter(start + Duration::from_secs(seconds), total);
        let total = 40_000_000_000;
        read(0, total).unwrap();
        assert_eq!(read(5, 0).unwrap().map(|energy| energy.joules), Some(0.0));
        assert!(matches!(read(10, total + 1000), Err(Reason::BadAnswer(_))));
        assert_eq!(read(15, total + 3000).unwrap().map(|energy| energy.joules), Some(2.0));
    }

    #[test]
    fn history_is_bounded() {
        let mut history = History::default();
        for index in 0..GPUS + 10 {
            history.of(&format!("GPU-{index}")).read = Some(Instant::now());
        }
        assert_eq!(history.all().len(), GPUS);
        assert!(history.of("GPU-265").read.is_some(), "the newest are kept");
    }
}

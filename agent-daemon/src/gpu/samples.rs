//! Means of what the driver samples on its own, several times a second: better than the one value of its last period.
//! Samples carry times of the wall clock, which may jump back; then all that the driver holds are taken.

use std::{collections::BTreeMap, time::SystemTime};

use nvml_wrapper::{
    Device,
    enum_wrappers::device::Sampling,
    enums::device::SampleValue,
    error::NvmlError,
    struct_wrappers::device::{ProcessUtilizationSample, Sample},
};

use super::reading::ProcessUtilisation;

/// Where the times of samples end that were seen: µs of Unix time.
pub(super) type Until = u64;

/// Mean and number of the samples since `until`, which is moved on; `None` where there are none.
///
/// # Errors
/// NVML's; not every GPU keeps samples.
pub(super) fn mean_since(
    device: &Device<'_>,
    which: Sampling,
    until: &mut Until,
) -> Result<Option<(f64, usize)>, NvmlError> {
    let samples = or_none(device.samples(which, since(*until)))?;
    *until = samples.iter().map(|sample| sample.timestamp).fold(*until, newest);
    Ok(mean(samples.iter().filter_map(percent)))
}

/// What each process used since `until`, which is moved on. Who used nothing is not in it.
///
/// # Errors
/// NVML's; divided GPUs do not tell.
pub(super) fn processes_since(
    device: &Device<'_>,
    until: &mut Until,
) -> Result<BTreeMap<u32, ProcessUtilisation>, NvmlError> {
    let samples = or_none(device.process_utilization_stats(since(*until)))?;
    *until = samples.iter().map(|sample| sample.timestamp).fold(*until, newest);
    Ok(by_process(&samples))
}

/// The means of each process over its own samples.
pub(super) fn by_process(samples: &[ProcessUtilizationSample]) -> BTreeMap<u32, ProcessUtilisation> {
    let mut sums: BTreeMap<u32, (ProcessUtilisation, f64)> = BTreeMap::new();
    // Some drivers are known to leave samples unwritten: process 0, or more than 100 %.
    let is_sound = |s: &&ProcessUtilizationSample| {
        s.pid != 0 && [s.sm_util, s.mem_util, s.enc_util, s.dec_util].iter().all(|percent| *percent <= 100)
    };
    for sample in samples.iter().filter(is_sound) {
        let (sum, count) = sums.entry(sample.pid).or_default();
        sum.sm_percent += f64::from(sample.sm_util);
        sum.memory_percent += f64::from(sample.mem_util);
        sum.encoder_percent += f64::from(sample.enc_util);
        sum.decoder_percent += f64::from(sample.dec_util);
        *count += 1.0;
    }
    sums.into_iter().map(|(pid, (sum, count))| (pid, divided(sum, count))).collect()
}

fn divided(sum: ProcessUtilisation, count: f64) -> ProcessUtilisation {
    ProcessUtilisation {
        sm_percent: sum.sm_percent / count,
        memory_percent: sum.memory_percent / count,
        encoder_percent: sum.encoder_percent / count,
        decoder_percent: sum.decoder_percent / count,
    }
}

/// NVML calls it "not found" when there is no newer sample.
fn or_none<T>(samples: Result<Vec<T>, NvmlError>) -> Result<Vec<T>, NvmlError> {
    match samples {
        Err(NvmlError::NotFound) => Ok(Vec::new()),
        other => other,
    }
}

/// The time to ask for samples after: all of them if the clock was set back behind those that were seen.
fn since(until: Until) -> Until {
    if until > now().saturating_add(1_000_000) { 0 } else { until }
}

/// The later time, unless the earlier one is of before the clock was set back.
fn newest(until: Until, sample: Until) -> Until {
    if since(until) == 0 { sample } else { until.max(sample) }
}

fn now() -> u64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
}

fn percent(sample: &Sample) -> Option<f64> {
    let percent = match sample.value {
        SampleValue::F64(value) => value,
        SampleValue::U32(value) => f64::from(value),
        SampleValue::U64(value) => value as f64,
        SampleValue::I64(value) => value as f64,
    };
    (0.0..=100.0).contains(&percent).then_some(percent)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<(f64, usize)> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| (sum / count as f64, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsound_samples_are_left_out() {
        let sample = |pid, sm_util| ProcessUtilizationSample {
            pid,
            timestamp: 1,
            sm_util,
            mem_util: 10,
            enc_util: 0,
            dec_util: 0,
        };
        let means = by_process(&[sample(7, 40), sample(7, 60), sample(7, 4_000_000), sample(0, 50)]);
        assert_eq!(means.len(), 1);
        assert_eq!((means[&7].sm_percent, means[&7].memory_percent), (50.0, 10.0));
    }

    #[test]
    fn a_clock_that_was_set_back_hides_no_samples() {
        let later = now() + 3_600_000_000;
        assert_eq!(since(later), 0);
        assert_eq!(newest(later, 5), 5, "the time of before the jump is forgotten");
        assert_eq!(newest(5, 7), 7);
        assert_eq!(newest(7, 5), 7);
    }
}

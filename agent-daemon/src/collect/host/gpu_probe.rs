//! Whether GPUs can be read here: asked once, for who checks a host.

use std::time::Duration;

use super::gpus::{settings, why};
use crate::{
    config,
    gpu::{Availability, Gpus},
    model::probe::ProbeState,
};

/// How long NVML may take to start: some drivers take seconds where nobody holds their devices open.
const PATIENCE: Duration = Duration::from_secs(10);
const STOP: Duration = Duration::from_secs(1);

/// How reading GPUs stands, and what is to be said of it.
#[must_use]
pub fn probe_gpus(config: &config::Gpu) -> (ProbeState, Option<String>) {
    if !config.enabled {
        return (ProbeState::Unavailable, Some("gpu.enabled is false".to_owned()));
    }
    let mut gpus = match Gpus::start(settings(config)) {
        Ok(gpus) => gpus,
        Err(error) => return (ProbeState::Unavailable, Some(error.to_string())),
    };
    let reading = gpus.read(PATIENCE);
    let _ = gpus.stop(STOP);
    let Availability::Running { driver, .. } = &reading.availability else {
        return (ProbeState::Unavailable, Some(why(&reading.availability)));
    };
    let driver = driver.as_deref().unwrap_or("of unknown version");
    let down = reading.gpus.iter().find_map(|gpu| Some((gpu.index, gpu.down.as_ref()?)));
    match down {
        Some((index, reason)) => (ProbeState::Unavailable, Some(format!("GPU {index}: {reason}"))),
        None => (ProbeState::Ready, Some(format!("driver {driver}, {} GPUs", reading.gpus.len()))),
    }
}

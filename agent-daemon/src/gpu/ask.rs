//! One question to NVML: noted before it is asked, so that somebody else can say where the thread hangs, and its
//! failure kept with the reason. After a GPU is out of reach nothing more is asked of it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use nvml_wrapper::error::NvmlError;

use super::{feature::Feature, reading::Missing, reason::Reason};

/// The call of NVML that is under way.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<Option<(Feature, Option<u32>, Instant)>>);

impl Progress {
    /// The call under way, its GPU, and how long it has taken so far.
    pub(super) fn now(&self) -> Option<(Feature, Option<u32>, Duration)> {
        let (feature, gpu, since) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some((feature, gpu, since.elapsed()))
    }

    /// Makes a call, with a note of it meanwhile.
    pub(super) fn call<T>(&self, feature: Feature, gpu: Option<u32>, call: impl FnOnce() -> T) -> T {
        self.note(Some((feature, gpu, Instant::now())));
        let answer = call();
        self.note(None);
        answer
    }

    fn note(&self, call: Option<(Feature, Option<u32>, Instant)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = call;
    }
}

/// Asks about one GPU.
pub(super) struct Asker<'a> {
    progress: &'a Progress,
    index: u32,
    missing: Vec<Missing>,
    down: Option<Reason>,
}

impl<'a> Asker<'a> {
    pub(super) fn new(progress: &'a Progress, index: u32) -> Self {
        Self { progress, index, missing: Vec::new(), down: None }
    }

    /// Asks, and notes a failure.
    pub(super) fn ask<T>(
        &mut self,
        feature: Feature,
        question: impl FnOnce() -> Result<T, NvmlError>,
    ) -> Option<T> {
        self.attempt(feature, question)?.map_err(|reason| self.miss(feature, reason)).ok()
    }

    /// Asks, and leaves it to the caller what a failure means. `None`: the GPU is out of reach, or just became so.
    pub(super) fn attempt<T>(
        &mut self,
        feature: Feature,
        question: impl FnOnce() -> Result<T, NvmlError>,
    ) -> Option<Result<T, Reason>> {
        if self.down.is_some() {
            return None;
        }
        match self.progress.call(feature, Some(self.index), question) {
            Ok(answer) => Some(Ok(answer)),
            Err(error) => {
                let reason = Reason::from(error);
                if reason.is_gpu_down() || reason.is_library_down() {
                    self.down = Some(reason);
                    return None;
                }
                Some(Err(reason))
            }
        }
    }

    /// Notes that something is not known; the first reason is kept.
    pub(super) fn miss(&mut self, feature: Feature, reason: Reason) {
        if self.missing.iter().all(|missing| missing.feature != feature) {
            self.missing.push(Missing { feature, reason });
        }
    }

    /// Why the GPU is out of reach.
    pub(super) fn down(&self) -> Option<&Reason> {
        self.down.as_ref()
    }

    /// What was not answered, and whether the GPU went out of reach.
    pub(super) fn finish(self) -> (Vec<Missing>, Option<Reason>) {
        (self.missing, self.down)
    }
}

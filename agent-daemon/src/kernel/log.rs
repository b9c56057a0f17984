//! Debug lines of the kernel programs (aya-log). Off by default, and free when off: the verifier drops the
//! code behind a constant level.

use aya::Ebpf;
use aya_log::EbpfLogger;

/// Hands the programs' lines to `tracing`.
pub(super) struct Drain(Option<EbpfLogger<ToTracing>>);

impl Drain {
    /// Reads lines if `on`.
    pub(super) fn new(ebpf: &mut Ebpf, on: bool) -> Self {
        if !on {
            return Self(None);
        }
        let logger = EbpfLogger::init_with_logger(ebpf, ToTracing);
        Self(logger.inspect_err(|e| tracing::warn!(error = %e, "kernel debug lines cannot be read")).ok())
    }

    /// Writes out what has come in.
    pub(super) fn flush(&mut self) {
        if let Some(logger) = &mut self.0 {
            logger.flush();
        }
    }
}

/// Records go to the target `agentperf::kernel::programs`.
struct ToTracing;

impl ::log::Log for ToTracing {
    fn enabled(&self, _: &::log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &::log::Record<'_>) {
        tracing::debug!(target: "agentperf::kernel::programs", "{}", record.args());
    }

    fn flush(&self) {}
}

//! agentperf's own state for its users: losses, probes, overhead. Shared by every stage; holds only
//! counters and small tables.

mod alerts;
mod attachments;
mod coverage;
mod exporters;
mod host;
mod losses;
mod reading;
mod usage;

pub use alerts::{AlertStats, AlertsNow};
pub use attachments::Attachments;
pub use coverage::Coverage;
pub use exporters::{Exporter, ExporterStatus};
pub use host::{HostInfo, boot_id};
pub use losses::{Loss, Losses};
pub use reading::Reading;
pub use usage::{Usage, own_usage};

use std::sync::{Arc, PoisonError, RwLock, atomic::AtomicU64};

use crate::model::{host::gpu::GpuStatus, probe::ProbeStatus};

/// What the daemon knows of itself.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// What was lost, by name.
    pub losses: Losses,
    /// How much of what processes say is seen.
    pub coverage: Coverage,
    /// How the alerts stand.
    pub alerts: AlertStats,
    /// How probes on functions stand.
    pub attachments: Attachments,
    /// Bytes of unwind tables in the kernel.
    pub unwind_table_bytes: AtomicU64,
    probes: RwLock<Vec<ProbeStatus>>,
    exporters: RwLock<Vec<Arc<Exporter>>>,
    gpus: RwLock<GpuStatus>,
}

impl Telemetry {
    /// How every kernel program and feature stands.
    #[must_use]
    pub fn probes(&self) -> Vec<ProbeStatus> {
        self.probes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the table of kernel programs and features.
    pub fn set_probes(&self, probes: Vec<ProbeStatus>) {
        *self.probes.write().unwrap_or_else(PoisonError::into_inner) = probes;
    }

    /// How the GPUs stand.
    #[must_use]
    pub fn gpus(&self) -> GpuStatus {
        self.gpus.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces how the GPUs stand.
    pub fn set_gpus(&self, status: GpuStatus) {
        *self.gpus.write().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// How every door out stands.
    #[must_use]
    pub fn exporters(&self) -> Vec<ExporterStatus> {
        let exporters = self.exporters.read().unwrap_or_else(PoisonError::into_inner);
        exporters.iter().map(|exporter| exporter.status()).collect()
    }

    /// Adds a door out.
    pub fn add_exporter(&self, exporter: Arc<Exporter>) {
        self.exporters.write().unwrap_or_else(PoisonError::into_inner).push(exporter);
    }
}

//! A stretch of the host's time on the wire, for drawing: everything that is one number for the whole host.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    gpu::GpuPointDto,
    system::{ActivityDto, CpuTimeDto, MemoryDto, PressureDto, TrafficDto},
};
use crate::model::{
    host::{Disk, HostWindow, Traffic},
    time::Timestamp,
};

/// A stretch of the host's time. Amounts are of the stretch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = SystemPoint)]
pub struct PointDto {
    /// Its start.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// All CPUs together.
    pub cpu: CpuTimeDto,
    /// What there was to run, and what happened.
    pub activity: ActivityDto,
    /// Time lost for want of something.
    pub pressure: Option<PressureDto>,
    /// Memory and swap.
    pub memory: MemoryDto,
    /// Bytes read from all disks.
    pub read_bytes: u64,
    /// Bytes written to all disks.
    pub written_bytes: u64,
    /// What came by all interfaces but the loopback.
    pub received: TrafficDto,
    /// What went by all interfaces but the loopback.
    pub sent: TrafficDto,
    /// GPUs.
    pub gpus: Vec<GpuPointDto>,
}

impl From<&HostWindow> for PointDto {
    fn from(window: &HostWindow) -> Self {
        let disks = |of: fn(&Disk) -> u64| window.disks.iter().map(of).fold(0, u64::saturating_add);
        let outside = || window.interfaces.iter().filter(|interface| interface.name != "lo");
        Self {
            from: window.start,
            to: window.end,
            cpu: (&window.all_cpus()).into(),
            activity: (&window.activity).into(),
            pressure: window.pressure.map(PressureDto::from),
            memory: (&window.memory).into(),
            read_bytes: disks(|disk| disk.read_bytes),
            written_bytes: disks(|disk| disk.written_bytes),
            received: outside().map(|interface| interface.received).sum::<Traffic>().into(),
            sent: outside().map(|interface| interface.sent).sum::<Traffic>().into(),
            gpus: window.gpus.iter().map(GpuPointDto::from).collect(),
        }
    }
}

//! What kind of host it is, on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::gpu::GpuStatusDto;
use crate::{
    model::{
        host::{Platform, SystemInfo, gpu::GpuStatus},
        time::Timestamp,
    },
    telemetry::HostInfo,
};

/// What kind of host this is. What it does not tell is null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = SystemInfo)]
pub struct SystemInfoDto {
    /// The host's name.
    pub hostname: String,
    /// The operating system and its release, as it calls itself.
    pub operating_system: Option<String>,
    /// The kernel's release.
    pub kernel: String,
    /// The machine's architecture.
    #[schema(example = "x86_64")]
    pub architecture: String,
    /// The CPUs' model.
    pub cpu_model: Option<String>,
    /// CPUs that were online when the daemon started.
    pub cpus: usize,
    /// Physical memory.
    pub memory_bytes: u64,
    /// Swap space when the daemon started.
    pub swap_bytes: u64,
    /// When it was booted.
    pub booted: Option<Timestamp>,
    /// Time since then.
    pub uptime_seconds: Option<f64>,
    /// The kernel's boot id.
    pub boot_id: String,
    /// What it runs on.
    pub platform: PlatformDto,
    /// Who made the virtual machine, or what runs the container.
    #[schema(example = "docker")]
    pub platform_name: Option<String>,
    /// The GPUs, and why there are none to see.
    pub gpu: GpuStatusDto,
}

/// What a host runs on, as far as can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Platform)]
pub enum PlatformDto {
    /// A machine of its own.
    Physical,
    /// A virtual machine.
    VirtualMachine,
    /// A container: of the host, only what it shows is seen.
    Container,
}

impl SystemInfoDto {
    /// This host now.
    #[must_use]
    pub fn new(host: &HostInfo, system: &SystemInfo, gpus: GpuStatus, now: Timestamp) -> Self {
        let (platform, platform_name) = match &system.platform {
            Platform::Physical => (PlatformDto::Physical, None),
            Platform::VirtualMachine { hypervisor } => (PlatformDto::VirtualMachine, hypervisor.clone()),
            Platform::Container { runtime } => (PlatformDto::Container, Some(runtime.clone())),
        };
        Self {
            hostname: host.hostname.clone(),
            operating_system: system.operating_system.clone(),
            kernel: host.kernel.clone(),
            architecture: system.architecture.to_owned(),
            cpu_model: system.cpu_model.clone(),
            cpus: system.cpus,
            memory_bytes: system.memory,
            swap_bytes: system.swap,
            booted: system.booted,
            uptime_seconds: system.booted.map(|at| now.duration_since(at).as_secs_f64()),
            boot_id: host.boot_id.clone(),
            platform,
            platform_name,
            gpu: gpus.into(),
        }
    }
}

//! What is asked of NVML, by a name for people and the function that answers it. What a GPU lacks, and where a
//! driver hangs, is said in these words.

/// One thing that NVML is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the table below names each")]
pub enum Feature {
    Start,
    DriverVersion,
    LibraryVersion,
    Count,
    Handle,
    Uuid,
    Name,
    Utilisation,
    UtilisationSamples,
    Memory,
    Power,
    PowerLimit,
    Energy,
    Temperature,
    Clocks,
    ThrottleReasons,
    EccErrors,
    PcieTraffic,
    NvlinkTraffic,
    Encoder,
    Decoder,
    MigMode,
    MigInstances,
    ComputeProcesses,
    GraphicsProcesses,
    ProcessUtilisation,
    EventTypes,
    EventSet,
    EventRegistration,
    EventWait,
    Stop,
}

impl Feature {
    /// Everything that is asked, in the order of the enumeration.
    pub const ALL: [Self; 31] = [
        Self::Start,
        Self::DriverVersion,
        Self::LibraryVersion,
        Self::Count,
        Self::Handle,
        Self::Uuid,
        Self::Name,
        Self::Utilisation,
        Self::UtilisationSamples,
        Self::Memory,
        Self::Power,
        Self::PowerLimit,
        Self::Energy,
        Self::Temperature,
        Self::Clocks,
        Self::ThrottleReasons,
        Self::EccErrors,
        Self::PcieTraffic,
        Self::NvlinkTraffic,
        Self::Encoder,
        Self::Decoder,
        Self::MigMode,
        Self::MigInstances,
        Self::ComputeProcesses,
        Self::GraphicsProcesses,
        Self::ProcessUtilisation,
        Self::EventTypes,
        Self::EventSet,
        Self::EventRegistration,
        Self::EventWait,
        Self::Stop,
    ];

    /// Its name, in snake case, and the function of NVML that answers it (the first, where several do).
    #[must_use]
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Start => ("start", "nvmlInit_v2"),
            Self::DriverVersion => ("driver_version", "nvmlSystemGetDriverVersion"),
            Self::LibraryVersion => ("library_version", "nvmlSystemGetNVMLVersion"),
            Self::Count => ("count", "nvmlDeviceGetCount_v2"),
            Self::Handle => ("handle", "nvmlDeviceGetHandleByIndex_v2"),
            Self::Uuid => ("uuid", "nvmlDeviceGetUUID"),
            Self::Name => ("name", "nvmlDeviceGetName"),
            Self::Utilisation => ("utilisation", "nvmlDeviceGetUtilizationRates"),
            Self::UtilisationSamples => ("utilisation_samples", "nvmlDeviceGetSamples"),
            Self::Memory => ("memory", "nvmlDeviceGetMemoryInfo_v2"),
            Self::Power => ("power", "nvmlDeviceGetPowerUsage"),
            Self::PowerLimit => ("power_limit", "nvmlDeviceGetEnforcedPowerLimit"),
            Self::Energy => ("energy", "nvmlDeviceGetTotalEnergyConsumption"),
            Self::Temperature => ("temperature", "nvmlDeviceGetTemperature"),
            Self::Clocks => ("clocks", "nvmlDeviceGetClockInfo"),
            Self::ThrottleReasons => ("throttle_reasons", "nvmlDeviceGetCurrentClocksThrottleReasons"),
            Self::EccErrors => ("ecc_errors", "nvmlDeviceGetTotalEccErrors"),
            Self::PcieTraffic => ("pcie_traffic", "nvmlDeviceGetPcieThroughput"),
            Self::NvlinkTraffic => ("nvlink_traffic", "nvmlDeviceGetFieldValues"),
            Self::Encoder => ("encoder", "nvmlDeviceGetEncoderUtilization"),
            Self::Decoder => ("decoder", "nvmlDeviceGetDecoderUtilization"),
            Self::MigMode => ("mig_mode", "nvmlDeviceGetMigMode"),
            Self::MigInstances => ("mig_instances", "nvmlDeviceGetMigDeviceHandleByIndex"),
            Self::ComputeProcesses => ("compute_processes", "nvmlDeviceGetComputeRunningProcesses_v3"),
            Self::GraphicsProcesses => ("graphics_processes", "nvmlDeviceGetGraphicsRunningProcesses_v3"),
            Self::ProcessUtilisation => ("process_utilisation", "nvmlDeviceGetProcessUtilization"),
            Self::EventTypes => ("event_types", "nvmlDeviceGetSupportedEventTypes"),
            Self::EventSet => ("event_set", "nvmlEventSetCreate"),
            Self::EventRegistration => ("event_registration", "nvmlDeviceRegisterEvents"),
            Self::EventWait => ("event_wait", "nvmlEventSetWait_v2"),
            Self::Stop => ("stop", "nvmlShutdown"),
        }
    }

    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.names().0
    }

    /// The function of NVML that answers it.
    #[must_use]
    pub const fn function(self) -> &'static str {
        self.names().1
    }
}

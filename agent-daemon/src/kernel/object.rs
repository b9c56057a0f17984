//! The embedded kernel objects and how they are loaded: offsets set, thread state chosen.

use aya::{Btf, Ebpf, EbpfLoader, include_bytes_aligned};

use super::{
    as_compiled::AsCompiled,
    error::{KernelError, one_line},
    layout,
};
use crate::{
    config::{Config, ThreadState},
    model::probe::{ProbeSet, ProbeState, ProbeStatus},
};

static TASK_STORAGE: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/task-storage.bpf.o"));
static TID_HASH: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tid-hash.bpf.o"));

/// An object whose maps exist, and whose programs are still to be loaded.
pub(super) struct Opened {
    pub(super) ebpf: Ebpf,
    /// Which object it is.
    pub(super) storage: ProbeStatus,
    /// The programs without aya's changes.
    pub(super) as_compiled: AsCompiled,
    /// Whether the kernel is one that aya would change them for in vain.
    pub(super) confidential: bool,
}

/// Sets of ledgers that there is room for. Each CPU has its own sums, all allocated at once: at most 15 MiB each generation on
/// 16 CPUs, and 35 on 128.
fn ledger_sets() -> u32 {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if cpus <= 16 { 65_536 } else { 32_768 }
}

/// Opens the object that the configuration and the kernel allow.
pub(super) fn open(btf: &Btf, config: &Config) -> Result<Opened, KernelError> {
    let confidential = layout::is_confidential(&config.kernel);
    let offsets = layout::resolve(confidential)?;
    let physical_mask = layout::physical_mask();
    // Slot 0 means "no agent".
    let slots = u32::try_from(config.agents.max_agents).unwrap_or(u32::MAX).saturating_add(1);
    let config = &config.kernel;
    let level: u8 = if config.debug_log { aya_log::Level::Debug as u8 } else { 0 };
    let attempt = |object: &[u8]| {
        let mut loader = EbpfLoader::new();
        // Task storage is a map type that aya has no type for; it creates it all the same.
        loader.btf(Some(btf)).allow_unsupported_maps().override_global(aya_log::LEVEL, &level, false);
        loader.override_global("PHYSICAL_MASK", &physical_mask, true);
        loader.map_max_entries("AGENTS", slots);
        loader.map_max_entries("LEDGERS", slots);
        loader.map_max_entries("MARKS", slots);
        loader.map_max_entries("LEDGER_EVEN", ledger_sets());
        loader.map_max_entries("LEDGER_ODD", ledger_sets());
        loader.map_max_entries("SIGNAL_RATES", slots);
        if config.stack_copies {
            loader.map_max_entries("STACK_COPIES", 16 << 20);
        }
        for (name, offset) in &offsets {
            loader.override_global(name, offset, true);
        }
        let ebpf = loader.load(object).map_err(|e| one_line(&e))?;
        let as_compiled = AsCompiled::new(object, &ebpf)?;
        Ok((ebpf, as_compiled))
    };
    let opened = |(ebpf, as_compiled), storage| Opened { ebpf, storage, as_compiled, confidential };
    let refused = |reason| KernelError::Refused { what: "the kernel object", reason };
    if config.thread_state == ThreadState::TidHash {
        let reason = "the configuration asks for a hash by thread id".to_owned();
        let object = attempt(TID_HASH).map_err(refused)?;
        return Ok(opened(object, status(ProbeState::Substituted, Some(reason))));
    }
    match attempt(TASK_STORAGE) {
        Ok(object) => Ok(opened(object, status(ProbeState::Ready, None))),
        Err(reason) if config.thread_state == ThreadState::TaskStorage => Err(refused(reason)),
        Err(reason) => {
            tracing::warn!(reason, "the kernel refuses task storage; keeping thread state in a hash");
            let reason = format!("{reason}; a hash by thread id stands in for it");
            let object = attempt(TID_HASH).map_err(refused)?;
            Ok(opened(object, status(ProbeState::Substituted, Some(reason))))
        }
    }
}

fn status(state: ProbeState, reason: Option<String>) -> ProbeStatus {
    ProbeStatus {
        name: "task_storage",
        purpose: "per-thread state and filter",
        probes: ProbeSet::EMPTY,
        state,
        attached: false,
        reason,
    }
}

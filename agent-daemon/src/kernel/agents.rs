//! Which agents the programs know, and which threads are theirs.

use std::io::ErrorKind;

use agent_common::agent::{Agent, probe};
use aya::maps::{Array, HashMap, MapError};

use super::{Kernel, KernelError, Seeded, TARGETS, Watch, decode, iterate};
use crate::model::{control::Start, id::Slot, probe::Probe};

impl Kernel {
    /// Tells the programs of an agent in `slot`: `None` ends it.
    ///
    /// # Errors
    /// A map refused the write.
    pub fn set_agent(&mut self, slot: Slot, watch: Option<Watch<'_>>) -> Result<(), KernelError> {
        self.set_outside(slot, watch.map_or(&[], |watch| watch.outside))?;
        match watch {
            Some(watch) if watch.probes.contains(Probe::Ledger) => {
                self.counts.ledgers.begin(&mut self.ebpf, slot)?;
            }
            _ => self.counts.ledgers.end(&mut self.ebpf, slot)?,
        }
        self.agents += 1;
        let generation = self.agents;
        let mut agents: Array<_, Agent> = Array::try_from(self.map_mut("AGENTS")?)?;
        let agent = match watch {
            None => Agent::default(),
            Some(Watch { root, probes, start, keeps, .. }) => {
                let probes = probes.bits() | if keeps { probe::KEPT } else { 0 };
                match start {
                    Start::Now => Agent { live: 1, probes, at_exec: 0, root, generation },
                    Start::AtExec => Agent { live: 1, probes: 0, at_exec: probes, root, generation },
                }
            }
        };
        Ok(agents.set(slot.0, agent, 0)?)
    }

    /// Notes the pipes and sockets that lead out of the agent in `slot`.
    fn set_outside(&mut self, slot: Slot, inodes: &[u64]) -> Result<(), KernelError> {
        let before = self.outside.insert(slot, inodes.to_vec()).unwrap_or_default();
        let mut map: HashMap<_, u64, u32> = HashMap::try_from(self.map_mut("OUTSIDE")?)?;
        for inode in before {
            // Another agent's by now, perhaps: then it is written anew, if that is watched again.
            let _ = map.remove(&inode);
        }
        inodes.iter().try_for_each(|inode| Ok(map.insert(inode, slot.0, 0)?))
    }

    /// Takes the running processes `pids` into the agent in `slot`; returns those that were new.
    ///
    /// # Errors
    /// The iterator could not run.
    pub fn seed(&mut self, slot: Slot, pids: &[u32]) -> Result<Vec<Seeded>, KernelError> {
        let mut all = Vec::new();
        for pids in pids.chunks(TARGETS) {
            let seeded = self.target(slot, pids).and_then(|()| iterate::run(&mut self.ebpf, "seed_threads"));
            // Whatever went wrong: a pid that stayed would be taken into this slot by a later seeding.
            self.untarget(pids)?;
            all.extend(decode::seeded(&seeded?));
        }
        Ok(all)
    }

    fn target(&mut self, slot: Slot, pids: &[u32]) -> Result<(), KernelError> {
        let mut targets: HashMap<_, u32, u32> = HashMap::try_from(self.map_mut("TARGETS")?)?;
        pids.iter().try_for_each(|pid| Ok(targets.insert(pid, slot.0, 0)?))
    }

    fn untarget(&mut self, pids: &[u32]) -> Result<(), KernelError> {
        let mut targets: HashMap<_, u32, u32> = HashMap::try_from(self.map_mut("TARGETS")?)?;
        for pid in pids {
            match targets.remove(pid) {
                // Where an insertion failed, what came after it is not there.
                Ok(()) => {}
                Err(MapError::SyscallError(error)) if error.io_error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Lets the threads of the agent in `slot` go.
    ///
    /// # Errors
    /// The iterator could not run.
    pub fn release(&mut self, slot: Slot) -> Result<(), KernelError> {
        {
            let mut release: Array<_, u32> = Array::try_from(self.map_mut("RELEASE")?)?;
            release.set(0, slot.0, 0)?;
        }
        iterate::run(&mut self.ebpf, "release_threads").map(drop)
    }
}

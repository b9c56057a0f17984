//! The GPUs of windows of the host into rows.

use super::{Outcome, Rows, identity};
use crate::{
    export::parquet::{column::Cell, table_id::TableId},
    model::host::gpu::{Gpu, GpuProcess},
};

impl Rows {
    pub(super) fn gpu(&mut self, [start, end]: [Cell; 2], gpu: &Gpu) -> Outcome {
        let own: [Cell; 3] = [start, end, gpu.uuid.as_str().into()];
        self.gpu_itself(own.clone(), gpu)?;
        for throttled in &gpu.throttled {
            let [start, end, uuid] = own.clone();
            let row = [start, end, uuid, throttled.reason.as_str().into(), throttled.ns.into()];
            self.tables.push(TableId::GpuThrottled, row)?;
        }
        for xid in &gpu.xids {
            let [start, end, uuid] = own.clone();
            self.tables.push(TableId::GpuXids, [start, end, uuid, xid.number.into(), xid.count.into()])?;
        }
        gpu.processes.iter().try_for_each(|process| self.gpu_process(own.clone(), process))
    }

    fn gpu_itself(&mut self, [start, end, uuid]: [Cell; 3], gpu: &Gpu) -> Outcome {
        let [compute, memory, encoder, decoder] = gpu.busy;
        let [used, total, power, limit, temperature, graphics, sm, memory_clock, video] =
            gpu.levels.all().map(Cell::from);
        let [energy, corrected, uncorrected, pcie_sent, pcie_received, nvlink_sent, nvlink_received] =
            gpu.amounts.all().map(Cell::from);
        self.tables.push(
            TableId::Gpus,
            [
                start,
                end,
                uuid,
                gpu.index.into(),
                gpu.name.as_str().into(),
                gpu.down.as_deref().into(),
                compute.ns.into(),
                compute.of_ns.into(),
                memory.ns.into(),
                memory.of_ns.into(),
                encoder.ns.into(),
                encoder.of_ns.into(),
                decoder.ns.into(),
                decoder.of_ns.into(),
                used,
                total,
                power,
                limit,
                temperature,
                graphics,
                sm,
                memory_clock,
                video,
                energy,
                corrected,
                uncorrected,
                pcie_sent,
                pcie_received,
                nvlink_sent,
                nvlink_received,
                gpu.most_memory_used.into(),
                gpu.hottest_celsius.into(),
                gpu.energy_is_sampled.into(),
                (gpu.parts.len() as u64).into(),
            ],
        )
    }

    fn gpu_process(&mut self, [start, end, uuid]: [Cell; 3], process: &GpuProcess) -> Outcome {
        self.tables.push(
            TableId::GpuProcesses,
            [
                start,
                end,
                uuid,
                process.process.map(identity).into(),
                process.host_pid.into(),
                process.busy_ns.into(),
                process.energy_mj.into(),
                process.memory.into(),
            ],
        )
    }
}

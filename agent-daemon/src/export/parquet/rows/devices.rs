//! Traffic and block I/O of windows into rows.

use super::{Outcome, Rows, place};
use crate::{
    export::parquet::{column::Cell, table_id::TableId},
    model::{
        disk::DiskStat,
        errno_names::errno_name,
        network::{NetworkStat, Side},
        syscall::Histogram,
        window::Window,
    },
};

impl Rows {
    pub(super) fn devices(&mut self, window: &Window) -> Outcome {
        window.network.iter().try_for_each(|row| self.traffic(window, row))?;
        window.disk.iter().try_for_each(|row| self.requests(window, row))
    }

    fn traffic(&mut self, window: &Window, row: &NetworkStat) -> Outcome {
        let peer = &row.peer;
        let [agent, start, end, pid, process] = place(window, row.process);
        let address = peer.address.map(|address| address.to_string()).into();
        let side = if peer.side == Side::Server { "server" } else { "client" };
        let (port, protocol) = (u32::from(peer.port).into(), peer.protocol.name().into());
        let host = peer.host.as_deref().into();
        let key = [agent, start, end, pid, process, address, port, protocol, side.into(), host];
        let sums = [
            row.sent_bytes,
            row.received_bytes,
            row.connects,
            row.accepts,
            row.retransmits,
            row.connect_ns,
            row.connect_max_ns,
        ];
        self.tables.push(TableId::Network, joined::<10, 7, 17>(&key, sums.map(Cell::from)))?;
        for (errno, count) in &row.failures {
            let failure = [(*errno).into(), errno_name(*errno).into(), (*count).into()];
            self.tables.push(TableId::NetworkFailures, joined::<10, 3, 13>(&key, failure))?;
        }
        for counted in counted(&row.connect_histogram) {
            self.tables.push(TableId::NetworkConnectTimes, joined::<10, 2, 12>(&key, counted))?;
        }
        Ok(())
    }

    fn requests(&mut self, window: &Window, row: &DiskStat) -> Outcome {
        let [agent, start, end, pid, process] = place(window, row.process);
        let (device, operation) = (Cell::from(&*row.device), row.operation.name().into());
        let key = [agent, start, end, pid, process, device, operation, row.background.into()];
        let sums = [row.count, row.errors, row.bytes, row.queue_ns, row.device_ns, row.max_ns];
        self.tables.push(TableId::Disk, joined::<8, 6, 14>(&key, sums.map(Cell::from)))?;
        for counted in counted(&row.histogram) {
            self.tables.push(TableId::DiskLatencies, joined::<8, 2, 10>(&key, counted))?;
        }
        Ok(())
    }
}

/// A row that begins with a key.
pub(super) fn joined<const KEY: usize, const MORE: usize, const ALL: usize>(
    key: &[Cell; KEY],
    more: [Cell; MORE],
) -> [Cell; ALL] {
    const { assert!(KEY + MORE == ALL, "a row has as many cells as its table columns") };
    let mut cells = key.iter().cloned().chain(more);
    std::array::from_fn(|_| cells.next().unwrap_or(Cell::Int(0)))
}

/// The buckets that count anything.
fn counted(histogram: &Histogram) -> impl Iterator<Item = [Cell; 2]> + '_ {
    let counted = histogram.0.iter().enumerate().filter(|(_, count)| **count > 0);
    counted.map(|(log2, count)| [(log2 as u64).into(), (*count).into()])
}

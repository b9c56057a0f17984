//! Exchanges over HTTP of windows into rows.

use super::{Outcome, Rows, devices::joined, place};
use crate::{
    export::parquet::{column::Cell, table_id::TableId},
    model::{http::HttpStat, operation::Durations, window::Window},
};

impl Rows {
    pub(super) fn http(&mut self, window: &Window) -> Outcome {
        window.http.iter().try_for_each(|row| self.exchanges(window, row))
    }

    fn exchanges(&mut self, window: &Window, row: &HttpStat) -> Outcome {
        let endpoint = &row.endpoint;
        let [agent, start, end, pid, process] = place(window, row.process);
        let (side, kind) = (endpoint.role.name().into(), endpoint.carried.name().into());
        let (server, port) = (endpoint.server.as_deref().into(), endpoint.port.map(u32::from).into());
        let (method, route) = (endpoint.method.into(), endpoint.route.as_deref().into());
        let status = endpoint.status.map(u32::from).into();
        let key = [agent, start, end, pid, process, side, kind, server, port, method, route, status];
        let sums = [
            row.count,
            row.errors,
            row.partial,
            row.request_bytes,
            row.response_bytes,
            row.total_ns,
            row.max_ns,
        ];
        self.tables.push(TableId::Http, joined::<12, 7, 19>(&key, sums.map(Cell::from)))?;
        for (bucket, count) in row.durations.buckets() {
            let counted = [Durations::upper(bucket).into(), count.into()];
            self.tables.push(TableId::HttpDurations, joined::<12, 2, 14>(&key, counted))?;
        }
        Ok(())
    }
}

//! Exchanges over HTTP merged over windows: by endpoint, by route, by server, or by process.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::Fold;
use crate::model::{
    http::{self, Endpoint, HttpStat},
    id::ProcessId,
    window::Window,
    wire::{Carried, Role},
};

/// What exchanges are summed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpBy {
    /// Each endpoint and status.
    Endpoint,
    /// Each endpoint, however it answered.
    Route,
    /// Each server, and each port that is served.
    Server,
    /// Each process, as client and as server.
    Process,
}

/// Sums exchanges.
#[derive(Debug)]
pub struct HttpFold {
    by: HttpBy,
    sums: FxHashMap<(ProcessId, Endpoint), HttpStat>,
    totals: [HttpStat; 2],
}

/// What exchanges came to.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpTotals {
    /// The sums, most exchanges first. What is not told apart is blank.
    pub rows: Vec<HttpStat>,
    /// All that the agent's processes asked for.
    pub asked: HttpStat,
    /// All that they were asked for.
    pub served: HttpStat,
}

/// Whose sums over all processes are: nobody's in particular.
const ALL: ProcessId = ProcessId(0);
/// Rows that are kept apart while they are summed, the largest.
const MAX_ROWS: usize = 20_000;

/// Any endpoint.
fn any(role: Role) -> Endpoint {
    let (server, port, method, route, status) = (None, None, None, None, None);
    Endpoint { role, server, port, method, route, status, carried: Carried::Other }
}

impl HttpFold {
    /// Sums over each of these.
    #[must_use]
    pub fn new(by: HttpBy) -> Self {
        let totals = [Role::Client, Role::Server].map(|role| HttpStat::new(ALL, any(role)));
        Self { by, sums: FxHashMap::default(), totals }
    }

    fn key(&self, row: &HttpStat) -> (ProcessId, Endpoint) {
        let endpoint = &row.endpoint;
        let (server, port) = (endpoint.server.clone(), endpoint.port);
        match self.by {
            HttpBy::Endpoint => (ALL, endpoint.clone()),
            HttpBy::Route => (ALL, Endpoint { status: None, ..endpoint.clone() }),
            HttpBy::Server => (ALL, Endpoint { server, port, ..any(endpoint.role) }),
            HttpBy::Process => (row.process, any(endpoint.role)),
        }
    }
}

impl Fold for HttpFold {
    type Output = HttpTotals;

    fn add(&mut self, window: &Window) {
        for row in &window.http {
            let sum = self.sums.entry(self.key(row));
            sum.or_insert_with_key(|(process, endpoint)| HttpStat::new(*process, endpoint.clone()))
                .merge(row);
            let [asked, served] = &mut self.totals;
            if row.endpoint.role == Role::Client { asked.merge(row) } else { served.merge(row) }
        }
        if self.sums.len() > 2 * MAX_ROWS {
            let mut rows: Vec<HttpStat> = std::mem::take(&mut self.sums).into_values().collect();
            http::bound(&mut rows, MAX_ROWS);
            for row in rows {
                let sum = self.sums.entry((row.process, row.endpoint.clone()));
                sum.or_insert_with(|| HttpStat::new(row.process, row.endpoint.clone())).merge(&row);
            }
        }
    }

    fn finish(self) -> HttpTotals {
        let Self { sums, totals: [asked, served], .. } = self;
        let mut rows: Vec<HttpStat> = sums.into_values().collect();
        http::bound(&mut rows, MAX_ROWS);
        rows.sort_by_cached_key(|row| (Reverse(row.count), row.process, row.endpoint.clone()));
        HttpTotals { rows, asked, served }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{
        fixture::{agent_at, at, exchanges, window_at},
        query::of,
    };

    fn rows(by: HttpBy) -> Vec<(u32, Option<String>, Option<u16>, u64)> {
        let window = |n: i64, rows: Vec<HttpStat>| {
            let mut window = window_at(&agent_at(at(0)).id, at(5 * n), 0);
            window.http = rows;
            Arc::new(window)
        };
        let mut answered = exchanges(102, "/a", 1);
        answered.endpoint.status = Some(200);
        let windows = [
            window(0, vec![exchanges(100, "/a", 2), exchanges(101, "/a", 4)]),
            window(1, vec![exchanges(100, "/a", 3), answered]),
        ];
        let totals = of(&windows, HttpFold::new(by));
        assert_eq!((totals.asked.count, totals.served.count), (9, 5));
        let route = |endpoint: &Endpoint| endpoint.route.as_deref().map(str::to_owned);
        let row = |row: &HttpStat| (row.process.pid(), route(&row.endpoint), row.endpoint.status, row.count);
        totals.rows.iter().map(row).collect()
    }

    #[test]
    fn exchanges_add_up_over_windows_by_what_is_asked_for() {
        let a = || Some("/a".to_owned());
        assert_eq!(
            rows(HttpBy::Endpoint),
            [(0, a(), Some(500), 7), (0, a(), Some(500), 5), (0, a(), Some(200), 2)]
        );
        assert_eq!(rows(HttpBy::Route), [(0, a(), None, 9), (0, a(), None, 5)]);
        assert_eq!(rows(HttpBy::Server), [(0, None, None, 9), (0, None, None, 5)]);
        assert_eq!(rows(HttpBy::Process), [(100, None, None, 7), (101, None, None, 5), (102, None, None, 2)]);
    }
}

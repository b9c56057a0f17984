//! HTTP: what an agent's processes asked of whom, and were asked for, by endpoint.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    id::ProcessId,
    operation::Durations,
    wire::{Carried, HttpExchange, Role},
};

/// The length that a route may have, bytes.
pub const MAX_ROUTE: usize = 256;
/// What stands for routes and servers beyond those that are told apart. No path and no host is called so.
pub const OTHER: &str = "{other}";

/// What is asked for: of whom, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// Whether the process asks, or is asked.
    pub role: Role,
    /// The server that is asked; of what the process serves none, where others write what they like.
    pub server: Option<Arc<str>>,
    /// Its port.
    pub port: Option<u16>,
    /// One of [`METHODS`](super::wire::METHODS); `None` where the request was not seen.
    pub method: Option<&'static str>,
    /// The path's template; `None` where it was not seen, or is none.
    pub route: Option<Arc<str>>,
    /// The answer's status; `None` where none came.
    pub status: Option<u16>,
    /// What it carried.
    pub carried: Carried,
}

impl Endpoint {
    /// Those together that are not told apart.
    #[must_use]
    pub fn others(role: Role) -> Self {
        let (server, port, method, status) = (None, None, None, None);
        Self { role, server, port, method, route: Some(OTHER.into()), status, carried: Carried::Other }
    }
}

/// Exchanges of one process with one endpoint in one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpStat {
    /// Whose.
    pub process: ProcessId,
    /// With which endpoint.
    pub endpoint: Endpoint,
    /// How many.
    pub count: u64,
    /// Those that failed: answered with 400 or more, with a failure of gRPC, or not at all.
    pub errors: u64,
    /// Those of which something was not seen: their bytes and times are what was.
    pub partial: u64,
    /// Bytes of the requests' bodies, as on the wire.
    pub request_bytes: u64,
    /// Bytes of the answers' bodies likewise.
    pub response_bytes: u64,
    /// From the first byte of a request to the last of its answer, ns, over all.
    pub total_ns: u64,
    /// The longest, ns.
    pub max_ns: u64,
    /// These times.
    pub durations: Durations,
}

impl HttpStat {
    /// None yet.
    #[must_use]
    pub fn new(process: ProcessId, endpoint: Endpoint) -> Self {
        let (count, errors, partial) = (0, 0, 0);
        let (request_bytes, response_bytes, total_ns, max_ns) = (0, 0, 0, 0);
        let durations = Durations::default();
        Self {
            process,
            endpoint,
            count,
            errors,
            partial,
            request_bytes,
            response_bytes,
            total_ns,
            max_ns,
            durations,
        }
    }

    /// Adds an exchange.
    pub fn add(&mut self, exchange: &HttpExchange) {
        self.count = self.count.saturating_add(1);
        self.errors = self.errors.saturating_add(exchange.is_error().into());
        self.partial = self.partial.saturating_add(exchange.partial.is_partial().into());
        self.request_bytes = self.request_bytes.saturating_add(exchange.request_bytes);
        self.response_bytes = self.response_bytes.saturating_add(exchange.response_bytes);
        self.total_ns = self.total_ns.saturating_add(exchange.duration_ns);
        self.max_ns = self.max_ns.max(exchange.duration_ns);
        self.durations.add(exchange.duration_ns);
    }

    /// Adds those of another row.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.errors = self.errors.saturating_add(other.errors);
        self.partial = self.partial.saturating_add(other.partial);
        self.request_bytes = self.request_bytes.saturating_add(other.request_bytes);
        self.response_bytes = self.response_bytes.saturating_add(other.response_bytes);
        self.total_ns = self.total_ns.saturating_add(other.total_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.durations.merge(&other.durations);
    }
}

/// Keeps the `most` rows of most exchanges; the others become one for each role, so that sums stay true. Returns how many.
pub fn bound(rows: &mut Vec<HttpStat>, most: usize) -> usize {
    if rows.len() <= most {
        return 0;
    }
    rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.count, row.total_ns)));
    let small = rows.split_off(most);
    let mut others: BTreeMap<Role, HttpStat> = BTreeMap::new();
    for row in &small {
        let role = row.endpoint.role;
        let other = others.entry(role).or_insert_with(|| HttpStat::new(ProcessId(0), Endpoint::others(role)));
        other.merge(row);
    }
    rows.extend(others.into_values());
    small.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_told_apart_keeps_its_sums() {
        let row = |n: u64| {
            let role = if n.is_multiple_of(2) { Role::Client } else { Role::Server };
            let endpoint = Endpoint { route: Some(format!("/{n}").into()), ..Endpoint::others(role) };
            let mut row = HttpStat::new(ProcessId(n), endpoint);
            (row.count, row.errors, row.total_ns) = (n, 1, 10 * n);
            row.durations.add_many(10, n);
            row
        };
        let mut rows: Vec<HttpStat> = (1..=100).map(row).collect();
        assert_eq!(bound(&mut rows, 10), 90);
        assert_eq!((rows.len(), rows[0].count), (12, 100));
        let sum = |of: fn(&HttpStat) -> u64| rows.iter().map(of).sum::<u64>();
        assert_eq!((sum(|row| row.count), sum(|row| row.errors)), (5050, 100));
        assert_eq!(sum(|row| row.durations.count()), 5050);
        assert!(rows[10..].iter().all(|row| row.endpoint.route.as_deref() == Some(OTHER)));
        assert_eq!(bound(&mut rows, 12), 0);
    }
}

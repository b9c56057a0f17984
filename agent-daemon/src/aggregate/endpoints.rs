//! Exchanges over HTTP of each agent, added up by process and endpoint until the window closes.
//!
//! Paths, and names of hosts, are others' words: of a path only words stay (`endpoint_of`), and what looks like a key goes.
//! Bounds: [`MAX_SERVERS`] of an agent with [`MAX_ROUTES`] routes each, as long as it is watched, and [`MAX_OPEN`] rows of a
//! window; what is beyond is `{other}`.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::calls::fit_host;
use crate::{
    collect::argv::redact,
    model::{
        http::{Endpoint, HttpStat, MAX_ROUTE, OTHER},
        id::{ProcessId, Slot},
        wire::{HttpExchange, Role},
    },
};

/// Servers of one agent.
const MAX_SERVERS: usize = 256;
/// Routes of one of them, and of all.
const MAX_ROUTES: usize = 100;
const MAX_ALL_ROUTES: usize = 4096;
/// Rows of an agent's window before the largest are chosen.
const MAX_OPEN: usize = 4096;
/// What stands for what looks like a key.
const ID: &str = "{id}";

/// Whose routes are bounded together.
type Server = (Role, Option<Arc<str>>, Option<u16>);

/// One agent's exchanges.
#[derive(Default)]
struct Agent {
    open: FxHashMap<(ProcessId, Endpoint), HttpStat>,
    routes: FxHashMap<Server, FxHashSet<Arc<str>>>,
    known: usize,
}

/// The exchanges of every agent.
#[derive(Default)]
pub(super) struct Endpoints(FxHashMap<Slot, Agent>);

impl Endpoints {
    /// An exchange is over.
    pub(super) fn add(&mut self, slot: Slot, process: ProcessId, exchange: &HttpExchange) {
        let agent = self.0.entry(slot).or_default();
        let endpoint = agent.endpoint(exchange);
        let role = endpoint.role;
        let mut key = (process, endpoint);
        if agent.open.len() >= MAX_OPEN && !agent.open.contains_key(&key) {
            key = (ProcessId(0), Endpoint::others(role));
        }
        let row = agent.open.entry(key);
        row.or_insert_with_key(|(process, endpoint)| HttpStat::new(*process, endpoint.clone())).add(exchange);
    }

    /// Takes the rows of the window that closes.
    pub(super) fn take(&mut self) -> Vec<(Slot, HttpStat)> {
        let of = |(slot, agent): (&Slot, &mut Agent)| {
            let slot = *slot;
            std::mem::take(&mut agent.open).into_values().map(move |row| (slot, row)).collect::<Vec<_>>()
        };
        self.0.iter_mut().flat_map(of).collect()
    }

    /// The agent in `slot` is let go; how many exchanges came after its last window.
    pub(super) fn leave(&mut self, slot: Slot) -> u64 {
        let late = self.0.remove(&slot).unwrap_or_default().open;
        late.values().map(|row| row.count).sum()
    }
}

impl Agent {
    fn endpoint(&mut self, exchange: &HttpExchange) -> Endpoint {
        let role = exchange.role;
        // Whoever asks may call the process what he likes.
        let server = exchange.server.as_deref().filter(|_| role == Role::Client);
        let server = server.map(|server| Arc::<str>::from(fit_host(server)));
        let asked = (role, server, exchange.port);
        let asked = if self.has_server(&asked) { asked } else { (role, Some(OTHER.into()), None) };
        let route = exchange.route.as_deref().map(fit).map(|route| self.route(&asked, route));
        let (role, server, port) = asked;
        let HttpExchange { method, status, carried, .. } = *exchange;
        Endpoint { role, server, port, method, route, status, carried }
    }

    fn has_server(&mut self, server: &Server) -> bool {
        let room = self.routes.len() < MAX_SERVERS;
        if room && !self.routes.contains_key(server) {
            self.routes.insert(server.clone(), FxHashSet::default());
        }
        self.routes.contains_key(server)
    }

    /// The route, if it is one of the first.
    fn route(&mut self, server: &Server, route: String) -> Arc<str> {
        let Some(known) = self.routes.get_mut(server) else { return OTHER.into() };
        if let Some(route) = known.get(route.as_str()) {
            return Arc::clone(route);
        }
        if known.len() >= MAX_ROUTES || self.known >= MAX_ALL_ROUTES {
            return OTHER.into();
        }
        let route = Arc::<str>::from(route);
        known.insert(Arc::clone(&route));
        self.known += 1;
        route
    }
}

/// A route without what looks like a key, and of bounded length.
fn fit(route: &str) -> String {
    let part = |part| if redact(part) == part { part } else { ID };
    let route = route.split('/').map(part).collect::<Vec<_>>().join("/");
    if route.len() <= MAX_ROUTE { route } else { OTHER.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::wire::{Carried, Origin, Partial, Reason};

    const SLOT: Slot = Slot(1);

    fn exchange(server: &str, route: &str, status: Option<u16>) -> HttpExchange {
        HttpExchange {
            origin: Origin { owner: 1, connection: 2, exchange: 3 },
            role: Role::Client,
            version: "1.1",
            method: Some("GET"),
            server: Some(server.to_owned()),
            port: Some(443),
            route: Some(route.to_owned()),
            status,
            grpc_status: None,
            request_bytes: 3,
            response_bytes: 5,
            started_ns: 7,
            first_byte_ns: Some(8),
            duration_ns: 1000,
            carried: Carried::Other,
            partial: Partial::default(),
        }
    }

    fn rows(endpoints: &mut Endpoints) -> Vec<HttpStat> {
        let mut rows: Vec<HttpStat> = endpoints.take().into_iter().map(|(_, row)| row).collect();
        rows.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
        rows
    }

    #[test]
    fn exchanges_add_up_by_endpoint_and_status() {
        let mut endpoints = Endpoints::default();
        let of = |status| exchange("api.test", "/v1/items", status);
        let cut = HttpExchange { partial: Reason::CutOff.into(), ..of(None) };
        for exchange in [of(Some(200)), of(Some(500)), of(Some(200)), cut] {
            endpoints.add(SLOT, ProcessId(1), &exchange);
        }
        let told = |row: &HttpStat| (row.endpoint.status, row.count, row.errors, row.partial);
        let told: Vec<_> = rows(&mut endpoints).iter().map(told).collect();
        assert_eq!(told, [(None, 1, 1, 1), (Some(200), 2, 0, 0), (Some(500), 1, 1, 0)]);
        assert!(rows(&mut endpoints).is_empty(), "a window has its own");
        endpoints.add(SLOT, ProcessId(1), &of(Some(200)));
        assert_eq!((endpoints.leave(SLOT), endpoints.leave(SLOT)), (1, 0));
    }

    #[test]
    fn servers_and_routes_are_bounded() {
        let mut endpoints = Endpoints::default();
        for server in 0..2 * MAX_SERVERS {
            for route in 0..2 * MAX_ROUTES {
                let exchange = exchange(&format!("host{server}"), &format!("/r{route}"), Some(200));
                endpoints.add(SLOT, ProcessId(1), &exchange);
            }
        }
        let rows = rows(&mut endpoints);
        assert!(rows.len() <= MAX_OPEN + 1, "{}", rows.len());
        let count: u64 = rows.iter().map(|row| row.count).sum();
        assert_eq!(count, (4 * MAX_SERVERS * MAX_ROUTES) as u64);
        let agent = &endpoints.0[&SLOT];
        assert!(agent.routes.len() <= MAX_SERVERS && agent.known <= MAX_ALL_ROUTES);
        assert!(agent.routes.values().all(|routes| routes.len() <= MAX_ROUTES));
    }

    #[test]
    fn what_others_write_is_not_kept_as_it_is() {
        let mut endpoints = Endpoints::default();
        let key = "/v1/sk-ant-api03-abcdefgh/x";
        endpoints.add(SLOT, ProcessId(1), &exchange("sk-ant-api03-abcdefgh", key, Some(200)));
        let served = HttpExchange { role: Role::Server, ..exchange("evil.test", "/x", Some(200)) };
        endpoints.add(SLOT, ProcessId(1), &served);
        let rows = rows(&mut endpoints);
        assert!(!format!("{rows:?}").contains("sk-ant"), "{rows:?}");
        assert_eq!(rows[0].endpoint.route.as_deref(), Some("/v1/{id}/x"));
        assert_eq!(rows[1].endpoint.server, None);
    }
}

//! Exchanges over HTTP.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CoveredDto, names::SideDto, seconds};
use crate::{
    model::{
        http::HttpStat,
        operation::Durations,
        wire::{Carried, Role},
    },
    store::query::HttpBy,
};

/// What an agent asked for over HTTP, and was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HttpReport)]
pub struct HttpReportDto {
    /// Whose.
    pub agent: String,
    /// The time spoken of; null where nothing was stored.
    pub covered: Option<CoveredDto>,
    /// Whether the agent is watched by the wire probe. Where it is not, an empty list means nothing.
    pub watched: bool,
    /// All that its processes asked for.
    pub asked: HttpAmountsDto,
    /// All that they were asked for.
    pub served: HttpAmountsDto,
    /// Rows of the range.
    pub rows: u64,
    /// What `offset` gives the next page; null on the last.
    pub next_offset: Option<usize>,
    /// A page of rows, most exchanges first.
    pub endpoints: Vec<HttpDto>,
}

/// Exchanges with one endpoint, one server, or of one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HttpEndpoint)]
pub struct HttpDto {
    /// Whether the agent's process asked, or was asked.
    pub side: SideDto,
    /// What the exchanges carried, if asked for by endpoint or route. Calls of models and MCP servers stand in their own
    /// lists, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<HttpKindDto>,
    /// The server that was asked; none of what the agent serves. `{other}` are those beyond the bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "api.example.com")]
    pub server_address: Option<String>,
    /// The port that was asked, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_port: Option<u16>,
    /// The method; `_OTHER` is none of HTTP's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "GET")]
    pub method: Option<String>,
    /// The path's template, without query: what looks like an id is `{id}`. `{other}` are those beyond the bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/v1/items/{id}")]
    pub route: Option<String>,
    /// The answer's status, if asked for by endpoint; missing where no answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Whose, if asked for by process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The name of whose, if asked for by process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
    /// How many, how large, and how long.
    #[serde(flatten)]
    pub amounts: HttpAmountsDto,
}

/// What exchanges carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HttpKind)]
pub enum HttpKindDto {
    /// Calls of models.
    Llm,
    /// Messages of MCP.
    Mcp,
    /// Anything else.
    Http,
}

/// Exchanges: their number, bytes and times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HttpAmounts)]
pub struct HttpAmountsDto {
    /// Requests.
    pub requests: u64,
    /// Those that failed: answered with 400 or more, with a failure of gRPC, or not at all.
    pub errors: u64,
    /// Those of which something was not seen; of these, bytes and times are what was.
    pub partial: u64,
    /// Bytes of the requests' bodies, as on the wire.
    pub request_bytes: u64,
    /// Bytes of the answers' bodies likewise.
    pub response_bytes: u64,
    /// From the first byte of a request to the last of its answer, over all.
    pub total_seconds: f64,
    /// Half took no longer, to within 3.2 %; null where there were none.
    pub p50_seconds: Option<f64>,
    /// 90 % took no longer.
    pub p90_seconds: Option<f64>,
    /// 99 % took no longer.
    pub p99_seconds: Option<f64>,
    /// The longest.
    pub max_seconds: Option<f64>,
    /// How many took how long, in powers of two; those that count nothing are left out.
    pub latency: Vec<HttpLatencyDto>,
}

/// Exchanges that took as long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HttpLatency)]
pub struct HttpLatencyDto {
    /// They took no longer than this, and more than half of it.
    pub up_to_seconds: f64,
    /// How many.
    pub requests: u64,
}

impl HttpDto {
    /// A sum on the wire; `comm` names the process, where it is one's.
    #[must_use]
    pub fn new(row: &HttpStat, by: HttpBy, comm: Option<String>) -> Self {
        let endpoint = &row.endpoint;
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
        let is_endpoint = matches!(by, HttpBy::Endpoint | HttpBy::Route);
        Self {
            side: if endpoint.role == Role::Client { SideDto::Client } else { SideDto::Server },
            kind: is_endpoint.then(|| endpoint.carried.into()),
            server_address: text(&endpoint.server),
            server_port: endpoint.port,
            method: endpoint.method.map(str::to_owned),
            route: text(&endpoint.route),
            status: endpoint.status,
            pid: (by == HttpBy::Process).then(|| row.process.pid()),
            comm,
            amounts: row.into(),
        }
    }
}

impl From<Carried> for HttpKindDto {
    fn from(carried: Carried) -> Self {
        match carried {
            Carried::Other => Self::Http,
            Carried::Llm => Self::Llm,
            Carried::Mcp => Self::Mcp,
        }
    }
}

impl From<&HttpStat> for HttpAmountsDto {
    fn from(row: &HttpStat) -> Self {
        let quantile = |q| row.durations.quantile(q, row.max_ns).map(seconds);
        Self {
            requests: row.count,
            errors: row.errors,
            partial: row.partial,
            request_bytes: row.request_bytes,
            response_bytes: row.response_bytes,
            total_seconds: seconds(row.total_ns),
            p50_seconds: quantile(0.5),
            p90_seconds: quantile(0.9),
            p99_seconds: quantile(0.99),
            max_seconds: (row.count > 0).then(|| seconds(row.max_ns)),
            latency: latency(&row.durations),
        }
    }
}

fn latency(durations: &Durations) -> Vec<HttpLatencyDto> {
    let mut below = 0;
    let up_to = |power: u32| {
        // Buckets end where powers of two do.
        let ns = u64::MAX >> (63 - power);
        let count = durations.count_up_to(ns);
        let requests = count - std::mem::replace(&mut below, count);
        (requests > 0).then(|| HttpLatencyDto { up_to_seconds: seconds(ns), requests })
    };
    (0..64).filter_map(up_to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_one_bucket_that_it_fits() {
        let mut durations = Durations::default();
        [0, 1, 5, 1_000_000, 1_000_001, u64::MAX].into_iter().for_each(|ns| durations.add(ns));
        let latency = latency(&durations);
        assert_eq!(latency.iter().map(|bucket| bucket.requests).sum::<u64>(), 6);
        let of_a_millisecond = latency.iter().find(|bucket| bucket.up_to_seconds >= 1e-3).unwrap();
        assert!(of_a_millisecond.up_to_seconds < 2e-3 && of_a_millisecond.requests == 2);
    }
}

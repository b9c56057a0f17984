//! Exchanges over HTTP of a window in the journal.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{DataError, process_id::Id};
use crate::model::{
    http::{Endpoint, HttpStat, MAX_ROUTE},
    network::MAX_HOST,
    operation::Durations,
    wire::{Carried, METHODS, Role},
};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HttpData {
    process: Id,
    /// `client` where the process asked, else `server`.
    side: String,
    /// `http`, `llm` or `mcp`.
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server_address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server_port: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    count: u64,
    errors: u64,
    partial: u64,
    request_bytes: u64,
    response_bytes: u64,
    total_ns: u64,
    max_ns: u64,
    /// Numbers of buckets, and counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    durations: Vec<(u16, u64)>,
}

impl From<HttpStat> for HttpData {
    fn from(row: HttpStat) -> Self {
        let endpoint = row.endpoint;
        let text = |text: Option<Arc<str>>| text.map(|text| text.to_string());
        Self {
            process: Id(row.process),
            side: endpoint.role.name().to_owned(),
            kind: endpoint.carried.name().to_owned(),
            server_address: text(endpoint.server),
            server_port: endpoint.port,
            method: endpoint.method.map(str::to_owned),
            route: text(endpoint.route),
            status: endpoint.status,
            count: row.count,
            errors: row.errors,
            partial: row.partial,
            request_bytes: row.request_bytes,
            response_bytes: row.response_bytes,
            total_ns: row.total_ns,
            max_ns: row.max_ns,
            durations: row.durations.buckets().collect(),
        }
    }
}

impl TryFrom<HttpData> for HttpStat {
    type Error = DataError;

    fn try_from(row: HttpData) -> Result<Self, DataError> {
        let named = |name: &str| METHODS.into_iter().find(|method| *method == name);
        let role = [Role::Client, Role::Server].into_iter().find(|role| role.name() == row.side);
        let carried = Carried::ALL.into_iter().find(|carried| carried.name() == row.kind);
        let method = match row.method.as_deref() {
            None => None,
            Some(name) => Some(named(name).ok_or(DataError::Value("a method of HTTP"))?),
        };
        let endpoint = Endpoint {
            role: role.ok_or(DataError::Value("a side"))?,
            server: text(row.server_address, MAX_HOST)?,
            port: row.server_port,
            method,
            route: text(row.route, MAX_ROUTE)?,
            status: row.status,
            carried: carried.ok_or(DataError::Value("a kind of exchange"))?,
        };
        let mut durations = Durations::default();
        row.durations.into_iter().for_each(|(bucket, count)| durations.add_to_bucket(bucket, count));
        Ok(Self {
            count: row.count,
            errors: row.errors,
            partial: row.partial,
            request_bytes: row.request_bytes,
            response_bytes: row.response_bytes,
            total_ns: row.total_ns,
            max_ns: row.max_ns,
            durations,
            ..Self::new(row.process.0, endpoint)
        })
    }
}

fn text(text: Option<String>, most: usize) -> Result<Option<Arc<str>>, DataError> {
    match text.as_ref().is_some_and(|text| text.len() > most) {
        true => Err(DataError::Value("a name")),
        false => Ok(text.map(Arc::from)),
    }
}

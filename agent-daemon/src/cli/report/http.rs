//! What an agent asked for over HTTP, and was asked for.

use std::fmt::Write;

use super::{
    super::{
        out::plain,
        table::{Align, Table, cut},
        units::{bytes, seconds},
    },
    devices::ROWS,
};
use crate::api::dto::{
    http::{HttpDto, HttpReportDto},
    names::SideDto,
};

/// The endpoints of most exchanges; nothing of an agent without any.
pub(super) fn http(report: &HttpReportDto) -> String {
    if report.endpoints.is_empty() {
        return String::new();
    }
    let (asked, served) = (&report.asked, &report.served);
    let mut out = format!(
        "\nHTTP  {} requests sent, {} failed; {} served, {} failed\n",
        asked.requests, asked.errors, served.requests, served.errors
    );
    let columns = ["REQUESTS", "FAILED", "STATUS", "P50", "P99", "REQUEST", "RESPONSE"];
    let columns = columns.map(|title| (title, Align::Right)).into_iter().chain([("ENDPOINT", Align::Left)]);
    let mut table = Table::new(&columns.collect::<Vec<_>>());
    for endpoint in report.endpoints.iter().take(ROWS) {
        let amounts = &endpoint.amounts;
        table.row(vec![
            amounts.requests.to_string(),
            amounts.errors.to_string(),
            endpoint.status.map_or_else(|| "-".to_owned(), |status| status.to_string()),
            amounts.p50_seconds.map(seconds).unwrap_or_default(),
            amounts.p99_seconds.map(seconds).unwrap_or_default(),
            bytes(amounts.request_bytes),
            bytes(amounts.response_bytes),
            name(endpoint),
        ]);
    }
    out.push_str(&table.render("  "));
    let shown = ROWS as u64;
    if report.rows > shown {
        let _ = writeln!(out, "  and {} more", report.rows - shown);
    }
    out
}

/// Method, server and route.
fn name(endpoint: &HttpDto) -> String {
    let method = endpoint.method.as_deref().unwrap_or("?");
    let port = endpoint.server_port.map(|port| format!(":{port}")).unwrap_or_default();
    let server = endpoint.server_address.as_deref().unwrap_or_default();
    let route = endpoint.route.as_deref().unwrap_or("?");
    match endpoint.side {
        SideDto::Client => cut(&plain(&format!("{method} {server}{port}{route}")), 70),
        SideDto::Server => cut(&plain(&format!("{method} {route} (served{port})")), 70),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{fixture::exchanges, query::HttpBy};

    #[test]
    fn endpoints_stand_with_what_came_of_them() {
        let (asked, served) = (exchanges(100, "/v1/items/{id}", 4), exchanges(101, "/health", 0));
        let endpoints = [&asked, &served].map(|row| HttpDto::new(row, HttpBy::Endpoint, None));
        let report = HttpReportDto {
            agent: "1-1".to_owned(),
            covered: None,
            watched: true,
            asked: (&asked).into(),
            served: (&served).into(),
            rows: 12,
            next_offset: None,
            endpoints: endpoints.to_vec(),
        };
        let text = http(&report);
        for part in [
            "HTTP  5 requests sent, 1 failed; 1 served, 1 failed",
            "GET api.test:443/v1/items/{id}",
            "GET /health (served:443)",
            "  500  ",
            "and 2 more",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert_eq!(http(&HttpReportDto { endpoints: Vec::new(), ..report }), "");
    }
}

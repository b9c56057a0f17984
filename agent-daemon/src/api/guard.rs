//! Keeps web pages out. A page that a browser on this host shows may send requests to loopback: with a
//! foreign `Origin`, or, after its own name was rebound to 127.0.0.1, with a foreign `Host`. Neither names
//! us, so neither is served. Programs on this host are not kept out: whoever may connect may ask.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::error::Problem;
use crate::ingest::Ingest;

/// The one path that a page elsewhere may link to: it only shows.
const FRONT_PAGE: &str = "/";

/// The one path that pages of configured origins may send to: it takes, with a key, and shows nothing.
const FRONTEND: &str = "/api/v1/frontend-metrics";

/// Which hosts are us, and which pages may send.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    listen: IpAddr,
    ingest: Arc<Ingest>,
}

impl Guard {
    pub(super) fn new(listen: IpAddr, ingest: Arc<Ingest>) -> Self {
        Self { listen, ingest }
    }

    /// Whether `host[:port]` names us, with whatever port: a tunnel may have another.
    fn is_us(&self, authority: &str) -> bool {
        if authority.contains('@') {
            return false;
        }
        let Ok(authority) = authority.parse::<Authority>() else { return false };
        let host = authority.host();
        let port = authority.as_str().strip_prefix(host).unwrap_or(":");
        if !port.is_empty() && port.strip_prefix(':').is_none_or(|p| p.parse::<u16>().is_err()) {
            return false;
        }
        let address = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        match address.parse::<IpAddr>() {
            // Who listens on every address cannot list his own, and an address cannot be rebound.
            Ok(ip) => ip.is_loopback() || ip == self.listen || self.listen.is_unspecified(),
            Err(_) => host.eq_ignore_ascii_case("localhost"),
        }
    }

    fn check_host(&self, request: &Request) -> Result<(), Problem> {
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(Problem::bad_request("a request must have exactly one Host header"));
        };
        let named = request.uri().authority().map(Authority::as_str);
        if host.to_str().is_ok_and(|h| self.is_us(h)) && named.is_none_or(|a| self.is_us(a)) {
            return Ok(());
        }
        let detail = "the Host header names another host: use localhost, 127.0.0.1, [::1] or the address that \
                      agentperf listens on";
        Err(Problem::new(StatusCode::FORBIDDEN, "foreign-host", "Foreign host", detail))
    }

    fn check_origin(&self, headers: &HeaderMap, path: &str) -> Result<(), Problem> {
        let detail = "the request comes from a web page of another origin, which may not use this interface";
        let refusal = || Problem::new(StatusCode::FORBIDDEN, "foreign-origin", "Foreign origin", detail);
        let of_us = |origin: &HeaderValue| {
            let origin = origin.to_str().unwrap_or_default();
            let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            authority.is_some_and(|a| self.is_us(a))
        };
        if !headers.get_all(header::ORIGIN).iter().all(of_us) {
            return Err(refusal());
        }
        // Images and links carry no Origin, but browsers say where they stand.
        let cross_site = headers.get("sec-fetch-site").is_some_and(|v| v == "cross-site");
        if cross_site && path != FRONT_PAGE { Err(refusal()) } else { Ok(()) }
    }
}

impl Guard {
    /// The origin of a page that may send what it took, if the request is one of these.
    fn sending_page(&self, request: &Request) -> Option<HeaderValue> {
        let mut origins = request.headers().get_all(header::ORIGIN).iter();
        let (Some(origin), None) = (origins.next(), origins.next()) else { return None };
        let sends = matches!(*request.method(), Method::POST | Method::OPTIONS);
        let known = origin.to_str().is_ok_and(|origin| self.ingest.knows_origin(origin));
        (sends && known && request.uri().path() == FRONTEND).then(|| origin.clone())
    }
}

/// Refuses what does not name us.
pub(super) async fn refuse_strangers(
    State(guard): State<Guard>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    guard.check_host(&request)?;
    if let Some(origin) = guard.sending_page(&request) {
        let asked_first = request.method() == Method::OPTIONS;
        let private = request.headers().contains_key("access-control-request-private-network");
        let response =
            if asked_first { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
        return Ok(with_permission(response, origin, private));
    }
    guard.check_origin(request.headers(), request.uri().path())?;
    Ok(next.run(request).await)
}

/// Headers that let a page of this origin send to us and read the answer.
fn with_permission(mut response: Response, origin: HeaderValue, private: bool) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    let allowed = HeaderValue::from_static("authorization, content-type, x-agentperf-key");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    if private {
        let name = HeaderName::from_static("access-control-allow-private-network");
        headers.insert(name, HeaderValue::from_static("true"));
    }
    response
}

/// Headers of every response: nothing is cached, guessed, embedded or told to others.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    const FIXED: [(HeaderName, &str); 4] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        let nothing = "default-src 'none'; frame-ancestors 'none'";
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(nothing));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(listen: &str) -> Guard {
        Guard::new(listen.parse().unwrap(), Arc::new(Ingest::closed()))
    }

    #[test]
    fn our_own_names_are_known_with_any_port() {
        let guard = guard("192.0.2.7");
        for host in
            ["localhost", "LocalHost:1", "127.0.0.1:7575", "127.8.9.1", "[::1]", "[::1]:80", "192.0.2.7:9"]
        {
            assert!(guard.is_us(host), "{host}");
        }
    }

    #[test]
    fn other_names_are_foreign() {
        let guard = guard("127.0.0.1");
        let foreign = [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil.example:7575",
            "127.0.0.1.evil.example",
            "user@localhost",
            "localhost@evil.example",
            "192.0.2.7",
            "0.0.0.0",
            "[::2]",
            "[::1",
            "::1",
            "127.1",
            "2130706433",
            "local host",
            "localhost/",
            "localhost:99999999",
        ];
        for host in foreign {
            assert!(!guard.is_us(host), "{host}");
        }
    }

    #[test]
    fn who_listens_everywhere_is_named_by_any_address_but_no_name() {
        let guard = guard("::");
        assert!(guard.is_us("192.0.2.7:7575"));
        assert!(!guard.is_us("rebound.example"));
    }

    #[test]
    fn pages_elsewhere_are_refused_however_they_ask() {
        let guard = guard("127.0.0.1");
        let check = |name: &'static str, value: &str, path| {
            let value = HeaderValue::from_str(value).unwrap();
            guard.check_origin(&HeaderMap::from_iter([(HeaderName::from_static(name), value)]), path).is_ok()
        };
        for origin in
            ["https://evil.example", "null", "", "file://", "http://localhost.evil.example", "localhost"]
        {
            assert!(!check("origin", origin, "/healthz"), "{origin}");
        }
        assert!(check("origin", "http://localhost:3000", "/healthz"));
        assert!(check("origin", "https://[::1]", "/healthz"));
        assert!(check("sec-fetch-site", "same-origin", "/debug/pprof/profile"));
        assert!(!check("sec-fetch-site", "cross-site", "/debug/pprof/profile"));
        assert!(check("sec-fetch-site", "cross-site", "/"), "a link to the front page harms nobody");
    }
}

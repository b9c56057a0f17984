//! The one HTTP client of all doors out: HTTP/1.1, or HTTP/2 for gRPC; TLS by rustls with the system's roots and, if
//! there is one, a CA of one's own. No proxies, no redirects, no cookies.

mod credentials;
pub(super) mod grpc;
mod retry;

use std::{error::Error as _, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;

pub(super) use self::{
    credentials::Credentials,
    retry::{Backoff, Outcome},
};
use crate::{
    config::Receiver,
    tls::{self, TlsError},
};

/// Bytes that are read of an answer.
const MAX_ANSWER: usize = 64 << 10;

/// Which HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, without TLS by prior knowledge.
    Http2,
}

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) trailers: HeaderMap,
    pub(super) body: Bytes,
}

/// A client for one receiver.
#[derive(Clone, Debug)]
pub(super) struct Client {
    inner: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

impl Client {
    /// A client for this receiver.
    pub(super) fn new(receiver: &Receiver, version: Version) -> Result<Self, TlsError> {
        let tls = tls::client(receiver.ca_file.as_deref())?;
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let connector = match version {
            Version::Http1 => builder.enable_http1().build(),
            Version::Http2 => builder.enable_http2().build(),
        };
        let mut client = legacy::Client::builder(TokioExecutor::new());
        client.http2_only(version == Version::Http2).pool_max_idle_per_host(1);
        Ok(Self { inner: client.build(connector), timeout: receiver.timeout })
    }

    /// Posts `body`.
    ///
    /// # Errors
    /// No answer came: why, without any secret.
    pub(super) async fn post(&self, to: &Uri, headers: HeaderMap, body: Bytes) -> Result<Answer, String> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = to.clone();
        *request.headers_mut() = headers;
        let agent = header::HeaderValue::from_static(concat!("agentperf/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        match timeout(self.timeout, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {:?}", self.timeout)),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let answer = self.inner.request(request).await.map_err(|error| reason(&error))?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        Ok(Answer { status: parts.status, headers: parts.headers, trailers, body: body.to_bytes() })
    }
}

/// The innermost reason, which is the one that helps.
fn reason(error: &legacy::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        text = format!("{text}: {inner}");
        next = inner.source();
    }
    text
}

/// Scheme, host and port: what may be shown of an address.
pub(super) fn shown(uri: &Uri) -> String {
    format!("{}://{}", uri.scheme_str().unwrap_or("http"), uri.authority().map_or("", |a| a.as_str()))
}

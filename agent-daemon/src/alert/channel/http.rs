//! One request to a receiver. No proxies, no redirects, no cookies; no connection is kept, for alerts are rare and a
//! kept one may be dead when it is needed.
//!
//! An answer's status alone decides: a receiver that said it has the message has it, whether or not the rest of its
//! answer comes, is too long, or is nonsense. Otherwise it would be told twice.

use std::{error::Error as _, path::Path, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Method, Request, Uri,
    body::Incoming,
    header::{self, HeaderName, HeaderValue},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Inner, Error, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::{Instant, timeout_at};

use super::{
    auth::Auth,
    outcome::Outcome,
    secret::Cleaner,
    url::{Url, UrlSource},
};
use crate::tls;

/// Bytes that are read of an answer.
const MAX_ANSWER: usize = 16 << 10;
/// The agent that requests name.
const AGENT: &str = concat!("agentperf/", env!("CARGO_PKG_VERSION"));

/// Where requests go, and how.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    client: Inner<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: UrlSource,
    auth: Option<Auth>,
    timeout: Duration,
}

/// A request, without its address.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) method: Method,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Post {
    /// A request with a JSON body.
    pub(super) fn json(body: Vec<u8>) -> Self {
        Self { method: Method::POST, content_type: "application/json", headers: Vec::new(), body }
    }
}

impl Endpoint {
    /// # Errors
    /// TLS cannot be set up.
    pub(super) fn new(
        url: UrlSource,
        auth: Option<Auth>,
        ca_file: Option<&Path>,
        timeout: Duration,
    ) -> Result<Self, String> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client(ca_file).map_err(|error| error.to_string())?)
            .https_or_http()
            .enable_http1()
            .build();
        let client = Inner::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { client, url, auth, timeout })
    }

    /// What may be shown of it.
    pub(super) fn shown(&self) -> String {
        self.url.shown()
    }

    /// Sends a request to what `address` makes of the receiver's address. What `cleaner` hides is not shown, nor is
    /// anything secret of the address or the headers.
    pub(super) async fn send(
        &self,
        mut cleaner: Cleaner,
        address: impl FnOnce(&Url) -> Option<Uri>,
        post: Post,
    ) -> Outcome {
        let request = match self.request(&mut cleaner, address, post) {
            Ok(request) => request,
            // Whoever writes the file of a secret may be about to.
            Err(why) => return Outcome::later(cleaner.clean(&why)),
        };
        let deadline = Instant::now() + self.timeout;
        match timeout_at(deadline, self.client.request(request)).await {
            Err(_) => Outcome::unreached(format!("no answer within {:?}", self.timeout)),
            Ok(Err(error)) => Outcome::unreached(cleaner.clean(&reason(&error))),
            Ok(Ok(answer)) => {
                let (parts, body) = answer.into_parts();
                let said = beginning(body, deadline).await;
                Outcome::of(parts.status, &parts.headers, &cleaner.clean(&String::from_utf8_lossy(&said)))
            }
        }
    }

    fn request(
        &self,
        cleaner: &mut Cleaner,
        address: impl FnOnce(&Url) -> Option<Uri>,
        post: Post,
    ) -> Result<Request<Full<Bytes>>, String> {
        let url = self.url.read()?;
        url.hide_in(cleaner);
        let mut request = Request::new(Full::new(Bytes::from(post.body)));
        *request.method_mut() = post.method;
        *request.uri_mut() = address(&url).ok_or("the address is none")?;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(post.content_type));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
        for (name, value) in post.headers {
            let value =
                HeaderValue::try_from(value).map_err(|_| format!("the header {name} cannot be sent"))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        if let Some(user) = &url.user {
            authorize(headers, cleaner, &super::auth::basic(user))?;
        }
        if let Some(auth) = &self.auth {
            let value = auth.header(cleaner)?;
            authorize(headers, cleaner, &value)?;
        }
        Ok(request)
    }
}

fn authorize(headers: &mut HeaderMap, cleaner: &mut Cleaner, value: &str) -> Result<(), String> {
    cleaner.hide(value.split_once(' ').map_or(value, |(_, secret)| secret));
    let mut value = HeaderValue::try_from(value).map_err(|_| "the secret cannot stand in a header")?;
    value.set_sensitive(true);
    headers.insert(header::AUTHORIZATION, value);
    Ok(())
}

/// What comes of a body until it is enough, it ends or fails, or it is too late.
async fn beginning(mut body: Incoming, deadline: Instant) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_ANSWER {
        let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await else { break };
        if let Ok(data) = frame.into_data() {
            bytes.extend(data.iter().take(MAX_ANSWER - bytes.len()));
        }
    }
    bytes
}

/// The error and what lies behind it: the innermost reason is the one that helps.
fn reason(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        text = format!("{text}: {inner}");
        next = inner.source();
    }
    text
}

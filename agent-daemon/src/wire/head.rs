//! What is kept of a message's head, whatever the version of HTTP: a handful of facts, and of headers only what
//! framing and recognition need. Values of other headers are looked at by nobody.

use super::{coding::Coding, field::Server};
use crate::model::wire::METHODS;

/// The longest path that is kept, bytes; what is longer is cut, which templates of routes can bear.
const LONGEST_PATH: usize = 1024;
/// The longest name of a host.
const LONGEST_HOST: usize = 253;

/// The format of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Media {
    /// JSON.
    Json,
    /// Lines of JSON.
    JsonLines,
    /// Server-sent events.
    EventStream,
    /// AWS's event stream.
    AwsEventStream,
    /// None of these, or not told.
    #[default]
    Other,
}

impl Media {
    fn named(value: &[u8]) -> Self {
        let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
        match essence.trim_ascii().to_ascii_lowercase().as_slice() {
            b"application/json" => Self::Json,
            b"application/x-ndjson" | b"application/jsonl" | b"application/json-lines" => Self::JsonLines,
            b"text/event-stream" => Self::EventStream,
            b"application/vnd.amazon.eventstream" => Self::AwsEventStream,
            other if other.ends_with(b"+json") => Self::Json,
            _ => Self::Other,
        }
    }
}

/// To which protocol a connection is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// WebSocket.
    WebSocket,
    /// HTTP/2 without TLS.
    Http2,
    /// One that is not read.
    Other,
}

/// Tokens that Bedrock counts in headers of its answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeaderCounts {
    /// Read.
    pub input: Option<u64>,
    /// Written.
    pub output: Option<u64>,
}

/// The head of a request or an answer.
#[derive(Default)]
pub struct Head {
    /// The method; `None` in an answer.
    pub method: Option<&'static str>,
    /// The path without query; not shown, since ids stand in it.
    pub path: Option<String>,
    /// The host that is asked, without port.
    pub host: Option<String>,
    /// The port that is asked, if it is said.
    pub port: Option<u16>,
    /// The answer's status.
    pub status: Option<u16>,
    /// The body's format.
    pub media: Media,
    /// The body's coding.
    pub coding: Coding,
    /// `Content-Length`.
    pub length: Option<u64>,
    /// Whether the body comes in chunks.
    pub chunked: bool,
    /// Whether the connection changes its protocol.
    pub upgrade: Option<Upgrade>,
    /// Whether messages of a WebSocket are compressed.
    pub deflate: bool,
    /// The server, if it says so itself.
    pub server: Option<Server>,
    /// gRPC's status.
    pub grpc_status: Option<u8>,
    /// Bedrock's counts.
    pub counts: HeaderCounts,
    /// Whether there were headers whose names or values are not known.
    pub unknown: bool,
}

impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head")
            .field("method", &self.method)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Head {
    /// Takes a request's target: a path, or a whole URL as proxies are asked.
    pub fn target(&mut self, target: &[u8]) {
        let target = String::from_utf8_lossy(target);
        let path = match target.split_once("://") {
            Some((_, rest)) => {
                let at = rest.find(['/', '?']).unwrap_or(rest.len());
                let (authority, path) = rest.split_at(at);
                self.authority(authority.as_bytes());
                path
            }
            None => &target,
        };
        let end = path.find(['?', '#']).unwrap_or(path.len());
        let kept = path.char_indices().map(|(at, _)| at).find(|at| *at >= LONGEST_PATH).unwrap_or(path.len());
        self.path = path.get(..end.min(kept)).map(str::to_owned);
    }

    /// Takes the authority that is asked: name and port, without whom it is asked for.
    pub fn authority(&mut self, authority: &[u8]) {
        if self.host.is_none() {
            self.host = host(authority);
            self.port = port(authority);
        }
    }

    /// Takes one header; the name in lower case.
    pub fn header(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"host" => self.authority(value),
            b"content-type" => self.media = Media::named(value),
            b"content-encoding" => self.coding = Coding::named(value),
            b"content-length" => self.length = number(value),
            b"transfer-encoding" => self.chunked |= lists(value, b"chunked"),
            b"upgrade" => self.upgrade = Some(upgrade(value)),
            b"sec-websocket-extensions" => self.deflate = lists(value, b"permessage-deflate"),
            b"server" => self.server = server(value),
            b"grpc-status" => self.grpc_status = number(value).and_then(|status| u8::try_from(status).ok()),
            b"x-amzn-bedrock-input-token-count" => self.counts.input = number(value),
            b"x-amzn-bedrock-output-token-count" => self.counts.output = number(value),
            _ => {}
        }
    }
}

/// A method's name as it is kept.
pub(super) fn method(name: &[u8]) -> &'static str {
    METHODS.into_iter().find(|method| method.as_bytes() == name).unwrap_or("_OTHER")
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

/// Whether a list of words has this one.
fn lists(value: &[u8], word: &[u8]) -> bool {
    value.split(|byte| matches!(byte, b',' | b';')).any(|part| part.trim_ascii().eq_ignore_ascii_case(word))
}

fn upgrade(value: &[u8]) -> Upgrade {
    match value.trim_ascii().to_ascii_lowercase().as_slice() {
        b"websocket" => Upgrade::WebSocket,
        b"h2c" => Upgrade::Http2,
        _ => Upgrade::Other,
    }
}

fn server(value: &[u8]) -> Option<Server> {
    value.trim_ascii().eq_ignore_ascii_case(b"llama.cpp").then_some(Server::LlamaCpp)
}

/// The name in an authority, if it is one.
fn host(authority: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(authority).ok()?.trim();
    let name = text.rsplit('@').next()?;
    let name = match name.strip_prefix('[') {
        Some(address) => address.split(']').next()?,
        None => name.split(':').next()?,
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    let fits = !name.is_empty() && name.len() <= LONGEST_HOST && name.bytes().all(is_name);
    fits.then(|| name.to_ascii_lowercase())
}

/// The port in an authority.
fn port(authority: &[u8]) -> Option<u16> {
    let (_, port) = std::str::from_utf8(authority).ok()?.trim().rsplit_once(':')?;
    port.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_authority_the_name_is_kept() {
        for (authority, name) in [
            ("API.openai.com", Some("api.openai.com")),
            ("user:planted@host:8080", Some("host")),
            ("[::1]:80", Some("::1")),
            ("a b", None),
            ("", None),
        ] {
            assert_eq!(host(authority.as_bytes()).as_deref(), name, "{authority}");
        }
    }

    #[test]
    fn of_a_target_the_path_is_kept() {
        for (target, path, host) in [
            ("/v1/x?key=planted", "/v1/x", None),
            ("http://proxied:3128/v1/x#planted", "/v1/x", Some("proxied")),
            ("http://host?planted", "", Some("host")),
            ("*", "*", None),
        ] {
            let mut head = Head::default();
            head.target(target.as_bytes());
            assert_eq!((head.path.as_deref(), head.host.as_deref()), (Some(path), host), "{target}");
        }
        let mut head = Head::default();
        head.target("ä".repeat(5000).as_bytes());
        assert!(head.path.unwrap().len() <= LONGEST_PATH + 1);
    }

    #[test]
    fn headers_become_facts() {
        let mut head = Head::default();
        for (name, value) in [
            ("content-type", "Application/JSON; charset=utf-8"),
            ("content-encoding", "GZIP"),
            ("transfer-encoding", "gzip, Chunked"),
            ("authorization", "Bearer planted"),
            ("content-length", " 12 "),
        ] {
            head.header(name.as_bytes(), value.as_bytes());
        }
        assert_eq!((head.media, head.coding, head.chunked), (Media::Json, Coding::Gzip, true));
        assert_eq!(head.length, Some(12));
        assert!(!format!("{head:?}").contains("planted"));
    }
}

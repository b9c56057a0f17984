//! Conversations that are made up byte by byte, for what no recording has.

mod answers;
mod bounds;
mod endings;
mod http1;
mod http2;
mod rpc;
mod said;
mod websocket;

use std::num::NonZeroUsize;

use crate::{
    model::{
        content::Keep,
        wire::{HttpExchange, LlmCall, McpCall, WireRecord},
    },
    wire::{Chunk, Direction, Opened, Piece, Transport, Wire},
};

/// One connection, number 1.
struct Talk {
    wire: Wire,
    at_ns: u64,
}

impl Talk {
    fn new() -> Self {
        Self::keeping(Keep::NOTHING)
    }

    /// One of an agent of whom this is kept.
    fn keeping(keep: Keep) -> Self {
        let mut wire = Wire::new(NonZeroUsize::new(4).unwrap());
        wire.open(Opened { connection: 1, owner: 7, transport: Transport::Stream, keep });
        Self { wire, at_ns: 0 }
    }

    fn at(&mut self, at_ns: u64) -> &mut Self {
        self.at_ns = at_ns;
        self
    }

    fn piece(&mut self, direction: Direction, piece: Piece<'_>) -> &mut Self {
        let at_ns = self.at_ns;
        self.wire.take(&Chunk { connection: 1, direction, offset: None, at_ns, piece });
        self
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.piece(Direction::Sent, Piece::Bytes(bytes.as_ref()))
    }

    fn receive(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.piece(Direction::Received, Piece::Bytes(bytes.as_ref()))
    }

    fn close(&mut self) -> &mut Self {
        self.wire.close(1, self.at_ns);
        self
    }

    fn records(&mut self) -> Vec<WireRecord> {
        self.wire.records()
    }

    /// The only call of a model.
    fn call(&mut self) -> LlmCall {
        let mut calls = self.calls();
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls.remove(0)
    }

    fn calls(&mut self) -> Vec<LlmCall> {
        let of = |record| if let WireRecord::Llm(call) = record { Some(*call) } else { None };
        self.records().into_iter().filter_map(of).collect()
    }

    fn exchanges(&mut self) -> Vec<HttpExchange> {
        let of = |record| if let WireRecord::Http(http) = record { Some(http) } else { None };
        self.records().into_iter().filter_map(of).collect()
    }

    fn mcp(&mut self) -> Vec<McpCall> {
        let of = |record| if let WireRecord::Mcp(call) = record { Some(call) } else { None };
        self.records().into_iter().filter_map(of).collect()
    }
}

/// A request with a JSON body.
fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost:8000\r\nAuthorization: Bearer PLANTED\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// An answer with a JSON body.
fn json(status: u16, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// The head of a stream of events in chunks.
const EVENTS: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

fn chunk(text: &str) -> String {
    format!("{:x};x=y\r\n{text}\r\n", text.len())
}

const ASK: &str = r#"{"messages":[{"role":"user","content":"PLANTED"}],"model":"m","stream":true}"#;

//! Reads recordings (`tests/wire/record.py` says how they are written) and replays them.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{
    model::{content::Keep, wire::WireRecord},
    wire::{Chunk, Direction, Opened, Piece, Transport, Wire},
};

/// All recordings.
pub(super) const NAMES: [&str; 14] = [
    "openai_chat",
    "openai_stream",
    "openai_retry",
    "openai_drop",
    "openai_responses",
    "anthropic_messages",
    "gemini",
    "bedrock",
    "ollama_native",
    "node_clients",
    "httpx_h2",
    "mcp_http",
    "mcp_sse",
    "mcp_stdio",
];

/// A piece that went through the proxy; `None` for the end of the connection.
pub(super) type Part = (u64, u64, Option<(Direction, Vec<u8>)>);

pub(super) struct Recording {
    pub(super) truths: Vec<Value>,
    pub(super) parts: Vec<Part>,
    transport: Transport,
    keep: Keep,
}

impl Recording {
    pub(super) fn read(name: &str) -> Self {
        let path = format!("{}/src/wire/testdata/{name}.rec", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let (truths, parts): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("= "));
        let transport = if name == "mcp_stdio" { Transport::Stdio } else { Transport::Stream };
        Self {
            truths: truths.iter().map(|line| serde_json::from_str(&line[2..]).unwrap()).collect(),
            parts: parts.iter().map(|line| part(line)).collect(),
            transport,
            keep: Keep::NOTHING,
        }
    }

    /// The same of an agent of whom this is kept.
    pub(super) fn kept(self, keep: Keep) -> Self {
        Self { keep, ..self }
    }

    pub(super) fn replay(&self) -> Vec<WireRecord> {
        self.replay_parts(|_, bytes| vec![Piece::Bytes(bytes)])
    }

    /// Replays it with each part as what `cut` makes of it; the parts are numbered.
    pub(super) fn replay_parts(
        &self,
        cut: impl for<'a> Fn(usize, &'a [u8]) -> Vec<Piece<'a>>,
    ) -> Vec<WireRecord> {
        let mut wire = Wire::default();
        let mut known = Vec::new();
        for (n, (at_ns, connection, piece)) in self.parts.iter().enumerate() {
            let (at_ns, connection) = (*at_ns, *connection);
            if !known.contains(&connection) {
                known.push(connection);
                wire.open(Opened { connection, owner: 7, transport: self.transport, keep: self.keep });
            }
            let Some((direction, bytes)) = piece else {
                wire.close(connection, at_ns);
                continue;
            };
            for piece in cut(n, bytes) {
                wire.take(&Chunk { connection, direction: *direction, offset: None, at_ns, piece });
            }
        }
        for connection in known {
            wire.close(connection, 0);
        }
        wire.records()
    }

    /// Whether the bytes of one direction of a connection have this text, as they are.
    pub(super) fn says(&self, text: &str) -> bool {
        let said = |way: Direction| {
            let parts = self.parts.iter().filter_map(|(_, _, piece)| piece.as_ref());
            parts
                .filter(|(direction, _)| *direction == way)
                .flat_map(|(_, bytes)| bytes.clone())
                .collect::<Vec<_>>()
        };
        let has = |bytes: Vec<u8>| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        has(said(Direction::Sent)) || has(said(Direction::Received))
    }
}

fn part(line: &str) -> Part {
    let mut words = line.split(' ');
    let mut number = || words.next().unwrap().parse().unwrap();
    let (at_ns, connection) = (number(), number());
    let direction = match words.next().unwrap() {
        ">" => Direction::Sent,
        "<" => Direction::Received,
        _ => return (at_ns, connection, None),
    };
    (at_ns, connection, Some((direction, STANDARD.decode(words.next().unwrap()).unwrap())))
}

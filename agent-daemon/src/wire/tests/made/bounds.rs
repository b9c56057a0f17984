//! Nothing grows without bound, and what does not fit is counted.

use super::{Talk, json, post};
use crate::{
    model::wire::Reason,
    wire::{Chunk, Direction, Piece},
};

#[test]
fn connections_beyond_the_bound_are_let_go_and_counted() {
    let mut talk = Talk::new();
    for connection in 2..10 {
        let piece = Piece::Bytes(b"GET / HTTP/1.1\r\n\r\n");
        talk.wire.take(&Chunk { connection, direction: Direction::Sent, offset: None, at_ns: 0, piece });
    }
    assert_eq!(talk.wire.losses().connections, 5);
    let exchanges = talk.exchanges();
    assert_eq!(exchanges.len(), 4);
    assert!(exchanges.iter().all(|exchange| exchange.partial.has(Reason::Evicted)));
}

#[test]
fn endless_heads_are_given_up() {
    let mut talk = Talk::new();
    talk.send(format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(100_000)));
    assert_eq!(talk.wire.losses().long_heads, 1);
    talk.send(post("/x", "{}")).receive(json(200, "{}"));
    assert_eq!(talk.exchanges().len(), 1);
}

#[test]
fn requests_without_answers_are_let_go() {
    let mut talk = Talk::new();
    talk.send("GET / HTTP/1.1\r\n\r\n".repeat(100));
    assert_eq!((talk.wire.losses().exchanges, talk.exchanges().len()), (36, 36));
    let mut talk = Talk::new();
    for id in 0..5000 {
        let request = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        talk.send(post("/mcp", &request)).receive(json(202, ""));
    }
    assert_eq!(talk.wire.losses().rpc_calls, 5000 - 4096);
    let told = talk.mcp();
    assert_eq!(told.len(), 5000 - 4096);
    assert!(told.iter().all(|call| call.partial == Reason::Evicted.into()), "{told:?}");
}

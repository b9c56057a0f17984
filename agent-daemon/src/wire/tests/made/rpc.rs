//! MCP: errors, batches, requests of servers, and what is none.

use super::{EVENTS, Talk, chunk, json, post};
use crate::{
    model::{
        content::Keep,
        wire::{McpTransport, Reason, Role},
    },
    wire::{Chunk, Direction, Opened, Piece, Transport, Wire},
};

#[test]
fn errors_and_missing_answers_are_told() {
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"x":"PLANTED"},"name":"search"}}"#;
    let mut talk = Talk::new();
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"PLANTED"}}"#;
    talk.at(10).send(post("/mcp", call)).at(25).receive(json(200, error));
    talk.send(post("/mcp", call)).receive(json(401, r#"{"error":"PLANTED"}"#));
    let calls = talk.mcp();
    let errors: Vec<_> = calls.iter().map(|call| call.error_type.as_deref().unwrap()).collect();
    assert_eq!(errors, ["-32602", "401"]);
    assert_eq!((calls[0].tool.as_deref(), calls[0].duration_ns), (Some("search"), 15));
    assert_eq!((calls[0].transport, calls[0].role), (McpTransport::Http, Role::Client));
    assert!(!format!("{calls:?}").contains("PLANTED"));
}

#[test]
fn a_stream_that_ends_without_the_answer_may_be_taken_up_again() {
    let (call, end) =
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}}"#, "0\r\n\r\n");
    let event = |data: &str| chunk(&format!("id: 1\ndata: {data}\n\n"));
    let mut talk = Talk::new();
    talk.at(10).send(post("/mcp", call)).receive(format!("{EVENTS}{}{end}", event("")));
    assert!(talk.mcp().is_empty(), "the answer may come on another");
    let get =
        "GET /mcp HTTP/1.1\r\nHost: localhost:8000\r\nAccept: text/event-stream\r\nLast-Event-ID: 1\r\n\r\n";
    let answer = event(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    talk.at(30).send(get).receive(format!("{EVENTS}{answer}{end}"));
    let [told] = &talk.mcp()[..] else { panic!("it is told once") };
    assert_eq!((told.tool.as_deref(), told.error_type.as_deref()), (Some("slow"), None));
    assert_eq!((told.transport, told.duration_ns), (McpTransport::Sse, 20));
    assert!(!told.partial.is_partial());
    // An answer without the message is none, and who is cut off gets none either.
    talk.send(post("/mcp", call)).receive(json(200, "{}"));
    talk.send(post("/mcp", call)).receive(EVENTS).close();
    let errors: Vec<_> = talk.mcp().into_iter().map(|call| call.error_type).collect();
    assert_eq!(errors, [None, Some("cut_off".to_owned())]);
}

#[test]
fn batches_are_so_many_calls() {
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":"1","method":"tools/list"},{"jsonrpc":"2.0","method":"notifications/x"}]"#;
    let answer = r#"[{"jsonrpc":"2.0","id":"1","result":{}},{"jsonrpc":"2.0","id":1,"result":{}}]"#;
    let mut talk = Talk::new();
    talk.send(post("/mcp", batch)).receive(json(200, answer));
    let methods: Vec<_> = talk.mcp().into_iter().map(|call| call.method).collect();
    assert_eq!(methods, ["tools/list", "ping"]);
}

#[test]
fn servers_on_one_host_are_told_apart_by_their_ports() {
    let mut talk = Talk::new();
    for (port, name) in [(8001, "first"), (8002, "second")] {
        let ask = |body| post("/mcp", body).replace("localhost:8000", &format!("localhost:{port}"));
        let hello = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"serverInfo":{{"name":"{name}"}}}}}}"#);
        talk.send(ask(r#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#)).receive(json(200, &hello));
    }
    for port in [8001, 8002] {
        let ask = post("/mcp", r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#);
        let ask = ask.replace("localhost:8000", &format!("localhost:{port}"));
        talk.send(ask).receive(json(200, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#));
    }
    let servers: Vec<_> = talk.mcp().into_iter().filter_map(|call| call.server).collect();
    assert_eq!(servers, ["first", "second", "first", "second"]);
}

/// Lines through a pipe: `true` for sent.
fn pipe(lines: &[(bool, Piece<'_>)]) -> Wire {
    let mut wire = Wire::default();
    wire.open(Opened { connection: 1, owner: 7, transport: Transport::Stdio, keep: Keep::NOTHING });
    for (n, (sent, piece)) in lines.iter().enumerate() {
        let direction = if *sent { Direction::Sent } else { Direction::Received };
        wire.take(&Chunk { connection: 1, direction, offset: None, at_ns: n as u64, piece: *piece });
    }
    wire
}

#[test]
fn both_ends_of_a_pipe_may_ask_by_the_same_ids() {
    let line = |text: &'static str| Piece::Bytes(text.as_bytes());
    let mut wire = pipe(&[
        (
            true,
            line("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"f\"}}\n"),
        ),
        (false, line("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sampling/createMessage\"}\n")),
        (true, line("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\nnot json\n")),
        (false, line("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"isError\":true}}\n")),
        (true, line("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}\n")),
    ]);
    wire.close(1, 9);
    let mut talk = Talk { wire, at_ns: 0 };
    let calls = talk.mcp();
    let told: Vec<_> =
        calls.iter().map(|call| (call.method.as_str(), call.role, call.error_type.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("sampling/createMessage", Role::Server, None),
            ("tools/call", Role::Client, Some("tool_error")),
            ("ping", Role::Client, Some("cut_off")),
        ]
    );
    assert_eq!((calls[2].partial, calls[2].duration_ns), (Reason::CutOff.into(), 5));
}

#[test]
fn a_request_that_is_given_up_ends_there() {
    let line = |text: &'static str| Piece::Bytes(text.as_bytes());
    let mut wire = pipe(&[
        (
            true,
            line("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"f\"}}\n"),
        ),
        // The server's own request of that id, and what is no cancellation, are no matter of it.
        (false, line("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sampling/createMessage\"}\n")),
        (
            true,
            line(
                "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"requestId\":1}}\n",
            ),
        ),
        (
            true,
            line(
                "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1,\"reason\":\"PLANTED\"}}\n",
            ),
        ),
        // The answer crossed it.
        (false, line("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n")),
        (
            true,
            line(
                "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}\n",
            ),
        ),
        (true, line("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n")),
    ]);
    wire.close(1, 9);
    let calls = Talk { wire, at_ns: 0 }.mcp();
    let told: Vec<_> =
        calls.iter().map(|c| (c.method.as_str(), c.error_type.as_deref(), c.duration_ns)).collect();
    assert_eq!(told, [("tools/call", Some("cancelled"), 3), ("sampling/createMessage", None, 5)]);
}

#[test]
fn a_request_over_http_is_given_up_by_another() {
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}}"#;
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    let (mut talk, open) = (Talk::new(), format!("{EVENTS}{}", chunk(": here\n\n")));
    talk.at(10).send(post("/mcp", call)).receive(open);
    let mut wire = talk.wire;
    wire.open(Opened { connection: 2, owner: 7, transport: Transport::Stream, keep: Keep::NOTHING });
    let cancel = post("/mcp", cancel);
    let piece = Piece::Bytes(cancel.as_bytes());
    wire.take(&Chunk { connection: 2, direction: Direction::Sent, offset: None, at_ns: 25, piece });
    let [told] = &Talk { wire, at_ns: 30 }.mcp()[..] else { panic!("it is told once") };
    assert_eq!((told.error_type.as_deref(), told.duration_ns), (Some("cancelled"), 15));
}

#[test]
fn a_gap_in_a_pipe_costs_the_lines_it_touches() {
    let mut wire = pipe(&[
        (true, Piece::Bytes(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"meth")),
        (true, Piece::Gap(None)),
        (true, Piece::Bytes(b"od\":\"x\"}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}\n")),
        (false, Piece::Bytes(b"{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n")),
    ]);
    wire.close(1, 9);
    let methods: Vec<_> = Talk { wire, at_ns: 0 }.mcp().into_iter().map(|call| call.method).collect();
    assert_eq!(methods, ["ping"]);
}

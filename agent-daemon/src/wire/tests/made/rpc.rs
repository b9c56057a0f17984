//! MCP: errors, batches, requests of servers, and what is none.

use super::{EVENTS, Talk, chunk, json, post};
use crate::{
    model::{
        content::Keep,
        wire::{McpTransport, Partial, Reason, Role},
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

fn line(text: &str) -> Piece<'_> {
    Piece::Bytes(text.as_bytes())
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

/// Bytes on a connection of owner 7.
fn said(wire: &mut Wire, connection: u64, direction: Direction, at_ns: u64, bytes: &str) {
    let piece = Piece::Bytes(bytes.as_bytes());
    wire.take(&Chunk { connection, direction, offset: None, at_ns, piece });
}

/// Has a call of a tool accepted, which is to be answered on another stream.
fn accepted(wire: &mut Wire, connection: u64, at_ns: u64, id: u64, tool: &str) {
    let call = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}"}}}}"#);
    said(wire, connection, Direction::Sent, at_ns, &post("/mcp", &call));
    said(wire, connection, Direction::Received, at_ns, &json(202, ""));
}

/// Connections 1 and 2 of owner 7, and 3 of owner 8.
fn connections() -> Wire {
    let mut wire = Wire::default();
    for (connection, owner) in [(1, 7), (2, 7), (3, 8)] {
        wire.open(Opened { connection, owner, transport: Transport::Stream, keep: Keep::NOTHING });
    }
    wire
}

const HOUR: u64 = 3600 * 1_000_000_000;

/// Of each call its tool, error and time, ns, and what is missing of it.
fn told(wire: Wire) -> Vec<(String, Option<String>, u64, Partial)> {
    let calls = Talk { wire, at_ns: 0 }.mcp();
    calls.into_iter().map(|c| (c.tool.unwrap(), c.error_type, c.duration_ns, c.partial)).collect()
}

#[test]
fn what_waits_ends_with_its_owner() {
    let mut wire = connections();
    accepted(&mut wire, 1, 10, 1, "first");
    accepted(&mut wire, 2, 20, 2, "second");
    accepted(&mut wire, 3, 30, 3, "third");
    wire.close(1, 40);
    wire.owner_ended(7, 50);
    wire.let_go_waiting(|connection| connection == 1);
    wire.let_go_waiting(|connection| connection == 3);
    wire.owner_ended(8, 99);
    let cut_off = || Some("cut_off".to_owned());
    let expected = [
        ("first".to_owned(), cut_off(), 40, Reason::CutOff.into()),
        ("second".to_owned(), cut_off(), 30, Reason::CutOff.into()),
        // It is not known what became of it.
        ("third".to_owned(), None, 0, Reason::DetachedEarly.into()),
    ];
    assert_eq!(told(wire), expected);
}

#[test]
fn who_counts_anew_is_not_told_of_what_was_asked_before() {
    let mut wire = connections();
    accepted(&mut wire, 1, 10, 5, "old");
    accepted(&mut wire, 1, 20, 6, "other");
    // It connects again, and counts from the beginning.
    accepted(&mut wire, 2, HOUR / 2, 5, "new");
    let get = "GET /sse HTTP/1.1\r\nHost: localhost:8000\r\nAccept: text/event-stream\r\n\r\n";
    let answer = chunk("data: {\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}\n\n");
    said(&mut wire, 2, Direction::Sent, HOUR / 2, get);
    said(&mut wire, 2, Direction::Received, HOUR / 2 + 30, &format!("{EVENTS}{answer}"));
    let expected = [
        ("old".to_owned(), Some("cut_off".to_owned()), HOUR / 2 - 10, Reason::CutOff.into()),
        ("new".to_owned(), None, 30, Partial::default()),
    ];
    assert_eq!(told(wire), expected);
    // In a pipe, too.
    let ask = line("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"f\"}}\n");
    let answer = line("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
    let durations: Vec<_> =
        told(pipe(&[(true, ask), (true, ask), (false, answer)])).into_iter().map(|call| call.2).collect();
    assert_eq!(durations, [1, 1]);
}

#[test]
fn two_clients_may_count_alike_at_once() {
    let mut wire = connections();
    let ask = |tool| {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"TOOL"}}"#;
        post("/mcp", &call.replace("TOOL", tool))
    };
    let answer = json(200, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    said(&mut wire, 1, Direction::Sent, 10, &ask("first"));
    said(&mut wire, 2, Direction::Sent, 20, &ask("second"));
    said(&mut wire, 2, Direction::Received, 25, &answer);
    said(&mut wire, 1, Direction::Received, 40, &answer);
    let expected =
        [("second", 5), ("first", 30)].map(|(tool, took)| (tool.to_owned(), None, took, Partial::default()));
    assert_eq!(told(wire), expected);
}

#[test]
fn nobody_is_waited_for_for_ever() {
    let mut wire = connections();
    accepted(&mut wire, 1, 10, 1, "late");
    accepted(&mut wire, 1, 20, 2, "later");
    accepted(&mut wire, 3, HOUR + 10, 1, "third");
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    said(&mut wire, 1, Direction::Sent, HOUR + 11, &post("/mcp", "{}"));
    said(&mut wire, 1, Direction::Received, HOUR + 12, &json(200, answer));
    assert_eq!(told(wire), [("late".to_owned(), None, HOUR, Reason::TooLong.into())]);
}

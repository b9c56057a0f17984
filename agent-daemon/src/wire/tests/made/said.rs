//! What is said, dialect by dialect.

use super::{ASK, EVENTS, Talk, chunk, json, post};
use crate::{
    model::content::{Content, Keep, Part, Unmasked},
    wire::{Chunk, Direction, Opened, Piece, Transport},
};

const KEEP: [Part; 3] = Part::ALL;

fn keep() -> Keep {
    Keep::new(0, &KEEP, 1000)
}

fn lines(said: Option<Box<Unmasked>>) -> Vec<String> {
    let texts = said.into_iter().flat_map(|said| said.texts);
    let line = |text: crate::model::content::Text| {
        let who = text.role.or(text.tool).unwrap_or_else(|| "-".to_owned());
        format!("{} {who}: {}", text.part.name(), text.text)
    };
    texts.map(line).collect()
}

/// What is said in a call that is asked so and answered by one document.
fn whole(path: &str, ask: &str, answer: &str) -> Vec<String> {
    let mut talk = Talk::keeping(keep());
    talk.send(post(path, ask)).receive(json(200, answer));
    lines(talk.call().said)
}

/// The same, answered by events.
fn streamed(path: &str, ask: &str, events: &[&str]) -> Vec<String> {
    let mut talk = Talk::keeping(keep());
    talk.send(post(path, ask)).receive(EVENTS);
    for event in events {
        talk.receive(chunk(&format!("data: {event}\n\n")));
    }
    talk.receive("0\r\n\r\n");
    lines(talk.call().said)
}

#[test]
fn chat() {
    let ask = r#"{"model":"m","messages":[{"role":"system","content":"be \u00e9 \ud83d\ude00"},{"content":[{"type":"text","text":"a\n\"b\""},{"type":"text","text":"c"}],"role":"user"},{"role":"tool","content":"42"}]}"#;
    let answer = r#"{"object":"chat.completion","choices":[{"message":{"content":"yes","reasoning_content":"hm","tool_calls":[{"function":{"name":"f","arguments":"{\"x\":1}"}},{"function":{"arguments":"{}","name":"g"}}]},"index":0},{"index":1,"message":{"content":"no"}}]}"#;
    let asked = ["prompts system: be é 😀", "prompts user: a\n\"b\"", "prompts user: c", "prompts tool: 42"];
    let answered = [
        "completions assistant: yes",
        "completions reasoning: hm",
        "tool_arguments f: {\"x\":1}",
        "tool_arguments g: {}",
        "completions assistant: no",
    ];
    let both: Vec<&str> = asked.into_iter().chain(answered).collect();
    assert_eq!(whole("/v1/chat/completions", ask, answer), both);
}

#[test]
fn chat_in_pieces() {
    let said = streamed(
        "/v1/chat/completions",
        ASK,
        &[
            r#"{"object":"chat.completion.chunk","choices":[{"delta":{"content":"on"},"index":0},{"delta":{"content":"x"},"index":1}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"e"}},{"index":1,"delta":{"content":"y"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}},{"index":1,"function":{"name":"g","arguments":"{"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"}"}},{"index":0,"function":{"arguments":"1"}}]}}]}"#,
            "[DONE]",
        ],
    );
    let answered = [
        "prompts user: PLANTED",
        "completions assistant: one",
        "completions assistant: xy",
        "tool_arguments f: 1",
        "tool_arguments g: {}",
    ];
    assert_eq!(said, answered);
}

#[test]
fn anthropic() {
    let ask = r#"{"model":"m","system":[{"type":"text","text":"sys"}],"messages":[{"role":"user","content":"hi"},{"role":"user","content":[{"type":"tool_result","content":"gave"},{"type":"text","text":"t"}]}]}"#;
    let answer = r#"{"type":"message","content":[{"type":"thinking","thinking":"h"},{"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"tool_use","name":"f","input":{"x": [1, "}"]}}]}"#;
    let asked = ["prompts system: sys", "prompts user: hi", "prompts tool: gave", "prompts user: t"];
    let answered = [
        "completions reasoning: h",
        "completions assistant: a",
        "completions assistant: b",
        "tool_arguments f: {\"x\": [1, \"}\"]}",
    ];
    let both: Vec<&str> = asked.into_iter().chain(answered).collect();
    assert_eq!(whole("/v1/messages", ask, answer), both);
    let said = streamed(
        "/v1/messages",
        r#"{"messages":[],"model":"m","stream":true}"#,
        &[
            r#"{"type":"message_start","message":{"model":"m"}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"so "}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"be it"}}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":":1}"}}"#,
            r#"{"type":"message_stop"}"#,
        ],
    );
    assert_eq!(said, ["completions assistant: so be it", "tool_arguments f: {\"a\":1}"]);
}

#[test]
fn responses() {
    let ask = r#"{"model":"m","instructions":"sys","input":[{"role":"user","content":[{"type":"input_text","text":"q"}]},{"type":"function_call_output","output":"42"}]}"#;
    let answer = r#"{"object":"response","output":[{"type":"reasoning","summary":[{"text":"r"}]},{"type":"message","content":[{"text":"a"}]},{"type":"function_call","name":"f","arguments":"{}"}]}"#;
    let asked = ["prompts system: sys", "prompts user: q", "prompts tool: 42"];
    let answered = ["completions reasoning: r", "completions assistant: a", "tool_arguments f: {}"];
    let both: Vec<&str> = asked.into_iter().chain(answered).collect();
    assert_eq!(whole("/v1/responses", ask, answer), both);
    let said = streamed(
        "/v1/responses",
        r#"{"model":"m","input":"q","stream":true}"#,
        &[
            r#"{"type":"response.output_text.delta","output_index":0,"delta":"o"}"#,
            r#"{"type":"response.output_text.delta","output_index":0,"delta":"k"}"#,
            r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","name":"f"}}"#,
            r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{"}"#,
            r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"}"}"#,
            r#"{"type":"response.completed","response":{"output":[{"content":[{"text":"ok"}]}]}}"#,
        ],
    );
    assert_eq!(said, ["prompts user: q", "completions assistant: ok", "tool_arguments f: {}"]);
}

#[test]
fn gemini() {
    let ask = r#"{"contents":[{"role":"user","parts":[{"text":"q"}]},{"role":"model","parts":[{"text":"before"}]}],"systemInstruction":{"parts":[{"text":"sys"}]}}"#;
    let path = "/v1beta/models/gemini-x:streamGenerateContent?alt=sse";
    let said = streamed(
        path,
        ask,
        &[
            r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"b"},{"functionCall":{"name":"f","args":{"x":"y"}}}]}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"args":{},"name":"g"}}]}}]}"#,
        ],
    );
    let answered = [
        "prompts user: q",
        "prompts model: before",
        // What stands behind the list is no part of it, but nothing tells its end.
        "prompts system: sys",
        "completions assistant: ab",
        "tool_arguments f: {\"x\":\"y\"}",
        "tool_arguments g: {}",
    ];
    assert_eq!(said, answered);
}

#[test]
fn ollama() {
    let ask = r#"{"model":"m","messages":[{"role":"user","content":"q"}],"stream":false}"#;
    let answer = r#"{"model":"m","message":{"role":"assistant","content":"a","tool_calls":[{"function":{"name":"f","arguments":{"x":1}}}]},"done":true}"#;
    let said = whole("/api/chat", ask, answer);
    assert_eq!(said, ["prompts user: q", "completions assistant: a", "tool_arguments f: {\"x\":1}"]);
}

#[test]
fn bedrock() {
    let ask = r#"{"messages":[{"role":"user","content":[{"text":"q"},{"toolResult":{"content":[{"text":"gave"}]}}]}]}"#;
    let answer = r#"{"output":{"message":{"content":[{"text":"a"},{"toolUse":{"name":"f","input":{"x":1}}}]}},"usage":{"inputTokens":1}}"#;
    let said = whole("/model/anthropic.claude/converse", ask, answer);
    let both =
        ["prompts user: q", "prompts tool: gave", "completions assistant: a", "tool_arguments f: {\"x\":1}"];
    assert_eq!(said, both);
}

#[test]
fn mcp() {
    let call =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"x":"\n"},"name":"search"}}"#;
    let mut talk = Talk::keeping(keep());
    talk.send(post("/mcp", call)).receive(json(200, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#));
    let other =
        r#"{"jsonrpc":"2.0","id":2,"method":"prompts/get","params":{"arguments":{"x":1},"name":"p"}}"#;
    talk.send(post("/mcp", other)).receive(json(200, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#));
    let said: Vec<_> = talk.mcp().into_iter().map(|call| lines(call.said)).collect();
    assert_eq!(said, [vec!["tool_arguments search: {\"x\":\"\\n\"}".to_owned()], Vec::new()]);
}

#[test]
fn of_a_long_conversation_the_newest_is_kept() {
    let message = |n: usize| format!(r#"{{"role":"user","content":"{n:05} {}"}}"#, "x".repeat(1000));
    let messages: Vec<String> = (0..20_000).map(message).collect();
    let ask = format!(r#"{{"model":"m","messages":[{}]}}"#, messages.join(","));
    let mut talk = Talk::keeping(Keep::new(0, &[Part::Prompts], 3000));
    talk.send(post("/v1/chat/completions", &ask)).receive(json(200, r#"{"object":"chat.completion"}"#));
    let call = talk.call();
    assert!(!call.partial.is_partial(), "what is kept bounds nothing else: {:?}", call.partial);
    let said = call.said.unwrap();
    let bytes: usize = said.texts.iter().map(|text| text.text.len()).sum();
    let left_out = said.left_out + said.texts.iter().map(|text| text.left_out).sum::<u64>();
    assert!(said.texts.last().unwrap().text.starts_with("19999 "));
    assert_eq!((bytes, bytes as u64 + left_out), (3000 + 4096, 20_000 * 1006));
}

#[test]
fn a_message_that_the_bound_cuts_is_still_of_whom_it_was() {
    let roles = ["user", "assistant", "tool", "system"];
    let message = |n: usize| {
        let text = n.to_string().repeat(800);
        match n % 3 {
            0 => format!(r#"{{"role":"{}","content":"{text}"}}"#, roles[n % 4]),
            1 => format!(
                r#"{{"content":[{{"text":"{text}"}},{{"text":"{text}"}}],"role":"{}"}}"#,
                roles[n % 4]
            ),
            _ => format!(
                r#"{{"role":"{}","content":[{{"text":"{text}"}},{{"text":"{text}"}}]}}"#,
                roles[n % 4]
            ),
        }
    };
    let messages: Vec<String> = (0..10).map(message).collect();
    let ask = format!(r#"{{"model":"m","messages":[{}]}}"#, messages.join(","));
    for most in (64..8000).step_by(131) {
        let mut talk = Talk::keeping(Keep::new(0, &[Part::Prompts], most));
        talk.send(post("/v1/chat/completions", &ask)).receive(json(200, r#"{"object":"chat.completion"}"#));
        let said = talk.call().said.unwrap();
        assert!(said.texts[0].left_out > 0 || said.left_out > 0);
        for text in &said.texts {
            let n: usize = text.text[..1].parse().unwrap();
            assert_eq!(text.role.as_deref(), Some(roles[n % 4]), "{n} of {most}");
        }
        let (bytes, left_out) = said.texts.iter().fold((0, said.left_out), |(bytes, left_out), text| {
            (bytes + text.text.len() as u64, left_out + text.left_out)
        });
        assert_eq!((bytes, bytes + left_out), (u64::from(most) + 4096, 16 * 800));
    }
}

#[test]
fn of_many_answers_the_newest_are_kept() {
    let event = |n: usize| format!(r#"{{"choices":[{{"index":{n},"delta":{{"content":"{n:06}"}}}}]}}"#);
    let mut talk = Talk::keeping(Keep::new(0, &KEEP, 1_000_000));
    talk.send(post("/v1/chat/completions", ASK)).receive(EVENTS);
    for n in 0..3000 {
        talk.receive(chunk(&format!("data: {}\n\n", event(n))));
    }
    // One that was left out goes on.
    talk.receive(chunk(&format!("data: {}\n\n", event(7)))).receive("0\r\n\r\n");
    let said = talk.call().said.unwrap();
    let texts: Vec<&str> = said.texts.iter().map(|text| text.text.as_str()).collect();
    assert_eq!((texts.len(), texts[1], texts[1024], said.left_out), (1025, "001977", " … ", 1977 * 6));
}

/// Were the first text moved for each piece of the second, this would move 200 GB.
#[test]
fn a_long_text_is_not_moved_for_each_piece_of_another() {
    let event =
        |n: usize, text: &str| format!(r#"{{"choices":[{{"index":{n},"delta":{{"content":"{text}"}}}}]}}"#);
    let mut talk = Talk::keeping(Keep::new(0, &KEEP, 1_000_000));
    talk.send(post("/v1/chat/completions", ASK)).receive(EVENTS);
    talk.receive(chunk(&format!("data: {}\n\n", event(0, &"x".repeat(1_100_000)))));
    for _ in 0..200_000 {
        talk.receive(chunk(&format!("data: {}\n\n", event(1, "y"))));
    }
    talk.receive("0\r\n\r\n");
    let said = talk.call().said.unwrap();
    assert_eq!((said.texts[1].text.len(), said.texts[2].text.len()), (1_004_096 - 200_000, 200_000));
}

#[test]
fn there_is_room_for_so_many_calls_and_no_more() {
    let mut talk = Talk::keeping(Keep::new(0, &KEEP, 1_000_000));
    // None is answered: all of them go on.
    for _ in 0..30 {
        talk.send(post("/v1/chat/completions", ASK));
    }
    assert_eq!(talk.wire.losses().contents, 30 - 16);
}

#[test]
fn what_says_nothing_needs_no_room() {
    let keep = Keep::new(0, &KEEP, 1_000_000);
    let mut talk = Talk::keeping(keep);
    let get = "GET /mcp HTTP/1.1\r\nHost: localhost:8000\r\nAccept: text/event-stream\r\n\r\n";
    talk.send(get.repeat(30)).receive(EVENTS);
    talk.wire.open(Opened { connection: 2, owner: 7, transport: Transport::Stream, keep });
    let ask = post("/v1/chat/completions", ASK);
    let piece = Piece::Bytes(ask.as_bytes());
    talk.wire.take(&Chunk { connection: 2, direction: Direction::Sent, offset: None, at_ns: 1, piece });
    talk.wire.close(2, 2);
    assert_eq!((lines(talk.call().said).len(), talk.wire.losses().contents), (1, 0));
}

/// A call of a tool by this id, which is accepted, to be answered on another stream.
fn accepted(talk: &mut Talk, id: usize, arguments: &str) {
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"arguments":{arguments},"name":"f"}}}}"#
    );
    talk.send(post("/mcp", &call)).receive(json(202, ""));
}

#[test]
fn who_is_not_answered_keeps_nobody_out_of_the_room() {
    let mut talk = Talk::keeping(Keep::new(0, &KEEP, 1_000_000));
    for id in 0..100 {
        accepted(&mut talk, id, "{}");
    }
    talk.send(post("/v1/chat/completions", ASK)).receive(json(200, r#"{"object":"chat.completion"}"#));
    assert_eq!((lines(talk.call().said).len(), talk.wire.losses().contents), (1, 0));
    talk.wire.owner_ended(7, 9);
    // Who takes nothing away has no room for all.
    let said: Vec<_> = talk.mcp().into_iter().filter_map(|call| call.said).collect();
    assert_eq!((said.len(), talk.wire.losses().contents), (16, 100 - 16));
}

#[test]
fn of_what_waits_the_oldest_is_forgotten() {
    let mut talk = Talk::keeping(Keep::new(0, &KEEP, 1_000_000));
    let most = crate::wire::mcp::MOST_SAID / 1_000_000;
    for id in 0..most + 4 {
        accepted(&mut talk, id, &format!(r#"{{"x":"{}"}}"#, "x".repeat(1_000_000 - 8)));
    }
    assert_eq!(talk.wire.losses().contents, 4);
    talk.wire.owner_ended(7, 9);
    let has: Vec<bool> = talk.mcp().into_iter().map(|call| call.said.is_some()).collect();
    let expected: Vec<bool> = (0..most + 4).map(|id| id >= 4).collect();
    assert_eq!(has, expected);
}

#[test]
fn what_waits_is_masked_while_it_waits() {
    let mut talk = Talk::keeping(keep());
    accepted(&mut talk, 1, r#"{"x":"PLANTED"}"#);
    let mut masked = Vec::new();
    let mut mask = |said: Unmasked| {
        let Unmasked { keep, texts, left_out, held } = said;
        masked.extend(texts.into_iter().map(|text| text.text));
        Some(Content { keep, texts: Vec::new(), left_out, held })
    };
    talk.wire.mask_waiting(&mut mask);
    talk.wire.mask_waiting(&mut mask);
    assert_eq!(masked, [r#"{"x":"PLANTED"}"#], "once");
    talk.wire.owner_ended(7, 9);
    let [told] = &talk.mcp()[..] else { panic!("it is told once") };
    assert!(told.said.is_none() && told.content.is_some());
}

//! Masks secrets in what is kept of what agents say, before it leaves the thread that read it.
//!
//! Secrets are looked for in texts that are put together, so that none hides between two pieces of a stream, and in more of
//! a text than is kept, so that none is cut in two by the bound. What they are known by: shapes and names are those of
//! command lines ([`argv`](crate::collect::argv)), keys of several lines, headers, passwords in URLs, long random strings,
//! and the operator's own patterns. What this cannot do: know a secret that is an ordinary word in an ordinary place.

use std::{ops::Range, sync::LazyLock};

use regex::{Captures, Regex};

use crate::{
    collect::argv::{
        names::is_secret_with,
        secrets::{SHAPES, is_random},
    },
    config::{self, Content as Rules},
    model::content::{Content, Part, Text, Unmasked},
};

/// What stands in a secret's place.
const MASKED: &str = "[masked]";

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test compiles them")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}

static KNOWN: LazyLock<Regex> = LazyLock::new(|| pattern(SHAPES));
/// Private keys as PEM and PGP have them, whole, or without their end.
static BLOCK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
    )
});
/// The same without their beginning.
static BLOCK_END: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\A[\s\S]*-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"));
/// What is masked are the groups.
static PLACES: LazyLock<[Regex; 3]> = LazyLock::new(|| {
    [
        r"(?i)\bbearer[ \t]+([A-Za-z0-9._~+/=\-]{4,})",
        r#"(?i)\bauthorization\\*["']?\s*[:=]\s*\\*["']?(\w+[ \t]+[A-Za-z0-9._~+/=\-]+)"#,
        r#"(?i)\b(?:set-)?cookie["']?\s*:\s*["']?([^\r\n"]+)"#,
    ]
    .map(pattern)
});
/// Passwords in URLs, which may have any sign in them.
static URL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"\b[A-Za-z][A-Za-z0-9+.\-]*://[^\s/:@"]*:([^\s"]+)@"#));
/// A name, and a value in quotes, in quotes that are escaped, or without.
static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r#"(?:(?P<name>[A-Za-z][A-Za-z0-9_.\-]*)(?:\\*["'])?[ \t]*(?:=>|[:=])[ \t]*"#,
        r"|--(?P<flag>[A-Za-z][A-Za-z0-9_\-]*)[ \t]+)",
        r#"(?:"(?P<double>(?:[^"\\]|\\[\s\S])*)|\\+"(?P<nested>[^"\\]*)|'(?P<single>[^'\r\n]*)"#,
        r#"|(?P<bare>[^\s"'\\,;&<>()\[\]{}]+))"#,
    ))
});
/// Long runs of what keys are made of.
static RUN: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z0-9_+\-]{32,}"));
/// Characters that JSON may write by their numbers.
static ESCAPED: LazyLock<Regex> = LazyLock::new(|| pattern(r"\\+u00([2-7][0-9A-Fa-f])"));

/// Masks what was said in a call, by the rule by which it is kept, and leaves out what is more than that keeps. Nothing, if
/// there is no such rule.
pub(super) fn mask(said: Unmasked, rules: &Rules) -> Option<Content> {
    let rule = rules.agents.get(said.keep.rule())?;
    let Unmasked { keep, mut texts, mut left_out, held } = said;
    for part in Part::ALL {
        let mut room = keep.max_bytes();
        for text in texts.iter_mut().rev().filter(|text| text.part == part) {
            let length = text.text.len();
            mask_text(text, room, &rule.mask);
            room = room.saturating_sub(length);
        }
    }
    texts.retain(|text| {
        let is_kept = keep.has(text.part) && (!text.text.is_empty() || text.tool.is_some());
        left_out += if is_kept { 0 } else { text.left_out };
        is_kept
    });
    Some(Content { keep, texts, left_out, held })
}

/// Masks a text, and keeps so many bytes of its end.
fn mask_text(text: &mut Text, room: usize, patterns: &[config::Regex]) {
    let mut whole = std::mem::take(&mut text.text);
    if text.part == Part::ToolArguments {
        whole = unescaped(&whole);
    }
    for name in [&mut text.role, &mut text.tool].into_iter().flatten() {
        if !secrets(name, patterns).is_empty() {
            MASKED.clone_into(name);
        }
    }
    let mut secrets = secrets(&whole, patterns);
    // What was cut off may be one.
    if text.left_out > 0 {
        let length = whole.bytes().take_while(is_of_word).count();
        secrets.insert(0, 0..length);
    }
    if text.is_broken {
        let length = whole.bytes().rev().take_while(is_of_word).count();
        secrets.push(whole.len() - length..whole.len());
    }
    let least = whole.len().saturating_sub(room);
    let from = (least..=whole.len()).find(|at| whole.is_char_boundary(*at)).unwrap_or(whole.len());
    text.left_out += from as u64;
    (text.text, text.masked) = masked(&whole, from, merged(secrets));
}

/// A text from there on with these ranges masked, and how many there are.
fn masked(text: &str, from: usize, ranges: Vec<Range<usize>>) -> (String, u32) {
    let (mut shown, mut at, mut count) = (String::new(), from, 0);
    for range in ranges.into_iter().filter(|range| range.end > from && !range.is_empty()) {
        shown.push_str(text.get(at..range.start.max(at)).unwrap_or_default());
        shown.push_str(MASKED);
        (at, count) = (range.end, count + 1);
    }
    shown.push_str(text.get(at..).unwrap_or_default());
    (shown, count)
}

/// Whether a byte may be of a secret that goes on.
fn is_of_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.+/=~%:@".contains(byte)
}

/// JSON without numbers for characters that need none: no secret may hide behind them.
fn unescaped(text: &str) -> String {
    let character = |found: &Captures<'_>| {
        let code = found.get(1).and_then(|digits| u8::from_str_radix(digits.as_str(), 16).ok());
        match code.map(char::from) {
            Some(character) if !matches!(character, '"' | '\\' | '\u{7f}') => character.to_string(),
            _ => found.get(0).map_or("", |all| all.as_str()).to_owned(),
        }
    };
    ESCAPED.replace_all(text, character).into_owned()
}

/// Where secrets stand in a text, in no order.
fn secrets(text: &str, patterns: &[config::Regex]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for pattern in [&*BLOCK, &*KNOWN] {
        found.extend(pattern.find_iter(text).map(|secret| secret.range()));
    }
    // An end alone is the rest of a key.
    let is_known = |end: &regex::Match<'_>| found.iter().any(|range| range.end == end.end());
    let rest = BLOCK_END.find(text).filter(|end| !is_known(end)).map(|end| end.range());
    found.extend(rest);
    for place in &*PLACES {
        found.extend(place.captures_iter(text).filter_map(|groups| Some(groups.get(1)?.range())));
    }
    found.extend(RUN.find_iter(text).filter(|run| is_random(run.as_str())).map(|run| run.range()));
    found.extend(
        URL.captures_iter(text).filter_map(|groups| groups.get(1)).filter(is_no_port).map(|p| p.range()),
    );
    assigned(text, &mut found);
    found.extend(patterns.iter().flat_map(|pattern| pattern.ranges(text)));
    found
}

/// Whether it is more than a port, where a password may stand.
fn is_no_port(text: &regex::Match<'_>) -> bool {
    let first = text.as_str().split('/').next().unwrap_or_default();
    first.len() == text.len() || !first.bytes().all(|byte| byte.is_ascii_digit())
}

/// Values that belong to the name of a secret.
fn assigned(text: &str, found: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(groups) = ASSIGNED.captures_at(text, at) {
        let Some(name) = groups.name("name").or(groups.name("flag")) else { return };
        let value = ["double", "nested", "single", "bare"].iter().find_map(|kind| groups.name(kind));
        let is_secret = |value: &regex::Match<'_>| {
            !value.as_str().starts_with("//") && is_secret_with(name.as_str(), value.as_str())
        };
        match value.filter(|value| !value.is_empty() && is_secret(value)) {
            Some(value) => {
                found.push(value.range());
                at = value.end();
            }
            None => at = name.end(),
        }
    }
}

/// The same ranges in their order, those that overlap or touch as one.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;
    use crate::{
        model::{
            content::{Held, Keep},
            wire::WireRecord,
        },
        wire::{Chunk, Direction, Opened, Piece, Transport, Wire},
    };

    fn text(text: &str) -> Text {
        let (part, text) = (Part::Prompts, text.to_owned());
        Text { part, role: None, tool: None, text, left_out: 0, masked: 0, is_broken: false }
    }

    fn shown(said: &str) -> String {
        let mut text = text(said);
        mask_text(&mut text, usize::MAX, &[config::Regex::new("hunter[0-9]").unwrap()]);
        text.text
    }

    #[test]
    fn secrets_are_masked_and_nothing_else() {
        for (said, masked) in [
            ("use sk-ant-api03-abc_DEF, please", "use [masked], please"),
            ("ghp_0123456789 and github_pat_11ABC_def", "[masked] and [masked]"),
            ("key AKIAIOSFODNN7EXAMPLE.", "key [masked]."),
            ("xoxb-123-456-abc AIzaSyA-1234567890", "[masked] [masked]"),
            ("eyJhbGciOi.eyJzdWIi.c2ln!", "[masked]!"),
            ("curl -H 'Authorization: Bearer abc.def'", "curl -H 'Authorization: [masked]'"),
            ("a Bearer abc.def, b", "a Bearer [masked], b"),
            ("Authorization: Basic dXNlcjpwYXNz\nHost: x", "Authorization: [masked]\nHost: x"),
            ("password=hunter2 or password: a;b", "password=[masked] or password: [masked];b"),
            (r#"{"api_key": "a b\" c", "n": 1}"#, r#"{"api_key": "[masked]", "n": 1}"#),
            (r#"{\"password\": \"x y\"}"#, r#"{\"password\": \"[masked]\"}"#),
            ("mysql --password x --host db", "mysql --password [masked] --host db"),
            ("postgres://u:p@ss@h/db", "postgres://u:[masked]@h/db"),
            ("Cookie: a=b; c=d\nnext", "Cookie: [masked]\nnext"),
            ("a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b", "a [masked] b"),
            ("a -----BEGIN PRIVATE KEY-----\nMIIE", "a [masked]"),
            ("MIIE\n-----END PRIVATE KEY----- b", "[masked] b"),
            ("a/Zm9vYmFyQmF6UXV4MTIzNDU2Nzg5MGFiY2RlZg/b", "a/[masked]/b"),
            ("my hunter2 is hunter", "my [masked] is hunter"),
        ] {
            assert_eq!(shown(said), masked, "{said}");
        }
        for said in [
            "The quick brown fox, at 10:30, says: no.",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\nbehind",
            r#"{"path": "/src/main.rs", "max_tokens": 100}"#,
            "https://example.com:8443/a@b",
            "tokens are counted; the token count is 5",
        ] {
            assert_eq!(shown(said), said, "{said}");
        }
    }

    #[test]
    fn a_bound_shows_no_half_of_a_secret() {
        let said = "before sk-ant-api03-abcdefghijklmnop after";
        for room in 0..said.len() {
            let mut text = text(said);
            mask_text(&mut text, room, &[]);
            let is_half = |start: usize| text.text.contains(&"sk-ant-api03-abcdefghijklmnop"[start..]);
            assert!(!(0..20).any(is_half) && !text.text.contains("mnop"), "{room}: {}", text.text);
            assert_eq!(text.left_out, (said.len() - room) as u64);
        }
    }

    #[test]
    fn what_was_cut_before_shows_no_half() {
        let mut cut = Text { left_out: 9, is_broken: true, ..text("rest-of-key then some more sk-a") };
        mask_text(&mut cut, 1000, &[]);
        assert_eq!(cut.text, "[masked] then some more [masked]");
    }

    #[test]
    fn characters_by_their_numbers_hide_nothing() {
        let said = r#"{"k":"\u0073k-ant-api03-abcdef","quote":"\u0022"}"#;
        let mut arguments = Text { part: Part::ToolArguments, ..text(said) };
        mask_text(&mut arguments, 1000, &[]);
        assert_eq!(arguments.text, r#"{"k":"[masked]","quote":"\u0022"}"#);
    }

    #[test]
    fn the_newest_is_kept_of_each_part() {
        let keep = Keep::new(0, &[Part::Prompts], 6);
        let texts =
            vec![text("first"), text("second"), Text { part: Part::Completions, ..text("no") }, text("new")];
        let said = Unmasked { keep, texts, left_out: 2, held: Held::default() };
        let rules = Rules { agents: vec![config::ContentRule::keeping("*")], ..Rules::default() };
        let content = mask(said.clone(), &rules).unwrap();
        let kept: Vec<_> = content.texts.iter().map(|text| (text.text.as_str(), text.left_out)).collect();
        assert_eq!(kept, [("ond", 3), ("new", 0)]);
        assert_eq!(content.left_out, 7);
        assert!(mask(said, &Rules::default()).is_none());
    }

    const SECRET: &str = "sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789";

    /// What is kept of a stream that says a secret in pieces, with a hole in it.
    fn kept_of_stream(piece: usize, hole: Range<usize>, most: u32) -> String {
        let said = format!("the key is {SECRET} and so on, and so on");
        let mut stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n".to_owned();
        for piece in said.as_bytes().chunks(piece) {
            let delta = serde_json::json!({ "content": std::str::from_utf8(piece).unwrap() });
            let event = serde_json::json!({ "object": "chat.completion.chunk", "choices": [{ "index": 0, "delta": delta }] });
            stream += &format!("data: {event}\n\n");
        }
        let ask = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{said}"}}]}}"#);
        let ask = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{ask}",
            ask.len()
        );
        let keep = Keep::new(0, &Part::ALL, most);
        let mut wire = Wire::default();
        wire.open(Opened { connection: 1, owner: 1, transport: Transport::Stream, keep });
        let mut take = |direction, piece: Piece<'_>| {
            wire.take(&Chunk { connection: 1, direction, offset: None, at_ns: 1, piece });
        };
        take(Direction::Sent, Piece::Bytes(ask.as_bytes()));
        let bytes = stream.as_bytes();
        let (from, to) = (hole.start.min(bytes.len()), hole.end.min(bytes.len()));
        take(Direction::Received, Piece::Bytes(&bytes[..from]));
        if from < to {
            take(Direction::Received, Piece::Gap(Some((to - from) as u64)));
        }
        take(Direction::Received, Piece::Bytes(&bytes[to..]));
        wire.close(1, 2);
        let rules = Rules { agents: vec![config::ContentRule::keeping("*")], ..Rules::default() };
        let said = wire.records().into_iter().filter_map(|record| match record {
            WireRecord::Llm(call) => call.said,
            _ => None,
        });
        let texts = said.filter_map(|said| mask(*said, &rules)).flat_map(|content| content.texts);
        texts.map(|text| format!("{}: {}\n", text.part.name(), text.text)).collect()
    }

    #[test]
    fn a_secret_in_pieces_is_one() {
        let kept = kept_of_stream(3, 0..0, 1000);
        let said = "the key is [masked] and so on, and so on";
        assert_eq!(kept, format!("prompts: {said}\ncompletions: {said}\n"));
    }

    proptest! {
        /// Wherever bytes are missing, and wherever the bound is, no part of a secret is kept.
        #[test]
        fn a_hole_bares_no_secret(piece in 1..20usize, from in 60..6000usize, length in 0..2000usize, most in 1..80u32) {
            let kept = kept_of_stream(piece, from..from + length, most);
            for part in SECRET.as_bytes().windows(5) {
                prop_assert!(!kept.contains(std::str::from_utf8(part).unwrap()), "{}", kept);
            }
        }
    }
}

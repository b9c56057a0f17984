//! Recordings cut otherwise, and with holes: the same is told, or less of it.

use proptest::{
    prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest},
    sample::Index,
};

use super::{
    recording::{NAMES, Recording},
    truth::as_json,
};
use crate::{
    model::wire::{LlmCall, McpCall, WireRecord},
    wire::Piece,
};

/// Words that a record may take from outside.
fn words(record: &WireRecord) -> Vec<&str> {
    match record {
        WireRecord::Llm(call) => {
            let LlmCall { server, request_model, response_model, finish_reason, error_type, tools, .. } =
                &**call;
            let single = [server, request_model, response_model, finish_reason, error_type];
            single.into_iter().flatten().chain(tools).map(String::as_str).collect()
        }
        WireRecord::Mcp(McpCall { server, method, tool, error_type, .. }) => {
            [server.as_deref(), Some(method.as_str()), tool.as_deref(), error_type.as_deref()]
                .into_iter()
                .flatten()
                .collect()
        }
        WireRecord::Http(http) => {
            [http.server.as_deref(), http.route.as_deref()].into_iter().flatten().collect()
        }
    }
}

fn numbers(record: &WireRecord) -> Vec<u64> {
    let WireRecord::Llm(call) = record else { return Vec::new() };
    let tokens = call.tokens;
    [tokens.input, tokens.output, tokens.cache_read, tokens.cache_write, tokens.reasoning]
        .into_iter()
        .flatten()
        .collect()
}

fn is_partial(record: &WireRecord) -> bool {
    match record {
        WireRecord::Llm(call) => call.partial.is_partial(),
        WireRecord::Mcp(call) => call.partial.is_partial(),
        WireRecord::Http(http) => http.partial.is_partial(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// However the bytes come in pieces.
    #[test]
    fn any_split_tells_the_same(name in any::<Index>(), size in 1..40usize) {
        let recording = Recording::read(NAMES[name.index(NAMES.len())]);
        let split = recording.replay_parts(|_, bytes| bytes.chunks(size).map(Piece::Bytes).collect());
        prop_assert_eq!(split, recording.replay());
    }

    /// Whatever is missing: no word and no count that was not there, and where a call differs it says why.
    #[test]
    fn a_hole_invents_nothing(
        name in any::<Index>(), part in any::<Index>(), from in any::<Index>(), length in any::<Index>(), known in any::<bool>()
    ) {
        let name = NAMES[name.index(NAMES.len())];
        let recording = Recording::read(name);
        let hit = part.index(recording.parts.len());
        let records = recording.replay_parts(|n, bytes| {
            if n != hit {
                return vec![Piece::Bytes(bytes)];
            }
            let from = from.index(bytes.len());
            let to = from + 1 + length.index(bytes.len() - from);
            let gap = Piece::Gap(known.then_some((to - from) as u64));
            vec![Piece::Bytes(&bytes[..from]), gap, Piece::Bytes(&bytes[to..])]
        });
        let whole = recording.replay();
        let known_words: Vec<&str> = whole.iter().flat_map(words).collect();
        let known_numbers: Vec<u64> = whole.iter().flat_map(numbers).collect();
        let known_calls: Vec<_> = whole.iter().filter_map(as_json).collect();
        for record in &records {
            let told = as_json(record);
            for word in words(record) {
                let ours = matches!(word, "cut_off" | "cancelled" | "_OTHER" | "429" | "529");
                prop_assert!(ours || known_words.contains(&word), "{name}: {word} in {record:?}");
            }
            for number in numbers(record) {
                // Of sums a part may be missing.
                prop_assert!(is_partial(record) || known_numbers.contains(&number), "{name}: {number} in {record:?}");
            }
            if let (Some(told), false) = (told, is_partial(record)) {
                let same = |known: &serde_json::Value| {
                    known.as_object().unwrap().iter().all(|(key, value)| key == "server" || key == "retries" || told[key] == *value)
                };
                prop_assert!(known_calls.iter().any(same), "{name}: {told} is not whole and does not say so");
            }
        }
    }
}

//! The scanner against documents whose values are known, whole, in pieces and with holes.

use std::sync::LazyLock;

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::{Document, Paths, Scanner, Shape, Spoken, Take, Value, Watch};
use crate::wire::field::{Field, Speech};

static PATHS: LazyLock<Paths> = LazyLock::new(|| {
    Paths::new(&[&[
        Watch::new("model", Take::Word, Field::Model),
        Watch::new("stream", Take::Flag, Field::Stream),
        Watch::new("usage.in", Take::Number, Field::Input),
        Watch::new("usage.details.cached", Take::Number, Field::CacheRead),
        Watch::new("choices[].delta.content", Take::Presence, Field::Content),
        Watch::new("choices[].calls[].function.name", Take::Word, Field::Tool),
        Watch::new("id", Take::Hash, Field::Id),
        Watch::new("error.code", Take::Word, Field::ErrorCode),
    ]])
});

const DOCUMENT: &str = r#"{"messages":[{"role":"user","content":"say \"model\":\"planted\", \\"},{"a":[1,[2,{}]]}],
 "model" : "gpt\/4.1", "stream":true, "id":"x1","usage":{"in":1200,"x":{"in":7},"details":{"cached":34}},
 "choices":[{"delta":{"content":"planted secret"},"calls":[{"function":{"name":"f","arguments":"{\"name\":1}"}},
 {"function":{"name":"g"}}]}],"error":{"code":-3}}"#;

/// What is found in pieces, `None` for a gap; with whether each document was whole.
fn scan(pieces: &[Option<&[u8]>], shape: Shape) -> Vec<(Vec<String>, bool)> {
    let mut scanner = Scanner::new(&PATHS, shape);
    let mut documents = Vec::new();
    let mut found = |document: &Document<'_>| {
        let text = |value: &Value| match value {
            Value::Word(word) => word.clone(),
            Value::Number(number) => number.to_string(),
            Value::Flag(flag) => flag.to_string(),
            Value::Present => "present".to_owned(),
            Value::Hash(hash) => format!("{hash:x}"),
            Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        };
        let hits = document.hits.iter().map(|hit| format!("{:?} {}", hit.field, text(&hit.value)));
        documents.push((hits.collect(), document.whole));
    };
    for piece in pieces {
        match piece {
            Some(bytes) => scanner.feed(bytes, &mut found),
            None => scanner.gap(&mut found),
        }
    }
    scanner.finish(&mut found);
    documents
}

fn expected() -> Vec<String> {
    let id = format!("Id {:x}", crate::model::hash::fnv1a(crate::model::hash::FNV_START, *b"x1"));
    let words =
        ["Model gpt/4.1", "Stream true", &id, "Input 1200", "CacheRead 34", "Content present", "Tool f"];
    words.iter().chain(&["Tool g", "ErrorCode -3"]).map(|word| (*word).to_owned()).collect()
}

#[test]
fn values_at_watched_paths_are_found_and_no_others() {
    assert_eq!(scan(&[Some(DOCUMENT.as_bytes())], Shape::Body), [(expected(), true)]);
}

#[test]
fn words_are_identifiers() {
    for (text, found) in [
        (r#"{"model":"two words"}"#, None),
        (r#"{"model":"a\u002fb"}"#, None),
        (r#"{"model":""}"#, None),
        (r#"{"model":{"model":"x"}}"#, None),
        (r#"{"model":["x"]}"#, None),
        (r#"{"model":null}"#, None),
        (r#"{"usage":{"in":1.5}}"#, None),
        (r#"{"usage":{"in":-5}}"#, None),
        (r#"{"model":"claude-opus-4@20250514"}"#, Some("Model claude-opus-4@20250514")),
    ] {
        let hits: Vec<String> =
            scan(&[Some(text.as_bytes())], Shape::Body).into_iter().flat_map(|d| d.0).collect();
        assert_eq!(hits, found.into_iter().collect::<Vec<_>>(), "{text}");
    }
    let long = format!(r#"{{"model":"{}"}}"#, "x".repeat(129));
    assert_eq!(scan(&[Some(long.as_bytes())], Shape::Body), [(vec![], true)]);
}

#[test]
fn documents_follow_each_other_in_arrays_and_lines() {
    let array = br#"[{"model":"a"} ,{"model":"b"}]"#;
    let words =
        |documents: Vec<(Vec<String>, bool)>| documents.into_iter().flat_map(|d| d.0).collect::<Vec<_>>();
    assert_eq!(words(scan(&[Some(array)], Shape::Body)), ["Model a", "Model b"]);
    let lines = b"{\"model\":\"a\"}\n{\"model\":\n{\"model\":\"b\"}\nnoise\n{\"model\":\"c\"}";
    assert_eq!(words(scan(&[Some(lines)], Shape::Lines)), ["Model a", "Model b", "Model c"]);
    let gap = [Some(&b"{\"model\":\"a\"}\n{\"mod"[..]), None, Some(b"el\":\"x\"}\n{\"model\":\"b\"}\n")];
    assert_eq!(words(scan(&gap, Shape::Lines)), ["Model a", "Model b"]);
}

#[test]
fn the_tail_of_a_document_is_read_if_it_leads_to_the_root() {
    let tail = |text: &str| {
        scan(&[Some(br#"{"messages":[{"content":"abc"#), None, Some(text.as_bytes())], Shape::Body)
    };
    assert_eq!(tail(r#"def"}],"model":"m","stream":false}"#)[0].0, ["Model m", "Stream false"]);
    assert_eq!(tail(r#"x":{"model":"no"}}],"model":"m"}"#)[0].0, ["Model m"]);
    // Not of the root, in a string, or cut before the root's end.
    for text in
        [r#"","model":"no"}]}"#, r#"\"model\":\"no\"}]"}"#, r#"","k":{"model":"no"}}"#, r#""}],"model":"no""#]
    {
        assert_eq!(tail(text), [], "{text}");
    }
}

#[test]
fn depth_and_size_are_bounded() {
    let deep = "[".repeat(100_000);
    let mut scanner = Scanner::new(&PATHS, Shape::Body);
    scanner.feed(b"{\"x\":", &mut |_| {});
    scanner.feed(deep.as_bytes(), &mut |_| {});
    assert!(scanner.too_long());
    let many =
        format!(r#"{{"choices":[{{"calls":[{}]}}]}}"#, vec![r#"{"function":{"name":"f"}}"#; 1000].join(","));
    assert_eq!(scan(&[Some(many.as_bytes())], Shape::Body)[0].0.len(), 256);
}

proptest! {
    #[test]
    fn any_split_finds_the_same(cuts in proptest::collection::vec(0..DOCUMENT.len(), 0..6)) {
        let mut cuts = cuts;
        cuts.extend([0, DOCUMENT.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|w| Some(&DOCUMENT.as_bytes()[w[0]..w[1]])).collect();
        prop_assert_eq!(scan(&pieces, Shape::Body), [(expected(), true)]);
    }

    #[test]
    fn a_hole_invents_nothing(from in 0..DOCUMENT.len(), length in 1..400usize) {
        let to = (from + length).min(DOCUMENT.len());
        let pieces = [Some(&DOCUMENT.as_bytes()[..from]), None, Some(&DOCUMENT.as_bytes()[to..])];
        let expected = expected();
        for (hits, whole) in scan(&pieces, Shape::Body) {
            prop_assert!(!whole);
            for hit in hits {
                prop_assert!(expected.contains(&hit), "{hit}");
            }
        }
    }

    #[test]
    fn noise_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..200usize) {
        let at = at.min(bytes.len());
        scan(&[Some(&bytes[..at]), None, Some(&bytes[at..])], Shape::Body);
        scan(&[Some(&bytes[..at]), Some(&bytes[at..])], Shape::Lines);
    }
}

static SPOKEN: LazyLock<Paths> = LazyLock::new(|| {
    Paths::new(&[&[
        Watch::new("a.text", Take::Text, Field::Said(Speech::Prompt)),
        Watch::new("a.text", Take::Presence, Field::Content),
        Watch::new("raw", Take::Raw, Field::Said(Speech::WholeArguments)),
    ]])
});

/// What is said in a document that comes in pieces of this size, and how much is left out.
fn spoken(document: &str, size: usize, most: usize) -> Vec<(String, u64)> {
    let mut scanner = Scanner::new(&SPOKEN, Shape::Body).with_spoken(most);
    let mut texts = Vec::new();
    let mut found = |document: &Document<'_>| {
        for (_, spoken) in document.spoken {
            let Spoken::Text(text) = spoken else { continue };
            texts.push((text.text(), text.left_out()));
        }
    };
    document.as_bytes().chunks(size).for_each(|piece| scanner.feed(piece, &mut found));
    scanner.finish(&mut found);
    texts
}

#[test]
fn values_are_taken_as_they_stand() {
    let document = r#"{"raw": {"a" : [1, "]}\"", {}]}, "a":{"text":"x"}}"#;
    let taken = spoken(document, 1, 100);
    assert_eq!(taken, [(r#"{"a" : [1, "]}\"", {}]}"#.to_owned(), 0), ("x".to_owned(), 0)]);
}

proptest! {
    #[test]
    fn texts_are_taken_as_they_were_meant(text in ".{0,200}", size in 1..50usize, ascii in any::<bool>()) {
        let mut coded = serde_json::to_string(&text).unwrap();
        if ascii {
            let unit = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
            coded = coded.chars().map(|c| if c.is_ascii() { c.to_string() } else { unit(c) }).collect();
        }
        let document = format!(r#"{{"a":{{"text":{coded}}}}}"#);
        prop_assert_eq!(spoken(&document, size, 1000), [(text, 0)]);
    }

    #[test]
    fn of_a_long_text_its_end_is_taken(text in "[a-zé😀]{1,300}", size in 1..50usize, most in 1..100usize) {
        let document = format!(r#"{{"a":{{"text":"{text}"}}}}"#);
        let (end, left_out) = spoken(&document, size, most).remove(0);
        prop_assert!(text.ends_with(&end) && end.len() <= most && end.len() + 4 > most.min(text.len()));
        prop_assert_eq!(left_out as usize, text.len().saturating_sub(most));
    }
}

//! One record of a body that is JSON, and what is wrong with it: by the names of the format's own fields, never by
//! anything that was sent.

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use super::limits;

/// Reads a record. What it is not is the end of a sentence that begins with "the record".
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    if text.len() > limits::MAX_RECORD {
        return Err(format!("is larger than {} bytes", limits::MAX_RECORD));
    }
    let deserializer = &mut serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(deserializer).map_err(|e| wrong(&e.inner().to_string(), e.path()))
}

/// Of serde's messages only what stands in our source is told: names of fields, which lead the message or end it.
fn wrong(message: &str, path: &Path) -> String {
    let named = |start: &str| message.strip_prefix(start)?.split('`').next();
    if let Some(field) = named("missing field `") {
        return format!("lacks `{field}`");
    }
    if let Some(field) = named("duplicate field `") {
        return format!("has `{field}` twice");
    }
    if message.starts_with("unknown field `") {
        let known = message.rsplit_once("expected ").map_or("", |(_, known)| known);
        let known = known.rsplit_once(" at line ").map_or(known, |(known, _)| known);
        return format!("has a key that is not known: expected {known}");
    }
    match path.iter().next() {
        Some(Segment::Map { key }) => {
            format!("has a value of a wrong type, too large or too deep in `{key}`")
        }
        _ => "is no object, or too deep".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::{any, proptest};
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read")]
    struct Known {
        name: String,
        #[serde(default)]
        size: u32,
        #[serde(default)]
        labels: BTreeMap<String, u32>,
        #[serde(default)]
        below: Vec<Known>,
    }

    fn refusal(text: &str) -> String {
        read::<Known>(text).unwrap_err()
    }

    #[test]
    fn what_is_wrong_is_said_by_the_field() {
        for (text, says) in [
            ("{}", "lacks `name`"),
            (r#"{"name":"a","name":"PLANTED"}"#, "has `name` twice"),
            (r#"{"name":"a","PLANTED":1}"#, "one of `name`, `size`, `labels`, `below`"),
            (r#"{"name":"a","expected PLANTED":1}"#, "expected one of `name`"),
            (r#"{"name":"a","size":"PLANTED"}"#, "wrong type, too large or too deep in `size`"),
            (r#"{"name":"a","size":4294967296}"#, "in `size`"),
            (r#"{"name":"a","labels":{"PLANTED":-1}}"#, "in `labels`"),
            (r#"{"name":"a","below":[{"name":"b"},{"name":1}]}"#, "in `below`"),
            (r#"{"name":"a","below":[{}]}"#, "lacks `name`"),
            ("[1]", "no object"),
            ("7", "no object"),
        ] {
            let said = refusal(text);
            assert!(said.contains(says) && !said.contains("PLANTED"), "{text}: {said}");
        }
        let deep = r#"{"name":"x","below":["#.repeat(1000);
        assert!(refusal(&deep).contains("too deep"), "{}", refusal(&deep));
        assert!(refusal(&"x".repeat(limits::MAX_RECORD + 1)).contains("larger than"));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in any::<String>()) {
            let _ = read::<Known>(&text);
        }
    }
}

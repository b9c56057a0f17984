//! Whether what agentperf tells of an agent's calls is what the provider knows of them, and if not, whether coverage says why.

use serde_json::{Value, json};

/// What the provider says of an agent's calls, and what agentperf does.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// The provider's lines.
    pub(super) truths: Vec<Value>,
    /// Rows of `/llm-calls`.
    pub(super) calls: Vec<Value>,
    /// The last row of coverage of each process.
    pub(super) processes: Vec<Value>,
    /// Rows of `ended` in coverage.
    pub(super) ended: Vec<Value>,
}

/// What becomes of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Each call is told once, as it was.
    Seen,
    /// Each is told, but not all of it, as it says itself.
    Part(String),
    /// Not each is told, and coverage says why.
    Explained(String),
    /// Something else.
    Wrong(String),
}

impl Verdict {
    pub(super) fn is_right(&self) -> bool {
        !matches!(self, Self::Wrong(_))
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Seen => "seen".to_owned(),
            Self::Part(what) => format!("seen in part: {what}"),
            Self::Explained(why) => format!("not seen: {why}"),
            Self::Wrong(how) => format!("WRONG: {how}"),
        }
    }
}

impl Evidence {
    /// Judges it.
    pub(super) fn judge(&self) -> Verdict {
        if self.truths.is_empty() {
            return Verdict::Wrong("it asked no model".to_owned());
        }
        let mut left: Vec<&Value> = self.calls.iter().collect();
        let mut missing = Vec::new();
        for truth in &self.truths {
            match left.iter().position(|call| agree(truth, call)) {
                Some(at) => drop(left.remove(at)),
                None => missing.push(truth),
            }
        }
        let mut parts = Vec::new();
        missing.retain(|truth| {
            let part = left.iter().position(|call| agree_in_part(truth, call)).map(|at| left.remove(at));
            parts.extend(part);
            part.is_none()
        });
        match (&missing[..], &left[..]) {
            ([], []) => match parts.first() {
                Some(part) => Verdict::Part(shown(part)),
                None => Verdict::Seen,
            },
            ([first, ..], []) => match self.reason() {
                Some(why) => Verdict::Explained(why),
                None => {
                    Verdict::Wrong(format!("{} not told, and nothing says why, as {first}", missing.len()))
                }
            },
            (_, [call, ..]) => Verdict::Wrong(format!("told otherwise than it was, as {}", shown(call))),
        }
    }

    /// All of it.
    pub(super) fn json(&self) -> Value {
        json!({ "made": self.truths, "told": self.calls, "processes": self.processes, "ended": self.ended })
    }

    /// What coverage says of processes that are not seen.
    fn reason(&self) -> Option<String> {
        let blind = self.processes.iter().filter(|process| text(process, "state") == Some("blind"));
        blind.chain(&self.ended).find_map(|process| text(process, "reason")).map(str::to_owned)
    }

    /// The TLS libraries that are probed, or why they are not.
    pub(super) fn libraries(&self) -> String {
        let rows = self.processes.iter().filter_map(|process| process.get("libraries")?.as_array()).flatten();
        let mut libraries: Vec<String> = rows.filter_map(library).collect();
        libraries.sort();
        libraries.dedup();
        libraries.join(", ")
    }

    /// The models that were asked, as told.
    pub(super) fn models(&self) -> String {
        let mut models: Vec<&str> =
            self.calls.iter().filter_map(|call| text(call, "request_model")).collect();
        models.dedup();
        models.join(", ")
    }

    /// Tokens in and out of all calls, as told and as the provider sent them.
    pub(super) fn tokens(&self) -> [String; 2] {
        let sum = |rows: &[Value], field: &str| -> u64 {
            rows.iter().filter_map(|row| row.get(field)?.as_u64()).sum()
        };
        let both = |rows: &[Value], [input, output]: [&str; 2]| {
            format!("{}/{}", sum(rows, input), sum(rows, output))
        };
        [both(&self.calls, ["input_tokens", "output_tokens"]), both(&self.truths, ["input", "output"])]
    }
}

/// Whether a call is told as the provider knows it.
fn agree(truth: &Value, call: &Value) -> bool {
    let same = |known: &str, told: &str| {
        truth.get(known).and_then(Value::as_u64) == call.get(told).and_then(Value::as_u64)
    };
    text(truth, "model") == text(call, "request_model")
        && same("status", "status")
        && same("input", "input_tokens")
        && same("output", "output_tokens")
}

/// Whether a call that is told in part says nothing that was not so.
fn agree_in_part(truth: &Value, call: &Value) -> bool {
    let is_part = call.get("partial").and_then(Value::as_array).is_some_and(|reasons| !reasons.is_empty());
    let pairs = [
        ("model", "request_model"),
        ("status", "status"),
        ("input", "input_tokens"),
        ("output", "output_tokens"),
    ];
    let untold = |told: Option<&Value>| told.is_none_or(Value::is_null);
    is_part
        && pairs.iter().all(|(known, told)| untold(call.get(*told)) || truth.get(*known) == call.get(*told))
}

/// What of a call is compared, and what it says of itself.
fn shown(call: &Value) -> String {
    let fields = ["request_model", "status", "input_tokens", "output_tokens", "error_type", "partial"];
    let told = fields.iter().map(|field| format!("{field} {}", call.get(*field).unwrap_or(&Value::Null)));
    told.collect::<Vec<_>>().join(", ")
}

fn library(row: &Value) -> Option<String> {
    let name = text(row, "library").filter(|name| *name != "libc")?;
    let version = text(row, "version").map_or_else(String::new, |version| format!(" {version}"));
    let file = text(row, "file")?.rsplit('/').next()?;
    let state = text(row, "state").filter(|state| *state != "attached");
    Some(format!(
        "{name}{version} in {file}{}",
        state.map_or_else(String::new, |state| format!(" ({state})"))
    ))
}

fn text<'a>(row: &'a Value, field: &str) -> Option<&'a str> {
    row.get(field)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(told: u64) -> Evidence {
        let truth = json!({ "model": "m", "status": 200, "input": 5, "output": 7 });
        let call = json!({ "request_model": "m", "status": 200, "input_tokens": 5, "output_tokens": told });
        Evidence { truths: vec![truth], calls: vec![call], ..Evidence::default() }
    }

    #[test]
    fn each_call_is_to_be_told_once_as_it_was() {
        assert_eq!(evidence(7).judge(), Verdict::Seen);
        assert!(!evidence(8).judge().is_right());
        let mut twice = evidence(7);
        twice.calls.push(twice.calls[0].clone());
        assert!(!twice.judge().is_right(), "told twice");
        assert!(!Evidence::default().judge().is_right(), "nothing was asked");
        assert_eq!(evidence(8).tokens(), ["5/8", "5/7"]);
    }

    #[test]
    fn what_is_told_in_part_says_so_and_nothing_wrong() {
        let mut part = evidence(7);
        part.calls[0]["request_model"] = Value::Null;
        assert!(!part.judge().is_right(), "it does not say that it is a part");
        part.calls[0]["partial"] = json!(["attached_late"]);
        assert!(matches!(part.judge(), Verdict::Part(what) if what.contains("attached_late")));
        part.calls[0]["input_tokens"] = json!(6);
        assert!(!part.judge().is_right());
    }

    #[test]
    fn what_is_not_told_needs_a_reason() {
        let mut unseen = evidence(7);
        unseen.calls.clear();
        assert!(!unseen.judge().is_right());
        let library =
            json!({ "library": "rustls", "version": "0.23.46", "file": "/a/codex", "state": "blind" });
        unseen.processes = vec![
            json!({ "state": "seen", "reason": null, "libraries": [] }),
            json!({ "state": "blind", "reason": "rustls over ring", "libraries": [library] }),
        ];
        assert_eq!(unseen.judge(), Verdict::Explained("rustls over ring".to_owned()));
        assert_eq!(unseen.libraries(), "rustls 0.23.46 in codex (blind)");
        unseen.processes.clear();
        unseen.ended = vec![json!({ "reason": "it ended before" })];
        assert_eq!(unseen.judge().text(), "not seen: it ended before");
    }
}

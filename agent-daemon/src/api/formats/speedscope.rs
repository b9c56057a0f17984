//! The file format of speedscope: frames once, samples as indices into them.

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::{Subject, label, missing};
use crate::{
    model::stack::Frame,
    store::query::{Profile, ProfileStack},
};

/// The name of the format, which readers look for.
const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

#[derive(Serialize)]
struct File<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    exporter: String,
    name: &'a str,
    shared: Shared<'a>,
    profiles: [Sampled<'a>; 1],
}

#[derive(Serialize)]
struct Shared<'a> {
    frames: Vec<FrameEntry<'a>>,
}

#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
struct FrameEntry<'a> {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sampled<'a> {
    r#type: &'static str,
    name: &'a str,
    unit: &'static str,
    start_value: u64,
    end_value: u64,
    samples: Vec<Vec<usize>>,
    weights: Vec<u64>,
}

/// The profile as one sampled speedscope profile, weighed in nanoseconds; each stack's outermost frame is
/// the process's name.
pub(in crate::api) fn document(profile: &Profile, subject: &Subject) -> serde_json::Result<Vec<u8>> {
    let title = subject.title(profile.kind);
    let mut frames = FrameTable::default();
    let samples = profile.stacks.iter().map(|row| frames.sample(row, subject)).collect();
    let weights: Vec<_> = profile.stacks.iter().map(|s| s.ns).collect();
    serde_json::to_vec(&File {
        schema: SCHEMA,
        exporter: format!("agentperf {}", env!("CARGO_PKG_VERSION")),
        name: &title,
        shared: Shared { frames: frames.entries },
        profiles: [Sampled {
            r#type: "sampled",
            name: &title,
            unit: "nanoseconds",
            start_value: 0,
            end_value: weights.iter().fold(0, |sum, w| sum.saturating_add(*w)),
            samples,
            weights,
        }],
    })
}

/// Every frame once.
#[derive(Default)]
struct FrameTable<'a> {
    numbers: FxHashMap<FrameEntry<'a>, usize>,
    entries: Vec<FrameEntry<'a>>,
}

impl<'a> FrameTable<'a> {
    /// Frame numbers, outermost first.
    fn sample(&mut self, row: &'a ProfileStack, subject: &Subject) -> Vec<usize> {
        let named = |name: &str| FrameEntry { name: name.to_owned(), file: None, line: None };
        let comm = named(subject.comm(row.process).unwrap_or("[unknown]"));
        let frames = row.stack.frames.iter().rev().map(|f| entry(f));
        let all = std::iter::once(comm).chain(missing(&row.stack).map(named)).chain(frames);
        all.map(|entry| self.number(entry)).collect()
    }

    fn number(&mut self, entry: FrameEntry<'a>) -> usize {
        let next = self.entries.len();
        let number = *self.numbers.entry(entry.clone()).or_insert(next);
        if number == next {
            self.entries.push(entry);
        }
        number
    }
}

fn entry(frame: &Frame) -> FrameEntry<'_> {
    let binary = frame.binary.as_ref().map(|b| b.path.as_str());
    FrameEntry { name: label(frame), file: frame.file.as_deref().or(binary), line: frame.line }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::store::{
        fixture::{agent_at, at, cpu, process_at, window_at},
        query::{ProfileKind, profile},
    };

    #[test]
    fn samples_index_shared_frames_outermost_first() {
        let mut window = window_at(&agent_at(at(0)).id, at(0), 0);
        window.cpu = vec![cpu(100, &["leaf", "main"], 3), cpu(100, &["main"], 1)];
        let profile = profile(&[window.into()], ProfileKind::Cpu, None);
        let subject = Subject::new(agent_at(at(0)), vec![process_at(100, at(0))]);
        let file: Value = serde_json::from_slice(&document(&profile, &subject).unwrap()).unwrap();
        assert_eq!(
            file["shared"]["frames"],
            json!([{"name": "python3"}, {"name": "main"}, {"name": "leaf"}])
        );
        let sampled = &file["profiles"][0];
        assert_eq!(sampled["samples"], json!([[0, 1, 2], [0, 1]]));
        assert_eq!(sampled["weights"], json!([30_000_000, 10_000_000]));
        assert_eq!(sampled["endValue"], 40_000_000);
    }
}

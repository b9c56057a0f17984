//! pprof: the profile as a gzipped protocol buffer, symbolised.
//!
//! Stacks are known by offsets in files, not by addresses in one process's memory, so each binary is mapped
//! from 0 and a location's address is its offset. Kernel frames belong to a mapping of their own; frames of
//! scripts belong to none.

mod messages;
mod tables;

use std::io::{self, Write};

use flate2::{Compression, write::GzEncoder};
use prost::Message;

use self::{
    messages::{Label, Sample, ValueType},
    tables::Tables,
};
use super::{Subject, missing};
use crate::store::query::{Profile, ProfileKind, ProfileStack};

/// The media type of a pprof profile.
pub(crate) const MEDIA_TYPE: &str = "application/octet-stream";

/// The profile, ready to be sent.
pub(crate) fn gzipped(profile: &Profile, subject: &Subject) -> io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&encode(profile, subject).encode_to_vec())?;
    gzip.finish()
}

/// Names of the two values, `type` and `unit`.
type Values = [(&'static str, &'static str); 2];

fn values(kind: ProfileKind) -> Values {
    match kind {
        ProfileKind::Cpu => [("samples", "count"), ("cpu", "nanoseconds")],
        ProfileKind::OffCpu => [("waits", "count"), ("off_cpu", "nanoseconds")],
    }
}

fn encode(profile: &Profile, subject: &Subject) -> messages::Profile {
    let mut tables = Tables::new(subject.executable.as_deref());
    let sample = profile.stacks.iter().map(|row| sample(row, subject, &mut tables)).collect();
    let sample_type = values(profile.kind)
        .map(|(kind, unit)| ValueType { r#type: tables.text(kind), unit: tables.text(unit) });
    let comment = format!("agentperf {}: {}", env!("CARGO_PKG_VERSION"), subject.title(profile.kind));
    let comment = vec![tables.text(&comment)];
    let (time_nanos, duration_nanos) = times(profile);
    let [_, time] = sample_type;
    let (mapping, location, function, string_table) = tables.into_parts();
    messages::Profile {
        sample_type: sample_type.to_vec(),
        sample,
        mapping,
        location,
        function,
        string_table,
        time_nanos,
        duration_nanos,
        period_type: Some(time),
        period: period(profile),
        comment,
        default_sample_type: time.r#type,
    }
}

fn sample(row: &ProfileStack, subject: &Subject, tables: &mut Tables) -> Sample {
    let frames = row.stack.frames.iter().map(|f| tables.location(f)).collect::<Vec<_>>();
    let missing = missing(&row.stack).map(|name| tables.pseudo_location(name));
    let mut label = vec![Label { key: tables.text("pid"), str: 0, num: i64::from(row.process.pid()) }];
    let mut text_label = |key: &str, value: &str| {
        label.push(Label { key: tables.text(key), str: tables.text(value), num: 0 });
    };
    if let Some(comm) = subject.comm(row.process) {
        text_label("comm", comm);
    }
    if let Some(cause) = row.cause {
        text_label("cause", cause.name());
    }
    Sample {
        location_id: frames.into_iter().chain(missing).collect(),
        value: vec![signed(row.count), signed(row.ns)],
        label,
    }
}

/// Start and length of what the profile covers, ns.
fn times(profile: &Profile) -> (i64, i64) {
    let Some(range) = profile.covered else { return (0, 0) };
    let ns = |nanoseconds: i128| i64::try_from(nanoseconds).unwrap_or(0);
    (ns(range.from.as_nanosecond()), ns(range.to.duration_since(range.from).as_nanos()))
}

/// What one CPU sample stands for, ns. Waits are weighed, not sampled: each nanosecond stands for itself.
fn period(profile: &Profile) -> i64 {
    match profile.kind {
        ProfileKind::Cpu => {
            let sum =
                |what: fn(&ProfileStack) -> u64| profile.stacks.iter().map(what).fold(0, u64::saturating_add);
            signed(sum(|s| s.ns).checked_div(sum(|s| s.count)).unwrap_or(0))
        }
        ProfileKind::OffCpu => 1,
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;

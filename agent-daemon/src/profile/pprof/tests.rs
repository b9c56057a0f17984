//! The profile, decoded again, says what went in.

use std::{io::Read, sync::Arc};

use flate2::read::GzDecoder;
use prost::Message;

use super::{Subject, gzipped, messages};
use crate::{
    model::{
        off_cpu::WaitCause,
        stack::{Binary, Frame, FrameKind, Stack, StackEnd},
        window::{CpuStat, Window},
    },
    store::{
        fixture::{agent_at, at, cpu, off_cpu, process_at, process_id, window_at},
        query::{ProfileKind, profile},
    },
};

const PYTHON: &str = "/usr/bin/python3.11";

fn window(cpu: Vec<CpuStat>) -> Arc<Window> {
    let mut window = window_at(&agent_at(at(0)).id, at(0), 0);
    window.cpu = cpu;
    window.off_cpu = vec![off_cpu(100, WaitCause::Lock, &["k_futex", "main"], 2000, 30)];
    Arc::new(window)
}

fn decoded(windows: &[Arc<Window>], kind: ProfileKind) -> messages::Profile {
    let subject = Subject::new(agent_at(at(0)), vec![process_at(100, at(0))]);
    let bytes = gzipped(&profile(windows, kind, None), &subject).unwrap();
    let mut plain = Vec::new();
    GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).unwrap();
    messages::Profile::decode(plain.as_slice()).unwrap()
}

impl messages::Profile {
    fn str(&self, index: i64) -> &str {
        &self.string_table[usize::try_from(index).unwrap()]
    }

    fn names(&self, sample: &messages::Sample) -> Vec<&str> {
        let location = |id: &u64| self.location.iter().find(|l| l.id == *id).unwrap();
        let function = |id: u64| self.function.iter().find(|f| f.id == id).unwrap();
        sample
            .location_id
            .iter()
            .map(|id| self.str(function(location(id).line[0].function_id).name))
            .collect()
    }
}

#[test]
fn a_cpu_profile_counts_samples_and_nanoseconds() {
    let profile = decoded(&[window(vec![cpu(100, &["leaf", "main"], 7)])], ProfileKind::Cpu);
    let types: Vec<_> =
        profile.sample_type.iter().map(|t| (profile.str(t.r#type), profile.str(t.unit))).collect();
    assert_eq!(types, [("samples", "count"), ("cpu", "nanoseconds")]);
    assert_eq!(profile.str(profile.default_sample_type), "cpu");
    assert_eq!(profile.string_table[0], "");
    assert_eq!(profile.period, 10_000_000);
    assert_eq!(i128::from(profile.time_nanos), at(0).as_nanosecond());
    assert_eq!(profile.duration_nanos, 5_000_000_000);
    let sample = &profile.sample[0];
    assert_eq!(sample.value, [7, 70_000_000]);
    assert_eq!(profile.names(sample), ["leaf", "main"]);
    let labels: Vec<_> =
        sample.label.iter().map(|l| (profile.str(l.key), profile.str(l.str), l.num)).collect();
    assert_eq!(labels, [("pid", "", 100), ("comm", "python3", 0)]);
    assert_eq!(profile.str(profile.mapping[0].filename), PYTHON);
}

#[test]
fn an_off_cpu_profile_says_the_cause() {
    let profile = decoded(&[window(vec![])], ProfileKind::OffCpu);
    assert_eq!(profile.sample[0].value, [1, 2030]);
    let cause = profile.sample[0].label.last().unwrap();
    assert_eq!((profile.str(cause.key), profile.str(cause.str)), ("cause", "lock"));
    assert_eq!(profile.str(profile.sample_type[1].r#type), "off_cpu");
}

#[test]
fn binaries_keep_their_build_ids_and_frames_their_lines() {
    let binary =
        |path: &str| Some(Arc::new(Binary { path: path.into(), build_id: Some(format!("id of {path}")) }));
    let frame = |function: &str, binary, address, line: Option<u32>| {
        let kind = FrameKind::Native;
        Arc::new(Frame {
            kind,
            function: function.into(),
            file: line.map(|_| "a.c".into()),
            line,
            binary,
            address,
        })
    };
    let kernel_top = u64::MAX;
    let frames = vec![
        frame("sys_read", binary("[kernel]"), kernel_top, None),
        frame("inlined", binary(PYTHON), 0x500, Some(12)),
        frame("outer", binary(PYTHON), 0x500, Some(40)),
        frame("outer", binary(PYTHON), 0x400, Some(40)),
    ];
    let stack = Arc::new(Stack { frames, end: StackEnd::Truncated });
    let stat = CpuStat { process: process_id(100), stack, samples: 1, cpu_ns: 1 };
    let profile = decoded(&[window(vec![stat])], ProfileKind::Cpu);
    assert_eq!(profile.names(&profile.sample[0]), ["sys_read", "inlined", "outer", "outer", "[truncated]"]);
    assert_eq!(profile.function.len(), 4);
    let mappings: Vec<_> = profile
        .mapping
        .iter()
        .map(|m| (profile.str(m.filename), profile.str(m.build_id), m.memory_limit, m.has_line_numbers))
        .collect();
    let expected = [
        (PYTHON, "id of /usr/bin/python3.11", 0x501, true),
        ("[kernel]", "id of [kernel]", kernel_top, false),
    ];
    assert_eq!(mappings, expected);
    assert_eq!(profile.location[1].line, [messages::Line { function_id: 2, line: 12 }]);
    assert_eq!(profile.location[1].address, 0x500);
}

#[test]
fn an_empty_profile_is_still_one() {
    let profile = decoded(&[], ProfileKind::Cpu);
    assert_eq!((profile.sample.len(), profile.period, profile.duration_nanos), (0, 0, 0));
    assert_eq!(profile.sample_type.len(), 2);
}

#[test]
fn equal_data_gives_equal_bytes() {
    let rows = || vec![cpu(100, &["a", "main"], 1), cpu(100, &["b", "main"], 1), cpu(101, &["a"], 1)];
    let (mut reversed, rows) = (rows(), rows());
    reversed.reverse();
    let subject = Subject::new(agent_at(at(0)), vec![]);
    let bytes = |rows| gzipped(&profile(&[window(rows)], ProfileKind::Cpu, None), &subject).unwrap();
    assert_eq!(bytes(rows), bytes(reversed));
}

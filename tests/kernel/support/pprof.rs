//! Reads a pprof profile by the published format (`profile.proto`), independently of agentperf's writer.

use std::{collections::HashMap, io::Read};

use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<RawSample>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(int64, tag = "12")]
    period: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct RawSample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
}

/// A profile, names resolved.
pub(crate) struct Decoded {
    /// What is measured, as `kind/unit`.
    pub(crate) types: Vec<String>,
    /// Each stack (innermost first) with its values, one a type.
    pub(crate) samples: Vec<(Vec<String>, Vec<i64>)>,
    /// Length in ns.
    pub(crate) duration_nanos: i64,
    /// Start, ns after the Unix epoch.
    pub(crate) time_nanos: i64,
    /// Distance of two samples.
    pub(crate) period: i64,
}

/// Unpacks and decodes a profile, and checks it: each id and each string index must lead somewhere.
///
/// # Panics
/// If it is no valid gzipped profile.
pub(crate) fn decode(gzipped: &[u8]) -> Decoded {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(gzipped).read_to_end(&mut bytes).expect("a profile is gzipped");
    let profile = Profile::decode(bytes.as_slice()).expect("a profile is protobuf");
    assert_eq!(profile.string_table.first().map(String::as_str), Some(""), "string 0 must be empty");
    let string = |index: i64| profile.string_table[usize::try_from(index).expect("an index")].as_str();

    let functions: HashMap<u64, &str> = profile.function.iter().map(|f| (f.id, string(f.name))).collect();
    let locations: HashMap<u64, &Location> = profile.location.iter().map(|l| (l.id, l)).collect();
    let frames = |id: &u64| {
        locations[id].line.iter().map(|l| functions[&l.function_id].to_owned()).collect::<Vec<_>>()
    };
    let samples = profile.sample.iter().map(|sample| {
        assert_eq!(sample.value.len(), profile.sample_type.len(), "one value a type");
        (sample.location_id.iter().flat_map(frames).collect(), sample.value.clone())
    });
    Decoded {
        types: profile.sample_type.iter().map(|t| format!("{}/{}", string(t.kind), string(t.unit))).collect(),
        samples: samples.collect(),
        duration_nanos: profile.duration_nanos,
        time_nanos: profile.time_nanos,
        period: profile.period,
    }
}

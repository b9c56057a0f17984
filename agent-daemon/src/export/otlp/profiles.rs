//! A profile as OTLP's, version v1development, which still changes: the types are those of the crate
//! `opentelemetry-proto` in the version that is pinned. Every table begins with an entry for what is none.

use std::{collections::HashMap, hash::Hash};

pub(super) use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::{
    common::v1::KeyValue,
    profiles::v1development::{
        Function, KeyValueAndUnit, Line, Link, Location, Mapping, Profile, ProfilesDictionary,
        ResourceProfiles, Sample, ScopeProfiles, Stack, ValueType,
    },
    resource::v1::Resource,
};

use super::{ids, spans, wire};
use crate::{
    export::due::Due,
    model::stack::{Frame, FrameKind},
    profile::missing,
    store::query::{ProfileKind, ProfileStack},
};

/// The message of one profile.
pub(super) fn request(due: &Due, resource: &Resource) -> ExportProfilesServiceRequest {
    let mut tables = Tables::default();
    let profile = profile(due, &mut tables);
    let scope =
        ScopeProfiles { scope: Some(wire::scope()), profiles: vec![profile], ..ScopeProfiles::default() };
    let mut resource = resource.clone();
    resource.attributes.extend(spans::identity(&due.subject.agent));
    let of_resource = ResourceProfiles {
        resource: Some(resource),
        scope_profiles: vec![scope],
        ..ResourceProfiles::default()
    };
    ExportProfilesServiceRequest {
        resource_profiles: vec![of_resource],
        dictionary: Some(tables.into_dictionary()),
    }
}

fn profile(due: &Due, tables: &mut Tables) -> Profile {
    let kind = match due.profile.kind {
        ProfileKind::Cpu => "cpu",
        ProfileKind::OffCpu => "off_cpu",
    };
    let sample_type = ValueType {
        type_strindex: tables.texts.put(kind.to_owned()),
        unit_strindex: tables.texts.put("nanoseconds".to_owned()),
    };
    let link =
        Link { trace_id: ids::trace(&due.subject.agent), span_id: ids::agent_span(&due.subject.agent) };
    let from = wire::nanoseconds(due.range.from);
    let mut id = ids::trace(&due.subject.agent);
    // One for each agent, kind and start.
    id.iter_mut().zip(from.to_be_bytes()).for_each(|(byte, with)| *byte ^= with);
    if let (ProfileKind::OffCpu, Some(last)) = (due.profile.kind, id.last_mut()) {
        *last ^= 1;
    }
    tables.links.push(link);
    Profile {
        sample_type: Some(sample_type),
        samples: due.profile.stacks.iter().map(|row| sample(row, due, tables)).collect(),
        time_unix_nano: from,
        duration_nano: wire::nanoseconds(due.range.to).saturating_sub(from),
        period_type: Some(sample_type),
        period: 1,
        profile_id: id,
        ..Profile::default()
    }
}

fn sample(row: &ProfileStack, due: &Due, tables: &mut Tables) -> Sample {
    let mut locations: Vec<i32> = row.stack.frames.iter().map(|frame| tables.location(frame)).collect();
    locations.extend(missing(&row.stack).map(|name| tables.named(name)));
    let mut attributes = vec![wire::number("process.pid", row.process.pid().into())];
    attributes.extend(due.subject.comm(row.process).map(|comm| wire::text("process.executable.name", comm)));
    attributes.extend(row.cause.map(|cause| wire::text("agentperf.off_cpu.cause", cause.name())));
    Sample {
        stack_index: tables.stacks.put(locations),
        attribute_indices: attributes.into_iter().map(|attribute| tables.attribute(attribute)).collect(),
        link_index: 1,
        values: vec![i64::try_from(row.ns).unwrap_or(i64::MAX)],
        timestamps_unix_nano: Vec::new(),
    }
}

/// Things that are named by their numbers; number 0 is nothing.
#[derive(Debug)]
struct Table<T>(HashMap<T, i32>, Vec<T>);

impl<T: Default + Clone + Eq + Hash> Default for Table<T> {
    fn default() -> Self {
        Self(HashMap::from([(T::default(), 0)]), vec![T::default()])
    }
}

impl<T: Clone + Eq + Hash> Table<T> {
    fn put(&mut self, thing: T) -> i32 {
        let next = i32::try_from(self.1.len()).unwrap_or(0);
        let number = *self.0.entry(thing.clone()).or_insert(next);
        if number == next {
            self.1.push(thing);
        }
        number
    }
}

/// Mapping, address, function and line.
type Place = (i32, u64, i32, i64);

#[derive(Debug, Default)]
struct Tables {
    texts: Table<String>,
    /// File and build id.
    mappings: Table<(i32, i32)>,
    /// Name and file.
    functions: Table<(i32, i32)>,
    /// With the kind of the frame as an attribute.
    locations: Table<(Place, i32)>,
    stacks: Table<Vec<i32>>,
    attributes: Vec<KeyValue>,
    links: Vec<Link>,
}

impl Tables {
    fn location(&mut self, frame: &Frame) -> i32 {
        let mapping = frame.binary.as_ref().map_or(0, |binary| {
            let build_id =
                binary.build_id.as_ref().map(|id| wire::text("process.executable.build_id.gnu", id));
            let build_id = build_id.map_or(0, |attribute| self.attribute(attribute));
            let file = self.texts.put(binary.path.clone());
            self.mappings.put((file, build_id))
        });
        let kind = match frame.kind {
            FrameKind::Native => "native",
            FrameKind::Python => "cpython",
            FrameKind::Javascript => "v8js",
            FrameKind::Kernel => "kernel",
        };
        let kind = self.attribute(wire::text("profile.frame.type", kind));
        let name = self.texts.put(frame.function.clone());
        let file = self.texts.put(frame.file.clone().unwrap_or_default());
        let function = self.functions.put((name, file));
        self.locations.put(((mapping, frame.address, function, frame.line.map_or(0, i64::from)), kind))
    }

    /// A place that stands for what is missing.
    fn named(&mut self, name: &str) -> i32 {
        let name = self.texts.put(name.to_owned());
        let function = self.functions.put((name, 0));
        self.locations.put(((0, 0, function, 0), 0))
    }

    /// The number of an attribute, from 1.
    fn attribute(&mut self, attribute: KeyValue) -> i32 {
        let place = self.attributes.iter().position(|known| *known == attribute);
        let place = place.unwrap_or_else(|| {
            self.attributes.push(attribute);
            self.attributes.len() - 1
        });
        i32::try_from(place + 1).unwrap_or(0)
    }

    fn into_dictionary(mut self) -> ProfilesDictionary {
        let mut attribute_table = vec![KeyValueAndUnit::default()];
        for KeyValue { key, value, .. } in self.attributes {
            let key_strindex = self.texts.put(key);
            attribute_table.push(KeyValueAndUnit { key_strindex, value, unit_strindex: 0 });
        }
        let only = |number: i32| if number == 0 { Vec::new() } else { vec![number] };
        let mapping = |(file, build_id): (i32, i32)| Mapping {
            filename_strindex: file,
            attribute_indices: only(build_id),
            ..Mapping::default()
        };
        let function = |(name, file): (i32, i32)| Function {
            name_strindex: name,
            filename_strindex: file,
            ..Function::default()
        };
        let location = |((mapping_index, address, function_index, line), kind): (Place, i32)| Location {
            mapping_index,
            address,
            lines: if function_index == 0 {
                Vec::new()
            } else {
                vec![Line { function_index, line, column: 0 }]
            },
            attribute_indices: only(kind),
        };
        ProfilesDictionary {
            mapping_table: self.mappings.1.into_iter().map(mapping).collect(),
            location_table: self.locations.1.into_iter().map(location).collect(),
            function_table: self.functions.1.into_iter().map(function).collect(),
            link_table: [vec![Link::default()], self.links].concat(),
            string_table: self.texts.1,
            attribute_table,
            stack_table: self
                .stacks
                .1
                .into_iter()
                .map(|location_indices| Stack { location_indices })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        model::{off_cpu::WaitCause, time::TimeRange},
        profile::Subject,
        store::{
            fixture::{agent_at, at, off_cpu, process_at, window_at},
            query,
        },
    };

    #[test]
    fn every_number_leads_to_what_went_in() {
        let agent = agent_at(at(0));
        let mut window = window_at(&agent.id, at(0), 0);
        window.off_cpu = vec![
            off_cpu(100, WaitCause::Lock, &["k_futex", "wait", "main"], 2000, 30),
            off_cpu(100, WaitCause::Timer, &["sleep", "main"], 1000, 0),
        ];
        let due = Due {
            subject: Subject::new(agent.clone(), vec![process_at(100, at(0))]),
            profile: query::profile(&[Arc::new(window)], ProfileKind::OffCpu, None),
            range: TimeRange { from: at(0), to: at(5) },
        };
        let request = request(&due, &Resource::default());
        let tables = request.dictionary.unwrap();
        let profile = &request.resource_profiles[0].scope_profiles[0].profiles[0];
        let text = |index: i32| tables.string_table[usize::try_from(index).unwrap()].as_str();
        let names = |sample: &Sample| -> Vec<&str> {
            let stack = &tables.stack_table[usize::try_from(sample.stack_index).unwrap()];
            let location = |index: &i32| &tables.location_table[usize::try_from(*index).unwrap()];
            let function = |index: i32| &tables.function_table[usize::try_from(index).unwrap()];
            let name = |index: &i32| text(function(location(index).lines[0].function_index).name_strindex);
            stack.location_indices.iter().map(name).collect()
        };
        let samples: Vec<_> = profile.samples.iter().map(|s| (names(s), s.values[0])).collect();
        assert_eq!(samples, [(vec!["k_futex", "wait", "main"], 2030), (vec!["sleep", "main"], 1000)]);
        let sample_type = profile.sample_type.unwrap();
        assert_eq!(
            (text(sample_type.type_strindex), text(sample_type.unit_strindex)),
            ("off_cpu", "nanoseconds")
        );
        let keys: Vec<&str> = profile.samples[0]
            .attribute_indices
            .iter()
            .map(|index| text(tables.attribute_table[usize::try_from(*index).unwrap()].key_strindex))
            .collect();
        assert_eq!(keys, ["process.pid", "process.executable.name", "agentperf.off_cpu.cause"]);
        assert_eq!((text(0), tables.stack_table[0].location_indices.len()), ("", 0), "0 is nothing");
        assert_eq!(tables.link_table[1].trace_id, ids::trace(&agent));
        assert_eq!(profile.profile_id.len(), 16);
    }
}

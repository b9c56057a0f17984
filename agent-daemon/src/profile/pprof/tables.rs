//! The tables that a profile's samples point into: texts, functions, locations, mappings, each thing once.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::messages::{Function, Line, Location, Mapping};
use crate::model::stack::{Binary, Frame};

/// What makes two functions one: name and file, as texts of the table.
type FunctionKey = (i64, i64);

/// What makes two locations one: mapping, address, function and line.
type LocationKey = (u64, u64, u64, i64);

/// The tables under construction. Ids count from 1, texts from 0, as the format has it.
#[derive(Default)]
pub(super) struct Tables {
    texts: FxHashMap<String, i64>,
    string_table: Vec<String>,
    function_ids: FxHashMap<FunctionKey, u64>,
    functions: Vec<Function>,
    location_ids: FxHashMap<LocationKey, u64>,
    locations: Vec<Location>,
    mapping_ids: FxHashMap<Arc<Binary>, u64>,
    mappings: Vec<Mapping>,
    /// Frames seen before, by allocation: stacks share their frames.
    known: FxHashMap<*const Frame, u64>,
}

impl Tables {
    /// Empty tables. Readers name a profile after its first mapping, which is therefore `executable`'s.
    pub(super) fn new(executable: Option<&str>) -> Self {
        let mut tables = Self::default();
        tables.text("");
        if let Some(path) = executable {
            // Its build id comes with the first frame in it.
            let filename = tables.text(path);
            tables.push_mapping(filename, 0);
        }
        tables
    }

    pub(super) fn text(&mut self, text: &str) -> i64 {
        if let Some(index) = self.texts.get(text) {
            return *index;
        }
        let index = i64::try_from(self.string_table.len()).unwrap_or(0);
        self.string_table.push(text.to_owned());
        self.texts.insert(text.to_owned(), index);
        index
    }

    /// The location of a frame. Each frame is a location of its own, inlined ones too.
    pub(super) fn location(&mut self, frame: &Arc<Frame>) -> u64 {
        if let Some(id) = self.known.get(&Arc::as_ptr(frame)) {
            return *id;
        }
        let mapping = frame.binary.as_ref().map_or(0, |b| self.mapping(b, frame));
        let function = self.function(&frame.function, frame.file.as_deref().unwrap_or(""));
        let id = self.push_location(mapping, frame.address, function, frame.line.map_or(0, i64::from));
        self.known.insert(Arc::as_ptr(frame), id);
        id
    }

    /// A location that stands for what is missing.
    pub(super) fn pseudo_location(&mut self, name: &str) -> u64 {
        let function = self.function(name, "");
        self.push_location(0, 0, function, 0)
    }

    fn push_location(&mut self, mapping_id: u64, address: u64, function_id: u64, line: i64) -> u64 {
        let next = self.locations.len() as u64 + 1;
        let id = *self.location_ids.entry((mapping_id, address, function_id, line)).or_insert(next);
        if id == next {
            self.locations.push(Location { id, mapping_id, address, line: vec![Line { function_id, line }] });
        }
        id
    }

    fn function(&mut self, name: &str, file: &str) -> u64 {
        let (name, filename) = (self.text(name), self.text(file));
        let next = self.functions.len() as u64 + 1;
        let id = *self.function_ids.entry((name, filename)).or_insert(next);
        if id == next {
            self.functions.push(Function { id, name, system_name: name, filename });
        }
        id
    }

    fn mapping(&mut self, binary: &Arc<Binary>, frame: &Frame) -> u64 {
        let id = match self.mapping_ids.get(binary) {
            Some(id) => *id,
            None => self.new_mapping(binary),
        };
        let index = usize::try_from(id).unwrap_or(0);
        if let Some(mapping) = self.mappings.get_mut(index.wrapping_sub(1)) {
            mapping.memory_limit = mapping.memory_limit.max(frame.address.saturating_add(1));
            mapping.has_filenames |= frame.file.is_some();
            mapping.has_line_numbers |= frame.line.is_some();
        }
        id
    }

    fn new_mapping(&mut self, binary: &Arc<Binary>) -> u64 {
        let filename = self.text(&binary.path);
        let build_id = binary.build_id.as_deref().map_or(0, |id| self.text(id));
        let id = match self.mappings.first_mut() {
            // The executable, whose place was kept.
            Some(first) if first.filename == filename && first.memory_limit == 0 => {
                first.build_id = build_id;
                first.id
            }
            _ => self.push_mapping(filename, build_id),
        };
        self.mapping_ids.insert(binary.clone(), id);
        id
    }

    fn push_mapping(&mut self, filename: i64, build_id: i64) -> u64 {
        let id = self.mappings.len() as u64 + 1;
        self.mappings.push(Mapping { id, filename, build_id, has_functions: true, ..Mapping::default() });
        id
    }

    /// Mappings, locations, functions and texts.
    pub(super) fn into_parts(self) -> (Vec<Mapping>, Vec<Location>, Vec<Function>, Vec<String>) {
        (self.mappings, self.locations, self.functions, self.string_table)
    }
}

//! The readers against memory that is made up: they must end soon, and not panic.

use std::cell::Cell;

use proptest::{collection::vec, prelude::any, proptest};

use super::{
    cache::Functions,
    function::Function,
    layout::{Layout, Refusal},
};
use crate::{
    model::id::ProcessId,
    unwind::memory::{Memory, Unreadable},
};

/// What Node 20 tells, and some of what we do not ask for; the type of one member spelled as by Node 22.
const NUMBERS: [(&str, i32); 34] = [
    ("v8dbg_TaggedSize", 8),
    ("v8dbg_SmiShiftSize", 31),
    ("v8dbg_class_JSFunction__shared__SharedFunctionInfo", 24),
    ("v8dbg_class_HeapObject__map__Map", 0),
    ("v8dbg_class_Map__instance_type__uint16_t", 12),
    ("v8dbg_class_SharedFunctionInfo__name_or_scope_info__Tagged_Object_", 16),
    ("v8dbg_class_SharedFunctionInfo__script_or_debug_info__HeapObject", 32),
    ("v8dbg_class_Script__name__Object", 16),
    ("v8dbg_class_Script__source__Object", 8),
    ("v8dbg_class_Script__line_ends__Object", 56),
    ("v8dbg_type_SharedFunctionInfo__SHARED_FUNCTION_INFO_TYPE", 262),
    ("v8dbg_type_ScopeInfo__SCOPE_INFO_TYPE", 261),
    ("v8dbg_type_Script__SCRIPT_TYPE", 167),
    ("v8dbg_type_FixedArray__FIXED_ARRAY_TYPE", 175),
    ("v8dbg_class_FixedArrayBase__length__SMI", 8),
    ("v8dbg_class_FixedArray__data__uintptr_t", 16),
    ("v8dbg_FirstNonstringType", 128),
    ("v8dbg_StringRepresentationMask", 7),
    ("v8dbg_SeqStringTag", 0),
    ("v8dbg_ConsStringTag", 1),
    ("v8dbg_SlicedStringTag", 3),
    ("v8dbg_ThinStringTag", 5),
    ("v8dbg_ExternalStringTag", 2),
    ("v8dbg_StringEncodingMask", 8),
    ("v8dbg_OneByteStringTag", 8),
    ("v8dbg_class_String__length__int32_t", 12),
    ("v8dbg_class_SeqOneByteString__chars__char", 16),
    ("v8dbg_class_SeqTwoByteString__chars__char", 16),
    ("v8dbg_class_ConsString__first__String", 16),
    ("v8dbg_class_ConsString__second__String", 24),
    ("v8dbg_class_SlicedString__parent__String", 16),
    ("v8dbg_class_SlicedString__offset__SMI", 24),
    ("v8dbg_class_ThinString__actual__String", 16),
    ("v8dbg_class_ExternalString__resource__Object", 16),
];

/// Words; what is not among them is unreadable, or all the same. Counts how often it is read, and how much.
struct Words {
    words: Vec<u64>,
    over: bool,
    reads: Cell<usize>,
    bytes: Cell<usize>,
}

impl Words {
    fn new(words: Vec<u64>, over: bool) -> Self {
        Self { words, over, reads: Cell::new(0), bytes: Cell::new(0) }
    }
}

impl Memory for Words {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        self.reads.set(self.reads.get() + 1);
        self.bytes.set(self.bytes.get() + buffer.len());
        for (at, byte) in (address..).zip(buffer) {
            let index = at as usize / 8;
            let index = if self.over { index % self.words.len().max(1) } else { index };
            let word = self.words.get(index).ok_or(Unreadable { address })?;
            *byte = word.to_le_bytes()[at as usize % 8];
        }
        Ok(())
    }
}

/// A heap in which objects are put one after another.
#[derive(Default)]
struct Objects(Vec<u64>);

impl Objects {
    /// An object: a map of its type, then its other words. Gives its tagged address.
    fn put(&mut self, kind: u16, words: &[u64]) -> u64 {
        let map = self.0.len() as u64 * 8 + 1;
        self.0.extend([0, u64::from(kind) << 32, map]);
        self.0.extend(words);
        map + 16
    }

    fn text(&mut self, text: &str) -> u64 {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(text.len().next_multiple_of(8), 0);
        let mut words = vec![(text.len() as u64) << 32];
        words.extend(bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().expect("8 bytes"))));
        self.put(8, &words)
    }

    fn function(&mut self, name: u64, script: u64) -> u64 {
        self.put(262, &[0, name, 0, script]) - 1
    }

    fn read(&self, layout: &Layout, function: u64) -> Function {
        Function::read(&Words::new(self.0.clone(), false), layout, function).expect("a function")
    }
}

fn layout() -> Layout {
    Layout::read(NUMBERS).expect("a layout")
}

const fn small(value: u64) -> u64 {
    value << 32
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(layout().js_shared, 24);
    for (index, (name, _)) in NUMBERS.iter().enumerate() {
        let mut numbers = NUMBERS.to_vec();
        numbers.remove(index);
        let Err(Refusal::Missing(missing)) = Layout::read(numbers.iter().copied()) else { panic!("{name}") };
        let asked = name.trim_start_matches("v8dbg_");
        assert!(asked.starts_with(missing) || missing.contains("script_or_debug_info"), "{name}: {missing}");
        let mut numbers = NUMBERS;
        numbers[index].1 = -1;
        assert!(Layout::read(numbers).is_err(), "{name}");
    }
    let mut numbers = NUMBERS;
    numbers[0].1 = 4;
    assert_eq!(Layout::read(numbers), Err(Refusal::Compressed));
}

#[test]
fn scopes_of_both_kinds_give_names_and_lines() {
    let mut heap = Objects::default();
    let (name, empty, file) = (heap.text("spin"), heap.text(""), heap.text("file:///app/a.mjs"));
    let source = heap.text("one\ntwo\nthree\n");
    let script = heap.put(167, &[source, file, 0, 0, 0, 0, 0]);
    let minus_one = u64::from(u32::MAX) << 32;
    let flags = 3 << 12 | 1 << 14;
    let old =
        heap.put(261, &[small(flags), 0, small(1), name, 0, empty, minus_one, name, small(8), small(9)]);
    let new = heap.put(261, &[flags, 0, small(0), small(3), small(9), empty, minus_one, name]);
    for (scope, line) in [(old, 3), (new, 1)] {
        let function = heap.function(scope, script);
        let function = heap.read(&layout(), function);
        assert_eq!(function.name.as_deref(), Some("spin"));
        assert_eq!((function.script.as_deref(), function.line), (Some("/app/a.mjs"), Some(line)));
    }
    // Line ends that V8 has listed: 3, 7 and 13.
    let ends = heap.put(175, &[small(3), small(3), small(7), small(13)]);
    let script = heap.put(167, &[0, file, 0, 0, 0, 0, ends]);
    let function = heap.function(old, script);
    assert_eq!(heap.read(&layout(), function).line, Some(3));
    let function = heap.function(small(0), script);
    assert_eq!(heap.read(&layout(), function).name, None);
}

#[test]
fn source_in_the_name_of_a_script_is_not_kept() {
    let mut heap = Objects::default();
    let (name, script) = (heap.text("spin"), heap.text("data:text/javascript,export const key = 'hunter2'"));
    let script = heap.put(167, &[0, script, 0, 0, 0, 0, 0]);
    let function = heap.function(name, script);
    assert_eq!(heap.read(&layout(), function).script.as_deref(), Some("data:[44 characters]"));
}

#[test]
fn strings_of_every_form_are_read() {
    let mut heap = Objects::default();
    let (left, right) = (heap.text("chain"), heap.text("saw"));
    let both = heap.put(8 | 1, &[small(8), left, right]);
    let part = heap.put(8 | 3, &[small(4), both, small(4)]);
    let thin = heap.put(8 | 5, &[small(4), part]);
    let at = heap.0.len() as u64 * 8;
    heap.0.push(u64::from_le_bytes(*b"external"));
    let external = heap.put(8 | 2, &[small(8), 0, at]);
    let wide = heap.put(0, &[small(2), 0xdc37_d801]);
    let uncached = heap.put(8 | 2 | 0x10, &[small(8), 0, at]);
    for (string, text) in [(both, "chainsaw"), (thin, "nsaw"), (external, "external"), (wide, "𐐷")] {
        let function = heap.function(string, 0);
        assert_eq!(heap.read(&layout(), function).name.as_deref(), Some(text));
    }
    let function = heap.function(uncached, 0);
    assert_eq!(heap.read(&layout(), function).name, None);
}

#[test]
fn a_string_of_itself_ends() {
    let mut heap = Objects::default();
    let itself = heap.0.len() as u64 * 8 + 1 + 16;
    assert_eq!(heap.put(8 | 1, &[small(1 << 30), itself, itself]), itself);
    let script = heap.put(167, &[itself, itself, 0, 0, 0, 0, 0]);
    let function = heap.function(itself, script);
    assert_eq!(heap.read(&layout(), function).name.as_deref(), Some("…"));
}

#[test]
fn a_function_that_moved_is_read_again() {
    let (mut heap, mut functions, process) = (Objects::default(), Functions::default(), ProcessId(1));
    let (one, two) = (heap.text("one"), heap.text("two"));
    let function = heap.function(one, 0);
    let mut name = |words: Vec<u64>| {
        let function = functions.get(process, &Words::new(words, false), &layout(), function);
        function.map(|function| function.name.as_deref().map(str::to_owned))
    };
    assert_eq!(name(heap.0.clone()), Ok(Some("one".to_owned())));
    heap.0[function as usize / 8 + 2] = two;
    assert_eq!(name(heap.0), Ok(Some("two".to_owned())));
    assert_eq!(name(Vec::new()), Ok(Some("two".to_owned())), "the process is gone");
    assert!(name(vec![1; 64]).is_err(), "it is something else");
}

proptest! {
    #[test]
    fn any_memory_ends_soon(words in vec(any::<u64>(), 0..200), address in any::<u64>(), over in any::<bool>()) {
        let memory = Words::new(words, over);
        let _ = Function::read(&memory, &layout(), address);
        assert!(memory.reads.get() < 4096);
    }

    /// Memory in which most words point into it, and many types are of ours.
    #[test]
    fn entangled_memory_ends_soon(
        seed in vec((0_u64..64, 0_usize..9), 64), address in 0_u64..512,
    ) {
        let kinds = [262_u64, 261, 167, 175, 8, 9, 11, 13, 10];
        let word = |&(at, kind): &(u64, usize)| (at * 8 + 1) | kinds[kind] << 32;
        let mut words: Vec<u64> = seed.iter().map(word).collect();
        for (index, word) in words.iter_mut().enumerate() {
            if index % 3 != 1 {
                *word &= 0xffff_ffff;
            }
        }
        let memory = Words::new(words, true);
        if let Ok(function) = Function::read(&memory, &layout(), address & !7) {
            assert!(function.name.is_none_or(|name| name.len() <= 4 * 257));
        }
        assert!(memory.reads.get() < 8192, "{} reads", memory.reads.get());
        assert!(memory.bytes.get() < 4 << 20, "{} bytes", memory.bytes.get());
    }
}

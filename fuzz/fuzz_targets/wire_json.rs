//! The JSON scanner: whole, byte by byte, and with a gap. Splits must not matter.
#![no_main]

use std::sync::LazyLock;

use agentperf::wire::{
    field::Field,
    json::{Document, Hit, Paths, Scanner, Shape, Take, Watch},
};
use libfuzzer_sys::fuzz_target;

static PATHS: LazyLock<Paths> = LazyLock::new(|| {
    Paths::new(&[&[
        Watch::new("a", Take::Word, Field::Model),
        Watch::new("b[].c", Take::Presence, Field::Content),
        Watch::new("b[].d[]", Take::Number, Field::Input),
        Watch::new("e.f", Take::Hash, Field::Id),
        Watch::new("g", Take::Bytes, Field::Nested),
    ]])
});

fn scan(shape: Shape, pieces: &[&[u8]], gap: bool) -> Vec<(Vec<Hit>, bool)> {
    let mut scanner = Scanner::new(&PATHS, shape);
    let mut documents = Vec::new();
    let mut found = |document: &Document<'_>| documents.push((document.hits.to_vec(), document.whole));
    for (n, piece) in pieces.iter().enumerate() {
        if gap && n == 1 {
            scanner.gap(&mut found);
        }
        scanner.feed(piece, &mut found);
    }
    scanner.finish(&mut found);
    documents
}

fuzz_target!(|input: (bool, u16, &[u8])| {
    let (lines, at, bytes) = input;
    let shape = if lines { Shape::Lines } else { Shape::Body };
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert!(scan(shape, &[bytes], false) == scan(shape, &single, false), "a split matters");
    let (before, behind) = bytes.split_at(usize::from(at).min(bytes.len()));
    scan(shape, &[before, behind], true);
});

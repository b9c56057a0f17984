//! Jitdumps as runtimes write them, and as nobody should.

use std::{fs::File, io::Write};

use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

use super::{Jitdump, MAX_RECORDS, records};
use crate::model::stack::FrameKind;

const NOT_V8: u32 = 0;
const V8: u32 = 0xdead_beef;

fn numbers32(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_ne_bytes()).collect()
}

fn numbers(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_ne_bytes()).collect()
}

fn header(reserved: u32) -> Vec<u8> {
    [numbers32(&[0x4a69_5444, 1, 40, 62, reserved, 77]), numbers(&[1, 0])].concat()
}

fn record(kind: u32, content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(16 + content.len()).unwrap();
    [&numbers32(&[kind, size]), &numbers(&[1]), content].concat()
}

fn load(start: u64, size: u64, index: u64, name: &str) -> Vec<u8> {
    let code = vec![0xcc; usize::try_from(size).unwrap()];
    let fields = numbers(&[77, start, start, size, index]);
    record(0, &[&fields, name.as_bytes(), &[0], &code].concat())
}

fn moved(from: u64, to: u64, size: u64, index: u64) -> Vec<u8> {
    record(1, &numbers(&[77, to, from, to, size, index]))
}

fn lines(start: u64, lines: &[(u64, u32, &[u8])]) -> Vec<u8> {
    let entry = |&(address, line, file): &(u64, u32, &[u8])| {
        [&numbers(&[address]), &numbers32(&[line, 0]), file, &[0]].concat()
    };
    let entries: Vec<u8> = lines.iter().flat_map(entry).collect();
    record(2, &[numbers(&[start, lines.len() as u64]), entries].concat())
}

fn functions(dump: &mut Jitdump<impl super::ReadAt>, addresses: &[u64]) -> Vec<Option<String>> {
    dump.names(addresses).into_iter().map(|n| n.map(|n| n.function)).collect()
}

fn some(names: &[&str]) -> Vec<Option<String>> {
    names.iter().map(|n| (*n != "-").then(|| (*n).to_owned())).collect()
}

#[test]
fn code_has_its_newest_name() {
    let bytes = [
        header(NOT_V8),
        load(0x1000, 0x100, 1, "first"),
        record(4, &[7; 24]),
        load(0x1080, 0x10, 2, "py::second:/app/x.py"),
        load(0x5000, 0, 3, "empty"),
        record(3, &[]),
        load(u64::MAX - 4, 9, 4, "last"),
    ]
    .concat();
    let mut dump = Jitdump::new(bytes);
    let addresses = [0xfff, 0x1000, 0x107f, 0x1080, 0x108f, 0x1090, 0x1100, 0x5000, u64::MAX - 1];
    let expected = some(&["-", "first", "first", "second", "second", "first", "-", "-", "last"]);
    assert_eq!(functions(&mut dump, &addresses), expected);
    let python = dump.names(&[0x1080]).remove(0).unwrap();
    assert_eq!((python.kind, python.file.as_deref()), (FrameKind::Python, Some("/app/x.py")));
}

#[test]
fn moved_code_takes_its_name_and_lines_along() {
    let bytes = [
        header(NOT_V8),
        lines(0x1000, &[(0x1000, 7, b"A.java"), (0x1010, 8, b"\xff")]),
        load(0x1000, 0x20, 1, "a"),
        load(0x2000, 0x20, 2, "b"),
        load(0x3000, 0x20, 3, "c"),
        moved(0x1000, 0x2010, 0x20, 1),
        moved(0x3000, 0x4000, 0x20, 99),
        moved(0x2010, 0x6000, 0x20, 1),
    ]
    .concat();
    let mut dump = Jitdump::new(bytes);
    let expected = some(&["-", "b", "-", "c", "-", "a"]);
    assert_eq!(functions(&mut dump, &[0x1000, 0x200f, 0x2010, 0x3000, 0x4000, 0x6000]), expected);
    let places = dump.names(&[0x600f, 0x6010]);
    let places: Vec<_> = places.iter().flatten().map(|n| (n.file.as_deref(), n.line)).collect();
    assert_eq!(places, [(Some("A.java"), Some(7)), (Some("A.java"), Some(8))]);
}

#[test]
fn lines_are_of_the_code_at_their_address() {
    let bytes = |writer| {
        [
            header(writer),
            lines(0x1000, &[(0x1004, 10, b"A.java"), (0x1010, 12, b"\xff"), (0x1008, 11, b"B.java")]),
            lines(0x2000, &[(0x2000, 0, b"no line"), (0x2004, 5, b"")]),
            load(0x2000, 0x10, 1, "b"),
            load(0x1000, 0x20, 2, "JS:*a a.js:3:1"),
            load(0x1000, 0x2, 3, "newer"),
        ]
        .concat()
    };
    let places = |writer| {
        let names =
            Jitdump::new(bytes(writer)).names(&[0x1000, 0x1003, 0x1004, 0x100f, 0x101f, 0x2002, 0x2005]);
        names.into_iter().map(|n| n.and_then(|n| Some((n.file?, n.line?)))).collect::<Vec<_>>()
    };
    let place = |file: &str, line| Some((file.to_owned(), line));
    let own = place("a.js", 3);
    let expected =
        [None, own.clone(), place("A.java", 10), place("B.java", 11), place("A.java", 12), None, None];
    assert_eq!(places(NOT_V8), expected);
    assert_eq!(places(V8), [None, own.clone(), own.clone(), own.clone(), own, None, None]);
}

#[test]
fn a_growing_file_is_read_on_and_a_new_one_anew() {
    let mut writer = tempfile::NamedTempFile::new().unwrap();
    let mut dump = Jitdump::new(File::open(writer.path()).unwrap());
    let mut write = |bytes: &[u8]| writer.write_all(bytes).unwrap();
    let mut names = |expected: &[&str]| {
        assert!(dump.has_news());
        assert_eq!(functions(&mut dump, &[0x1000, 0x2000]), some(expected));
        assert!(!dump.has_news());
    };
    write(&header(NOT_V8)[..20]);
    names(&["-", "-"]);
    write(&header(NOT_V8)[20..]);
    names(&["-", "-"]);
    let second = load(0x2000, 0x10, 2, "second");
    write(&[&load(0x1000, 0x10, 1, "first"), &second[..60]].concat());
    names(&["first", "-"]);
    write(&second[60..]);
    names(&["first", "second"]);
    write(&load(0x1000, 0x10, 3, "third"));
    names(&["third", "second"]);
    writer.as_file().set_len(0).unwrap();
    assert!(dump.has_news());
    assert_eq!(functions(&mut dump, &[0x1000, 0x2000]), some(&["-", "-"]));
    let anew = [header(V8), vec![0; 900], load(0x2000, 0x10, 1, "other")].concat();
    std::fs::write(writer.path(), &anew).unwrap();
    assert_eq!(functions(&mut dump, &[0x1000, 0x2000]), some(&["-", "-"]), "no record is of size 0");
}

#[test]
fn more_than_is_read_at_a_time_is_read_the_next_time() {
    let mut bytes = header(NOT_V8);
    for _ in 0..MAX_RECORDS {
        bytes.extend(record(3, &[]));
    }
    bytes.extend(load(0x1000, 0x10, 1, "late"));
    let mut dump = Jitdump::new(bytes);
    assert_eq!(functions(&mut dump, &[0x1000]), some(&["-"]));
    assert!(dump.has_news());
    assert_eq!(functions(&mut dump, &[0x1000]), some(&["late"]));
    assert!(!dump.has_news());
}

#[test]
fn other_files_have_no_names() {
    let good = [header(NOT_V8), load(0x1000, 0x10, 1, "f")].concat();
    assert_eq!(functions(&mut Jitdump::new(good.clone()), &[0x1000]), some(&["f"]));
    let changes: [(usize, &[u8]); 4] = [
        (0, b"\x4a\x69\x54\x44"),
        (4, &3u32.to_ne_bytes()),
        (4, &0u32.to_ne_bytes()),
        (8, &39u32.to_ne_bytes()),
    ];
    for (at, change) in changes {
        let mut bad = good.clone();
        bad[at..at + 4].copy_from_slice(change);
        assert_eq!(functions(&mut Jitdump::new(bad), &[0x1000]), some(&["-"]), "{at}: {change:?}");
    }
}

#[test]
fn a_long_name_is_cut() {
    let bytes = [header(NOT_V8), load(0x1000, 0x10, 1, &"é".repeat(9000))].concat();
    let name = Jitdump::new(bytes).names(&[0x1000]).remove(0).unwrap();
    assert!(name.function.len() < 600 && name.function.ends_with('…'), "{}", name.function);
}

/// Records as a hostile runtime could write them: of sizes and contents that belong to each other, or do not.
fn any_record() -> impl Strategy<Value = Vec<u8>> {
    let small = || 0u64..64;
    prop_oneof![
        (small(), small(), small(), "[a-z:*]{0,9}").prop_map(|(s, n, i, name)| load(s, n, i, &name)),
        (any::<u64>(), small(), small(), "[a-z]{0,9}").prop_map(|(s, n, i, name)| load(s, n, i, &name)),
        (small(), small(), small(), small()).prop_map(|(a, b, n, i)| moved(a, b, n, i)),
        (small(), small(), any::<u32>()).prop_map(|(s, a, l)| lines(s, &[(a, l, b"x"), (a, l, b"\xff")])),
        (0u32..6, prop::collection::vec(any::<u8>(), 0..90)).prop_map(|(kind, bytes)| record(kind, &bytes)),
        prop::collection::vec(any::<u8>(), 0..60),
    ]
}

proptest! {
    #[test]
    fn any_records_are_survived(records in prop::collection::vec(any_record(), 0..40), cut in 0usize..4000) {
        let mut bytes = [header(NOT_V8), records.concat()].concat();
        bytes.truncate(cut);
        Jitdump::new(bytes).names(&[0, 1, 17, 40, 63, u64::MAX]);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..900)) {
        records::line(&bytes, 17);
        records::name(&bytes);
        Jitdump::new(bytes.clone()).names(&[0, u64::MAX]);
        Jitdump::new([header(NOT_V8), bytes].concat()).names(&[0, u64::MAX]);
    }

    #[test]
    fn reading_in_steps_finds_what_reading_at_once_does(
        records in prop::collection::vec(any_record(), 0..20),
        steps in prop::collection::vec(0usize..400, 1..12),
    ) {
        let bytes = [header(NOT_V8), records.concat()].concat();
        let addresses: Vec<u64> = (0..128).collect();
        let mut file = tempfile::tempfile().unwrap();
        let mut dump = Jitdump::new(file.try_clone().unwrap());
        let mut written = 0;
        for step in steps.into_iter().chain([bytes.len()]) {
            let end = (written + step).min(bytes.len());
            file.write_all(&bytes[written..end]).unwrap();
            written = end;
            dump.names(&[1]);
        }
        prop_assert_eq!(dump.names(&addresses), Jitdump::new(bytes).names(&addresses));
    }
}

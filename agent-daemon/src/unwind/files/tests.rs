//! Files that come and go: without a kernel, so that tables are only said to be ready.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
};

use super::*;
use crate::unwind::table::ReadAt;

/// This test's own program, which may be closed.
struct Program {
    id: u64,
    is_open: AtomicBool,
}

impl CodeFile for Program {
    fn id(&self) -> u64 {
        self.id
    }

    fn path(&self) -> &str {
        "/program"
    }

    fn open(&self) -> Option<Box<dyn ReadAt>> {
        let file = self.is_open.load(Ordering::Relaxed).then(|| std::fs::File::open("/proc/self/exe"));
        file?.ok().map(|file| Box::new(file) as Box<dyn ReadAt>)
    }
}

fn program(id: u64, is_open: bool) -> Arc<Program> {
    Arc::new(Program { id, is_open: AtomicBool::new(is_open) })
}

fn held(files: &mut Files, id: u64) {
    files.hold(&(program(id, true) as Arc<dyn CodeFile>), &Losses::default());
}

/// As if the table of a file had been made, of so many words.
fn made(files: &mut Files, id: u64, words: u32, now: Instant) {
    held(files, id);
    let Room::Here(words) = files.make_room(words, now) else { panic!("no room") };
    files.known.get_mut(&id).unwrap().state = State::Ready { words, text: 0, pages: 0 };
}

#[test]
fn room_is_made_by_as_few_idle_tables_as_it_takes_and_once_they_have_rested() {
    let (mut files, now) = (Files::with_room(100), Instant::now());
    for id in 0..10 {
        made(&mut files, id, 10, now);
    }
    for id in [3, 4, 5, 6] {
        files.let_go(id);
    }
    held(&mut files, 20);
    assert_eq!(files.make_room(20, now), Room::Later);
    let known: HashSet<u64> = files.known.keys().copied().collect();
    assert_eq!(known, HashSet::from([0, 1, 2, 5, 6, 7, 8, 9, 20]), "the longest unused go");
    assert_eq!((files.next_waiting(now + REST / 2), files.rest(now)), (None, Some(REST)));
    assert_eq!(files.make_room(20, now + REST / 2), Room::Later, "and no more of them");
    assert_eq!(files.known.len(), 9);
    let later = now + REST * 2;
    assert_eq!((files.next_waiting(later), files.rest(later)), (Some(20), None));
    assert_eq!(files.make_room(20, later), Room::Here(30..50));
}

#[test]
fn tables_in_use_stay() {
    let (mut files, now) = (Files::with_room(100), Instant::now());
    made(&mut files, 1, 60, now);
    assert_eq!(files.make_room(60, now), Room::Nowhere);
    assert_eq!((files.known.len(), files.rest(now)), (1, None));
}

#[test]
fn a_file_that_could_not_be_opened_is_tried_again() {
    let (mut files, losses) = (Files::new(), Losses::default());
    let program = program(7, false);
    let file: Arc<dyn CodeFile> = Arc::clone(&program) as _;
    files.hold(&file, &losses);
    assert_eq!(losses.all()["unwind_table_unmade"], 1);
    assert_eq!(files.next_waiting(Instant::now()), None);
    assert!(files.symbols(7).is_none() && files.bias(7, 0x1000, 0).is_none());
    program.is_open.store(true, Ordering::Relaxed);
    files.hold(&file, &losses);
    assert_eq!((losses.all()["unwind_table_unmade"], files.known[&7].users), (1, 2));
    assert_eq!(files.next_waiting(Instant::now()), Some(7));
    assert!(files.symbols(7).is_some());
}

#[test]
fn a_file_of_another_kind_is_not_looked_at_again() {
    struct Text;
    impl CodeFile for Text {
        fn id(&self) -> u64 {
            1
        }
        fn path(&self) -> &str {
            "/text"
        }
        fn open(&self) -> Option<Box<dyn ReadAt>> {
            Some(Box::new(b"#!/bin/sh, and more than a header".repeat(9)))
        }
    }
    let (mut files, losses) = (Files::new(), Losses::default());
    files.hold(&(Arc::new(Text) as Arc<dyn CodeFile>), &losses);
    assert!(matches!(files.known[&1].state, State::Without));
    assert_eq!(losses.all()["unwind_table_unmade"], 0);
}

#[test]
fn of_too_many_symbols_the_most_go_and_are_read_again() {
    let mut files = Files::new();
    for (id, count) in [(1, 5), (2, 500), (3, 50)] {
        held(&mut files, id);
        let names: Vec<_> = (0..count).map(|n| (format!("v8dbg_{n}"), n)).collect();
        let symbols: Vec<_> = names.iter().map(|(name, address)| (name.as_str(), *address)).collect();
        files.known.get_mut(&id).unwrap().symbols = Some(Arc::new(Symbols::of(&symbols)));
    }
    files.bound_symbols(10_000);
    assert_eq!([1, 2, 3].map(|id| files.known[&id].symbols.is_some()), [true, false, true]);
    assert!(files.symbols(2).is_some());
}

#[test]
fn what_a_table_lacks_is_counted() {
    let losses = Losses::default();
    report("/whole", &Stats::default(), &losses);
    let counted = || ["unwind_table_unmade", "unwind_tables_full"].map(|name| losses.all()[name]);
    assert_eq!(counted(), [0, 0]);
    let mut cut = Stats::default();
    cut.cut_short = true;
    report("/cut", &cut, &losses);
    assert_eq!(counted(), [1, 0]);
}

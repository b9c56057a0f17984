//! What was pushed comes out, in order, whatever happens between.

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::*;

fn message(n: usize) -> Message {
    Message { items: u32::try_from(n).unwrap() + 1, bytes: vec![u8::try_from(n % 251).unwrap(); n * 7 % 97] }
}

fn open(folder: &Path, max_bytes: u64) -> (Spool, Found) {
    loop {
        match Spool::open(folder, max_bytes) {
            // Between its fork and its exec, what another test spawns has the lock of the one that was dropped, too.
            Err(SpoolError::InUse(_)) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

fn rest(spool: &mut Spool) -> Vec<Message> {
    let mut found = Found::default();
    let all = std::iter::from_fn(|| {
        let message = spool.peek(&mut found)?;
        spool.done();
        Some(message)
    })
    .collect();
    assert_eq!(found, Found::default());
    all
}

proptest! {
    /// A file that ends anywhere: what is whole is there, in order, and nothing else.
    #[test]
    fn any_truncation_keeps_an_exact_prefix(count in 1usize..12, cut in any::<prop::sample::Index>()) {
        let folder = tempfile::tempdir().unwrap();
        let pushed: Vec<Message> = (0..count).map(message).collect();
        let mut ends = vec![0];
        let mut spool = open(folder.path(), 1 << 20).0;
        for message in &pushed {
            assert_eq!(spool.push(message).unwrap(), 0);
            ends.push(spool.bytes());
        }
        drop(spool);
        let length = cut.index(usize::try_from(*ends.last().unwrap()).unwrap() + 1) as u64;
        let file = OpenOptions::new().write(true).open(segment::path(folder.path(), 1)).unwrap();
        file.set_len(length).unwrap();
        let (mut spool, found) = open(folder.path(), 1 << 20);
        let whole = ends.iter().filter(|end| **end <= length).count() - 1;
        prop_assert_eq!(found.cut, u64::from(!ends.contains(&length)));
        prop_assert_eq!(rest(&mut spool), &pushed[..whole]);
        // And it goes on from there.
        spool.push(&pushed[0]).unwrap();
        prop_assert_eq!(rest(&mut spool), &pushed[..1]);
    }

    /// A byte that is another one: nothing comes out that was not pushed, and what comes is a prefix.
    #[test]
    fn any_flipped_byte_keeps_a_prefix(at in any::<prop::sample::Index>(), flip in 1u8..) {
        let folder = tempfile::tempdir().unwrap();
        let pushed: Vec<Message> = (0..6).map(message).collect();
        let mut spool = open(folder.path(), 1 << 20).0;
        pushed.iter().for_each(|message| assert_eq!(spool.push(message).unwrap(), 0));
        drop(spool);
        let path = segment::path(folder.path(), 1);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        std::fs::write(&path, bytes).unwrap();
        let (mut spool, found) = open(folder.path(), 1 << 20);
        let left = rest(&mut spool);
        prop_assert_eq!(found.cut, 1);
        prop_assert!(left.len() < pushed.len());
        prop_assert_eq!(&left[..], &pushed[..left.len()]);
        // What is known to be lost is what is whole behind the damage, if it can be found.
        let behind: u64 = pushed.iter().skip(left.len() + 1).map(|message| u64::from(message.items)).sum();
        prop_assert!(found.lost <= behind, "{found:?}");
    }

    /// Pushes, sends and restarts in any order: what comes out is what went in, without the oldest where there was no
    /// room, and every item is either there or was told to be dropped.
    #[test]
    fn nothing_is_lost_untold(steps in prop::collection::vec(0u8..4, 1..120), max in 100u64..5000) {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = open(folder.path(), max).0;
        let (mut pushed, mut seen, mut dropped) = (0usize, Vec::new(), 0u64);
        for step in steps {
            match step {
                0 | 1 => {
                    dropped += spool.push(&message(pushed)).unwrap();
                    pushed += 1;
                }
                2 => {
                    if let Some(message) = spool.peek(&mut Found::default()) {
                        seen.push(message);
                        spool.done();
                    }
                }
                _ => {
                    drop(spool);
                    let opened = open(folder.path(), max);
                    assert_eq!(opened.1, Found::default());
                    spool = opened.0;
                }
            }
            prop_assert!(spool.bytes() <= max.max(120));
        }
        seen.extend(rest(&mut spool));
        let numbers: Vec<u32> = seen.iter().map(|message| message.items).collect();
        prop_assert!(numbers.is_sorted_by(|a, b| a < b));
        prop_assert!(seen.iter().all(|seen| *seen == message(seen.items as usize - 1)));
        let items: u64 = numbers.iter().copied().map(u64::from).sum();
        prop_assert_eq!(items + dropped, (1..=pushed as u64).sum::<u64>());
        prop_assert!(spool.is_empty());
    }
}

#[test]
fn one_process_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path(), 1000);
    assert!(matches!(Spool::open(folder.path(), 1000), Err(SpoolError::InUse(_))));
}

#[test]
fn what_is_peeked_at_stays_until_it_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 1 << 20).0;
    spool.push(&message(3)).unwrap();
    for _ in 0..2 {
        assert_eq!(spool.peek(&mut Found::default()), Some(message(3)));
    }
    drop(spool);
    let mut spool = open(folder.path(), 1 << 20).0;
    assert_eq!(rest(&mut spool), [message(3)]);
    drop(spool);
    assert!(open(folder.path(), 1 << 20).0.is_empty(), "what was sent is not sent again");
}

#[test]
fn what_is_lost_with_a_damaged_segment_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 1 << 20).0;
    (0..6).for_each(|n| assert_eq!(spool.push(&message(n)).unwrap(), 0));
    assert_eq!(spool.peek(&mut Found::default()), Some(message(0)));
    spool.done();
    // A byte of the third message, which is 14 long; the two before are 12 and 19.
    let path = segment::path(folder.path(), 1);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[12 + 19 + 12 + 5] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let mut found = Found::default();
    assert_eq!(spool.peek(&mut found), Some(message(1)));
    spool.done();
    assert_eq!(spool.peek(&mut found), None);
    spool.push(&message(7)).unwrap();
    assert_eq!(spool.peek(&mut found), Some(message(7)));
    assert_eq!(found, Found { cut: 1, lost: 3 + 4 + 5 + 6 });
    drop(spool);
    std::fs::write(&path, &bytes).unwrap();
    std::fs::remove_file(folder.path().join("sent")).unwrap();
    let found = open(folder.path(), 1 << 20).1;
    assert_eq!(found, Found { cut: 1, lost: 4 + 5 + 6 }, "of the damaged one nothing is known");
}

#[test]
fn a_message_whose_segment_goes_while_it_is_sent_is_told_once() {
    for sent in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = open(folder.path(), 200).0;
        spool.push(&message(1)).unwrap();
        assert_eq!(spool.peek(&mut Found::default()), Some(message(1)));
        let dropped: u64 = (2..30).map(|n| spool.push(&message(n)).unwrap()).sum();
        if sent {
            spool.done();
        }
        let mut found = Found::default();
        let next = spool.peek(&mut found).unwrap();
        assert_eq!(found, Found { cut: 0, lost: if sent { 0 } else { 2 } });
        assert_eq!(dropped, (3..u64::from(next.items)).sum::<u64>());
    }
}

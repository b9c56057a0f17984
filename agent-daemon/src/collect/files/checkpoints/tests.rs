//! What becomes a checkpoint, and what does not.

use super::*;
use crate::config::Files;

const PROCESS: ProcessId = ProcessId(1 << 22 | 7);

fn checkpoints() -> Checkpoints {
    Checkpoints::new(&[], &Files::default().checkpoints)
}

fn used(checkpoints: &mut Checkpoints, inode: u64, path: &str, used: FileUse) {
    let key = FileKey { process: PROCESS, slot: Slot(1), device: 1, inode, name: 1 };
    checkpoints.used(&key, &path.into(), &used, &Losses::default());
}

fn renamed(checkpoints: &mut Checkpoints, from: &str, to: &str, at_ns: u64) {
    let rename = Rename { process: PROCESS, from: from.into(), to: to.into(), at_ns };
    checkpoints.renamed(&[rename], &Losses::default());
}

fn take(checkpoints: &mut Checkpoints, lives: bool) -> Vec<Checkpoint> {
    let at = |ns| Timestamp::from_nanosecond(i128::from(ns)).unwrap();
    checkpoints.take(|_| lives, &at, &Losses::default()).into_iter().map(|(_, c)| c).collect()
}

const WRITTEN: FileUse = FileUse {
    read_opens: 0,
    write_opens: 1,
    creates: 1,
    changes: 3,
    read_bytes: 0,
    written_bytes: 300,
    syncs: 1,
    sync_ns: 20,
    errors: 0,
    closes: 1,
    first_ns: 100,
    last_ns: 200,
    size: 300,
};

#[test]
fn a_file_that_is_renamed_is_one_save_from_its_beginning() {
    let mut all = checkpoints();
    let half = FileUse { closes: 0, syncs: 0, sync_ns: 0, size: 0, ..WRITTEN };
    used(&mut all, 1, "/m/model.tmp", half);
    assert_eq!(take(&mut all, true), []);
    let rest = FileUse { write_opens: 0, creates: 0, first_ns: 300, last_ns: 400, ..WRITTEN };
    used(&mut all, 1, "/m/model.tmp", rest);
    renamed(&mut all, "/other/spelling/model.tmp", "/m/model.safetensors", 450);
    let [save] = &take(&mut all, true)[..] else { panic!("one") };
    assert_eq!((save.way, &*save.path, &*save.pattern), (Way::Save, "/m/model.safetensors", "*.safetensors"));
    assert_eq!((save.duration_ns, save.bytes, save.sync_ns, save.error), (350, 600, 20, None));
    assert_eq!(take(&mut all, true), []);
}

#[test]
fn a_name_given_a_window_later_still_counts() {
    let mut all = checkpoints();
    used(&mut all, 1, "/m/x.part", WRITTEN);
    assert_eq!(take(&mut all, true), []);
    renamed(&mut all, "/m/x.part", "/m/x.pt", 900);
    assert_eq!(take(&mut all, true).len(), 1);
    used(&mut all, 2, "/m/other", WRITTEN);
    take(&mut all, true);
    take(&mut all, true);
    assert!(all.open.is_empty());
}

#[test]
fn of_two_files_of_one_name_neither_is_taken_for_the_other() {
    let mut all = checkpoints();
    used(&mut all, 1, "/a/model.tmp", WRITTEN);
    used(&mut all, 2, "/b/model.tmp", WRITTEN);
    let losses = Losses::default();
    let rename = |from: &str| {
        let (process, to) = (PROCESS, "/b/model.pt".into());
        Rename { process, from: from.into(), to, at_ns: 900 }
    };
    all.renamed(&[rename("/link/model.tmp")], &losses);
    assert_eq!(losses.all().get(Loss::CheckpointUnfollowed.name()), Some(&1));
    all.renamed(&[rename("/b/model.tmp")], &losses);
    let [save] = &take(&mut all, true)[..] else { panic!("one") };
    assert_eq!((&*save.path, save.bytes), ("/b/model.pt", 300));
}

#[test]
fn loads_of_mapped_files_have_their_size() {
    let mut all = checkpoints();
    let mapped = FileUse {
        read_opens: 2,
        closes: 2,
        read_bytes: 8,
        size: 1000,
        first_ns: 1,
        last_ns: 4,
        ..FileUse::default()
    };
    used(&mut all, 1, "/m/x.gguf", mapped);
    let [load] = &take(&mut all, true)[..] else { panic!("one") };
    assert_eq!((load.way, load.bytes, load.by_size, load.duration_ns), (Way::Load, 1000, true, 3));
}

#[test]
fn what_stays_open_is_told_when_it_is_synced_and_when_its_process_ends() {
    let mut all = checkpoints();
    let open = FileUse { closes: 0, ..WRITTEN };
    for _ in 0..2 {
        used(&mut all, 1, "/a/checkpoints.sqlite", open);
        assert_eq!(take(&mut all, true).len(), 1);
    }
    assert_eq!(take(&mut all, true), []);
    used(&mut all, 1, "/a/checkpoints.sqlite", FileUse { syncs: 0, errors: 1, ..open });
    assert_eq!(take(&mut all, true), []);
    assert_eq!(take(&mut all, false).first().and_then(|save| save.error), Some("write_failed"));
    assert!(all.open.is_empty());
}

#[test]
fn files_that_are_followed_are_bounded() {
    let (mut all, losses) = (checkpoints(), Losses::default());
    for inode in 0..MAX_OPEN as u64 + 3 {
        let key = FileKey { process: PROCESS, slot: Slot(1), device: 1, inode, name: 1 };
        all.used(&key, &"/m/x.pt".into(), &WRITTEN, &losses);
    }
    assert_eq!(all.open.len(), MAX_OPEN);
    assert_eq!(losses.all().get(Loss::CheckpointDropped.name()), Some(&3));
    let new = FileKey { process: PROCESS, slot: Slot(1), device: 2, inode: 1, name: 1 };
    all.used(&new, &"/m/x.tmp".into(), &WRITTEN, &losses);
    assert_eq!(losses.all().get(Loss::CheckpointUnfollowed.name()), Some(&1));
    assert_eq!(take(&mut all, true).len(), MAX_TAKEN);
    all.forget(Slot(1));
    assert!(all.open.is_empty());
}

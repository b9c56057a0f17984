//! Files that follow each other: when, under which names, how many, and what a crash or a full disk leaves.

use super::*;
use crate::export::journal::{data::Kind, reader::Reader};

fn line(text: &str) -> Line {
    Line::new(Kind::Agent, (Timestamp::UNIX_EPOCH, ""), text.to_owned(), ()).unwrap()
}

fn rotation(compress: Compression) -> Rotation {
    Rotation { max_bytes: 200, max_age: Duration::from_secs(60), max_files: 3, compress }
}

fn after(seconds: i64) -> Timestamp {
    Timestamp::now() + Duration::from_secs(1_000_000 + seconds.unsigned_abs())
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn files_follow_by_size_and_age_and_the_newest_are_kept() {
    for (compress, ending) in
        [(Compression::Zstd, ".zst"), (Compression::Gzip, ".gz"), (Compression::None, "")]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/journal.jsonl");
        let mut files = Files::open(&path, rotation(compress), after(0)).unwrap();
        let stranger = folder.path().join("sub/journal-notes.jsonl");
        fs::write(&stranger, "mine").unwrap();
        for n in 0..6 {
            assert!(!files.is_due(after(n)), "an empty file is never old");
            files.write(&[line(&format!("line {n}")), line(&"x".repeat(200))]).unwrap();
            assert!(files.is_due(after(n)));
            files.rotate(after(n)).unwrap();
            if let Some(thread) = files.compressing.take() {
                thread.join().unwrap();
            }
        }
        files.write(&[line("short")]).unwrap();
        drop(files);
        let names = names(path.parent().unwrap());
        assert_eq!(names.len(), 5, "three, the one that is written and a stranger: {names:?}");
        let old: Vec<_> =
            names.iter().filter(|n| n.starts_with("journal-2") && n.ends_with(ending)).collect();
        assert_eq!(old.len(), 3, "{names:?}");
        let first = File::open(path.with_file_name(old[0])).unwrap();
        let lines: Vec<_> = Reader::new(first).unwrap().map(|line| line.unwrap().1.unwrap()).collect();
        assert!(lines.len() == 2 && String::from_utf8_lossy(&lines[0]).contains("line 3"));
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_file_that_was_torn_goes_on_in_a_new_line_and_an_old_one_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    fs::write(&path, "{\"torn").unwrap();
    let mut files = Files::open(&path, rotation(Compression::None), Timestamp::now()).unwrap();
    files.write(&[line("whole")]).unwrap();
    assert!(!files.is_due(Timestamp::now()) && files.is_due(after(0)));
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(text.lines().nth(1).unwrap().contains("whole"));
}

#[test]
fn a_file_that_somebody_took_away_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sub/journal.jsonl");
    let aside = folder.path().join("aside");
    let mut files = Files::open(&path, rotation(Compression::None), after(0)).unwrap();
    let acts: [&dyn Fn(); 5] = [
        &|| fs::rename(&path, &aside).unwrap(),
        &|| fs::remove_file(&path).unwrap(),
        &|| fs::remove_dir_all(path.parent().unwrap()).unwrap(),
        &|| drop(File::create(&path).unwrap()),
        &|| {
            fs::rename(&path, &aside).unwrap();
            drop(File::create(&path).unwrap());
        },
    ];
    for (n, act) in acts.iter().enumerate() {
        files.write(&[line("before")]).unwrap();
        assert!(!files.is_gone());
        act();
        assert!(files.is_gone(), "{n}");
        files.rotate(after(1)).unwrap();
        files.write(&[line("after")]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.lines().count() == 1 && text.contains("after"), "{n}: {text}");
    }
    assert_eq!(names(path.parent().unwrap()), ["journal.jsonl"], "nothing of others is renamed");
}

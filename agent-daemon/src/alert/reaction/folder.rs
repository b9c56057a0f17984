//! The folder of captured profiles and dumps: whole files, for only their owner to read, bounded in number and size. The
//! oldest go. Nothing else in the folder is ever touched.

use std::{
    fmt, fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::model::id::AgentId;

/// The most files.
const MAX_FILES: usize = 1000;
/// How our files end.
const ENDINGS: [&str; 3] = [".pb.gz", ".folded", ".jsonl.zst"];
/// How one ends that is not whole yet.
const DRAFT: &str = ".new";

/// What a file is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'n> {
    pub(super) reaction: u64,
    pub(super) agent: Option<&'n AgentId>,
    pub(super) part: &'n str,
    pub(super) ending: &'n str,
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reaction, agent, part, ending } = self;
        match agent {
            Some(agent) => write!(f, "{reaction}-{agent}-{part}.{ending}"),
            None => write!(f, "{reaction}-{part}.{ending}"),
        }
    }
}

/// The folder. It is made when the first file is.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
    max_bytes: u64,
}

impl Folder {
    pub(super) fn new(path: PathBuf, max_bytes: u64) -> Self {
        Self { path, max_bytes }
    }

    /// Where a file is, of which [`Self::put`] has said that it is there; it may be gone by now.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file as a whole. Its name.
    ///
    /// # Errors
    /// It cannot be written, or is larger than all files together may be.
    pub(super) fn put(
        &self,
        name: &Name<'_>,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<String> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        let name = name.to_string();
        let draft = self.path.join(format!("{name}{DRAFT}"));
        let written = self.write(&draft, write).and_then(|()| fs::rename(&draft, self.path.join(&name)));
        if let Err(error) = written {
            let _ = fs::remove_file(&draft);
            return Err(error);
        }
        self.prune(&name)?;
        Ok(name)
    }

    fn write(&self, path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let mut bounded = Bounded { to: io::BufWriter::new(file), left: self.max_bytes };
        write(&mut bounded)?;
        bounded.to.flush()
    }

    /// Removes the oldest until the rest is within bounds, but for the newest.
    fn prune(&self, newest: &str) -> io::Result<()> {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let (meta, name) = (entry.metadata()?, entry.file_name());
            if meta.is_file() && name != newest && name.to_str().is_some_and(is_ours) {
                files.push((meta.modified()?, meta.len(), entry.path()));
            }
        }
        files.sort();
        let own = fs::metadata(self.path.join(newest))?.len();
        let mut bytes: u64 = own.saturating_add(files.iter().map(|(_, bytes, _)| bytes).sum());
        let mut count = files.len() + 1;
        for (_, size, path) in files {
            if bytes <= self.max_bytes && count <= MAX_FILES {
                break;
            }
            fs::remove_file(path)?;
            bytes -= size;
            count -= 1;
        }
        Ok(())
    }
}

fn is_ours(name: &str) -> bool {
    let whole = name.strip_suffix(DRAFT).unwrap_or(name);
    let numbered = whole.split_once('-').is_some_and(|(number, _)| number.parse::<u64>().is_ok());
    numbered && ENDINGS.iter().any(|ending| whole.ends_with(ending))
}

/// Takes so many bytes, and no more.
struct Bounded<W> {
    to: W,
    left: u64,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or_else(|| io::Error::other("it is larger than alerts.reactions.max_size"))?;
        self.to.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, thread::sleep, time::Duration};

    use super::{Folder, Name, is_ours};

    fn name(reaction: u64) -> Name<'static> {
        Name { reaction, agent: None, part: "recorder", ending: "jsonl.zst" }
    }

    #[test]
    fn the_oldest_go_and_nothing_that_is_not_ours() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("files");
        let folder = Folder::new(path.clone(), 100);
        for number in 1..=3 {
            folder.put(&name(number), |to| to.write_all(&[0; 40])).unwrap();
            std::fs::write(path.join("mine.txt"), [0; 500]).unwrap();
            sleep(Duration::from_millis(10));
        }
        let there = |number: u64| folder.file(&name(number).to_string()).exists();
        assert!(!there(1) && there(2) && there(3) && path.join("mine.txt").exists());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(
            folder.file("3-recorder.jsonl.zst").metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(folder.put(&name(4), |to| to.write_all(&[0; 101])).is_err(), "one alone is too large");
        assert!(there(3) && !there(4) && !path.join("4-recorder.jsonl.zst.new").exists());
    }

    #[test]
    fn ours_are_known_by_their_names() {
        assert!(is_ours("12-4711-1-cpu.pb.gz") && is_ours("12-recorder.jsonl.zst.new"));
        assert!(!is_ours("cpu.pb.gz") && !is_ours("x-cpu.pb.gz") && !is_ours("12-notes.txt"));
    }
}

//! The journal as a file: when it is large or old enough it gets the time into its name, the next begins, and it is
//! compressed beside the writing. The newest so many are kept.
//!
//! Nothing is synced: the store is what outlasts a crash, and a line that was torn by one is skipped when it is read.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread::JoinHandle,
    time::Duration,
};

use super::line::Line;
use crate::{
    config::{Compression, Journal},
    model::time::Timestamp,
};

/// When a file is followed by the next, and what becomes of it.
#[derive(Clone, Debug)]
pub(super) struct Rotation {
    pub(super) max_bytes: u64,
    pub(super) max_age: Duration,
    /// Files that are kept beside the one that is written.
    pub(super) max_files: usize,
    pub(super) compress: Compression,
}

impl From<&Journal> for Rotation {
    fn from(config: &Journal) -> Self {
        let Journal { max_bytes, max_age, max_files, compress, .. } = *config;
        Self { max_bytes, max_age, max_files, compress }
    }
}

/// The file that is written, and those before it.
#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    rotation: Rotation,
    file: Option<File>,
    /// Up to here the file is whole.
    good: u64,
    began: Timestamp,
    compressing: Option<JoinHandle<()>>,
}

impl Files {
    /// Goes on with the file at `path`, or begins it.
    pub(super) fn open(path: &Path, rotation: Rotation, now: Timestamp) -> io::Result<Self> {
        let path = path.to_owned();
        let mut files = Self { path, rotation, file: None, good: 0, began: now, compressing: None };
        files.go_on(now)?;
        files.tidy();
        Ok(files)
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let old =
            now.duration_since(self.began).try_into().is_ok_and(|age: Duration| age >= self.rotation.max_age);
        self.good >= self.rotation.max_bytes || old && self.good > 0
    }

    /// Whether somebody else moved, deleted or emptied the file: what is written to it would be lost, or not stand
    /// where it is looked for.
    pub(super) fn is_gone(&self) -> bool {
        let Some(open) = self.file.as_ref().and_then(|file| file.metadata().ok()) else { return false };
        match fs::metadata(&self.path) {
            Ok(there) => (open.dev(), open.ino()) != (there.dev(), there.ino()) || there.len() < self.good,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Begins the next file. One that somebody else took away needs no other name.
    pub(super) fn rotate(&mut self, now: Timestamp) -> io::Result<()> {
        if self.file.is_some() && self.good > 0 && !self.is_gone() {
            match fs::rename(&self.path, self.rotated(now)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.file = None;
        self.go_on(now)?;
        self.tidy();
        Ok(())
    }

    /// Writes lines, all or none.
    pub(super) fn write(&mut self, lines: &[Line]) -> io::Result<()> {
        if self.file.is_none() {
            self.go_on(self.began)?;
        }
        let Some(file) = &self.file else { return Ok(()) };
        let mut bytes = Vec::with_capacity(lines.iter().map(|line| line.json.len() + 1).sum());
        for line in lines {
            bytes.extend_from_slice(line.json.as_bytes());
            bytes.push(b'\n');
        }
        if let Err(error) = file.write_all_at(&bytes, self.good) {
            // What is left of it, should this fail, too, is a line that no reader takes.
            let _ = file.set_len(self.good);
            return Err(error);
        }
        self.good += bytes.len() as u64;
        Ok(())
    }

    fn go_on(&mut self, now: Timestamp) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&self.path)?;
        let created = file.metadata()?.created().ok().and_then(|at| Timestamp::try_from(at).ok());
        self.good = file.seek(SeekFrom::End(0))?;
        self.began = created.filter(|_| self.good > 0).map_or(now, |at| at.min(now));
        if self.good > 0 && !ends_a_line(&mut file, self.good)? {
            file.write_all_at(b"\n", self.good)?;
            self.good += 1;
        }
        self.file = Some(file);
        Ok(())
    }

    /// What the file is called once it is over: names sort as the files follow each other.
    fn rotated(&self, now: Timestamp) -> PathBuf {
        let stamp = now.strftime("%Y%m%dT%H%M%S%.6fZ");
        self.path.with_file_name(format!("{}{stamp}.{}", self.prefix(), self.suffix()))
    }

    fn prefix(&self) -> String {
        format!("{}-", self.path.file_stem().unwrap_or_default().to_string_lossy())
    }

    fn suffix(&self) -> String {
        self.path.extension().map_or_else(|| "jsonl".to_owned(), |e| e.to_string_lossy().into_owned())
    }

    /// The files before this one, oldest first.
    fn older(&self) -> Vec<PathBuf> {
        let (prefix, suffix) = (self.prefix(), format!(".{}", self.suffix()));
        let own = |name: &str| {
            let rest = name.strip_prefix(&prefix)?;
            let (stamp, rest) = rest.split_once(&suffix)?;
            let dated = stamp.starts_with(|c: char| c.is_ascii_digit()) && stamp.ends_with('Z');
            (dated && ["", ".zst", ".gz"].contains(&rest)).then_some(())
        };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut older: Vec<_> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_name().to_str().and_then(own).is_some())
            .map(|entry| entry.path())
            .collect();
        older.sort();
        older
    }

    /// Deletes what is too much, and compresses what is left.
    fn tidy(&mut self) {
        let mut older = self.older();
        let gone = older.len().saturating_sub(self.rotation.max_files);
        for path in older.drain(..gone) {
            // Tried again at the next rotation.
            let _ = fs::remove_file(path);
        }
        let busy = self.compressing.as_ref().is_some_and(|thread| !thread.is_finished());
        let plain: Vec<_> = older.into_iter().filter(|p| !compressed(p)).collect();
        let compress = self.rotation.compress;
        if busy || plain.is_empty() || compress == Compression::None {
            return;
        }
        let work = move || plain.iter().for_each(|path| make_small(path, compress));
        self.compressing = std::thread::Builder::new().name("journal-zip".to_owned()).spawn(work).ok();
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if let Some(thread) = self.compressing.take() {
            let _ = thread.join();
        }
    }
}

fn compressed(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "zst" || e == "gz")
}

/// Whether the file's last byte ends a line.
fn ends_a_line(file: &mut File, length: u64) -> io::Result<bool> {
    let mut last = [0];
    file.read_exact_at(&mut last, length.saturating_sub(1))?;
    Ok(last == *b"\n")
}

/// Puts a compressed file in a file's place. Where that fails the file stays as it is, and the next rotation tries
/// again.
fn make_small(path: &Path, compression: Compression) {
    let extension = if compression == Compression::Gzip { "gz" } else { "zst" };
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{extension}"));
    let (done, mut temporary) = (PathBuf::from(&name), name);
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let outcome = compress(path, &temporary, compression)
        .and_then(|()| fs::rename(&temporary, &done))
        .and_then(|()| fs::remove_file(path));
    if let Err(error) = outcome {
        let _ = fs::remove_file(&temporary);
        tracing::warn!(%error, path = %path.display(), "a file of the journal is not compressed");
    }
}

fn compress(from: &Path, to: &Path, compression: Compression) -> io::Result<()> {
    let mut from = File::open(from)?;
    let to = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
    match compression {
        Compression::Gzip => {
            let mut to = flate2::write::GzEncoder::new(to, flate2::Compression::default());
            copy(&mut from, &mut to)?;
            to.finish()?.sync_all()
        }
        Compression::Zstd | Compression::None => {
            let mut to = zstd::Encoder::new(to, 0)?;
            copy(&mut from, &mut to)?;
            to.finish()?.sync_all()
        }
    }
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    io::copy(from, to).map(drop)
}

#[cfg(test)]
mod tests;

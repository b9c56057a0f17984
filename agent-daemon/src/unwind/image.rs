//! What the walker is told about: the code of a process, as the one who opens its files sees it.

use std::{fs::File, sync::Arc};

use super::table::ReadAt;

/// A file that is mapped into processes, or the vdso.
pub trait CodeFile: Send + Sync {
    /// Identifies the file's content for as long as the daemon runs.
    fn id(&self) -> u64;

    /// Its path in the process's own mount namespace.
    fn path(&self) -> &str;

    /// Its bytes, if they can still be read.
    fn open(&self) -> Option<Box<dyn ReadAt>>;

    /// The file itself, to attach probes to it, if it is one and still open.
    fn file(&self) -> Option<File> {
        None
    }
}

/// What a mapping holds.
#[derive(Clone)]
pub enum Code {
    /// Part of a file, or of the vdso.
    File(Arc<dyn CodeFile>),
    /// Code made at run time.
    Generated,
}

/// One executable mapping.
#[derive(Clone)]
pub struct Region {
    /// First address.
    pub start: u64,
    /// First address after.
    pub end: u64,
    /// Offset in the file of the first address.
    pub offset: u64,
    /// What is there.
    pub code: Code,
}

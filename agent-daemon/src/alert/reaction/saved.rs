//! What outlasts the daemon: the audit, and what is held, with what was there before. One file in the store's folder,
//! written before anything is done. Where nothing can be kept, nothing is held.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{action::Held, audit::Audit};
use crate::store;

/// The file's name in the store's folder.
const FILE: &str = "reactions.json";
/// The form that it is written in.
const VERSION: u32 = 1;
/// The largest file that is read, bytes: many times what a thousand entries take.
const MAX_BYTES: u64 = 64 << 20;

/// Everything that outlasts the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
    version: u32,
    /// The boot in which things are held: what another held is gone.
    pub(super) boot_id: String,
    pub(super) audit: Audit,
    /// By the number of the reaction.
    pub(super) held: BTreeMap<u64, Held>,
}

impl Saved {
    pub(super) fn new(boot_id: String, audit: Audit, held: BTreeMap<u64, Held>) -> Self {
        Self { version: VERSION, boot_id, audit, held }
    }
}

/// Where it is kept.
#[derive(Debug)]
pub(super) struct Keep(Option<PathBuf>);

impl Keep {
    /// A place in this folder; in none where the store is in memory.
    pub(super) fn new(folder: Option<&Path>) -> Self {
        Self(folder.map(Path::to_owned))
    }

    /// Whether anything is kept.
    pub(super) fn is_durable(&self) -> bool {
        self.0.is_some()
    }

    /// What was kept last. What cannot be read is set aside under another name, and said.
    pub(super) fn read(&self) -> Option<Saved> {
        let path = self.0.as_ref()?.join(FILE);
        match read(&path) {
            Ok(saved) => Some(saved),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::error!(
                    %error,
                    "{} cannot be read: limits and pauses that were in force must be taken back by hand",
                    path.display()
                );
                // Kept for whoever takes them back; where that fails it is overwritten.
                let _ = std::fs::rename(&path, path.with_extension("unreadable"));
                None
            }
        }
    }

    /// Makes it last.
    ///
    /// # Errors
    /// It does not.
    pub(super) fn write(&self, saved: &Saved) -> io::Result<()> {
        let Some(folder) = &self.0 else { return Ok(()) };
        store::replace(folder, FILE, &serde_json::to_vec(saved).map_err(io::Error::other)?)
    }
}

fn read(path: &Path) -> io::Result<Saved> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    let saved: Saved = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
    if saved.version != VERSION {
        return Err(io::Error::other(format!("it is of version {}, not {VERSION}", saved.version)));
    }
    Ok(saved)
}

#[cfg(test)]
mod tests {
    use super::{FILE, Keep, Saved};

    #[test]
    fn what_is_kept_is_read_again_and_what_cannot_be_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let keep = Keep::new(Some(folder.path()));
        assert!(keep.read().is_none() && keep.is_durable());
        let saved = Saved::new("boot".into(), Default::default(), Default::default());
        keep.write(&saved).unwrap();
        assert_eq!(keep.read(), Some(saved));
        for broken in [
            "{\"version\": 1",
            "{\"version\": 7, \"boot_id\": \"\", \"audit\": {\"next\": 0, \"entries\": []}, \"held\": {}}",
        ] {
            std::fs::write(folder.path().join(FILE), broken).unwrap();
            assert_eq!(keep.read(), None);
            assert!(folder.path().join("reactions.unreadable").exists());
        }
        assert!(!Keep::new(None).is_durable());
        assert!(Keep::new(Some("/nonexistent".as_ref())).write(&Saved::default()).is_err());
    }
}

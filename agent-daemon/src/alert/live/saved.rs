//! What outlasts the daemon: alerts, silences, what was told and what is on its way. One file in the store's folder,
//! replaced as a whole, so that it is there whole or as it was before.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::past::Past;
use crate::{
    alert::{channel, diagnosis::Diagnoses, route, state},
    store,
};

/// The file's name in the store's folder.
const FILE: &str = "alerts.json";
/// The largest file that is read, bytes: ten thousand alerts take a tenth of it.
const MAX_BYTES: u64 = 256 << 20;

/// Everything that outlasts the daemon.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) engine: state::Saved,
    pub(super) router: route::Saved,
    #[serde(default)]
    pub(super) channels: channel::Saved,
    #[serde(default)]
    pub(super) past: Past,
    #[serde(default)]
    pub(super) diagnoses: Diagnoses,
}

/// Where it is kept.
#[derive(Debug)]
pub(super) struct Keep {
    folder: Option<PathBuf>,
    written: Vec<u8>,
    in_trouble: bool,
}

impl Keep {
    /// A place in this folder; in none where the store is in memory.
    pub(super) fn new(folder: Option<&Path>) -> Self {
        Self { folder: folder.map(Path::to_owned), written: Vec::new(), in_trouble: false }
    }

    /// What was kept last. What cannot be read is set aside under another name, and said.
    pub(super) fn read(&self) -> Option<Saved> {
        let path = self.folder.as_ref()?.join(FILE);
        match read(&path) {
            Ok(saved) => Some(saved),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let aside = path.with_extension("unreadable");
                tracing::error!(%error, "{} cannot be read: alerts begin anew, and are told anew", path.display());
                // Kept for whoever wants to know why; where that fails it is overwritten.
                let _ = std::fs::rename(&path, aside);
                None
            }
        }
    }

    /// Makes it last. Whether it does; said where that changes.
    pub(super) fn write(&mut self, saved: &Saved) -> bool {
        let Some(folder) = &self.folder else { return true };
        let written = serde_json::to_vec(saved).map_err(io::Error::other).and_then(|bytes| {
            if bytes != self.written {
                store::replace(folder, FILE, &bytes)?;
                self.written = bytes;
            }
            Ok(())
        });
        let fine = written.is_ok();
        match written {
            Err(error) if !self.in_trouble => {
                tracing::error!(%error, "alerts are not durable for now: after a crash some would be told again");
            }
            Ok(()) if self.in_trouble => tracing::info!("alerts are durable again"),
            _ => {}
        }
        self.in_trouble = !fine;
        fine
    }
}

fn read(path: &Path) -> io::Result<Saved> {
    let file = std::fs::File::open(path)?;
    if file.metadata()?.len() > MAX_BYTES {
        return Err(io::Error::other("it is larger than any that is written"));
    }
    serde_json::from_reader(io::BufReader::new(file)).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::{FILE, Keep, Saved};
    use crate::alert::{
        Engine, Router,
        route::{Config, Silence},
    };

    fn saved(author: &str) -> Saved {
        let mut router = Router::new(Config::to("default"));
        let matcher = crate::alert::matcher::Matcher::parse("a=\"b\"").unwrap();
        router.silence(Silence::new(vec![matcher], (0, 10), author, "why").unwrap(), 5).unwrap();
        let (channels, past, diagnoses) = Default::default();
        Saved { engine: Engine::default().save(), router: router.save(), channels, past, diagnoses }
    }

    #[test]
    fn what_is_kept_is_read_again_and_only_its_owner_can() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mut keep = Keep::new(Some(folder.path()));
        assert!(keep.read().is_none());
        assert!(keep.write(&saved("me")) && keep.write(&saved("you")));
        let read = Keep::new(Some(folder.path())).read().unwrap();
        assert_eq!(read.router, saved("you").router);
        let mode = folder.path().join(FILE).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_cannot_be_read_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "{\"engine\": 7").unwrap();
        assert!(Keep::new(Some(folder.path())).read().is_none());
        assert!(folder.path().join("alerts.unreadable").exists());
        assert!(!folder.path().join(FILE).exists());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_end() {
        let mut keep = Keep::new(Some(std::path::Path::new("/nonexistent")));
        assert!(!keep.write(&saved("me")));
        assert!(Keep::new(None).write(&saved("me")));
    }
}

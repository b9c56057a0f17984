//! Names of users, from /etc/passwd alone: what a directory service knows has no name here, and rules can
//! give its number.
//!
//! The file is read when a name is first asked for and again when it has changed, at most once a second.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// The most of the file that is read, bytes.
const MAX_BYTES: u64 = 4 << 20;

/// How long names are trusted before the file is looked at again.
const FRESH: Duration = Duration::from_secs(1);

static CACHE: Mutex<Option<Cache>> = Mutex::new(None);

struct Cache {
    looked: Instant,
    modified: Option<SystemTime>,
    names: HashMap<u32, Arc<str>>,
}

/// The name of the user of this number; `None` where /etc/passwd has none.
#[must_use]
pub fn user_name(uid: u32) -> Option<Arc<str>> {
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new("/etc/passwd");
    let stale = cache.take().filter(|c| c.looked.elapsed() < FRESH || c.modified == modified(path));
    let cache = cache.insert(match stale {
        Some(cache) => cache,
        None => {
            Cache { looked: Instant::now(), modified: modified(path), names: read(path).unwrap_or_default() }
        }
    });
    cache.names.get(&uid).cloned()
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|m| m.modified()).ok()
}

fn read(path: &Path) -> io::Result<HashMap<u32, Arc<str>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(parse(&bytes))
}

/// `NAME:PASSWORD:UID:…`, a line a user; the first line of a number counts.
fn parse(bytes: &[u8]) -> HashMap<u32, Arc<str>> {
    let mut names = HashMap::new();
    for line in String::from_utf8_lossy(bytes).lines() {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next(), fields.nth(1).and_then(|uid| uid.parse().ok()));
        if let (Some(name), Some(uid)) = (name.filter(|n| !n.is_empty()), uid) {
            names.entry(uid).or_insert_with(|| name.into());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{parse, user_name};

    #[test]
    fn reads_what_is_well_formed() {
        let names = parse(
            b"root:x:0:0::/root:/bin/sh\n# no\n\nme:x:1000:1\nalias:x:1000:1\n\xff:x:7\n:x:8:\nx:x:-1:\n",
        );
        assert_eq!(names.get(&0).map(AsRef::as_ref), Some("root"));
        assert_eq!(names.get(&1000).map(AsRef::as_ref), Some("me"));
        assert_eq!(names.len(), 3);
    }

    #[test]
    fn root_is_root() {
        assert_eq!(user_name(0).as_deref(), Some("root"));
        assert_eq!(user_name(u32::MAX - 7), None);
    }
}

//! One process at a time writes a store: a lock that the kernel lets go of with its holder, however that ends.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use crate::store::StoreError;

/// How often, and how many times, a lock that is held is tried again: whoever holds it may be about to end, and a
/// process that was just forked has it until it runs its program.
const AGAIN: (Duration, usize) = (Duration::from_millis(20), 10);

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held, never read")] File);

impl Lock {
    /// Takes the lock of the store in this folder.
    pub(super) fn take(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(StoreError::io("opening", &path))?;
        match patiently(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim().parse().ok();
                return Err(StoreError::InUse { folder: folder.to_owned(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::io("locking", &path)(error)),
        }
        // Who holds it is a help to people; that it cannot be said, on a full disk, is no reason to stop.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self(file))
    }
}

/// Does something while nobody writes the store in this folder; not, where somebody does or there is no store.
pub fn while_alone(folder: &Path, what: impl FnOnce()) {
    if let Ok(_alone) = Lock::take(folder) {
        what();
    }
}

fn patiently(file: &File) -> Result<(), TryLockError> {
    let (pause, times) = AGAIN;
    for _ in 0..times {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(pause),
            outcome => return outcome,
        }
    }
    file.try_lock()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_who_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path()).unwrap();
        let error = Lock::take(folder.path()).unwrap_err();
        assert!(
            matches!(error, StoreError::InUse { holder: Some(pid), .. } if pid == std::process::id()),
            "{error}"
        );
        drop(first);
        Lock::take(folder.path()).unwrap();
    }
}

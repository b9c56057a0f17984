//! The store's own secret: what pseudonyms are made with. It lies beside the records, for only their owner to read, so
//! that a pseudonym is the same after a restart, and says nothing to who has the records without it.

use std::{io::Read, path::Path};

use ring::rand::{SecureRandom, SystemRandom};

use super::{StoreError, replace};

/// The file's name in the store's folder.
const FILE: &str = "pseudonyms.key";

/// The secret of the store in `folder`, made if there is none; one of its own for a store in memory.
///
/// # Errors
/// The file cannot be read or written, or the kernel gives no random numbers.
pub fn secret(folder: Option<&Path>) -> Result<[u8; 32], StoreError> {
    let Some(folder) = folder else { return new(Path::new("memory")) };
    let path = folder.join(FILE);
    let mut secret = [0; 32];
    match std::fs::File::open(&path).and_then(|mut file| file.read_exact(&mut secret)) {
        Ok(()) => return Ok(secret),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(StoreError::io("reading", &path)(error)),
    }
    let secret = new(&path)?;
    // What was made with it must not outlast it.
    let written = replace(folder, FILE, &secret);
    written.map(|()| secret).map_err(StoreError::io("writing", &path))
}

fn new(path: &Path) -> Result<[u8; 32], StoreError> {
    let mut secret = [0; 32];
    let failed = |_| std::io::Error::other("the kernel gives no random numbers");
    SystemRandom::new()
        .fill(&mut secret)
        .map_err(failed)
        .map_err(StoreError::io("making a secret for", path))?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_store_keeps_its_secret_to_itself() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = secret(Some(one.path())).unwrap();
        assert_eq!(first, secret(Some(one.path())).unwrap());
        assert_ne!(first, secret(Some(other.path())).unwrap());
        assert_ne!(secret(None).unwrap(), secret(None).unwrap());
        let mode = std::fs::metadata(one.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(one.path().join(FILE), "short").unwrap();
        assert!(secret(Some(one.path())).is_err(), "another secret would be other pseudonyms");
    }
}

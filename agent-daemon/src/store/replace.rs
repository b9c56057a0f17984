//! Files that lie beside the records, for only their owner to read: whole under their name, or as they were before.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Puts a file of this name and content into the folder, in place of one that may be there. Once this returns, it
/// outlasts a power cut.
///
/// # Errors
/// It cannot be written; then the file is as it was.
pub fn replace(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let (path, draft) = (folder.join(name), folder.join(format!("{name}.new")));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&draft, &path)?;
    File::open(folder)?.sync_all()
}

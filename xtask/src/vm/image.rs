//! The machines' two disks, made without mounting anything: a Debian root, which is kept until its recipe
//! changes, and what a run ships.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    command::{as_root, find, run},
    workspace,
};

/// Small, and what tests run: agents are Python programs, openssl makes their certificates; busybox brings the network up and switches off.
const PACKAGES: &str = "python3,openssl,busybox-static,procps";
/// What is left out of every package.
const EXCLUDED: [&str; 3] = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"];
/// Whose programs the image has where this machine is no Debian and no Ubuntu.
const SUITE: &str = "trixie";
/// The disks are sparse files: they take what is on them.
const BYTES: u64 = 2 << 30;
/// Where the root's partition begins.
const START: u64 = 1 << 20;
const SECTOR: u64 = 512;
/// Marks the root's disk, since the order in which the kernel finds disks is nobody's to know.
const SIGNATURE: u32 = 0xa9e1_7f00;

/// How the kernel's command line names the root.
pub(super) fn root_argument() -> String {
    format!("root=PARTUUID={SIGNATURE:08x}-01")
}

/// The root's disk, made if it is missing or of another recipe; kept in `folder`.
///
/// # Errors
/// mmdebstrap or mke2fs failed.
pub(super) fn root(folder: &Path) -> Result<PathBuf> {
    let first = workspace::root().join("xtask/vm/first");
    let recipe = recipe();
    let image = folder.join(format!("root-{:016x}.img", hash(&(&recipe, fs::read_to_string(&first)?))));
    if image.exists() {
        return Ok(image);
    }
    eprintln!("xtask: making a Debian root for the machines: half a minute, once");
    forget_roots(folder)?;
    let tree = folder.join("root");
    run(as_root("rm")?.args(["--recursive", "--force"]).arg(&tree))?;
    run(as_root("mmdebstrap")?.args(&recipe).arg(&tree))?;
    run(as_root("install")?.args(["--mode=755", "--"]).arg(&first).arg(tree.join("first")))?;
    run(as_root("mkdir")?.arg(tree.join("payload")))?;
    let partial = folder.join("root.partial");
    make_root(&tree, &partial)?;
    run(as_root("rm")?.args(["--recursive", "--force"]).arg(&tree))?;
    fs::rename(partial, &image)?;
    Ok(image)
}

/// What mmdebstrap is told, but for the folder.
fn recipe() -> Vec<String> {
    let mut recipe = ["--quiet", "--variant=minbase", "--format=directory", "--dpkgopt=force-unsafe-io"]
        .map(str::to_owned)
        .to_vec();
    recipe.push(format!("--include={PACKAGES}"));
    recipe.extend(EXCLUDED.map(|path| format!("--dpkgopt=path-exclude={path}")));
    // The binaries are linked against this machine's C library.
    recipe.push(host_suite().unwrap_or_else(|| SUITE.to_owned()));
    recipe
}

fn host_suite() -> Option<String> {
    let release = fs::read_to_string("/etc/os-release").ok()?;
    let value = |key: &str| release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let debian = ["debian", "ubuntu"].contains(&value("ID")?.trim_matches('"'));
    debian.then(|| value("VERSION_CODENAME").map(str::to_owned))?
}

fn hash(recipe: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    recipe.hash(&mut hasher);
    hasher.finish()
}

/// Deletes the roots of earlier recipes.
fn forget_roots(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("root-")) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// mke2fs lies where only root's PATH leads.
fn mke2fs() -> Result<PathBuf> {
    find("mke2fs").context("mke2fs is missing")
}

fn make_root(tree: &Path, image: &Path) -> Result<()> {
    let mut file = File::create(image)?;
    file.set_len(BYTES)?;
    file.write_all(&partition_table())?;
    let options = format!("offset={START},lazy_itable_init=0");
    let blocks = format!("{}k", (BYTES - START) / 1024);
    // As root, since the tree is root's.
    let mut mke2fs = as_root(mke2fs()?)?;
    mke2fs.args(["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-E", &options, "-d"]);
    run(mke2fs.arg(tree).arg(image).arg(blocks))
}

/// A disk that is one ext4 file system, labelled `payload`, with what is in `tree`.
///
/// # Errors
/// mke2fs failed.
pub(super) fn payload(tree: &Path, image: &Path) -> Result<()> {
    File::create(image)?.set_len(BYTES)?;
    let mut mke2fs = Command::new(mke2fs()?);
    mke2fs.args(["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-L", "payload", "-d"]);
    run(mke2fs.arg(tree).arg(image))
}

/// A boot record with one partition, from [`START`] to the end of the disk.
fn partition_table() -> [u8; SECTOR as usize] {
    let mut partition = [0; 16];
    let (start, sectors) = (START / SECTOR, (BYTES - START) / SECTOR);
    partition[4] = 0x83; // Linux
    partition[8..12].copy_from_slice(&(start as u32).to_le_bytes());
    partition[12..16].copy_from_slice(&(sectors as u32).to_le_bytes());
    let mut record = [0; SECTOR as usize];
    record[440..444].copy_from_slice(&SIGNATURE.to_le_bytes());
    record[446..462].copy_from_slice(&partition);
    record[510..].copy_from_slice(&[0x55, 0xaa]);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_is_the_rest_of_the_disk() {
        let record = partition_table();
        let word = |at: usize| u64::from(u32::from_le_bytes(record[at..at + 4].try_into().unwrap()));
        assert_eq!((word(454) + word(458)) * SECTOR, BYTES);
        assert_eq!(record[510..], [0x55, 0xaa]);
        assert_eq!(root_argument(), "root=PARTUUID=a9e17f00-01");
    }

    #[test]
    fn another_recipe_is_another_image() {
        assert_eq!(hash(&(recipe(), "first")), hash(&(recipe(), "first")));
        assert_ne!(hash(&(recipe(), "first")), hash(&(recipe(), "second")));
    }
}

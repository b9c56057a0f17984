//! Debian's cloud kernels, as apt knows them: looked up, downloaded and unpacked, never installed. They have
//! NVMe and ext4 built in, so they boot a disk with no initramfs and no modules.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    command::{as_root, find, read, run},
    setup::Unsupported,
};

const FLAVOUR: &str = "-cloud-amd64";

/// The newest kernel of a series that apt offers, as a file to boot; kept in `folder`.
///
/// # Errors
/// [`Unsupported`] where there is no apt or it knows no such kernel; or the download failed.
pub(super) fn fetch(series: &str, folder: &Path) -> Result<PathBuf> {
    if find("apt-cache").is_none() || find("dpkg").is_none() {
        return Err(Unsupported("the kernels are Debian's, and there is no apt here".to_owned()).into());
    }
    let offered = look_up(series)?;
    if let Some(image) = kept(folder, &offered) {
        return Ok(image);
    }
    eprintln!("xtask: downloading {} {}: the tests boot it", offered.package, offered.version);
    if let Err(error) = download(&offered, folder) {
        eprintln!("xtask: {error:#}");
        // The lists are older than the archive.
        run(as_root("apt-get")?.arg("update"))?;
        let offered = look_up(series)?;
        download(&offered, folder)?;
        return kept(folder, &offered).context("the package holds no kernel");
    }
    kept(folder, &offered).context("the package holds no kernel")
}

/// A package and its version.
struct Offer {
    package: String,
    version: String,
}

impl Offer {
    fn folder(&self) -> String {
        format!("{}_{}", self.package, self.version)
    }
}

fn look_up(series: &str) -> Result<Offer> {
    let names = read(Command::new("apt-cache").args(["pkgnames", &format!("linux-image-{series}.")]))?;
    let mut packages = of_series(series, &names);
    packages.reverse();
    for package in packages {
        let policy = read(Command::new("apt-cache").args(["policy", &package]))?;
        if let Some(version) = candidate(&policy) {
            return Ok(Offer { package, version });
        }
    }
    let text = format!(
        "apt offers no linux-image-{series}.*{FLAVOUR}: Debian 12 with its security updates has 6.1 and \
         6.12, Debian 13 has 6.12; `--kernel` names another"
    );
    Err(Unsupported(text).into())
}

/// The packages of a series, the newest last.
fn of_series(series: &str, names: &str) -> Vec<String> {
    let prefix = format!("linux-image-{series}.");
    let ours = names.lines().filter(|name| name.starts_with(&prefix) && name.ends_with(FLAVOUR));
    let mut packages: Vec<String> = ours.map(str::to_owned).collect();
    packages.sort_by_key(|name| numbers(name));
    packages
}

/// The numbers in a name, by which `6.1.0-9` comes before `6.1.0-10`.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// The version that `apt-cache policy` would install.
fn candidate(policy: &str) -> Option<String> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (version != "(none)").then(|| version.to_owned())
}

fn download(offer: &Offer, folder: &Path) -> Result<()> {
    let partial = folder.join("partial");
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial)?;
    // apt's own user may not write here.
    let args = ["--quiet", "--option=APT::Sandbox::User=root", "download"];
    let package = format!("{}={}", offer.package, offer.version);
    read(Command::new("apt-get").args(args).arg(package).current_dir(&partial))?;
    let archive = files(&partial)?.pop().context("apt downloaded nothing")?;
    read(Command::new("dpkg").arg("--extract").arg(&archive).arg(partial.join("tree")))?;
    let boot = files(&partial.join("tree/boot"))?;
    let image = boot.iter().find(|file| file.to_string_lossy().contains("vmlinuz"));
    let kept = folder.join(offer.folder());
    fs::create_dir_all(&kept)?;
    fs::rename(image.context("the package holds no kernel")?, kept.join("vmlinuz"))?;
    fs::remove_dir_all(&partial)?;
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn kept(folder: &Path, offer: &Offer) -> Option<PathBuf> {
    let image = folder.join(offer.folder()).join("vmlinuz");
    image.is_file().then_some(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_series_comes_last_and_other_flavours_do_not_count() {
        let names = "linux-image-6.1.0-9-cloud-amd64\nlinux-image-6.1.0-10-cloud-amd64\n\
                     linux-image-6.1.0-11-amd64\nlinux-image-6.1.0-12-cloud-amd64-dbg\n\
                     linux-image-6.12.100+deb12-cloud-amd64\nlinux-image-6.12.99+deb12-cloud-amd64\n";
        let newest = |series| of_series(series, names).pop();
        assert_eq!(newest("6.1").as_deref(), Some("linux-image-6.1.0-10-cloud-amd64"));
        assert_eq!(newest("6.12").as_deref(), Some("linux-image-6.12.100+deb12-cloud-amd64"));
        assert_eq!(newest("5.10"), None);
    }

    #[test]
    fn a_package_that_no_archive_has_any_more_is_no_offer() {
        let policy = "linux-image:\n  Installed: (none)\n  Candidate: 6.1.192-2\n";
        assert_eq!(candidate(policy).as_deref(), Some("6.1.192-2"));
        assert_eq!(candidate("linux-image:\n  Candidate: (none)\n"), None);
    }
}

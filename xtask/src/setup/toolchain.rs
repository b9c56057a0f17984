//! Rust's own parts: a nightly that can build for the kernel, and stable's rustfmt and clippy.
//!
//! The nightly is not pinned: any one with which the kernel programs build will do, and a machine that has
//! one downloads nothing but `rust-src`.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{Unsupported, announce};
use crate::command::{find, read, run};

/// A nightly toolchain with the sources of `core`.
pub(super) struct Nightly {
    /// Its folder, which holds `bin/rustc` and `lib/libLLVM…`.
    pub(super) sysroot: PathBuf,
}

impl Nightly {
    pub(super) fn rustc(&self) -> PathBuf {
        self.sysroot.join("bin/rustc")
    }

    /// Major version of the LLVM that this compiler is built on.
    pub(super) fn llvm_major(&self) -> Result<u32> {
        let version = read(Command::new(self.rustc()).arg("-vV"))?;
        parse_llvm_major(&version)
            .with_context(|| format!("rustc does not say which LLVM it is built on:\n{version}"))
    }
}

/// The nightly, installed first where it is missing.
pub(super) fn ensure_nightly() -> Result<Nightly> {
    if find("rustup").is_none() {
        return Err(Unsupported(
            "rustup is missing. The kernel programs need a nightly Rust beside the stable one: install \
             rustup from https://rustup.rs (Debian 13, Ubuntu 24.04: `sudo apt-get install rustup`), then \
             `rustup default stable`, and run this again"
                .to_owned(),
        )
        .into());
    }
    let nightly = match installed_nightly() {
        Some(nightly) => nightly,
        None => {
            announce(
                "Rust nightly with rust-src",
                "the kernel programs are built for a target that has no core",
            );
            let args = ["toolchain", "install", "nightly", "--profile", "minimal", "--component", "rust-src"];
            run(Command::new("rustup").args(args))?;
            installed_nightly().context("rustup has installed a nightly, but does not find it")?
        }
    };
    if !nightly.sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml").is_file() {
        announce("rust-src for Rust nightly", "core is built from source for the kernel's target");
        run(Command::new("rustup").args(["component", "add", "rust-src", "--toolchain", "nightly"]))?;
    }
    Ok(nightly)
}

fn installed_nightly() -> Option<Nightly> {
    let rustc = read(Command::new("rustup").args(["which", "--toolchain", "nightly", "rustc"])).ok()?;
    let sysroot = Path::new(rustc.trim()).parent()?.parent()?;
    Some(Nightly { sysroot: sysroot.to_path_buf() })
}

/// rustfmt and clippy of the toolchain that runs us: rustup's minimal profile has neither.
pub(super) fn ensure_stable_tools() -> Result<()> {
    // cargo names itself by its path in the toolchain; without it we were not started by cargo.
    let Some(cargo) = env::var_os("CARGO").map(PathBuf::from) else { return Ok(()) };
    for (program, component) in [("cargo-fmt", "rustfmt"), ("cargo-clippy", "clippy")] {
        if !cargo.with_file_name(program).is_file() {
            announce(component, "the sources are checked with it");
            run(Command::new("rustup").args(["component", "add", component]))?;
        }
    }
    Ok(())
}

/// Reads `LLVM version: 22.1.4` out of what `rustc -vV` prints.
fn parse_llvm_major(version: &str) -> Option<u32> {
    let llvm = version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    llvm.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_llvm_version_is_read_from_rustcs_own_words() {
        let version = "rustc 1.97.0-nightly\nhost: x86_64-unknown-linux-gnu\nLLVM version: 22.1.4\n";
        assert_eq!(parse_llvm_major(version), Some(22));
        assert_eq!(parse_llvm_major("rustc 1.97.0-nightly"), None);
    }
}

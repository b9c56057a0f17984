//! bpf-linker, which turns rustc's bitcode into an object for the kernel.
//!
//! It must read the bitcode that the nightly writes, so it is built against that nightly's own LLVM: rustup
//! ships it as a shared library, it matches by construction, and no distribution's LLVM package is needed.
//! A bpf-linker that is already there is kept if it can link what this nightly emits; that is tried once
//! and remembered in a stamp.

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{Unsupported, announce, toolchain::Nightly};
use crate::{
    command::{cargo, find, read, run},
    workspace,
};

/// Releases that work with the LLVMs of [`LLVM_MAJORS`].
const VERSION: &str = "^0.13";
const LLVM_MAJORS: [u32; 3] = [21, 22, 23];

/// Makes sure that `bpf-linker` is in PATH and understands this nightly.
pub(super) fn ensure(nightly: &Nightly) -> Result<()> {
    let Some(linker) = find("bpf-linker") else {
        announce("bpf-linker (about a minute)", "it links the kernel programs, and is missing");
        return install(nightly);
    };
    if is_known_good(&linker, nightly) {
        return Ok(());
    }
    if let Err(error) = try_link(&linker, nightly) {
        let why = format!("{} cannot link what this nightly compiles ({error:#})", linker.display());
        announce("bpf-linker (about a minute)", &why);
        return install(nightly);
    }
    remember(&linker, nightly)
}

/// Builds bpf-linker against the nightly's LLVM, and tries it.
fn install(nightly: &Nightly) -> Result<()> {
    let major = nightly.llvm_major()?;
    if !LLVM_MAJORS.contains(&major) {
        return Err(Unsupported(format!(
            "Rust nightly is built on LLVM {major}, and bpf-linker {VERSION} knows {LLVM_MAJORS:?}. Install \
             another nightly as this one: `rustup toolchain install nightly-2026-05-19 --component rust-src` \
             and `rustup toolchain link nightly ~/.rustup/toolchains/nightly-2026-05-19-*`"
        ))
        .into());
    }
    let prefix = link_time_prefix(nightly)?;
    // The linker loads libLLVM from the toolchain itself, which stays when target/ is deleted.
    let rpath = format!("-Clink-arg=-Wl,-rpath,{}", nightly.sysroot.join("lib").display());
    let feature = format!("llvm-{major}");
    let args = ["install", "bpf-linker", "--version", VERSION, "--locked", "--force"];
    run(cargo()
        .args(args)
        .args(["--no-default-features", "--features", &feature])
        .env("LLVM_PREFIX", prefix)
        .env("RUSTFLAGS", rpath))?;

    let linker =
        find("bpf-linker").context("bpf-linker was installed, but cargo's bin folder is not in PATH")?;
    try_link(&linker, nightly).with_context(|| {
        format!("{} does not work; is an older one before ~/.cargo/bin in PATH?", linker.display())
    })?;
    remember(&linker, nightly)
}

/// A folder with `lib/libLLVM.so`, as `-lLLVM` wants it: the toolchain's library has a longer name.
fn link_time_prefix(nightly: &Nightly) -> Result<PathBuf> {
    let lib = nightly.sysroot.join("lib");
    let llvm = shared_llvm(&lib)?;
    let prefix = workspace::scratch().join("llvm");
    fs::create_dir_all(prefix.join("lib"))?;
    let link = prefix.join("lib/libLLVM.so");
    if link.symlink_metadata().is_ok() {
        fs::remove_file(&link)?;
    }
    symlink(llvm, link)?;
    Ok(prefix)
}

/// `libLLVM.so.22.1-rust-1.97.0-nightly` and the like; `libLLVM-22-rust-….so` is a script that names it.
fn shared_llvm(lib: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(lib).with_context(|| format!("cannot read {}", lib.display()))?;
    let found = entries
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().starts_with("libLLVM.so."));
    match found {
        Some(entry) => Ok(entry.path()),
        None => bail!(Unsupported(format!(
            "the nightly in {} has its LLVM built in, so bpf-linker cannot share it. Install a bpf-linker \
             {VERSION} yourself, built on the same LLVM major (`rustc +nightly -vV`), for example with \
             `cargo binstall bpf-linker`",
            lib.display()
        ))),
    }
}

/// Compiles one function with the nightly and links it for the kernel.
fn try_link(linker: &Path, nightly: &Nightly) -> Result<()> {
    let folder = workspace::scratch().join("bpf-linker-trial");
    fs::create_dir_all(&folder)?;
    let (source, bitcode) = (folder.join("trial.rs"), folder.join("trial.bc"));
    fs::write(&source, "#![no_std]\n#[unsafe(no_mangle)]\npub extern \"C\" fn trial() -> u64 { 0 }\n")?;
    let rustc_args = ["--edition=2024", "--crate-type=lib", "--emit=llvm-bc", "-o"];
    read(Command::new(nightly.rustc()).args(rustc_args).args([&bitcode, &source]))?;
    read(
        Command::new(linker)
            .args(["--target=bpfel", "--export=trial", "-o"])
            .args([&folder.join("trial.o"), &bitcode]),
    )?;
    Ok(())
}

fn stamp() -> PathBuf {
    workspace::scratch().join("bpf-linker.ok")
}

fn is_known_good(linker: &Path, nightly: &Nightly) -> bool {
    let known = fs::read_to_string(stamp());
    matches!((known, key(linker, nightly)), (Ok(known), Ok(key)) if known == key)
}

fn remember(linker: &Path, nightly: &Nightly) -> Result<()> {
    fs::create_dir_all(workspace::scratch())?;
    fs::write(stamp(), key(linker, nightly)?).context("cannot write bpf-linker's stamp")
}

/// Changes whenever the linker or the compiler does.
fn key(linker: &Path, nightly: &Nightly) -> Result<String> {
    let identity = |file: &Path| -> Result<String> {
        let meta = fs::metadata(file)?;
        Ok(format!("{} {} {}\n", file.display(), meta.len(), meta.mtime()))
    };
    Ok(identity(linker)? + &identity(&nightly.rustc())?)
}

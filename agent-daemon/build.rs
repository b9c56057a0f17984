//! Builds the kernel programs (`agent-ebpf`) and hands the objects to `kernel/object.rs` by OUT_DIR.
//!
//! cargo is run here, not through aya-build, because that offers no place for `-Ctarget-cpu=v3`, without
//! which the BPF target has no atomic exchange.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Object name by cargo features: the second keeps thread state in a hash (see `agent-ebpf/Cargo.toml`).
const OBJECTS: [(&str, &[&str]); 2] =
    [("task-storage.bpf.o", &[]), ("tid-hash.bpf.o", &["--features", "tid-hash"])];
const TARGET: &str = "bpfel-unknown-none";
const FLAGS: [&str; 5] = [
    "-Cdebuginfo=2",
    "-Clinker=bpf-linker",
    "-Clink-arg=--btf",
    "-Ctarget-cpu=v3",
    "--cfg=bpf_target_arch=\"x86_64\"",
];

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = manifest.parent().ok_or("the manifest has no parent folder")?;
    for path in ["agent-ebpf/src", "agent-ebpf/Cargo.toml", "agent-common/src", "agent-common/Cargo.toml"] {
        println!("cargo:rerun-if-changed={}", root.join(path).display());
    }
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // One folder for all profiles: OUT_DIR is TARGET/PROFILE/build/PACKAGE-HASH/out.
    let target = out.ancestors().nth(4).ok_or("OUT_DIR is not in a target folder")?.join("bpf");
    for (name, features) in OBJECTS {
        build(root, &target, features)?;
        fs::copy(target.join(TARGET).join("release/agentperf-bpf"), out.join(name))?;
    }
    Ok(())
}

fn build(root: &Path, target: &Path, features: &[&str]) -> Result<(), Box<dyn Error>> {
    let status = Command::new("rustup")
        .args(["run", "nightly", "cargo", "build", "--quiet", "--release", "--package", "agent-ebpf"])
        .args(["--target", TARGET, "-Zbuild-std=core", "--target-dir"])
        .arg(target)
        .args(features)
        .current_dir(root)
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"))
        // The outer cargo's and clippy's choices are not for the BPF target.
        .env_remove("RUSTC")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTUP_TOOLCHAIN")
        .status()
        .map_err(|e| format!("cannot run rustup: {e}"))?;
    if !status.success() {
        return Err("the kernel programs did not build; `cargo xtask setup` installs what they need \
                    (nightly with rust-src, LLVM, bpf-linker)"
            .into());
    }
    Ok(())
}

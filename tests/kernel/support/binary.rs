//! Finds the `agentperf` under test: the one built beside this test, brought up to date first where cargo
//! can do so without leaving files of another owner.

use std::{
    env,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The path of the built `agentperf`. `AGENTPERF_BIN` names another one (as a virtual machine's tests do).
///
/// # Panics
/// Without root, and where there is no binary.
pub(crate) fn agentperf() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        require_root();
        if let Some(path) = env::var_os("AGENTPERF_BIN") {
            return path.into();
        }
        let profile = profile_directory();
        let path = profile.join("agentperf");
        bring_up_to_date(&profile);
        assert!(path.is_file(), "{} is missing: run the tests by `cargo xtask test`", path.display());
        path
    })
}

/// Cargo's target directory, for what the tests build themselves.
pub(crate) fn target_directory() -> PathBuf {
    profile_directory().parent().expect("a profile's directory lies in target").to_owned()
}

/// `target/PROFILE`: the test itself is `target/PROFILE/deps/kernel-HASH`.
fn profile_directory() -> PathBuf {
    let test = env::current_exe().expect("the test knows its own path");
    test.ancestors().nth(2).expect("the test lies in target/PROFILE/deps").to_owned()
}

fn require_root() {
    // SAFETY: geteuid has no preconditions.
    let uid = unsafe { libc::geteuid() };
    assert!(uid == 0, "these tests load eBPF programs and need root: run them by `cargo xtask test`");
}

/// Builds as `cargo test` built this test. Under sudo the target directory belongs to the caller, and
/// `cargo xtask test` has built the binary already.
fn bring_up_to_date(profile: &Path) {
    let Some(cargo) = env::var_os("CARGO") else { return };
    if profile.metadata().map_or(true, |m| m.uid() != 0) {
        return;
    }
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "agentperf"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    // Build scripts that look at what cargo says of this package would run again.
    for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"CARGO_PKG_")) {
        build.env_remove(name);
    }
    if profile.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().expect("cargo runs").success(), "agentperf does not build");
}

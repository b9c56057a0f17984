//! Where things lie in the checkout.

use std::path::{Path, PathBuf};

/// The checkout's root. Asked at run time, so that a copied `target/` still finds its own checkout.
pub(crate) fn root() -> PathBuf {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let xtask = xtask.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    xtask.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// cargo's output folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// xtask's own folder below [`target`]: stamps, workloads, cached images. Safe to delete.
pub(crate) fn scratch() -> PathBuf {
    target().join("xtask")
}

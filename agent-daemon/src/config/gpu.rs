//! Whether and how GPUs are read.

use std::path::{Path, PathBuf};

use super::options::{Opt, boolean, put};

/// In place of a folder: there is none.
const NONE: &str = "none";

/// How GPUs are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Whether NVIDIA GPUs are looked for.
    pub enabled: bool,
    /// NVML's library: a file's name, which the dynamic linker looks for, or an absolute path. It runs with all rights
    /// of the daemon.
    pub library: PathBuf,
    /// The host's /proc, where the daemon runs in a pid namespace of its own.
    pub host_proc: Option<PathBuf>,
}

impl Default for Gpu {
    fn default() -> Self {
        Self { enabled: true, library: PathBuf::from("libnvidia-ml.so.1"), host_proc: None }
    }
}

/// Every option of it.
pub(super) const OPTIONS: [Opt; 3] = [
    Opt {
        key: "gpu.enabled",
        doc: "Whether NVIDIA GPUs are read, by the driver's library (NVML). Where there is none, that is said and no\nerror (docs/gpu.md).",
        get: |c| c.gpu.enabled.to_string(),
        set: |c, t| put(&mut c.gpu.enabled, boolean(t), "true or false"),
    },
    Opt {
        key: "gpu.library",
        doc: "The driver's library: the name of a file, which the dynamic linker looks for, or an absolute path. It is\nloaded into the daemon, and runs with all its rights.",
        get: |c| c.gpu.library.display().to_string(),
        set: |c, t| put(&mut c.gpu.library, library(t), "the name of a file, or an absolute path"),
    },
    Opt {
        key: "gpu.host_proc",
        doc: "Where the host's /proc is mounted, if the daemon runs in a pid namespace of its own: the driver tells\nprocesses by the host's pids. An absolute path, or none.",
        get: |c| c.gpu.host_proc.as_deref().map_or(NONE.to_owned(), |path| path.display().to_string()),
        set: |c, t| match t {
            NONE => put(&mut c.gpu.host_proc, Some(None), ""),
            _ => {
                let path = Some(PathBuf::from(t)).filter(|path| path.is_absolute());
                put(&mut c.gpu.host_proc, path.map(Some), "an absolute path, or none")
            }
        },
    },
];

/// A name without a folder, or an absolute path: what is relative would depend on where the daemon was started.
fn library(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let is_name = path.file_name().is_some_and(|name| name == path.as_os_str());
    (path.is_absolute() && path.file_name().is_some() || is_name).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::library;

    #[test]
    fn a_library_is_a_name_or_an_absolute_path() {
        for (text, fine) in [
            ("libnvidia-ml.so.1", true),
            ("/usr/lib/libnvidia-ml.so.1", true),
            ("lib/libnvidia-ml.so.1", false),
            ("./libnvidia-ml.so.1", false),
            ("..", false),
            ("/", false),
            ("", false),
        ] {
            assert_eq!(library(text).is_some(), fine, "{text:?}");
        }
    }
}

//! Versions of CPython, and why a process's frames are not read.

use std::fmt;

use crate::unwind::memory::Unreadable;

/// A version of CPython.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 3.
    pub major: u8,
    /// 11 of 3.11.7.
    pub minor: u8,
    /// 7 of 3.11.7; not known before 3.11.
    pub patch: Option<u8>,
}

impl Version {
    /// A version of which only these parts are known.
    #[must_use]
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor, patch: None }
    }

    /// From `PY_VERSION_HEX` (`0x030b07f0`: 3.11.7, final), and whether layouts may still have changed after it.
    /// They are frozen from the first release candidate on.
    pub(super) fn from_hex(hex: u32) -> (Self, bool) {
        let [release, patch, minor, major] = hex.to_le_bytes();
        (Self { major, minor, patch: Some(patch) }, release >> 4 < 0xc)
    }

    /// From a name such as `libpython3.11.so.1.0` or `python3.8`.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let (_, rest) = name.split_once("python3.")?;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        Some(Self::new(3, digits.parse().ok()?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        self.patch.map_or(Ok(()), |patch| write!(f, ".{patch}"))
    }
}

/// Why a process that runs Python shows no Python frames.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another version.
    #[error("Python {0} is not supported, 3.8 to 3.14 are")]
    Unsupported(Version),
    /// An alpha or a beta, whose layout is nobody's promise.
    #[error("Python {0} is a pre-release")]
    PreRelease(Version),
    /// A build without the global lock (3.13t, 3.14t): its frames are laid out differently, and change under
    /// a reader.
    #[error("Python {0} is a free-threaded build")]
    FreeThreaded(Version),
    /// It looks like Python, but does not say where its state is.
    #[error("{path} has no symbol _PyRuntime")]
    NoRuntimeSymbol {
        /// The file.
        path: String,
    },
    /// `_PyRuntime` does not hold the table of offsets that this version must have.
    #[error("Python {0} describes itself in a way that makes no sense")]
    BadOffsets(Version),
    /// Its memory could not be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let (version, pre_release) = Version::from_hex(0x030b_07f0);
        assert_eq!((version.to_string().as_str(), pre_release), ("3.11.7", false));
        assert!(Version::from_hex(0x030f_00a3).1);
        assert!(Version::from_hex(0x030e_00b4).1);
        assert!(!Version::from_hex(0x030e_00c1).1);
        assert_eq!(Version::from_name("libpython3.9.so.1.0"), Some(Version::new(3, 9)));
        assert_eq!(Version::from_name("python3.14t"), Some(Version::new(3, 14)));
        assert_eq!(Version::from_name("python3"), None);
        assert_eq!(Version::from_name("libpython3.so"), None);
    }
}

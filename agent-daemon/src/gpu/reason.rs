//! Why NVML does not say something, in classes that callers branch on.

use nvml_wrapper::error::NvmlError;

/// Why something is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No NVIDIA driver is installed, or its library is not where it was looked for.
    #[error("the NVIDIA management library cannot be loaded: {0}")]
    NoLibrary(String),
    /// The library is there, the kernel's part is not.
    #[error("the NVIDIA driver is not loaded")]
    NoDriver,
    /// The driver was replaced while this process runs, most often.
    #[error("the NVIDIA management library and the loaded driver are of different versions")]
    VersionMismatch,
    /// NVML was shut down under us, which a reload of the driver looks like.
    #[error("NVML is not initialised any more")]
    Uninitialised,
    /// The daemon may not ask.
    #[error("no permission to ask the NVIDIA driver")]
    NoPermission,
    /// XID 79: the bus does not reach the GPU any more.
    #[error("the GPU has fallen off the bus or cannot be reached")]
    GpuLost,
    /// It will not work before it is reset.
    #[error("the GPU needs a reset")]
    ResetRequired,
    /// It was there in an earlier reading, and the driver does not list it any more.
    #[error("the driver does not list the GPU any more")]
    NotListed,
    /// This GPU, or its present mode, does not have it.
    #[error("the GPU does not offer this")]
    Unsupported,
    /// The library is older than the function.
    #[error("this driver's library does not have the function: {0}")]
    NoFunction(String),
    /// Any other error of NVML.
    #[error("NVML error {code}: {text}")]
    Nvml {
        /// `nvmlReturn_t`.
        code: u32,
        /// What it means.
        text: String,
    },
    /// The answer cannot be right.
    #[error("NVML's answer makes no sense: {0}")]
    BadAnswer(String),
    /// The thread that asks NVML ended by a panic, or could not be started.
    #[error("the thread that asks NVML is gone: {0}")]
    NoThread(String),
}

impl Reason {
    /// Whether the GPU as a whole is out of reach: nothing else need be asked of it.
    #[must_use]
    pub fn is_gpu_down(&self) -> bool {
        matches!(self, Self::GpuLost | Self::ResetRequired | Self::NotListed)
    }

    /// Whether NVML as a whole must be started again.
    #[must_use]
    pub fn is_library_down(&self) -> bool {
        matches!(self, Self::NoLibrary(_) | Self::NoDriver | Self::VersionMismatch | Self::Uninitialised)
    }

    /// Whether it will be so until the hardware, its mode or the driver changes, as opposed to a failure.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Unsupported | Self::NoFunction(_))
    }
}

impl From<NvmlError> for Reason {
    fn from(error: NvmlError) -> Self {
        match error {
            NvmlError::LibloadingError(error) => Self::NoLibrary(error.to_string()),
            NvmlError::FailedToLoadSymbol(text) => Self::NoFunction(text),
            NvmlError::Uninitialized => Self::Uninitialised,
            NvmlError::DriverNotLoaded => Self::NoDriver,
            NvmlError::LibRmVersionMismatch => Self::VersionMismatch,
            NvmlError::NoPermission => Self::NoPermission,
            NvmlError::GpuLost => Self::GpuLost,
            NvmlError::ResetRequired => Self::ResetRequired,
            NvmlError::NotSupported => Self::Unsupported,
            NvmlError::Utf8Error(_) | NvmlError::NulError(_) | NvmlError::StringTooLong { .. } => {
                Self::BadAnswer(error.to_string())
            }
            NvmlError::UnexpectedVariant(code) => newer(code),
            other => {
                let text = other.to_string();
                Self::Nvml { code: other.into(), text }
            }
        }
    }
}

/// Codes that are newer than the wrapper. It uses the same variant for values of enumerations that it does not know.
fn newer(code: u32) -> Reason {
    let text = match code {
        // Either says that the function is not for this driver or GPU.
        25 | 26 => return Reason::Unsupported,
        28 => return Reason::GpuLost,
        23 => "not enough resources",
        24 => "the frequency is not supported",
        27 => "not ready",
        29 => "invalid state",
        30 => "this kind of reset is not supported",
        _ => "a value that is not known",
    };
    Reason::Nvml { code, text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_one_class() {
        for code in (1..=40).chain([999]) {
            let reason = Reason::from(NvmlError::from(code));
            let classes = [reason.is_gpu_down(), reason.is_library_down(), reason.is_unsupported()];
            assert!(classes.iter().filter(|class| **class).count() <= 1, "{code}: {reason:?}");
            match code {
                1 => assert_eq!(reason, Reason::Uninitialised),
                3 | 25 | 26 => assert_eq!(reason, Reason::Unsupported),
                4 => assert_eq!(reason, Reason::NoPermission),
                9 => assert_eq!(reason, Reason::NoDriver),
                15 | 28 => assert_eq!(reason, Reason::GpuLost),
                16 => assert_eq!(reason, Reason::ResetRequired),
                18 => assert_eq!(reason, Reason::VersionMismatch),
                _ => assert!(matches!(reason, Reason::Nvml { code: same, .. } if same == code), "{reason:?}"),
            }
        }
    }
}

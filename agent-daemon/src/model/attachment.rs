//! Attachments: how the probes on functions of a process's own files stand. What an agent can be seen by depends on
//! them, so that each says what it is on, or why it is not.

use super::{id::ProcessId, time::Timestamp};

/// How a finder's probes on a file of a process stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The process.
    pub process: ProcessId,
    /// The file, by its path in the process's own mount namespace.
    pub file: String,
    /// The finder that knows what is to be probed there.
    pub finder: &'static str,
    /// The version of what the finder knows, if the file tells it.
    pub version: Option<String>,
    /// Places in the file that it names.
    pub sites: usize,
    /// How they stand.
    pub state: AttachmentState,
    /// Since when, of what is probed in a file.
    pub since: Option<Timestamp>,
    /// Why they are not attached.
    pub reason: Option<String>,
}

impl Attachment {
    /// Whether it is of a TLS library.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        TLS_FINDERS.contains(&self.finder) || self.is_unread()
    }

    /// Whether it is of a TLS library that is known, and never read.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        UNREAD_FINDERS.contains(&self.finder)
    }

    /// Whether it is of how a server is spoken to by standard input and output.
    #[must_use]
    pub fn is_stdio(&self) -> bool {
        self.finder == LIBC_FINDER
    }
}

/// The finder of C libraries, by which servers read and write pipes; its name stands for what else servers are read by.
pub const LIBC_FINDER: &str = "libc";

/// The finders of TLS libraries that are not read.
pub const UNREAD_FINDERS: [&str; 6] = ["gnutls", "nss", "jsse", "mbedtls", "wolfssl", "s2n"];

/// The finder of OpenSSL where it is exported by its names: most often a shared library.
pub const OPENSSL_FINDER: &str = "openssl";

/// The finders of TLS libraries that are read.
pub const TLS_FINDERS: [&str; 6] =
    [OPENSSL_FINDER, "openssl_stripped", "boringssl", "go", "rustls", "rustls_ring"];

/// Whether probes are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachmentState {
    /// They are.
    Attached,
    /// The finder knows the file, and found no place in it.
    Blind,
    /// They were found and could not be attached.
    Refused,
}

impl AttachmentState {
    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Blind => "blind",
            Self::Refused => "refused",
        }
    }
}

//! The bytes of every record, the same in the head's segments and in the database. Pure: no I/O, and whatever the
//! bytes are, decoding ends in a value or a [`CodecError`].
//!
//! Every encoding begins with its version. An older version is understood for ever; a newer one is refused.
//!
//! A new kind of record is one file here, one migration in `schema/`, and one row of [`KINDS`].

pub(super) mod agent;
pub(super) mod block;
pub(super) mod bytes;
mod gpu;
pub(super) mod host;
pub(super) mod names;
pub(super) mod operation;
mod peer;
pub(super) mod process;
pub(super) mod shares;

/// What a frame of a segment holds. The numbers are written: they never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Stacks that later frames of the segment refer to.
    Names = 1,
    /// An agent.
    Agent = 2,
    /// A process of an agent.
    Process = 3,
    /// A window of an agent.
    Window = 4,
    /// Operations that applications told of.
    Operations = 5,
    /// A window of the host.
    Host = 6,
}

/// Every kind.
pub(super) const KINDS: [Kind; 6] =
    [Kind::Names, Kind::Agent, Kind::Process, Kind::Window, Kind::Operations, Kind::Host];

impl Kind {
    /// The kind that is written so.
    pub(super) fn of(tag: u8) -> Result<Self, CodecError> {
        KINDS.into_iter().find(|kind| *kind as u8 == tag).ok_or(CodecError::Unknown("kind of record", tag))
    }
}

/// Bytes that are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CodecError {
    /// They end too early.
    #[error("the record is cut short")]
    Short,
    /// They go on after the end.
    #[error("the record has bytes too many")]
    Long,
    /// A newer agentperf wrote them, or nobody.
    #[error("{0} {1} is not known")]
    Unknown(&'static str, u8),
    /// A value that there cannot be.
    #[error("{0} is out of range")]
    Range(&'static str),
    /// They do not decompress.
    #[error("the record does not decompress")]
    Compression,
}

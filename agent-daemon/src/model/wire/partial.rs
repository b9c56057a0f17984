//! Why a record is not the whole truth.

/// A reason why something of an exchange was not seen, or not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// It had begun before the capture did.
    AttachedLate,
    /// Bytes of it were lost or skipped.
    BytesLost,
    /// The connection ended, or the stream was reset, before the answer did.
    CutOff,
    /// A bound of ours was reached: a head, a document or a body was too long.
    TooLong,
    /// A body could not be decompressed, or broke its protocol's rules.
    Undecodable,
    /// HTTP/2 named headers by a table whose beginning was not seen.
    HeadersUnknown,
    /// There were more exchanges at once than are followed.
    Evicted,
    /// It went on when the watch ended.
    DetachedEarly,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::AttachedLate,
        Self::BytesLost,
        Self::CutOff,
        Self::TooLong,
        Self::Undecodable,
        Self::HeadersUnknown,
        Self::Evicted,
        Self::DetachedEarly,
    ];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AttachedLate => "attached_late",
            Self::BytesLost => "bytes_lost",
            Self::CutOff => "cut_off",
            Self::TooLong => "too_long",
            Self::Undecodable => "undecodable",
            Self::HeadersUnknown => "headers_unknown",
            Self::Evicted => "evicted",
            Self::DetachedEarly => "detached_early",
        }
    }
}

/// A set of reasons; empty for what was seen whole.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Partial(u8);

impl Partial {
    /// Adds a reason.
    pub fn add(&mut self, reason: Reason) {
        self.0 |= 1 << reason as u8;
    }

    /// As bits, by the numbers of the reasons: as they are stored.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// From bits; those that are no reason's are dropped.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        let mut partial = Self::default();
        Reason::ALL
            .into_iter()
            .filter(|reason| bits & (1 << *reason as u8) != 0)
            .for_each(|r| partial.add(r));
        partial
    }

    /// Adds all reasons of another set.
    pub fn merge(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether a reason is in it.
    #[must_use]
    pub fn has(self, reason: Reason) -> bool {
        self.0 & (1 << reason as u8) != 0
    }

    /// Whether there is any reason.
    #[must_use]
    pub fn is_partial(self) -> bool {
        self.0 != 0
    }

    /// The reasons, in their order.
    pub fn reasons(self) -> impl Iterator<Item = Reason> {
        Reason::ALL.into_iter().filter(move |reason| self.has(*reason))
    }
}

impl std::fmt::Debug for Partial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.reasons().map(Reason::name)).finish()
    }
}

impl From<Reason> for Partial {
    fn from(reason: Reason) -> Self {
        let mut partial = Self::default();
        partial.add(reason);
        partial
    }
}

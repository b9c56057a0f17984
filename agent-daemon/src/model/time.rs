//! Times: wall-clock instants and ranges of them.

pub use jiff::Timestamp;

/// A half-open range of wall-clock time, `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// First instant in the range.
    pub from: Timestamp,
    /// First instant after the range.
    pub to: Timestamp,
}

impl TimeRange {
    /// Everything that was ever stored.
    pub const ALL: Self = Self { from: Timestamp::MIN, to: Timestamp::MAX };

    /// Whether `[start, end)` and this range share an instant. A window belongs to a range, whole, if so.
    #[must_use]
    pub fn overlaps(&self, start: Timestamp, end: Timestamp) -> bool {
        start < self.to && end > self.from
    }

    /// Its ends, as far as it has any.
    #[must_use]
    pub fn bounds(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let known = |at: Timestamp, bound| (at != bound).then_some(at);
        (known(self.from, Timestamp::MIN), known(self.to, Timestamp::MAX))
    }
}

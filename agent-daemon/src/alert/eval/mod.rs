//! Evaluates expressions at one instant over a [`Source`], as Prometheus does, within bounds.
//!
//! Times are milliseconds since 1970, given by the caller; there is no clock here. Ranges are open on the left:
//! `[5m]` at 12:00 has what is after 11:55 up to 12:00. A series whose newest sample is older than the lookback, or
//! is a stale marker, has no value.
//!
//! NaN and infinities are values like others: arithmetic follows IEEE 754; a comparison with NaN does not hold, so
//! it filters the element out (`!=` holds); `min`, `max`, `topk` and `bottomk` take NaN only where there is nothing
//! else; `sum` and `avg` of NaN are NaN. Division by zero gives an infinity or NaN, never an error.

mod aggregate;
mod binary;
pub mod budget;
mod evaluator;
pub mod instant;
pub mod over_time;
pub mod rates;
pub mod samples;
pub mod source;
#[cfg(test)]
pub(crate) mod tests;

pub use budget::{Limits, Spent};
pub use evaluator::{Element, Value, evaluate};
pub use samples::{Millis, STALE, Sample, Series};
pub use source::{Memory, Query, Source, SourceError};

/// Why an expression has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// It would cost more than it may.
    #[error("{what} exceed the limit of {limit}")]
    TooMuch {
        /// Of what: series, samples, steps, work units.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// Elements that were to be matched are ambiguous, or results would be.
    #[error("{0}")]
    Ambiguous(String),
    /// The source cannot say.
    #[error(transparent)]
    Source(#[from] SourceError),
}

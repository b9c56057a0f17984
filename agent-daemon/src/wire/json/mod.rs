//! JSON read as it comes, for a few scalars of it: content is skipped byte by byte and never kept, but for whoever asks for
//! what is said ([`Spoken`]).
//!
//! Which scalars are wanted is a table of paths ([`Paths`]). The scanner keeps, for each open container, which of the
//! paths may still match in it, one bit each; a value is copied only if a path ends there. It is lenient: what is no
//! JSON ends the document, and what was found until then counts.

mod capture;
mod hunt;
mod paths;
mod scanner;
mod tail;
#[cfg(test)]
mod tests;
mod token;
mod value;

pub use capture::Spoken;
pub use paths::{Paths, Take, Watch};
pub use scanner::{Scanner, Shape};
pub use tail::Tail;
pub use value::{Document, Hit, Value};

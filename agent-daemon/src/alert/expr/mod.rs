//! The expression language: what of PromQL an alert needs, and functions of our own.
//!
//! It is a subset with PromQL's own meaning: selectors with matchers and `offset`, range vectors and subqueries,
//! functions, aggregations, operators with `on`/`ignoring` and `group_left`/`group_right`. What is refused at
//! load, by name: `@`, string results, native histograms, and every function that is not in [`functions`].
//!
//! The parser is ours: the one published crate for PromQL gives no positions, takes extra functions only in a list
//! that the whole process shares, bounds no nesting, and brings forty crates.

pub mod ast;
pub(crate) mod duration;
pub mod functions;
pub mod lex;
mod modifiers;
mod outcome;
mod parse;
#[cfg(test)]
mod tests;

pub use ast::{Expr, Type};
pub use modifiers::{DEFAULT_STEP, MAX_STEPS};
pub use outcome::LabelSet;
pub use parse::parse;

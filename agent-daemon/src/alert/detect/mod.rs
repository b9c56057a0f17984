//! Detection beyond thresholds: is a value unusual for this series, and where is it going?
//!
//! Both are robust (medians, not means: what went wrong yesterday does not become the measure of today), both state
//! a confidence, and both are silent until there is enough history. What they do not know: weekdays from Sundays,
//! holidays, and that the one series depends on the other.

pub mod anomaly;
pub mod forecast;
pub(crate) mod functions;
pub mod robust;
#[cfg(test)]
mod tests;

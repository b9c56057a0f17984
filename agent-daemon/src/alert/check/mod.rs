//! `rules check` and `rules test`: what is wrong with rules, and what they would say of given series. No I/O: the
//! caller reads the files.
//!
//! Test files have the form of promtool's. Two differences: annotations are compared only where a test gives some,
//! and alerts carry the label `severity` even where a rule does not set it.

#[cfg(test)]
mod healthy;
mod notation;
mod raw;
mod run;
#[cfg(test)]
mod tests;

pub use run::run_tests;

use std::collections::BTreeSet;

use super::{error::FileError, rule::RuleSet};

/// What a file of rules has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Groups.
    pub groups: usize,
    /// Rules.
    pub rules: usize,
    /// The names of series that they read. Which of them exist only the caller knows.
    pub series: BTreeSet<String>,
}

/// Checks a file of rules.
///
/// # Errors
/// Everything that is wrong.
pub fn check_rules(text: &str) -> Result<Summary, Vec<FileError>> {
    let rules = RuleSet::parse(text)?;
    let series = rules.rules().flat_map(|rule| rule.expr.series()).map(str::to_owned).collect();
    Ok(Summary { groups: rules.groups.len(), rules: rules.len(), series })
}

/// The files of rules that a test file names, as it names them.
///
/// # Errors
/// It is no test file.
pub fn rule_files(tests: &str) -> Result<Vec<String>, FileError> {
    Ok(super::rule::read::<raw::RawTests>(tests)?.rule_files)
}

/// How the tests of a file went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestReport {
    /// Expectations that were looked at.
    pub checks: usize,
    /// Those that did not hold.
    pub failures: Vec<Failure>,
}

/// An expectation that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The test's name, or its place among the tests from 1.
    pub test: String,
    /// The line of the expectation.
    pub line: u64,
    /// What was expected and what was found.
    pub message: String,
}

//! How near an answer must be to the truth.

/// Asserts that `seen` is within `share` of `truth` (0.02 is 2 %).
#[track_caller]
pub(crate) fn assert_within(share: f64, truth: f64, seen: f64, what: &str) {
    let error = (seen - truth) / truth;
    assert!(
        error.abs() <= share,
        "{what}: the truth is {truth:.6}, agentperf says {seen:.6}: {:+.2} % off, {:.0} % are allowed",
        error * 100.0,
        share * 100.0
    );
}

/// The 2 % that times of known length may be off.
#[track_caller]
pub(crate) fn assert_seconds(truth: f64, seen: f64, what: &str) {
    assert_within(0.02, truth, seen, what);
}

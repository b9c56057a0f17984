//! How near an answer must be to the truth.

/// Where `AGENTPERF_TEST_SLOW` is set, times may be this many times as far off: on a machine that is emulated,
/// what lies between a workload's look at the clock and the kernel's takes tens of times as long.
const SLOW: f64 = 10.0;

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

/// By what share a time may be off: `share`, or more on a slow machine; always less than all.
pub(crate) fn allowed(share: f64) -> f64 {
    if is_slow() { (share * SLOW).min(0.9) } else { share }
}

/// Whether the machine is emulated.
pub(crate) fn is_slow() -> bool {
    std::env::var_os("AGENTPERF_TEST_SLOW").is_some()
}

/// The 2 % that times of known length may be off, more on a slow machine.
#[track_caller]
pub(crate) fn assert_seconds(truth: f64, seen: f64, what: &str) {
    assert_within(allowed(0.02), truth, seen, what);
}

//! Syscall statistics and the log2 histogram behind their percentiles.

use super::id::ProcessId;

/// Buckets of a [`Histogram`].
pub const BUCKETS: usize = 36;

/// Counts by log2 of nanoseconds: bucket `i` counts values in `[2^i, 2^(i+1))`, the first also 0, the
/// last everything above (2^35 ns is 34 s).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram(pub [u64; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Histogram {
    /// Adds another histogram's counts.
    pub fn merge(&mut self, other: &Self) {
        for (a, b) in self.0.iter_mut().zip(&other.0) {
            *a = a.saturating_add(*b);
        }
    }

    /// The value (ns) below which a share `q` in `[0, 1]` of the counts lies, interpolated linearly
    /// inside its bucket and never above `max`. `None` where nothing was counted.
    #[must_use]
    pub fn quantile(&self, q: f64, max: u64) -> Option<f64> {
        let total: u64 = self.0.iter().sum();
        if total == 0 {
            return None;
        }
        let rank = q.clamp(0.0, 1.0) * total as f64;
        let mut below = 0.0;
        for (i, &n) in self.0.iter().enumerate() {
            let n = n as f64;
            if n > 0.0 && below + n >= rank {
                let low = if i == 0 { 0.0 } else { (1u64 << i) as f64 };
                let high = (1u64 << (i + 1)) as f64;
                return Some((low + (high - low) * (rank - below) / n).min(max as f64));
            }
            below += n;
        }
        Some(max as f64)
    }
}

/// One syscall of one process in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct SyscallStat {
    /// Who called.
    pub process: ProcessId,
    /// Syscall number of the x86-64 table.
    pub number: u32,
    /// Calls that returned.
    pub count: u64,
    /// Calls that returned `-errno`, by errno.
    pub errors: Vec<(u32, u64)>,
    /// Time inside the call, summed, ns.
    pub total_ns: u64,
    /// The longest call, ns.
    pub max_ns: u64,
    /// Latencies.
    pub histogram: Histogram,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate_and_stop_at_the_maximum() {
        let mut h = Histogram::default();
        h.0[10] = 100;
        assert_eq!(h.quantile(0.5, u64::MAX), Some(1536.0));
        assert_eq!(h.quantile(1.0, 1500), Some(1500.0));
        assert_eq!(Histogram::default().quantile(0.5, 1), None);
    }
}

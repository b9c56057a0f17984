//! CPU time that was withheld from an agent: what its control groups count, from when they are seen first.
//!
//! Groups count from when they were made, are shared by processes and come and go; a sum of what they show would go
//! up and down.

use std::collections::BTreeMap;

use crate::model::cgroup::Cgroup;

/// Most control groups of one agent that are followed; others are not counted.
const MAX_GROUPS: usize = 64;

/// What was withheld since the groups were seen first.
#[derive(Clone, Debug, Default)]
pub(super) struct Throttled {
    sum_ns: u64,
    /// The most that each has shown.
    seen: BTreeMap<u64, u64>,
}

impl Throttled {
    pub(super) fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    pub(super) fn see(&mut self, Cgroup { id, cpu_limit_millis, throttled_ns, .. }: Cgroup) {
        if cpu_limit_millis.is_none() {
            return;
        }
        if let Some(last) = self.seen.get_mut(&id) {
            // What was read of another process, a while ago, may come late.
            self.sum_ns = self.sum_ns.saturating_add(throttled_ns.saturating_sub(*last));
            *last = throttled_ns.max(*last);
        } else if self.seen.len() < MAX_GROUPS {
            self.seen.insert(id, throttled_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_is_counted_once_and_never_backwards() {
        let mut throttled = Throttled::default();
        let mut see = |id, throttled_ns| {
            throttled.see(Cgroup { id, throttled_ns, cpu_limit_millis: Some(1), ..Cgroup::default() });
            throttled.sum_ns()
        };
        assert_eq!((see(1, 1_000), see(1, 1_000), see(1, 1_500)), (0, 0, 500));
        assert_eq!((see(2, 9_000), see(2, 9_001)), (500, 501));
        assert_eq!((see(1, 900), see(1, 1_510)), (501, 511), "one that is late");
        (3..1_000).for_each(|id| assert_eq!(see(id, 5), 511));
        assert_eq!(see(999, 50), 511, "no room");
    }
}

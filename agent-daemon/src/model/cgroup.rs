//! What a control group allows its processes, and what it withheld from them.
//!
//! A limit binds all groups below it, so what is told of a group takes those above it into account.

/// A control group (version 2) as it was at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cgroup {
    /// The kernel's number (the inode of its folder) of the group whose quota of CPU time is the smallest that holds here,
    /// which may be one above; where there is no quota, of the group itself.
    pub id: u64,
    /// The smallest quota (`cpu.max`) that holds here, in thousandths of a CPU; `None` without one.
    pub cpu_limit_millis: Option<u64>,
    /// How long CPUs were withheld from that group since its quota was spent, nanoseconds, each CPU counted by itself.
    pub throttled_ns: u64,
    /// The limit of memory (`memory.max` or `memory.high`) that is closest to being reached.
    pub memory: Option<MemoryLimit>,
}

/// A limit of memory and what counts against it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryLimit {
    /// What is allowed, bytes.
    pub limit_bytes: u64,
    /// What the limited group uses, page cache and other groups below it included, bytes.
    pub used_bytes: u64,
}

impl MemoryLimit {
    /// The one of two of which the greater part is used.
    #[must_use]
    pub fn tighter(self, other: Self) -> Self {
        let weigh = |a: Self, b: Self| u128::from(a.used_bytes) * u128::from(b.limit_bytes);
        if weigh(other, self) > weigh(self, other) { other } else { self }
    }
}

/// What several processes' groups come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cgroups {
    /// The smallest quota among them, in thousandths of a CPU.
    pub cpu_limit_millis: Option<u64>,
    /// The limit of memory that is closest to being reached.
    pub memory: Option<MemoryLimit>,
}

impl FromIterator<Cgroup> for Cgroups {
    fn from_iter<I: IntoIterator<Item = Cgroup>>(all: I) -> Self {
        all.into_iter().fold(Self::default(), |sum, one| Self {
            cpu_limit_millis: sum.cpu_limit_millis.into_iter().chain(one.cpu_limit_millis).min(),
            memory: sum.memory.into_iter().chain(one.memory).reduce(MemoryLimit::tighter),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_is_closest_to_being_reached_is_told() {
        let limit = |used_bytes, limit_bytes| MemoryLimit { limit_bytes, used_bytes };
        assert_eq!(limit(50, 100).tighter(limit(9, 10)), limit(9, 10));
        assert_eq!(limit(9, 10).tighter(limit(u64::MAX / 2, u64::MAX)), limit(9, 10));
        // What is over a limit of nothing at all cannot be tighter.
        assert_eq!(limit(1, 0).tighter(limit(1, 1)), limit(1, 0));
        let group =
            |id, cpu_limit_millis, memory| Cgroup { id, cpu_limit_millis, memory, ..Cgroup::default() };
        let all = [group(1, Some(500), None), group(2, None, Some(limit(1, 2))), group(1, Some(250), None)];
        let of_all: Cgroups = all.into_iter().collect();
        assert_eq!(of_all, Cgroups { cpu_limit_millis: Some(250), memory: Some(limit(1, 2)) });
    }
}

//! What threads used, as the kernel accounts it: exact once they are over.

/// What a process used, or several together. Sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// CPU time, ns: exact.
    pub cpu_ns: u64,
    /// Of that, what clock ticks found in user mode, ns. They say how `cpu_ns` divides, no more.
    pub user_ticks_ns: u64,
    /// What clock ticks found in the kernel, ns.
    pub system_ticks_ns: u64,
    /// Bytes that calls like read returned, from whatever they read: files, pipes, terminals. These four are 0 on a kernel
    /// that is built without I/O accounting.
    pub read_chars: u64,
    /// Bytes that calls like write took.
    pub written_chars: u64,
    /// Bytes that were fetched from storage.
    pub read_bytes: u64,
    /// Bytes that were sent to storage, or will be, once what they are written to is flushed.
    pub written_bytes: u64,
}

impl Account {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.saturating_add(other.cpu_ns),
            user_ticks_ns: self.user_ticks_ns.saturating_add(other.user_ticks_ns),
            system_ticks_ns: self.system_ticks_ns.saturating_add(other.system_ticks_ns),
            read_chars: self.read_chars.saturating_add(other.read_chars),
            written_chars: self.written_chars.saturating_add(other.written_chars),
            read_bytes: self.read_bytes.saturating_add(other.read_bytes),
            written_bytes: self.written_bytes.saturating_add(other.written_bytes),
        }
    }

    /// CPU time in user mode and in the kernel, ns, divided as `getrusage` divides it: by ticks, and all of it in user mode
    /// where no tick found the process.
    #[must_use]
    pub fn user_and_system_ns(&self) -> (u64, u64) {
        let ticks = u128::from(self.user_ticks_ns) + u128::from(self.system_ticks_ns);
        let share = (u128::from(self.cpu_ns) * u128::from(self.system_ticks_ns)).checked_div(ticks);
        let system_ns = share.and_then(|ns| u64::try_from(ns).ok()).unwrap_or(0);
        (self.cpu_ns.saturating_sub(system_ns), system_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::Account;

    #[test]
    fn cpu_time_divides_as_ticks_do_and_stays_whole() {
        let of = |cpu_ns, user_ticks_ns, system_ticks_ns| {
            let account = Account { cpu_ns, user_ticks_ns, system_ticks_ns, ..Account::default() };
            account.user_and_system_ns()
        };
        assert_eq!(of(1_999, 0, 0), (1_999, 0), "too short for a tick");
        assert_eq!(of(900, 4_000, 0), (900, 0));
        assert_eq!(of(900, 0, 4_000), (0, 900));
        assert_eq!(of(1_000, 3_000, 1_000), (750, 250));
        assert_eq!(of(u64::MAX, u64::MAX, u64::MAX), (u64::MAX - u64::MAX / 2, u64::MAX / 2));
    }
}

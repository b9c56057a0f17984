//! Hashes that are the same for ever, since they are stored and sent: FNV-1a, and the finish of SplitMix64, which spreads
//! a number evenly over all bits. Not for secrets: whoever knows what went in knows the hash.

/// What FNV-1a begins with.
pub const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// Goes on with FNV-1a from `hash`.
#[must_use]
pub fn fnv1a(hash: u64, bytes: impl IntoIterator<Item = u8>) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.into_iter().fold(hash, step)
}

/// A number that looks like chance, the same for the same `number`.
#[must_use]
pub fn spread(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was stored must be found again: these values never change.
    #[test]
    fn hashes_are_those_that_are_published() {
        assert_eq!(fnv1a(FNV_START, *b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(FNV_START, *b"foobar"), 0x8594_4171_f739_67e8);
        // The first number of SplitMix64 from the seed 0: its first step, finished.
        assert_eq!(spread(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf);
    }
}

//! Atomic operations on words of map memory that `core` does not offer for this target.

/// Adds atomically.
#[inline(always)]
pub(crate) fn add(word: &mut u64, n: u64) {
    // SAFETY: an aligned word of map memory.
    unsafe { core::arch::asm!("lock *(u64 *)({word} + 0) += {n}", word = in(reg) word, n = in(reg) n) }
}

/// Swaps atomically; `AtomicU64::swap` does not exist on this target.
#[inline(always)]
pub(crate) fn exchange(word: &mut u64, new: u64) -> u64 {
    let mut value = new;
    // SAFETY: an aligned word of map memory.
    unsafe {
        core::arch::asm!("{value} = xchg_64({word} + 0, {value})", word = in(reg) word, value = inout(reg) value);
    }
    value
}

/// Sets `word` to `new` if it is `old`, atomically; whether it was.
#[inline(always)]
pub(crate) fn compare_exchange(word: &mut u64, old: u64, new: u64) -> bool {
    let mut seen = old;
    // SAFETY: an aligned word of map memory; r0 is the instruction's fixed operand.
    unsafe {
        core::arch::asm!("r0 = cmpxchg_64({word} + 0, r0, {new})", word = in(reg) word, new = in(reg) new, inout("r0") seen);
    }
    seen == old
}

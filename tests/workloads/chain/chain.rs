//! chain.c in Rust: names with hashes to be left out.

use std::{hint::black_box, io::Read};

mod chain {
    use super::{Read, black_box};

    pub trait Walk {
        fn stop(&self, depth: usize) -> usize;
    }

    impl Walk for u64 {
        #[inline(never)]
        fn stop(&self, depth: usize) -> usize {
            let (mut frame, here): (*const usize, usize);
            // SAFETY: reads two registers; the frame pointers are kept by the compiler's flags.
            unsafe { std::arch::asm!("mov {}, rbp", "lea {}, [rip]", out(reg) frame, out(reg) here) };
            let mut line = format!("{here:x}");
            for _ in 0..depth {
                // SAFETY: a frame begins with the caller's frame pointer and the return address.
                let (caller, address) = unsafe { (*frame, *frame.add(1)) };
                line += &format!(" {address:x}");
                frame = caller as *const usize;
            }
            println!("{line}");
            std::io::stdin().read_to_end(&mut Vec::new()).map_or(0, black_box)
        }
    }

    #[inline(never)]
    pub fn generic<T: Walk>(walker: &T, depth: usize) -> usize {
        black_box(walker).stop(black_box(depth)) + 1
    }
}

#[inline(never)]
fn outer(depth: usize) -> usize {
    black_box(chain::generic(&7u64, depth)) + 1
}

fn main() {
    black_box(outer(3));
}

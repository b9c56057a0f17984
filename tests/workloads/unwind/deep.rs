//! main → outer → Shape::area (through a trait object) → a closure in Iterator::fold → leaf, which computes. Says
//! "ready", then goes on for ever. Panics and catches one in each round, so that unwinding code is there and used.

use std::hint::black_box;

trait Shape {
    fn area(&self, seed: u64) -> u64;
}

struct Square(u64);

impl Shape for Square {
    #[inline(never)]
    fn area(&self, seed: u64) -> u64 {
        black_box((0..2).fold(seed, |sum, side| black_box(leaf(sum + side + self.0)) + 1)) + 1
    }
}

#[inline(never)]
fn leaf(mut seed: u64) -> u64 {
    for _ in 0..2_000_000 {
        seed = black_box(seed.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(3_037_000_493));
    }
    seed
}

#[inline(never)]
fn outer(shape: &dyn Shape, seed: u64) -> u64 {
    black_box(shape.area(seed)) + 1
}

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    println!("ready");
    let mut seed = 1;
    loop {
        seed = outer(black_box(&Square(3)), seed) % 1000;
        let _ = std::panic::catch_unwind(|| {
            if black_box(true) {
                panic!("caught");
            }
        });
    }
}

//! Stacks as addresses, stored once under a hash of their content: an id means the same frames for ever.

/// Most frames of one stack.
pub const MAX_FRAMES: usize = 127;

/// One stack, innermost frame first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Stack {
    /// Frames in use.
    pub length: u64,
    /// Addresses; those from `length` on mean nothing.
    pub frames: [u64; MAX_FRAMES],
}

const _: () = assert!(size_of::<Stack>() == 1024);
crate::pod!(Stack);

//! (being written)

/// tmp
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    /// tmp
    pub debug_log: bool,
    /// tmp
    pub thread_state: ThreadState,
}

/// tmp
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThreadState {
    /// tmp
    #[default]
    Auto,
    /// tmp
    TaskStorage,
    /// tmp
    TidHash,
}

//! What the kernel programs can lose. Each loss has a permanent number and a name; nothing is dropped
//! without bumping its counter in the LOSSES map.

macro_rules! losses {
    ($($(#[$doc:meta])* $id:ident = $n:literal, $name:literal;)*) => {
        $($(#[$doc])* pub const $id: u32 = $n;)*
        /// Names by number, as the API shows them.
        pub const NAMES: &[(u32, &str)] = &[$(($n, $name)),*];
    };
}

losses! {
    /// The ring of life-cycle events was full.
    EVENT_RING_FULL = 0, "kernel_event_ring_full";
    /// No memory for a thread's state: the thread is not seen.
    THREAD_STATE = 1, "kernel_thread_state_insert";
    /// The map of syscall statistics was full.
    SYSCALL_INSERT = 2, "kernel_syscall_insert";
    /// The map of syscall errors was full.
    SYSCALL_ERROR_INSERT = 3, "kernel_syscall_error_insert";
    /// The map of off-CPU time was full: the wait is not accounted.
    OFF_CPU_INSERT = 4, "kernel_off_cpu_insert";
    /// The map of CPU samples was full.
    CPU_INSERT = 5, "kernel_cpu_insert";
    /// The map of stacks refused an insertion: the time is kept, the frames are not.
    STACK_INSERT = 6, "kernel_stack_insert";
    /// The user stack could not be read.
    USER_STACK = 7, "kernel_user_stack_unreadable";
    /// The kernel stack could not be taken.
    KERNEL_STACK = 8, "kernel_kernel_stack_unreadable";
    /// A command line could not be read at exec.
    EXEC_ARGS = 9, "kernel_exec_args_unreadable";
    /// The path of an executable could not be read at exec.
    EXEC_PATH = 10, "kernel_exec_path_unreadable";
    /// The descriptor that a thread waits on could not be resolved: the cause is coarser.
    DESCRIPTOR = 11, "kernel_descriptor_unresolved";
    /// A lock that was seen handed over could not be remembered.
    LOCK_INSERT = 12, "kernel_lock_insert";
    /// The iterator's output was cut.
    SEED_OUTPUT = 13, "kernel_seed_output";
    /// A long wait had no stack yet, and could not be given one when it ended or its window did: its time is kept.
    LATE_STACK = 14, "kernel_late_stack";
    /// A thread's Python frames were not found among those of more threads than are looked at.
    PYTHON_STATE = 15, "kernel_python_state_unfound";
    /// The ring of stack copies was full: the stack stays as the walk left it.
    STACK_COPY = 16, "kernel_stack_copy_ring_full";
    /// The map of the ledger's sets was full: an agent's time is missing.
    LEDGER_INSERT = 17, "kernel_ledger_insert";
    /// A connection of the agent's own could not be remembered by the ledger: what it waits for is not seen.
    CONNECTION_INSERT = 18, "kernel_connection_insert";
    /// A thread left a state of the ledger that nothing was counted in.
    LEDGER_MISCOUNT = 19, "kernel_ledger_miscount";
    /// The map of CUDA's calls was full.
    CUDA_INSERT = 20, "kernel_cuda_insert";
    /// The ring of plaintext was full: the connection has a gap.
    WIRE_RING_FULL = 24, "kernel_wire_ring_full";
    /// What a call sent or received could not be read: the connection has a gap.
    WIRE_UNREADABLE = 25, "kernel_wire_unreadable";
    /// A call of a TLS library could not be remembered until it returned: the connection has a gap.
    WIRE_CALL_INSERT = 26, "kernel_wire_call_insert";
    /// A connection could not be remembered: it is not seen.
    WIRE_CONNECTION_INSERT = 27, "kernel_wire_connection_insert";
    /// The map of files was full: what was done with a file is not counted.
    FILE_INSERT = 28, "kernel_file_insert";
    /// The ring of paths was full: a file has no path, or a name that was deleted, renamed or linked is not counted.
    FILE_RING_FULL = 29, "kernel_file_ring_full";
    /// A file or a path could not be read.
    FILE_UNREADABLE = 30, "kernel_file_unreadable";
    /// The map of traffic was full.
    NETWORK_INSERT = 36, "kernel_network_insert";
    /// The map of failed connections was full.
    NETWORK_FAILURE_INSERT = 37, "kernel_network_failure_insert";
    /// A socket could not be remembered: what happens to its connection is not seen.
    SOCKET_INSERT = 38, "kernel_socket_insert";
    /// An answer of a name server could not be read: its addresses have no names.
    NAME_ANSWER_UNREADABLE = 39, "kernel_name_answer_unreadable";
    /// The map of block I/O was full.
    DISK_INSERT = 40, "kernel_disk_insert";
    /// Block I/O could not be remembered until it completed.
    BIO_INSERT = 41, "kernel_bio_insert";
    /// Who wrote to a file could not be remembered: what the kernel writes of it later is nobody's.
    DIRTIER_INSERT = 42, "kernel_dirtier_insert";
    /// A request of more parts than are looked at: of the others the end is not seen.
    BIO_PARTS = 43, "kernel_bio_parts";
    /// More signals of one agent in a second than are told.
    SIGNAL_RATE = 48, "kernel_signal_rate";
}

/// Counters in the LOSSES map.
pub const COUNT: u32 = 49;

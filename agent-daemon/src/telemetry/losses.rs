//! Named counters of everything that was lost. A loss is never silent: it has a name, and the API shows it.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// What user space can lose. The kernel programs' losses carry their own names (`agent_common::loss`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// A kernel record could not be decoded.
    UndecodableRecord,
    /// A process was gone before its mappings could be read: its stacks have no names.
    MappingsUnread,
    /// More processes ran than one agent may keep; the oldest ended ones were forgotten.
    ProcessForgotten,
    /// A window had more rows than it may keep; the smallest were merged into one.
    RowsMerged,
    /// The store was full and dropped its oldest window.
    WindowDropped,
    /// Reading a map of the kernel programs failed.
    MapReadFailed,
    /// A file could not be symbolised.
    SymbolsUnread,
    /// A file mapped into a process could not be opened: its functions have no names.
    BinaryUnopened,
    /// More processes or mappings were known than are kept; the least recent ones were forgotten.
    MappingsForgotten,
    /// A frame was not named in its window, since naming took too long.
    NamesLate,
    /// The symbol resolver was too busy to take a process or a window: its frames have no names.
    ResolverQueueFull,
    /// A row's stack was dropped by the kernel, for newer ones, before it was read: the row has none.
    StackLost,
    /// An agent forked so fast while it was taken in that some descendants may be missing.
    DescendantsUnsought,
    /// More agents came and went than the store may keep; the one that ended first was forgotten.
    AgentForgotten,
    /// The unwinder was too busy to be told of a process: its stacks follow frame pointers, or end early.
    UnwinderQueueFull,
    /// A file's unwind information could not be read or compiled, or not all of it: frame pointers are followed there.
    UnwindTableUnmade,
    /// There was no room for a file's unwind table, in which frame pointers are followed then, or for some of its
    /// rules, where stacks end.
    UnwindTablesFull,
    /// There was no room for the mappings of a process: its stacks follow frame pointers.
    UnwindMappingsFull,
    /// Nothing was made in time of the copy of a stack whose walk was cut, while its process was new to the walker: the
    /// stack ends where its walk did.
    StackCopyUnused,
    /// The end of a file of the store was damaged, as by a power cut, and was cut off at the last whole record.
    StoreTailCut,
    /// A stored record, window or stack was damaged and is left out of answers.
    StoreRecordUnread,
    /// Writing to the store failed, mostly for want of room; it is tried again.
    StoreWriteFailed,
    /// A stack lacks frames of its interpreter: the walk of these ended early, or where they belong is not known.
    /// Counted when the stack is named, which is once while it is remembered.
    InterpretedMissing,
    /// In a stack the order of native and Python frames is a guess: there were not as many calls of the evaluation
    /// loop as groups of frames. Counted as those that miss some.
    OrderGuessed,
    /// The journal was too slow for a record, or could not be written: the record is missing from it.
    JournalDropped,
    /// Something was not sent: its receiver refused it, or did not answer until there was no more room for it.
    ExportDropped,
    /// The end of a file of the spool was damaged, as by a power cut, and was cut off.
    SpoolTailCut,
    /// There was no room for operations in the store, or in memory before it.
    OperationDropped,
    /// An application sent an operation that is not accepted: its answer says why.
    OperationRefused,
    /// An application sent more than its project's rate, or than the store takes just now: it is told to try later.
    OperationThrottled,
    /// An operation was left out, as the project's sample ratio asks for.
    OperationUnsampled,
    /// A name, label or model of an operation came when there were too many different ones: it is kept as other.
    OperationOverflow,
    /// An attribute or label of an operation is not on the allow-list, or one too many: it is not kept.
    OperationLabelDropped,
    /// An application said which process it is, but its connection is not that process's: the operation is tied to none.
    OperationUnproven,
    /// An agent had too many tool calls open at once: one has no bill.
    ToolCallDropped,
    /// A window of the host found no room on its way to the store, or in it.
    HostWindowDropped,
    /// More errors of GPUs (XID) came at once than are kept until the next window: the latest are missing.
    GpuErrorDropped,
    /// There was no room for a series that alert rules look at: they do not see it.
    AlertSeriesDropped,
    /// There were too many groups of alerts: one was told to nobody.
    AlertUngrouped,
    /// A message about alerts was given up: its receiver refused it, or did not take it for a day.
    AlertGivenUp,
    /// The flight recorder could not keep up: a dump lacks a record.
    RecorderDropped,
    /// Reactions were too busy to hear what an alert asked for: it was not done.
    ReactionDropped,
    /// The one who attaches probes to functions was too busy to be told of a process: some are missing there.
    AttacherQueueFull,
    /// Probes on functions of a process could not be attached: what it calls there is not seen.
    UprobesUnattached,
    /// There were too many connections or exchanges to follow, or one could not be followed: calls on it are missing, or
    /// told as partial.
    WireUnfollowed,
    /// A call of a model or of an MCP server found no room on its way to the store.
    WireCallDropped,
    /// A request or answer of JSON-RPC found no room, or its other half never came.
    WireMessageDropped,
    /// A process ended that had asked models, and what it said was not read: mostly since it ended before it was probed.
    WireUnread,
    /// A checkpoint found no room among those of its window.
    CheckpointDropped,
    /// A new file was not followed that could have become a checkpoint by a rename: there were too many, or two of one name.
    CheckpointUnfollowed,
    /// What was said in a call found no room, though it was to be kept, or was dropped for what came later.
    ContentDropped,
}

impl Loss {
    /// Every loss, in the order of their numbers.
    pub const ALL: [Self; 51] = [
        Self::UndecodableRecord,
        Self::MappingsUnread,
        Self::ProcessForgotten,
        Self::RowsMerged,
        Self::WindowDropped,
        Self::MapReadFailed,
        Self::SymbolsUnread,
        Self::BinaryUnopened,
        Self::MappingsForgotten,
        Self::NamesLate,
        Self::ResolverQueueFull,
        Self::StackLost,
        Self::DescendantsUnsought,
        Self::AgentForgotten,
        Self::UnwinderQueueFull,
        Self::UnwindTableUnmade,
        Self::UnwindTablesFull,
        Self::UnwindMappingsFull,
        Self::StackCopyUnused,
        Self::StoreTailCut,
        Self::StoreRecordUnread,
        Self::StoreWriteFailed,
        Self::InterpretedMissing,
        Self::OrderGuessed,
        Self::JournalDropped,
        Self::ExportDropped,
        Self::SpoolTailCut,
        Self::OperationDropped,
        Self::OperationRefused,
        Self::OperationThrottled,
        Self::OperationUnsampled,
        Self::OperationOverflow,
        Self::OperationLabelDropped,
        Self::OperationUnproven,
        Self::ToolCallDropped,
        Self::HostWindowDropped,
        Self::GpuErrorDropped,
        Self::AlertSeriesDropped,
        Self::AlertUngrouped,
        Self::AlertGivenUp,
        Self::RecorderDropped,
        Self::ReactionDropped,
        Self::AttacherQueueFull,
        Self::UprobesUnattached,
        Self::WireUnfollowed,
        Self::WireCallDropped,
        Self::WireMessageDropped,
        Self::WireUnread,
        Self::CheckpointDropped,
        Self::CheckpointUnfollowed,
        Self::ContentDropped,
    ];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UndecodableRecord => "undecodable_record",
            Self::MappingsUnread => "mappings_unread",
            Self::ProcessForgotten => "process_forgotten",
            Self::RowsMerged => "rows_merged",
            Self::WindowDropped => "window_dropped",
            Self::MapReadFailed => "map_read_failed",
            Self::SymbolsUnread => "symbols_unread",
            Self::BinaryUnopened => "binary_unopened",
            Self::MappingsForgotten => "mappings_forgotten",
            Self::NamesLate => "names_late",
            Self::ResolverQueueFull => "resolver_queue_full",
            Self::StackLost => "stack_lost",
            Self::DescendantsUnsought => "descendants_unsought",
            Self::AgentForgotten => "agent_forgotten",
            Self::UnwinderQueueFull => "unwinder_queue_full",
            Self::UnwindTableUnmade => "unwind_table_unmade",
            Self::UnwindTablesFull => "unwind_tables_full",
            Self::UnwindMappingsFull => "unwind_mappings_full",
            Self::StackCopyUnused => "stack_copy_unused",
            Self::StoreTailCut => "store_tail_cut",
            Self::StoreRecordUnread => "store_record_unread",
            Self::StoreWriteFailed => "store_write_failed",
            Self::InterpretedMissing => "interpreted_missing",
            Self::OrderGuessed => "order_guessed",
            Self::JournalDropped => "journal_dropped",
            Self::ExportDropped => "export_dropped",
            Self::SpoolTailCut => "spool_tail_cut",
            Self::OperationDropped => "operation_dropped",
            Self::OperationRefused => "operation_refused",
            Self::OperationThrottled => "operation_throttled",
            Self::OperationUnsampled => "operation_unsampled",
            Self::OperationOverflow => "operation_overflow",
            Self::OperationLabelDropped => "operation_label_dropped",
            Self::OperationUnproven => "operation_unproven",
            Self::ToolCallDropped => "tool_call_dropped",
            Self::HostWindowDropped => "host_window_dropped",
            Self::GpuErrorDropped => "gpu_error_dropped",
            Self::AlertSeriesDropped => "alert_series_dropped",
            Self::AlertUngrouped => "alert_ungrouped",
            Self::AlertGivenUp => "alert_given_up",
            Self::RecorderDropped => "recorder_dropped",
            Self::ReactionDropped => "reaction_dropped",
            Self::AttacherQueueFull => "attacher_queue_full",
            Self::UprobesUnattached => "uprobes_unattached",
            Self::WireUnfollowed => "wire_unfollowed",
            Self::WireCallDropped => "wire_call_dropped",
            Self::WireMessageDropped => "wire_message_dropped",
            Self::WireUnread => "wire_unread",
            Self::CheckpointDropped => "checkpoint_dropped",
            Self::CheckpointUnfollowed => "checkpoint_unfollowed",
            Self::ContentDropped => "content_dropped",
        }
    }
}

/// The counters.
#[derive(Debug)]
pub struct Losses {
    user: [AtomicU64; Loss::ALL.len()],
    kernel: Mutex<Vec<(&'static str, u64)>>,
}

impl Default for Losses {
    fn default() -> Self {
        Self { user: [const { AtomicU64::new(0) }; Loss::ALL.len()], kernel: Mutex::default() }
    }
}

impl Losses {
    /// Counts one loss.
    pub fn count(&self, loss: Loss) {
        self.add(loss, 1);
    }

    /// Counts `n` losses.
    pub fn add(&self, loss: Loss, n: u64) {
        if let Some(counter) = self.user.get(loss as usize) {
            counter.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Replaces the kernel programs' own counters with a fresh reading.
    pub fn set_kernel(&self, counters: Vec<(&'static str, u64)>) {
        *self.kernel.lock().unwrap_or_else(PoisonError::into_inner) = counters;
    }

    /// Every counter by name, since the daemon started.
    #[must_use]
    pub fn all(&self) -> BTreeMap<&'static str, u64> {
        let user = Loss::ALL.iter().zip(&self.user).map(|(l, n)| (l.name(), n.load(Ordering::Relaxed)));
        let kernel = self.kernel.lock().unwrap_or_else(PoisonError::into_inner);
        user.chain(kernel.iter().copied()).collect()
    }
}

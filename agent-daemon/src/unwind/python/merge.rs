//! Native and Python frames in one order.
//!
//! The walker gives two stacks of a thread: native frames, among them those of the interpreter's eval loop, and
//! Python frames. Each call of the eval loop runs a group of Python frames (see [`Entry`]), and they belong just
//! inside its native frame. If there are as many calls as groups, or one stack was cut off at its outer end,
//! the order is certain; if not (the loop's frame has no name in a stripped build, or the sample fell between
//! the two that CPython pushes), all frames are kept and the result says that their order is a guess. Whoever asked
//! counts that.
//!
//! Whether Python's outermost frame is there is told by how the frames group: it ends a group. Until 3.10 nothing tells.

use super::layout::{Entry, OWNER_SHIM};

/// Frames of an interpreter that one walk keeps.
const MAX_FRAMES: usize = agent_common::stack::MAX_INTERPRETER_FRAMES;

/// What a native frame is to Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native {
    /// Anything else.
    Other,
    /// A call of the eval loop.
    EvalLoop,
    /// A handler of one instruction, to which the eval loop passes on (3.14 with tail calls): with the loop's
    /// own frame outside of it, it is one call.
    Handler,
}

impl Native {
    /// What a function is, by its symbol; compilers split functions and add suffixes (`.cold`, `.lto_priv.0`).
    #[must_use]
    pub fn of(symbol: &str) -> Self {
        let base = symbol.split('.').next().unwrap_or_default();
        match base {
            "_PyEval_EvalFrameDefault" => Self::EvalLoop,
            _ if base.starts_with("_TAIL_CALL_") => Self::Handler,
            _ => Self::Other,
        }
    }
}

/// One frame of a merged stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The native frame of this index.
    Native(usize),
    /// The Python frame of this index.
    Python(usize),
}

/// A merged stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// All frames, innermost first, without the interpreter's shims.
    pub order: Vec<Slot>,
    /// Whether the order is certain.
    pub merged: bool,
}

/// Python's side of a stack.
#[derive(Clone, Copy, Debug)]
pub struct PythonFrames<'a> {
    /// The owner's byte of each frame, innermost first.
    pub owners: &'a [u8],
    /// Which of them one call of the eval loop runs.
    pub entry: Entry,
    /// Whether the outermost frame is among them.
    pub whole: bool,
}

impl<'a> PythonFrames<'a> {
    /// The frames that a walk kept.
    #[must_use]
    pub fn walked(owners: &'a [u8], entry: Entry) -> Self {
        let ends_group = match (entry, owners.last()) {
            (_, None) | (Entry::Each, _) => true,
            (Entry::Marked, Some(owner)) => *owner != 0,
            (Entry::Shim, Some(owner)) => *owner >= OWNER_SHIM,
        };
        Self { owners, entry, whole: ends_group && owners.len() < MAX_FRAMES }
    }
}

/// Merges native frames, innermost first, with Python's. `whole` says that the native walk reached its end.
#[must_use]
pub fn merge(natives: &[Native], whole: bool, python: PythonFrames<'_>) -> Merged {
    let groups = groups(python);
    let calls: Vec<usize> = calls(natives).collect();
    let merged = match calls.len().cmp(&groups.len()) {
        std::cmp::Ordering::Equal => true,
        std::cmp::Ordering::Less => !whole,
        std::cmp::Ordering::Greater => !python.whole,
    };
    // Calls without a group: inner ones have not pushed theirs yet, unless Python's outer ones were cut off.
    let spare = if merged { 0 } else { calls.len().saturating_sub(groups.len()) };
    let mut order = Vec::with_capacity(natives.len() + python.owners.len());
    let mut groups = groups.into_iter();
    let mut calls = calls.into_iter().skip(spare).peekable();
    for native in 0..natives.len() {
        if calls.next_if_eq(&native).is_some() {
            order.extend(groups.next().into_iter().flatten().map(Slot::Python));
        }
        order.push(Slot::Native(native));
    }
    order.extend(groups.flatten().map(Slot::Python));
    Merged { order, merged }
}

/// The Python frames of each call of the eval loop, innermost first.
fn groups(python: PythonFrames<'_>) -> Vec<Vec<usize>> {
    let mut groups = Vec::new();
    let mut open = Vec::new();
    for (index, &owner) in python.owners.iter().enumerate() {
        let (shown, last) = match python.entry {
            Entry::Each => (true, true),
            Entry::Marked => (true, owner != 0),
            Entry::Shim => (owner < OWNER_SHIM, owner >= OWNER_SHIM),
        };
        open.extend(shown.then_some(index));
        if last {
            groups.push(std::mem::take(&mut open));
        }
    }
    if !open.is_empty() {
        groups.push(open);
    }
    groups
}

/// The native frames inside of which the frames of one call of the eval loop belong: of a handler and the loop
/// next to it, the handler.
fn calls(natives: &[Native]) -> impl Iterator<Item = usize> {
    let inner = |index: usize| index.checked_sub(1).and_then(|inner| natives.get(inner)).copied();
    natives.iter().enumerate().filter_map(move |(index, native)| match native {
        Native::Other => None,
        Native::EvalLoop => (inner(index) != Some(Native::Handler)).then_some(index),
        Native::Handler => Some(index),
    })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::any, prop_oneof, proptest, strategy::Just};

    use super::{
        Native::{EvalLoop, Handler, Other},
        *,
    };

    fn show(merged: &Merged) -> String {
        let show = |slot: &Slot| match slot {
            Slot::Native(index) => format!("n{index}"),
            Slot::Python(index) => format!("p{index}"),
        };
        merged.order.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    fn merge_whole(natives: &[Native], owners: &[u8], entry: Entry) -> Merged {
        merge(natives, true, PythonFrames { owners, entry, whole: true })
    }

    #[test]
    fn symbols_are_known() {
        assert_eq!(Native::of("_PyEval_EvalFrameDefault"), EvalLoop);
        assert_eq!(Native::of("_PyEval_EvalFrameDefault.cold"), EvalLoop);
        assert_eq!(Native::of("_PyEval_EvalFrameDefault.lto_priv.0"), EvalLoop);
        assert_eq!(Native::of("_TAIL_CALL_CALL.llvm.123"), Handler);
        assert_eq!(Native::of("_PyEval_EvalFrameDefaultish"), Other);
        assert_eq!(Native::of(""), Other);
    }

    #[test]
    fn each_version_groups_its_frames() {
        let natives = [Other, EvalLoop, Other, EvalLoop, Other];
        let each = merge_whole(&natives, &[0, 0], Entry::Each);
        assert_eq!((show(&each).as_str(), each.merged), ("n0 p0 n1 n2 p1 n3 n4", true));
        let marked = merge_whole(&natives, &[0, 0, 1, 0, 1], Entry::Marked);
        assert_eq!((show(&marked).as_str(), marked.merged), ("n0 p0 p1 p2 n1 n2 p3 p4 n3 n4", true));
        // The innermost call has pushed its shim, but no frame.
        let shim = merge_whole(&natives, &[3, 0, 1, 4], Entry::Shim);
        assert_eq!((show(&shim).as_str(), shim.merged), ("n0 n1 n2 p1 p2 n3 n4", true));
    }

    #[test]
    fn a_handler_and_its_loop_are_one_call() {
        let natives = [Handler, EvalLoop, Other, Handler, Other, EvalLoop];
        let merged = merge_whole(&natives, &[0, 3, 0, 3, 0, 3], Entry::Shim);
        assert_eq!((show(&merged).as_str(), merged.merged), ("p0 n0 n1 n2 p2 n3 n4 p4 n5", true));
    }

    #[test]
    fn what_was_cut_off_leaves_the_rest_certain() {
        let python = PythonFrames { owners: &[0, 0, 0], entry: Entry::Each, whole: true };
        let merged = merge(&[EvalLoop, Other], false, python);
        assert_eq!((show(&merged).as_str(), merged.merged), ("p0 n0 n1 p1 p2", true));
        let merged = merge(&[EvalLoop; 4], true, PythonFrames { whole: false, ..python });
        assert_eq!((show(&merged).as_str(), merged.merged), ("p0 n0 p1 n1 p2 n2 n3", true));
    }

    #[test]
    fn a_walk_is_whole_if_its_last_group_is() {
        let whole = |owners: &[u8], entry| PythonFrames::walked(owners, entry).whole;
        assert!([Entry::Each, Entry::Marked, Entry::Shim].iter().all(|entry| whole(&[], *entry)));
        assert!(whole(&[0], Entry::Each) && whole(&[0, 1], Entry::Marked) && whole(&[0, 4], Entry::Shim));
        assert!(!whole(&[1, 0], Entry::Marked) && !whole(&[3, 1], Entry::Shim));
        assert!(!whole(&[3; MAX_FRAMES], Entry::Shim) && !whole(&[0; MAX_FRAMES], Entry::Each));
    }

    #[test]
    fn a_mismatch_says_so_and_keeps_everything() {
        // The inner call has no frame yet.
        let merged = merge_whole(&[EvalLoop, Other, EvalLoop], &[0], Entry::Each);
        assert_eq!((show(&merged).as_str(), merged.merged), ("n0 n1 p0 n2", false));
        // The loop has no name.
        let merged = merge_whole(&[Other, Other], &[0, 3], Entry::Shim);
        assert_eq!((show(&merged).as_str(), merged.merged), ("n0 n1 p0", false));
    }

    proptest! {
        #[test]
        fn both_orders_stay_and_nothing_is_lost(
            natives in vec(prop_oneof![Just(Other), Just(EvalLoop), Just(Handler)], 0..40),
            owners in vec(0_u8..5, 0..40),
            entry in prop_oneof![Just(Entry::Each), Just(Entry::Marked), Just(Entry::Shim)],
            whole in any::<(bool, bool)>(),
        ) {
            let python = PythonFrames { owners: &owners, entry, whole: whole.1 };
            let merged = merge(&natives, whole.0, python);
            let native = |slot: &Slot| if let Slot::Native(index) = slot { Some(*index) } else { None };
            let python = |slot: &Slot| if let Slot::Python(index) = slot { Some(*index) } else { None };
            assert!(merged.order.iter().filter_map(native).eq(0..natives.len()));
            let shown = (0..owners.len()).filter(|&at| entry != Entry::Shim || owners[at] < OWNER_SHIM);
            assert!(merged.order.iter().filter_map(python).eq(shown));
        }
    }
}

//! What a stack must look like: the names that are known of a program, in order, with nothing between them but
//! what is known to be there.

use std::collections::HashSet;

use crate::support::{stacks::Stack, tolerance::is_slow};

/// How walks may end in the first moments of an attach or of a program, while the walker is being told of it.
pub(super) const EARLY: [&str; 3] = ["frame_pointers", "no_table", "no_mapping"];

/// Frames of one walk.
const MAX_FRAMES: usize = 128;
/// Samples of half a second of CPU: the first moments may take that on a busy machine.
const EARLY_SAMPLES: u64 = super::programs::FREQUENCY_HZ as u64 / 2;

/// The calls of a program, innermost first.
pub(super) struct Chain {
    names: Vec<String>,
    /// Those that are called by a library, whose frames come next.
    through: &'static [&'static str],
}

/// What was seen of a program.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Samples or waits.
    pub(super) all: u64,
    /// Those of the first moments: not walked yet, or walked right, but not named yet.
    pub(super) early: u64,
    /// Those that ended as they should.
    pub(super) right: u64,
    /// Those of them that begin with the innermost call of the chain.
    pub(super) whole: u64,
    /// The others, which nothing excuses.
    pub(super) wrong: u64,
    /// What is wrong with some of them.
    pub(super) faults: Vec<String>,
}

impl Chain {
    pub(super) fn new(names: &[&str], through: &'static [&'static str]) -> Self {
        Self { names: names.iter().map(|&n| n.to_owned()).collect(), through }
    }

    /// The calls of `deep.c` below `innermost`, which are those that call `leaf`.
    pub(super) fn of_deep(innermost: &[&str]) -> Self {
        let mut names: Vec<String> = innermost.iter().map(|&n| n.to_owned()).collect();
        names.extend((31..40).rev().map(|n| format!("d{n}")));
        names.push("compare".to_owned());
        names.extend((0..31).rev().map(|n| format!("d{n:02}")));
        names.extend(["run", "main"].map(str::to_owned));
        Self { names, through: &["compare", "on_signal"] }
    }

    /// Judges every stack of a program, whose walks must end like `end`.
    pub(super) fn judge(&self, stacks: &[Stack], end: &str) -> Seen {
        let mut seen = Seen { all: stacks.iter().map(|s| s.count).sum(), ..Seen::default() };
        let is_right = |s: &&Stack| self.fault(s, end).is_none();
        let known: HashSet<Vec<u64>> = stacks.iter().filter(is_right).map(callers).collect();
        for stack in stacks {
            let (count, fault) = (stack.count, self.fault(stack, end));
            if fault.is_none() {
                seen.right += count;
                seen.whole += if stack.calls(&self.names[0]) { count } else { 0 };
            } else if EARLY.contains(&stack.end.as_str())
                || known.contains(&callers(stack))
                || is_nameless(stack)
            {
                seen.early += count;
            } else {
                seen.wrong += count;
                let fault = fault.unwrap_or_default();
                seen.faults.push(format!("{count} × {fault} ({}): {:?}", stack.end, stack.functions()));
            }
        }
        seen
    }

    /// What is wrong with a stack.
    pub(super) fn fault(&self, stack: &Stack, end: &str) -> Option<String> {
        // On its way down, a recursion is not too deep yet.
        let end = if end == "truncated" && stack.frames.len() < MAX_FRAMES { "complete" } else { end };
        if stack.end != end {
            return Some(format!("did not end {end}"));
        }
        // What a compiler splits off a function for being unlikely is part of it.
        let functions: Vec<&str> =
            stack.functions().into_iter().map(|f| f.strip_suffix(".cold").unwrap_or(f)).collect();
        let known = functions.iter().enumerate().filter(|(_, f)| self.names.iter().any(|n| n == *f));
        let mut known: Vec<(usize, &str)> = known.map(|(i, f)| (i, *f)).collect();
        // Calls of a function by itself count once: `run` in the mode `deep`.
        known.dedup_by_key(|(_, name)| *name);
        let outermost = match self.names.last() {
            // The last frame that fits may be the outermost, or not.
            Some(name) if end == "truncated" && !functions.contains(&name.as_str()) => self.names.len() - 1,
            _ => self.names.len(),
        };
        let Some(first) = known.first() else { return Some("no known name".to_owned()) };
        let begin = self.names.iter().position(|n| n == first.1).unwrap_or(0);
        if !known.iter().map(|(_, f)| *f).eq(self.names[begin..outermost].iter().map(String::as_str)) {
            return Some("the order is not as it was written".to_owned());
        }
        let last = known.last().map_or(0, |k| k.0);
        let strangers = (first.0..last).filter(|&i| !self.names.iter().any(|n| *n == functions[i]));
        for stranger in strangers {
            let inside = known.iter().rev().find(|k| k.0 < stranger).map_or("", |k| k.1);
            if !self.through.contains(&inside) {
                return Some(format!("{} is not known to call {inside}", functions[stranger]));
            }
        }
        None
    }
}

/// Whether no user frame of a stack has a name: a busy machine's first window can end before the symbols are read. An
/// emulated one's can end in the middle of that.
fn is_nameless(stack: &Stack) -> bool {
    let functions = stack.functions();
    let nameless = functions.iter().filter(|f| **f == "[unknown]").count();
    nameless == functions.len() || is_slow() && nameless > 0
}

/// Where a stack's calls return to.
fn callers(stack: &Stack) -> Vec<u64> {
    stack.frames.iter().filter(|f| f.kind != "kernel").skip(1).map(|f| f.address).collect()
}

impl Seen {
    /// Says what was seen, and asserts that no stack is wrong, that few are of the first moments, and that most are
    /// whole.
    #[track_caller]
    pub(super) fn expect(&self, what: &str) {
        eprintln!("{what}: {} right, {} early, {} wrong", self.right, self.early, self.wrong);
        assert_eq!(self.wrong, 0, "{what}: {self:#?}");
        assert!(self.right >= 10, "{what}: too few stacks to judge: {self:?}");
        // On an emulated machine all of this takes its time, the calls between the innermost ones too.
        let (early, whole) = if is_slow() { (4 * EARLY_SAMPLES, 5) } else { (EARLY_SAMPLES, 9) };
        let is_short = self.early * 10 <= self.all || self.early <= early;
        assert!(is_short, "{what}: the first moments last too long: {self:?}");
        assert!(
            self.whole * 10 >= self.right * whole,
            "{what}: most time is spent in the innermost call: {self:?}"
        );
    }
}

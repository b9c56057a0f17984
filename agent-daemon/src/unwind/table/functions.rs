//! The functions of a file in order of address, each with what tells its rules. Overlaps are settled here: a
//! function owns its text up to where the next one begins, so that whoever lies about a length loses only that.

use gimli::UnwindSection;

use super::{
    Limits, Rules, Stats, TableError, cfi::Bytes, frames::Frames, image::Image, segments::Segments, translate,
};

/// What tells the rules of a function.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// The FDE at this offset of `.eh_frame`.
    EhFrame(u32),
    /// The FDE at this offset of `.debug_frame`.
    DebugFrame(u32),
    /// Nothing in the file: the number of the one rule that it has.
    Fixed(u16),
}

/// A piece of text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Function {
    pub(super) start: u64,
    /// The first address after it, as the file says.
    pub(super) end: u64,
    pub(super) source: Source,
}

/// Longest piece of `_start` behind the entry address for which the stack ends there, bytes.
const START_BYTES: u64 = 64;
/// Bytes of a PLT entry after which lazy binding has pushed the entry's number.
const PUSHED_AT: u8 = 11;

/// Collects the functions of a file.
pub(super) struct Collector<'a> {
    pub(super) segments: &'a Segments,
    pub(super) limits: &'a Limits,
    pub(super) stats: &'a mut Stats,
    pub(super) functions: Vec<Function>,
}

impl Collector<'_> {
    /// Adds a section's functions.
    pub(super) fn add<'a, S: UnwindSection<Bytes<'a>>>(
        &mut self,
        frames: &mut Frames<'a, S>,
        source: fn(u32) -> Source,
    ) -> Result<(), TableError> {
        let max = self.limits.functions;
        let end = frames.list(|listed| {
            let function = listed.and_then(|listed| {
                let end = listed.start.checked_add(listed.length)?.min(self.segments.end_of(listed.start)?);
                let function = Function { start: listed.start, end, source: source(listed.fde) };
                (function.start < end).then_some(function)
            });
            match function {
                Some(function) => self.functions.push(function),
                None => self.stats.skipped += 1,
            }
            self.functions.len() <= max
        });
        self.stats.cut_short |= end.is_err();
        if self.functions.len() > max {
            return Err(TableError::TooLarge {
                what: "its functions",
                size: max as u64 + 1,
                max: max as u64,
            });
        }
        Ok(())
    }

    /// The functions in order, one for each start, completed by code that has no FDE but whose rules are known.
    pub(super) fn finish(mut self, image: &Image<'_>, rules: &mut Rules) -> Vec<Function> {
        self.functions.sort_by_key(|f| f.start);
        let listed = self.functions.len();
        self.functions.dedup_by_key(|f| f.start);
        self.stats.skipped += (listed - self.functions.len()) as u64;
        self.stats.functions = self.functions.len() as u64;
        if !self.functions.is_empty() {
            let known = known(image, self.segments, rules);
            let missing: Vec<_> = known.into_iter().filter(|f| !self.covers(f.start)).collect();
            self.functions.extend(missing);
            self.functions.sort_by_key(|f| f.start);
        }
        self.functions
    }

    /// Whether an FDE describes this pc; the functions must be in order.
    fn covers(&self, pc: u64) -> bool {
        let after = self.functions.partition_point(|f| f.start <= pc);
        after.checked_sub(1).and_then(|i| self.functions.get(i)).is_some_and(|f| pc < f.end)
    }
}

/// Code that often has no FDE: the program's first instructions in C libraries without unwind tables, and the
/// procedure linkage tables of linkers other than GNU ld.
fn known(image: &Image<'_>, segments: &Segments, rules: &mut Rules) -> Vec<Function> {
    let max = agent_common::unwind::MAX_RULES;
    let mut known = Vec::new();
    let mut add = |start: u64, size: u64, number: u16| {
        if let Some(end) = segments.end_of(start) {
            let end = start.saturating_add(size).min(end);
            known.push(Function { start, end, source: Source::Fixed(number) });
        }
    };
    add(image.entry(), START_BYTES, Rules::END);
    for (name, pushed_at) in [(&b".plt"[..], Some(PUSHED_AT)), (b".plt.sec", None), (b".plt.got", None)] {
        if let Some(plt) = image.section(name) {
            add(plt.address, plt.size, rules.intern(translate::plt_rule(pushed_at), max));
        }
    }
    known
}

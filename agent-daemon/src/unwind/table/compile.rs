//! From an ELF file to its table.

use std::ops::Range;

use agent_common::unwind::{MAX_RULES, Rule, cfa};
use gimli::{BaseAddresses, DebugFrame, EhFrame, LittleEndian};

use super::{
    Limits, Reason, Rules, Stats, Table, TableError,
    builder::Builder,
    frames::Frames,
    functions::{Collector, Function, Source},
    image::{Image, ReadAt},
    sources::Sources,
};

/// Longest piece between two functions that still belongs to the first, bytes: padding never runs.
const PADDING: u64 = 16;

/// Compiles the unwind table of a file, or of a file's bytes in memory (`&[u8]` and `Vec<u8>` read too): the vdso
/// has no file.
///
/// # Errors
/// [`TableError`]; none of them leaves a trace but rules in the dictionary.
pub fn compile(file: &dyn ReadAt, rules: &mut Rules, limits: &Limits) -> Result<Table, TableError> {
    let image = Image::read(file)?;
    let segments = image.segments();
    let sources = Sources::read(&image, limits)?;
    let mut stats = Stats::default();
    stats.source_bytes = sources.bytes();

    let bases = BaseAddresses::default().set_eh_frame(sources.eh_frame_address);
    let (eh_frame, debug_frame) = (&sources.eh_frame, &sources.debug_frame);
    let mut eh_frame = Frames::new(EhFrame::new(eh_frame, LittleEndian), bases, eh_frame.len());
    let mut debug_frame =
        Frames::new(DebugFrame::new(debug_frame, LittleEndian), BaseAddresses::default(), debug_frame.len());

    let mut collector = Collector { segments: &segments, limits, stats: &mut stats, functions: Vec::new() };
    collector.add(&mut eh_frame, Source::EhFrame)?;
    collector.add(&mut debug_frame, Source::DebugFrame)?;
    let functions = collector.finish(&image, rules);

    let text = text(&functions, &stats, limits)?;
    let max_rules = rules.len().saturating_add(limits.new_rules).min(MAX_RULES);
    let mut rows = Rows { builder: Builder::new(text.start, limits.rows)?, rules, max_rules, stats };
    let mut next = functions.iter().map(|f| f.start).skip(1);
    let mut free = text.start;
    for function in &functions {
        if function.start.saturating_sub(free) > PADDING {
            rows.builder.push(free, Rules::GAP)?;
        }
        let end = function.end.min(next.next().unwrap_or(u64::MAX));
        rows.add(function, end, &mut eh_frame, &mut debug_frame)?;
        free = end;
    }
    rows.builder.finish(free, rows.stats)
}

/// The text that each entry of a file's `.eh_frame` covers, in order.
///
/// # Errors
/// As [`compile`].
pub fn functions(file: &dyn ReadAt, limits: &Limits) -> Result<Vec<Range<u64>>, TableError> {
    let image = Image::read(file)?;
    let segments = image.segments();
    let sources = Sources::read(&image, limits)?;
    let bases = BaseAddresses::default().set_eh_frame(sources.eh_frame_address);
    let section = EhFrame::new(&sources.eh_frame, LittleEndian);
    let mut frames = Frames::new(section, bases, sources.eh_frame.len());
    let mut stats = Stats::default();
    let mut collector = Collector { segments: &segments, limits, stats: &mut stats, functions: Vec::new() };
    collector.add(&mut frames, Source::EhFrame)?;
    let mut ranges: Vec<_> = collector.functions.iter().map(|f| f.start..f.end).collect();
    ranges.sort_unstable_by_key(|r| r.start);
    Ok(ranges)
}

/// From the first function to the end of the last.
fn text(functions: &[Function], stats: &Stats, limits: &Limits) -> Result<Range<u64>, TableError> {
    let (Some(first), Some(last)) = (functions.first(), functions.last()) else {
        return Err(match stats.cut_short {
            true => TableError::Malformed("its unwind information ends in the middle of an entry"),
            false => TableError::NoUnwindInfo,
        });
    };
    let (size, max) = (last.end - first.start, limits.text_bytes);
    if size > max {
        return Err(TableError::TooLarge { what: "its text", size, max });
    }
    Ok(first.start..last.end)
}

/// The rows that are there so far.
struct Rows<'r> {
    builder: Builder,
    rules: &'r mut Rules,
    max_rules: usize,
    stats: Stats,
}

type Eh<'a> = Frames<'a, EhFrame<super::cfi::Bytes<'a>>>;
type Debug<'a> = Frames<'a, DebugFrame<super::cfi::Bytes<'a>>>;

impl Rows<'_> {
    /// Adds a function's rows up to `end`.
    fn add(
        &mut self,
        function: &Function,
        end: u64,
        eh_frame: &mut Eh<'_>,
        debug_frame: &mut Debug<'_>,
    ) -> Result<(), TableError> {
        let mut pushed = Ok(());
        let start = function.start;
        let each = |pc: u64, rule: Result<Rule, Reason>| {
            if pc < end {
                let number = self.number(rule);
                pushed = self.builder.push(pc, number);
            }
            pc < end && pushed.is_ok()
        };
        match function.source {
            Source::EhFrame(fde) => eh_frame.rules(fde, start, each),
            Source::DebugFrame(fde) => debug_frame.rules(fde, start, each),
            Source::Fixed(number) => pushed = self.builder.push(start, number),
        }
        pushed
    }

    fn number(&mut self, rule: Result<Rule, Reason>) -> u16 {
        let number = rule.map(|rule| (rule.cfa, self.rules.intern(rule, self.max_rules)));
        match number {
            Ok((kind, Rules::INVALID)) if kind != cfa::INVALID => {
                self.stats.count_invalid(Reason::NoRoom);
                Rules::INVALID
            }
            Ok((_, number)) => number,
            Err(reason) => {
                self.stats.count_invalid(reason);
                Rules::INVALID
            }
        }
    }
}

//! What the stacks of the known programs should hold, and how many do.

use super::parse::Sample;

/// The functions on every stack of a program, outermost first.
pub(super) struct Truth(Vec<String>);

/// How many samples are as they should be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Judged {
    pub(super) samples: u64,
    pub(super) start: u64,
    pub(super) whole: u64,
}

/// Where a program starts is among so many outermost frames; some tools put the thread's name first.
const OUTERMOST: usize = 3;

impl Truth {
    /// Of `xtask/workloads/busy.py`.
    pub(super) fn busy_python() -> Self {
        let levels = (1..=20).map(|n| format!("level_{n:02}"));
        Self(["obey", "work"].into_iter().map(str::to_owned).chain(levels).collect())
    }

    /// Of `xtask/workloads/deep.c`.
    pub(super) fn deep_chain() -> Self {
        let chain = (0..40).map(|n| format!("d{n:02}"));
        Self(["main", "run"].into_iter().map(str::to_owned).chain(chain).chain(["leaf".to_owned()]).collect())
    }

    pub(super) fn judge(&self, samples: &[Sample]) -> Judged {
        let mut judged = Judged::default();
        for sample in samples {
            judged.samples += sample.count;
            judged.start += if reaches_the_start(&sample.frames) { sample.count } else { 0 };
            judged.whole += if self.is_whole(&sample.frames) { sample.count } else { 0 };
        }
        judged
    }

    /// Every known function is there, in order, whatever else is between them.
    fn is_whole(&self, frames: &[String]) -> bool {
        let mut frames = frames.iter().map(|frame| function(frame));
        self.0.iter().all(|known| frames.any(|frame| frame == known))
    }
}

/// py-spy has no name for what calls main, and says in which library it is.
fn reaches_the_start(frames: &[String]) -> bool {
    frames.iter().take(OUTERMOST).any(|frame| {
        frame.starts_with("_start")
            || frame.starts_with("__libc_start")
            || (frame.starts_with("0x") && frame.contains("(libc.so"))
    })
}

/// The function of a frame as tools write it: `name`, `name (file:line)`, `name+offset`, `file:line name`.
fn function(frame: &str) -> &str {
    let name = frame.split([' ', '+']).next().unwrap_or_default();
    name.split('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(frames: &str, count: u64) -> Sample {
        Sample { frames: frames.split(';').map(str::to_owned).collect(), count }
    }

    #[test]
    fn a_stack_is_whole_with_every_name_in_order() {
        let truth = Truth(vec!["main".to_owned(), "leaf".to_owned()]);
        let samples = [
            sample("_start;__libc_start_main;main;between;leaf (a.c:7);k", 3),
            sample("comm;__libc_start_main@@GLIBC_2.34;leaf;main", 2),
            sample("0x7f (libc.so.6);main+3;leaf+0x7", 1),
            sample("leaf", 4),
        ];
        assert_eq!(truth.judge(&samples), Judged { samples: 10, start: 6, whole: 4 });
    }

    #[test]
    fn the_start_is_outermost() {
        assert!(!reaches_the_start(&sample("a;b;c;_start", 1).frames));
        assert!(!reaches_the_start(&[]));
    }

    #[test]
    fn the_known_programs_are_deep() {
        assert_eq!(Truth::busy_python().0.len(), 22);
        assert_eq!(Truth::deep_chain().0.len(), 43);
    }
}

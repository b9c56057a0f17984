//! Folded stacks: `comm;outermost;…;innermost weight`, one line a stack. Kernel frames end in `_[k]`.
//! CPU time is weighed in samples, off-CPU time in microseconds, as other tools do.

use std::collections::BTreeMap;

use super::{Subject, label, missing};
use crate::store::query::{Profile, ProfileKind, ProfileStack};

/// The lines, sorted; stacks that read the same are one, and what weighs nothing is left out.
pub(crate) fn lines(profile: &Profile, subject: &Subject) -> Vec<String> {
    let mut weights: BTreeMap<String, u64> = BTreeMap::new();
    for row in &profile.stacks {
        let weight = weights.entry(path(row, subject)).or_default();
        *weight = weight.saturating_add(match profile.kind {
            ProfileKind::Cpu => row.count,
            ProfileKind::OffCpu => row.ns,
        });
    }
    let unit = match profile.kind {
        ProfileKind::Cpu => 1,
        ProfileKind::OffCpu => 1000,
    };
    let lines = weights.into_iter().map(|(path, weight)| (path, weight.saturating_add(unit / 2) / unit));
    lines.filter(|(_, weight)| *weight > 0).map(|(path, weight)| format!("{path} {weight}")).collect()
}

/// All lines as one text.
pub(crate) fn text(profile: &Profile, subject: &Subject) -> String {
    lines(profile, subject).into_iter().flat_map(|line| [line, "\n".to_owned()]).collect()
}

fn path(row: &ProfileStack, subject: &Subject) -> String {
    let comm = subject.comm(row.process).unwrap_or("[unknown]");
    let frames = row.stack.frames.iter().rev().map(|f| label(f));
    let names = std::iter::once(comm.to_owned()).chain(missing(&row.stack).map(str::to_owned)).chain(frames);
    names.map(|name| clean(&name)).collect::<Vec<_>>().join(";")
}

/// A name that cannot be taken for the format's own signs. Names come from programs, which may be hostile.
fn clean(name: &str) -> String {
    let plain = |c: char| match c {
        ';' => ':',
        c if c.is_control() => '_',
        c => c,
    };
    let mut name: String = name.trim().chars().map(plain).collect();
    if name.starts_with('#') {
        // Reads as a comment.
        name.insert(0, '_');
    }
    match name.rsplit_once(' ') {
        // Reads as a second weight.
        Some((head, tail)) if tail.chars().all(|c| c.is_ascii_digit() || c == '.') => {
            format!("{head}_{tail}")
        }
        _ if name.is_empty() => "?".to_owned(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::off_cpu::WaitCause,
        store::{
            fixture::{agent_at, at, cpu, off_cpu, process_at, window_at},
            query::profile,
        },
    };

    fn subject() -> Subject {
        Subject::new(agent_at(at(0)), vec![process_at(100, at(0))])
    }

    #[test]
    fn frames_stand_outermost_first_and_kernel_frames_are_marked() {
        let mut window = window_at(&agent_at(at(0)).id, at(0), 0);
        window.cpu = vec![cpu(100, &["k_read", "leaf", "main"], 3), cpu(101, &["leaf", "main"], 2)];
        window.off_cpu = vec![
            off_cpu(100, WaitCause::Disk, &["k_io", "main"], 1_500_000, 400),
            off_cpu(100, WaitCause::Disk, &["k_short", "main"], 100, 0),
        ];
        let windows = [window.into()];
        let cpu = profile(&windows, ProfileKind::Cpu, None);
        assert_eq!(text(&cpu, &subject()), "[unknown];main;leaf 2\npython3;main;leaf;k_read_[k] 3\n");
        let off_cpu = profile(&windows, ProfileKind::OffCpu, None);
        assert_eq!(lines(&off_cpu, &subject()), ["python3;main;k_io_[k] 1500"]);
    }

    #[test]
    fn hostile_names_do_not_break_the_format() {
        assert_eq!(clean("a;b\nc\u{7f}"), "a:b_c_");
        assert_eq!(clean("worker 12"), "worker_12");
        assert_eq!(clean("# comment"), "_# comment");
        assert_eq!(clean(" \n "), "?");
        assert_eq!(clean("operator new(unsigned long)"), "operator new(unsigned long)");
    }
}

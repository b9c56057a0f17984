//! A run's results as a table for people: a row for each test, a column for each machine.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    axis::Axis,
    report::{Ending, Report, Verdict},
};

/// A machine with what became of it, and the tests it left out with their reasons.
pub(super) struct Column {
    pub(super) axis: Axis,
    pub(super) report: Report,
    pub(super) left_out: Vec<(String, &'static str)>,
}

/// A verdict in a word or two.
pub(super) fn word(verdict: Verdict) -> String {
    match verdict {
        Verdict::Passed => "ok".to_owned(),
        Verdict::Failed => "FAILED".to_owned(),
        Verdict::Crashed(signal) => format!("CRASHED by signal {signal}"),
        Verdict::Hung => "HUNG".to_owned(),
        Verdict::Panicked => "KERNEL DIED".to_owned(),
        Verdict::Stuck => "MACHINE STUCK".to_owned(),
        Verdict::NotRun => "not run".to_owned(),
    }
}

/// The table, the tests that were left out, and a line for each machine.
pub(super) fn text(columns: &[Column]) -> String {
    format!("\n{}\n{}{}", verdicts(columns), left_out(columns), machines(columns))
}

fn verdicts(columns: &[Column]) -> String {
    let tests: Vec<&str> = in_order(columns);
    let mut lines = vec![vec![String::new()]; tests.len() + 1];
    for (line, test) in lines.iter_mut().skip(1).zip(&tests) {
        line[0] = (*test).to_owned();
    }
    for column in columns {
        lines[0].push(column.axis.to_string());
        for (line, test) in lines.iter_mut().skip(1).zip(&tests) {
            line.push(cell(column, test));
        }
    }
    aligned(&lines)
}

/// All tests that some machine planned, in their own order.
fn in_order(columns: &[Column]) -> Vec<&str> {
    let all = columns.iter().flat_map(|column| &column.report.rows);
    let mut tests: Vec<&str> = all.map(|row| row.test.as_str()).collect();
    tests.sort_unstable();
    tests.dedup();
    tests
}

fn cell(column: &Column, test: &str) -> String {
    let Some(row) = column.report.rows.iter().find(|row| row.test == test) else { return "-".to_owned() };
    match row.seconds {
        Some(seconds) => format!("{} {seconds:.1} s", word(row.verdict)),
        None => word(row.verdict),
    }
}

fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

/// Tests by the machines and the reason for which they were left out.
fn left_out(columns: &[Column]) -> String {
    let mut machines: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for column in columns {
        for (test, reason) in &column.left_out {
            machines.entry((test.as_str(), reason)).or_default().push(column.axis.to_string());
        }
    }
    let mut reasons: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
    for ((test, reason), axes) in machines {
        let on = if axes.len() == columns.len() { String::new() } else { format!(" on {}", axes.join(", ")) };
        reasons.entry((reason, on)).or_default().push(test);
    }
    let mut text = String::new();
    for ((reason, on), tests) in reasons {
        let _ = writeln!(text, "Not run{on}, because {reason}:\n  {}", tests.join("\n  "));
    }
    text
}

fn machines(columns: &[Column]) -> String {
    let mut text = String::new();
    for Column { axis, report, .. } in columns {
        let release = report.release.as_deref().unwrap_or("no kernel");
        let passed = report.rows.iter().filter(|row| row.verdict == Verdict::Passed).count();
        let _ = write!(text, "{axis} ({release}): {passed} of {} passed", report.rows.len());
        if let Some(seconds) = report.seconds {
            let _ = write!(text, " in {seconds:.0} s");
        }
        let _ = writeln!(text, "{}", remark(&report.ending));
    }
    text
}

fn remark(ending: &Ending) -> String {
    match ending {
        Ending::Done { complaints: 0 } => String::new(),
        Ending::Done { complaints } => format!("; THE KERNEL COMPLAINED {complaints} times"),
        Ending::Running => "; it still runs".to_owned(),
        Ending::Panicked(words) => format!("; THE KERNEL DIED: {words}"),
        Ending::Stuck(time) => format!("; THE MACHINE STOOD STILL for {} s", time.as_secs()),
        Ending::Vanished => "; THE MACHINE WENT OFF before it was done".to_owned(),
        Ending::Broken(said) => format!("; QEMU FAILED: {said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::report::{Stop, read},
        *,
    };

    fn column(axis: &Axis, results: &str, left_out: Vec<(String, &'static str)>) -> Column {
        let planned = ["a::one".to_owned(), "b::two".to_owned()];
        Column { axis: axis.clone(), report: read(results, "", &planned, &Stop::Off), left_out }
    }

    #[test]
    fn a_column_for_each_machine_and_a_reason_for_each_gap() {
        let axes = Axis::chosen(None, false, false);
        let results = "{\"boot\":\"6.1.0-9\",\"up\":3}\n{\"begin\":\"a::one\",\"limit\":9,\"up\":4}\n\
                       {\"end\":\"a::one\",\"code\":101,\"up\":5.5}\n";
        let gap = vec![("c::three".to_owned(), "of this")];
        let text = text(&[column(&axes[0], results, gap), column(&axes[1], "", Vec::new())]);
        assert!(text.contains("        6.1           6.12\na::one  FAILED 1.5 s  not run\n"), "{text}");
        assert!(text.contains("b::two  KERNEL DIED") || text.contains("b::two  not run"), "{text}");
        assert!(text.contains("Not run on 6.1, because of this:\n  c::three\n"), "{text}");
        assert!(text.contains("6.1 (6.1.0-9): 0 of 2 passed; THE MACHINE WENT OFF"), "{text}");
    }
}

//! Tables for the terminal: columns padded to their widest cell, the last one cut at the edge: where that hurts least.

use super::out::plain;

/// The narrowest and the widest line that is written, in characters.
const WIDTHS: std::ops::RangeInclusive<usize> = 40..=400;

/// Where a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// At its left edge.
    Left,
    /// At its right edge: for numbers.
    Right,
}

/// What the last column is cut at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Its end.
    End,
    /// Its beginning, if possible between two names: for paths.
    Beginning,
    /// The end of the last item that fits: for lists with commas.
    Item,
}

/// A table being written.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
    width: usize,
    cut: Cut,
}

impl Table {
    /// A table with these columns, as wide as the terminal (`COLUMNS`, else 100).
    pub(super) fn new(columns: &[(&'static str, Align)]) -> Self {
        let width = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).unwrap_or(100);
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
            width: width.clamp(*WIDTHS.start(), *WIDTHS.end()),
            cut: Cut::End,
        }
    }

    /// A table whose last column is cut in another way.
    pub(super) fn cut_at(mut self, cut: Cut) -> Self {
        self.cut = cut;
        self
    }

    /// A table whose last column is not cut.
    pub(super) fn uncut(mut self) -> Self {
        self.width = usize::MAX;
        self
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|c| plain(c).into_owned()).collect());
    }

    /// The table as text, each line after `indent`.
    pub(super) fn render(&self, indent: &str) -> String {
        let widths = self.widths();
        let heads: Vec<String> = self.columns.iter().map(|(head, _)| (*head).to_owned()).collect();
        let mut out = String::new();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let line = self.line(row, &widths, indent);
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    fn widths(&self) -> Vec<usize> {
        let cell = |row: &Vec<String>, i: usize| row.get(i).map_or(0, |c| c.chars().count());
        let widest = |i: usize| self.rows.iter().map(|r| cell(r, i)).max().unwrap_or(0);
        self.columns.iter().enumerate().map(|(i, (head, _))| widest(i).max(head.len())).collect()
    }

    fn line(&self, row: &[String], widths: &[usize], indent: &str) -> String {
        let mut line = indent.to_owned();
        for (i, ((cell, width), (_, align))) in row.iter().zip(widths).zip(&self.columns).enumerate() {
            let gap = if i == 0 { "" } else { "  " };
            line.push_str(gap);
            match align {
                Align::Right => line.push_str(&format!("{cell:>width$}")),
                Align::Left if i + 1 == self.columns.len() => {
                    let width = self.width.saturating_sub(line.chars().count());
                    line.push_str(&match self.cut {
                        Cut::End => cut(cell, width),
                        Cut::Beginning => cut_beginning(cell, width),
                        Cut::Item => cut_item(cell, width),
                    });
                }
                Align::Left => line.push_str(&format!("{cell:<width$}")),
            }
        }
        line
    }
}

/// The end of a path, as [`cut`] has the beginning of a text: `…/src/main.rs`.
fn cut_beginning(path: &str, width: usize) -> String {
    let width = width.max(20);
    let left_out = path.chars().count().saturating_sub(width - 1);
    if path.chars().count() <= width {
        return path.to_owned();
    }
    let end: String = path.chars().skip(left_out).collect();
    let whole_names = end.find('/').and_then(|slash| end.get(slash..)).filter(|names| names.len() > 1);
    format!("…{}", whole_names.unwrap_or(&end))
}

/// The first items of a list with commas, as many as fit as a whole.
fn cut_item(list: &str, width: usize) -> String {
    let fits = |end: &usize| list.get(..*end).is_some_and(|items| items.chars().count() + 3 <= width);
    match list.rmatch_indices(", ").map(|(at, _)| at).find(fits) {
        Some(end) if list.chars().count() > width => format!("{}, …", list.get(..end).unwrap_or_default()),
        _ => cut(list, width),
    }
}

/// At most `width` characters of `text`, at least twenty, the cut marked.
pub(super) fn cut(text: &str, width: usize) -> String {
    let width = width.max(20);
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::{Align, Cut, Table};

    #[test]
    fn columns_line_up_and_the_last_is_cut() {
        let mut table = Table::new(&[("PID", Align::Right), ("NAME", Align::Left), ("COMMAND", Align::Left)]);
        table.width = 40;
        table.row(vec!["7".into(), "é\u{1b}x".into(), "y".repeat(50)]);
        table.row(vec!["4711".into(), "name".into(), String::new()]);
        let text = table.render("  ");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "   PID  NAME  COMMAND");
        assert_eq!(lines[1].chars().count(), 40);
        assert!(lines[1].starts_with("     7  é\u{fffd}x   yyy") && lines[1].ends_with("y…"));
        assert_eq!(lines[2], "  4711  name");
    }

    #[test]
    fn paths_and_lists_keep_what_tells_most() {
        let shown = |cut, text: &str| {
            let mut table = Table::new(&[("LAST", Align::Left)]).cut_at(cut);
            table.width = 24;
            table.row(vec![text.to_owned()]);
            table.render("").lines().nth(1).unwrap().to_owned()
        };
        for (cut, text, expected) in [
            (Cut::Beginning, "/short", "/short"),
            (Cut::Beginning, "/a/long/way/to/the/file/main.rs", "…/to/the/file/main.rs"),
            (Cut::Beginning, "/a/very-very-very-very-long-name.rs", "…-very-very-long-name.rs"),
            (Cut::Beginning, "/ééé/éééé/éééééééé/name.rs", "…/éééé/éééééééé/name.rs"),
            (Cut::Item, "tool 60.0 %, idle 40.0 %", "tool 60.0 %, idle 40.0 %"),
            (Cut::Item, "tool 60.0 %, agent_cpu 40.0 %", "tool 60.0 %, …"),
            (Cut::Item, "a-word-of-more-than-twenty-four", "a-word-of-more-than-twe…"),
        ] {
            assert_eq!(shown(cut, text), expected, "{text}");
        }
    }
}

//! What an agent did with files: sums, and the files that matter most.

use std::fmt::Write;

use super::super::{
    table::{Align, Cut, Table},
    units::{bytes, seconds},
};
use super::FILES;
use crate::{
    api::dto::file::{FileDto, FileReportDto},
    model::file::{OTHER, UNKNOWN},
};

/// The files to show: those that something was done to, then those that were read, in their order; what stands for many,
/// last.
pub(super) fn first(mut report: FileReportDto) -> FileReportDto {
    let stands_for_many = |file: &FileDto| matches!(file.path.as_deref(), Some(OTHER | UNKNOWN));
    let is_read_only = |file: &FileDto| {
        let amounts = &file.amounts;
        [amounts.creates, amounts.changes, amounts.deletes, amounts.renames].iter().all(|n| *n == 0)
    };
    let (mut many, mut single): (Vec<_>, Vec<_>) = report.files.into_iter().partition(stands_for_many);
    single.sort_by_key(is_read_only);
    single.truncate(FILES.saturating_sub(many.len()));
    single.append(&mut many);
    report.files = single;
    report.next_offset = None;
    report
}

/// The files that had most done to them; nothing of an agent that has used none.
pub(super) fn files(report: &FileReportDto) -> String {
    if report.files.is_empty() {
        return String::new();
    }
    let total = &report.total;
    let is_merged = report.files.iter().any(|file| file.path.as_deref() == Some(OTHER));
    let merged = if is_merged { "; small rows merged as other" } else { "" };
    let mut out = format!(
        "\nFILES  {} created, {} deleted, {} renamed, {} written in {} calls, {} read{merged}\n",
        total.creates,
        total.deletes,
        total.renames,
        bytes(total.written_bytes),
        total.changes,
        bytes(total.read_bytes)
    );
    let titles = ["OPENS", "CREATED", "CHANGES", "DELETED", "RENAMED", "READ", "WRITTEN"];
    let columns = titles.map(|title| (title, Align::Right));
    let columns: Vec<_> = columns.into_iter().chain([("PATH", Align::Left)]).collect();
    let mut table = Table::new(&columns).cut_at(Cut::Beginning);
    for file in &report.files {
        let amounts = &file.amounts;
        table.row(vec![
            amounts.read_opens.saturating_add(amounts.write_opens).to_string(),
            amounts.creates.to_string(),
            amounts.changes.to_string(),
            amounts.deletes.to_string(),
            amounts.renames.to_string(),
            bytes(amounts.read_bytes),
            bytes(amounts.written_bytes),
            file.path.clone().unwrap_or_default(),
        ]);
    }
    out.push_str(&table.render("  "));
    if total.syncs > 0 {
        let _ = writeln!(out, "  {} fsyncs, {}", total.syncs, seconds(total.sync_seconds));
    }
    let rest = report.rows.saturating_sub(report.files.len() as u64);
    if rest > 0 {
        let _ = writeln!(out, "  and {rest} more");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{FILES, files, first};
    use crate::{
        api::dto::file::{FileDto, FileReportDto},
        store::{fixture::file, query::FileBy},
    };

    #[test]
    fn the_first_files_stand_below_the_sums() {
        let row = file(1, "/src/\u{1b}[2Jmain.rs", 5);
        let mut report = FileReportDto {
            agent: "1-1".to_owned(),
            covered: None,
            watched: true,
            total: (&row).into(),
            rows: 3,
            next_offset: None,
            files: vec![FileDto::new(&row, FileBy::Path, None)],
        };
        let text = files(&report);
        for expected in ["FILES  1 created, 2 deleted", "main.rs", "1 fsyncs", "and 2 more"] {
            assert!(text.contains(expected), "{text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
        report.files.clear();
        assert_eq!(files(&report), "");
    }

    #[test]
    fn files_with_effects_stand_first_and_what_was_merged_last() {
        let row = |path: &str, is_changed: bool| {
            let mut row = file(1, path, 5);
            if !is_changed {
                (row.creates, row.changes, row.deletes, row.renames) = (0, 0, 0, 0);
            }
            FileDto::new(&row, FileBy::Path, None)
        };
        let long = format!("/srv/{}/main.rs", "deep/".repeat(40));
        let mut rows = vec![row("other", true), row("/read/it", false), row(&long, true)];
        rows.extend((0..20).map(|n| row(&format!("/read/{n}"), false)));
        let report = first(FileReportDto {
            agent: "1-1".to_owned(),
            covered: None,
            watched: true,
            total: (&file(1, "x", 5)).into(),
            rows: 23,
            next_offset: None,
            files: rows,
        });
        let text = files(&report);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].ends_with("; small rows merged as other"), "{text}");
        assert!(lines[3].contains("…/") && lines[3].ends_with("/main.rs"), "{text}");
        assert!(lines[4].ends_with("/read/it") && lines[2 + FILES].ends_with("other"), "{text}");
        assert!(text.contains("and 8 more"), "{text}");
    }
}

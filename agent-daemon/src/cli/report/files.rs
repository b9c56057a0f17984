//! What an agent did with files: sums, and the files that matter most.

use std::fmt::Write;

use super::super::{
    out::plain,
    table::{Align, Table},
    units::{bytes, seconds},
};
use crate::api::dto::file::FileReportDto;

/// The files that had most done to them; nothing of an agent that has used none.
pub(super) fn files(report: &FileReportDto) -> String {
    if report.files.is_empty() {
        return String::new();
    }
    let total = &report.total;
    let mut out = format!(
        "\nFILES  {} created, {} deleted, {} renamed, {} written in {} calls, {} read\n",
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
    let mut table = Table::new(&columns);
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
            plain(file.path.as_deref().unwrap_or_default()).to_string(),
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
    use super::files;
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
}

//! Calls of models and of MCP servers, added up, and who is blind.

use std::fmt::Write;

use super::super::{
    out::plain,
    table::{Align, Table},
    units::seconds,
};
use crate::api::dto::{
    coverage::{CoverageDto, CoverageStateDto},
    llm::LlmCallListDto,
    llm_sums::LlmSumDto,
    mcp::McpCallListDto,
};

/// Models and names shown.
const ROWS: usize = 10;

/// The calls of models, by model.
pub(super) fn llm(calls: &LlmCallListDto) -> String {
    if calls.models.is_empty() {
        return String::new();
    }
    let LlmSumDto { calls: all, failures, .. } = calls.sum;
    let mut out = format!("\nMODEL CALLS  {all} in all, {failures} failed\n");
    let right = ["CALLS", "FAILED", "TIME", "P50", "FIRST TOKEN", "INPUT", "OUTPUT", "COST"];
    let columns: Vec<(&str, Align)> = right.iter().map(|name| (*name, Align::Right)).collect();
    let mut table = Table::new(&[&columns[..], &[("MODEL", Align::Left)]].concat());
    for model in calls.models.iter().take(ROWS) {
        let sum = &model.sum;
        let some = |time: Option<f64>| time.map_or_else(|| "-".to_owned(), seconds);
        // As an estimate is marked everywhere.
        let about = if sum.calls_estimated > 0 { "~" } else { "" };
        let tokens = |tokens: Option<u64>| tokens.map_or_else(|| "-".to_owned(), |n| format!("{about}{n}"));
        let cost = sum.cost_usd.map_or_else(|| "-".to_owned(), |usd| format!("{about}${usd:.4}"));
        let name = model.model.as_deref().unwrap_or("?");
        table.row(vec![
            sum.calls.to_string(),
            sum.failures.to_string(),
            seconds(sum.total_seconds),
            some(sum.p50_seconds),
            some(sum.first_content_mean_seconds),
            tokens(sum.input_tokens),
            tokens(sum.output_tokens),
            cost,
            plain(&format!("{name} ({})", model.name)).to_string(),
        ]);
    }
    out.push_str(&table.render("  "));
    let rest = calls.models.len().saturating_sub(ROWS) + calls.models_left_out.groups;
    if rest > 0 {
        let shown: u64 = calls.models.iter().take(ROWS).map(|model| model.sum.calls).sum();
        let _ = writeln!(out, "  and {rest} more, with {} calls", all.saturating_sub(shown));
    }
    out
}

/// The calls of MCP servers, by method and tool.
pub(super) fn mcp(calls: &McpCallListDto) -> String {
    if calls.names.is_empty() {
        return String::new();
    }
    let mut out = "\nMCP CALLS\n".to_owned();
    let mut table = Table::new(&[
        ("CALLS", Align::Right),
        ("FAILED", Align::Right),
        ("TIME", Align::Right),
        ("NAME", Align::Left),
    ]);
    for name in calls.names.iter().take(ROWS) {
        table.row(vec![
            name.calls.to_string(),
            name.failures.to_string(),
            seconds(name.total_seconds),
            plain(&name.name).to_string(),
        ]);
    }
    out.push_str(&table.render("  "));
    out
}

/// The processes that talk to models unseen, with what can be done about it.
pub(super) fn blind(coverage: &CoverageDto) -> String {
    let mut out = String::new();
    for process in coverage.processes.iter().filter(|p| p.state == CoverageStateDto::Blind) {
        let (reason, remedy) = (process.reason.as_deref(), process.remedy.as_deref());
        let _ = writeln!(
            out,
            "\nNOT SEEN  what pid {} says to models: {}; {}",
            process.pid,
            reason.unwrap_or_default(),
            remedy.unwrap_or_default()
        );
    }
    if let Some(last) = coverage.ended.last() {
        let _ = writeln!(
            out,
            "\nNOT SEEN  what {} processes said to models that have ended, lastly pid {} ({}): {}",
            coverage.ended.len(),
            last.pid,
            plain(&last.comm),
            last.reason
        );
    }
    out
}

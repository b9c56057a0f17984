//! What an agent's tools cost, by name.

use std::fmt::Write;

use super::super::{tools::by_name, units::seconds};
use crate::api::dto::tool::ToolListDto;

/// Names shown.
const ROWS: usize = 10;

/// The bills of the tools that took most time; nothing of an agent that ran none.
pub(super) fn tools(list: &ToolListDto) -> String {
    if list.names.is_empty() {
        return String::new();
    }
    let (mut calls, mut failures, mut time) = (0u64, 0u64, 0.0);
    for name in &list.names {
        calls = calls.saturating_add(name.calls);
        failures = failures.saturating_add(name.failures);
        time += name.total_seconds;
    }
    let mut out = format!("\nTOOLS  {calls} calls, {failures} failed, {}\n", seconds(time));
    out += &by_name(list.names.get(..ROWS).unwrap_or(&list.names), "  ");
    if list.names.len() > ROWS {
        let _ = writeln!(out, "  and {} more", list.names.len() - ROWS);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::dto::tool::{ToolDto, ToolNameDto},
        store::fixture::{at, tool_call_at},
    };

    #[test]
    fn the_bills_stand_by_name() {
        let mut list = ToolListDto {
            from: None,
            to: None,
            total: 0,
            added_up: 0,
            next_offset: None,
            tools: Vec::new(),
            names: Vec::new(),
        };
        assert_eq!(tools(&list), "");
        let bill = ToolDto::of(&tool_call_at(at(0), 1)).unwrap().bill;
        list.names = (0..12)
            .map(|n| ToolNameDto {
                name: format!("tool{n}"),
                calls: 3,
                failures: 1,
                total_seconds: 1.5,
                max_seconds: 1.0,
                p50_seconds: Some(0.25),
                p99_seconds: None,
                bill,
            })
            .collect();
        let text = tools(&list);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "TOOLS  36 calls, 12 failed, 18.0 s", "{text}");
        assert!(lines[3].ends_with("tool0") && lines[3].contains("250 ms"), "{text}");
        assert_eq!((lines.len(), lines[13]), (14, "  and 2 more"), "{text}");
    }
}

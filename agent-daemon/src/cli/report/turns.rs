//! An agent's turns, one line for each.

use super::super::{
    table::{Align, Cut, Table},
    units::{percent, seconds},
};
use crate::api::dto::{timeline::SegmentCauseDto, turn::TurnListDto};

/// Turns shown: of more, the last.
const ROWS: usize = 12;
/// Causes shown of each.
const CAUSES: usize = 3;

/// The last turns with what was done in them, and where most of their time went.
pub(super) fn turns(list: &TurnListDto) -> String {
    if list.turns.is_empty() {
        return String::new();
    }
    let left_out = list.turns.len().saturating_sub(ROWS);
    let shown = if left_out > 0 { format!(", the last {ROWS}") } else { String::new() };
    let more = if list.truncated { "more than " } else { "" };
    let first = list.turns.first().map(|turn| turn.from.strftime("%F").to_string()).unwrap_or_default();
    let is_one_day = list.turns.iter().all(|turn| turn.from.strftime("%F").to_string() == first);
    // Most turns are of one day, and what they went to needs the room.
    let (day, began) = if is_one_day { (format!(", on {first}"), "%T") } else { (String::new(), "%F %T") };
    let out = format!("\nTURNS  {more}{} in all{shown}{day}\n", list.turns.len());
    let right = ["TIME", "WAITED", "CALLS", "TOOLS", "INPUT", "OUTPUT"].map(|name| (name, Align::Right));
    let columns = [&[("BEGAN", Align::Left)], &right[..], &[("MOST OF IT", Align::Left)]].concat();
    let mut table = Table::new(&columns).cut_at(Cut::Item);
    let tokens = |tokens: Option<u64>| tokens.map_or_else(|| "-".to_owned(), |tokens| tokens.to_string());
    for turn in list.turns.iter().skip(left_out) {
        table.row(vec![
            turn.from.strftime(began).to_string(),
            seconds(turn.seconds),
            turn.waited_seconds.map_or_else(|| "-".to_owned(), seconds),
            turn.llm_calls.to_string(),
            turn.tool_calls.to_string(),
            tokens(turn.input_tokens),
            tokens(turn.output_tokens),
            causes(&turn.causes, turn.wall_seconds),
        ]);
    }
    out + &table.render("  ")
}

/// `tool 60 %, agent_cpu 20 %`.
fn causes(causes: &[SegmentCauseDto], wall: f64) -> String {
    let cause = |share: &SegmentCauseDto| {
        let name = super::render::word(&share.cause);
        format!("{name} {}", percent(share.seconds, wall))
    };
    causes.iter().take(CAUSES).map(cause).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        model::{price::Cost, time::TimeRange},
        store::{
            fixture::{at, ledger},
            query::{Turn, Turns},
        },
    };

    #[test]
    fn the_last_turns_are_shown() {
        let turn = |n: i64| Turn {
            range: TimeRange { from: at(60 * n), to: at(60 * n + 20) },
            llm_calls: (3, 1),
            tool_calls: (2, 0),
            tokens: (Some(1200), None),
            cost: Cost::default(),
            ledger: ledger(4000),
        };
        let list = |n| {
            let turns = Turns { turns: (0..n).map(turn).collect(), truncated: false };
            turns_of(&turns)
        };
        assert_eq!(turns(&list(0)), "");
        let text = turns(&list(2));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[1], lines.len()), ("TURNS  2 in all, on 2025-11-21", 5), "{text}");
        assert!(lines[3].starts_with("  15:20:00"), "{text}");
        assert!(lines[3].contains("20.0 s"), "{text}");
        assert!(lines[4].contains("40.0 s") && lines[4].contains(" 1200       - "), "{text}");
        assert!(lines[4].contains("  agent_cpu 80"), "{text}");
        assert_eq!(turns(&list(20)).lines().count(), 3 + ROWS);
    }

    fn turns_of(turns: &Turns) -> TurnListDto {
        TurnListDto::new("1-1".to_owned(), None, Duration::from_secs(5), turns)
    }
}

//! The ledger as a bar, and what it is made of.

use std::fmt::Write;

use super::super::{
    ledger_bar::{cells, letter},
    table::{Align, Table},
    units::{percent, seconds},
};
use crate::api::dto::{
    ledger::{LedgerDto, LedgerShareDto},
    names::LedgerCauseDto,
};

/// Characters of the bar.
const WIDTH: usize = 60;
/// Overlaps shown, and the least time of one, seconds.
const OVERLAPS: usize = 3;
const LEAST: f64 = 0.001;
/// The part of a cause that is an estimate where all of it is called one.
const ESTIMATE: f64 = 0.1;

/// The bar, a line for each cause that has time, and the largest overlaps.
pub(super) fn ledger(ledger: &LedgerDto) -> String {
    let mut out = format!("\nLEDGER  {} of wall clock\n", seconds(ledger.wall_seconds));
    let mut shares: Vec<&LedgerShareDto> = ledger.causes.iter().filter(|c| c.seconds > 0.0).collect();
    shares.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    if shares.is_empty() {
        return out;
    }
    let _ = writeln!(out, "  {}", bar(&shares));
    let columns =
        [("", Align::Left), ("CAUSE", Align::Left), ("TIME", Align::Right), ("SHARE", Align::Right)];
    let mut table = Table::new(&columns);
    for share in shares {
        // A little of what was waited for on an event loop does not make an estimate of the rest.
        let told = share.estimated_seconds > share.seconds * ESTIMATE;
        table.row(vec![
            letter(share.cause).to_string(),
            format!("{}{}", name(share.cause), if told { " (estimate)" } else { "" }),
            seconds(share.seconds),
            percent(share.seconds, ledger.wall_seconds),
        ]);
    }
    out.push_str(&table.render("  "));
    let mut overlaps: Vec<_> = ledger.overlaps.iter().filter(|o| o.seconds >= LEAST).collect();
    overlaps.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    for overlap in overlaps.into_iter().take(OVERLAPS) {
        let (hidden, under) = (name(overlap.hidden), name(overlap.under));
        let _ = writeln!(out, "  {} of {hidden} hidden under {under}", seconds(overlap.seconds));
    }
    out
}

/// One letter for each cause, as often as its share is wide.
fn bar(shares: &[&LedgerShareDto]) -> String {
    let bar: String = cells(shares.iter().copied(), WIDTH).into_iter().map(letter).collect();
    format!("[{bar:<WIDTH$}]")
}

fn name(cause: LedgerCauseDto) -> String {
    super::render::word(&cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture;

    #[test]
    fn the_bar_is_as_long_as_the_wall() {
        let mut text = ledger(&LedgerDto::new("1-1".to_owned(), true, None, &fixture::ledger(2500)));
        assert!(text.contains("LEDGER  5.00 s of wall clock"), "{text}");
        assert!(text.contains(&format!("[{}{}]", "A".repeat(30), ".".repeat(30))), "{text}");
        assert!(text.contains("llm_first_token (estimate)"), "{text}");
        text = ledger(&LedgerDto::new("1-1".to_owned(), true, None, &Default::default()));
        assert_eq!(text, "\nLEDGER  0 µs of wall clock\n");
    }
}

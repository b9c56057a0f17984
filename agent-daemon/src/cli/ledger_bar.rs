//! A ledger as a bar: one cell after the other, each of one cause. For the report on paper and for the live view.

use crate::api::dto::{ledger::LedgerShareDto, names::LedgerCauseDto};

/// The bar's cells, of which `width` are the whole wall clock, whatever is rounded. Causes stand in the order of
/// `shares`.
pub(super) fn cells<'a>(
    shares: impl IntoIterator<Item = &'a LedgerShareDto>,
    width: usize,
) -> Vec<LedgerCauseDto> {
    let (mut cells, mut sum) = (Vec::with_capacity(width), 0.0);
    for share in shares {
        sum += share.share;
        let end = ((sum * width as f64).round() as usize).min(width);
        while cells.len() < end {
            cells.push(share.cause);
        }
    }
    cells
}

/// What a cell of this cause shows.
pub(super) fn letter(cause: LedgerCauseDto) -> char {
    match cause {
        LedgerCauseDto::AgentCpu => 'A',
        LedgerCauseDto::Tool => 'T',
        LedgerCauseDto::LlmConnect => 'c',
        LedgerCauseDto::LlmFirstToken => 'f',
        LedgerCauseDto::LlmStream => 's',
        LedgerCauseDto::RunQueue => 'r',
        LedgerCauseDto::Disk => 'd',
        LedgerCauseDto::Lock => 'l',
        LedgerCauseDto::Network => 'n',
        LedgerCauseDto::Gpu => 'g',
        LedgerCauseDto::PageFault => 'p',
        LedgerCauseDto::Idle => '.',
        LedgerCauseDto::Unknown => '?',
    }
}

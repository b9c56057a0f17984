//! Ledgers merged over windows.

use super::Fold;
use crate::model::{ledger::Ledger, window::Window};

/// Adds up where an agent's time went.
#[derive(Debug, Default)]
pub struct LedgerFold(Ledger);

impl Fold for LedgerFold {
    type Output = Ledger;

    fn add(&mut self, window: &Window) {
        self.0.merge(&window.ledger);
    }

    fn finish(self) -> Ledger {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{
        fixture::{agent_at, at, ledger, window_at},
        query::of,
    };

    #[test]
    fn windows_add_up_whatever_their_order() {
        let window = |n: i64| {
            let mut window = window_at(&agent_at(at(0)).id, at(5 * n), 0);
            window.ledger = ledger(n as u64);
            Arc::new(window)
        };
        let (first, second) = (window(1), window(2));
        let sum = of([&first, &second], LedgerFold::default());
        assert_eq!(sum, of([&second, &first], LedgerFold::default()));
        assert_eq!(sum.wall_ns(), first.ledger.wall_ns() + second.ledger.wall_ns());
        assert!(of([], LedgerFold::default()).is_empty());
    }
}

//! What calls of models may take a day before the default rules raise an alert. Nothing is refused: agentperf only looks on.

use super::options::{Opt, put};

/// In place of a number: there is no such budget.
const NONE: &str = "none";
/// US dollars and tokens a day: more is no budget.
const MOST_USD: u64 = 1_000_000_000;
const MOST_TOKENS: u64 = 1_000_000_000_000_000;

/// What all agents together may take a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// What calls may cost, hundredths of a US dollar.
    pub cents_per_day: Option<u64>,
    /// Tokens that models may read and write.
    pub tokens_per_day: Option<u64>,
}

/// Every option of it.
pub(super) const OPTIONS: [Opt; 2] = [
    Opt {
        key: "budget.usd_per_day",
        doc: "What calls of models may cost a day, of all agents together, US dollars; none for no such budget. Alerts tell\nwhen it is spent, and before that when it is spent twice too fast. Needs llm.prices.",
        get: |c| c.budget.cents_per_day.map_or(NONE.to_owned(), usd),
        set: |c, t| {
            put(&mut c.budget.cents_per_day, optional(t, cents), "dollars, as in 50 or 12.50, or none")
        },
    },
    Opt {
        key: "budget.tokens_per_day",
        doc: "Tokens that models may read and write a day, for all agents together; none for no such budget.",
        get: |c| c.budget.tokens_per_day.map_or(NONE.to_owned(), |tokens| tokens.to_string()),
        set: |c, t| put(&mut c.budget.tokens_per_day, optional(t, tokens), "a number above 0, or none"),
    },
];

/// Reads a number or the word for none; `None` if it is neither.
#[expect(clippy::option_option, reason = "there may be none, and it may be none that can be read")]
fn optional(text: &str, read: fn(&str) -> Option<u64>) -> Option<Option<u64>> {
    if text == NONE { Some(None) } else { read(text).map(Some) }
}

fn tokens(text: &str) -> Option<u64> {
    text.parse().ok().filter(|tokens| (1..=MOST_TOKENS).contains(tokens))
}

fn cents(text: &str) -> Option<u64> {
    let (dollars, hundredths) = text.split_once('.').unwrap_or((text, "00"));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if hundredths.len() != 2 || !are_digits(hundredths) || !are_digits(dollars) {
        return None;
    }
    let dollars = dollars.parse::<u64>().ok().filter(|dollars| *dollars <= MOST_USD)?;
    Some(100 * dollars + hundredths.parse::<u64>().ok()?).filter(|cents| *cents > 0)
}

fn usd(cents: u64) -> String {
    match cents % 100 {
        0 => (cents / 100).to_string(),
        rest => format!("{}.{rest:02}", cents / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_and_written() {
        for (text, read) in [("50", Some(5000)), ("12.50", Some(1250)), ("0.05", Some(5))] {
            assert_eq!(cents(text), read, "{text}");
            assert_eq!(read.map(usd).as_deref(), Some(text));
        }
        for text in ["", "0", "0.00", "-1", "1.5", "1.", ".5", "1e3", "$5", "1,000", "9999999999", "+5"] {
            assert_eq!(cents(text), None, "{text}");
        }
        assert_eq!((tokens("1"), tokens("0"), tokens("x")), (Some(1), None, None));
    }
}

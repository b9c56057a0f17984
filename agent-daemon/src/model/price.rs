//! What calls of language models cost: a table of prices, each of a model from a day on, and nothing else.
//!
//! A price that is not known is no price: there is no cost then, not zero. Amounts are whole picodollars (10^-12 USD),
//! so that sums are exact: a million tokens at 1 USD are 10^6 picodollars each.

use jiff::civil::Date;

use super::wire::Tokens;

/// Picodollars of a token at 1 USD for a million tokens.
const PER_MILLION: f64 = 1e6;
/// Dearer than any model by far, USD for a million tokens; keeps sums within 64 bits.
const MOST: f64 = 1e5;

/// A sum of money, picodollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(pub u64);

impl Cost {
    /// In US dollars.
    #[must_use]
    pub fn usd(self) -> f64 {
        self.0 as f64 / 1e12
    }
}

/// The price of one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(u64);

impl Rate {
    /// From US dollars for a million tokens; `None` if that is negative, no number, or beyond 100,000.
    #[must_use]
    pub fn per_million(usd: f64) -> Option<Self> {
        // In range by the check before.
        (0.0..=MOST).contains(&usd).then(|| Self((usd * PER_MILLION).round() as u64))
    }

    fn times(self, tokens: u64) -> u64 {
        self.0.saturating_mul(tokens)
    }
}

/// What one model costs from a day on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Only of this provider (`gen_ai.provider.name`); `None` for any.
    pub provider: Option<String>,
    /// The model's name, or its beginning and `*`.
    pub model: String,
    /// The first day (UTC) of this price.
    pub from: Date,
    /// A token of input that is neither from a cache nor into one.
    pub input: Rate,
    /// A token of output; `None` for a model that writes none.
    pub output: Option<Rate>,
    /// A token that is read from a cache; as `input` where not given.
    pub cache_read: Option<Rate>,
    /// A token that is written into a cache; as `input` where not given.
    pub cache_write: Option<Rate>,
}

impl Price {
    /// How well it fits: characters of the model's name that it gives, and whether it names the provider.
    fn fits(&self, provider: &str, model: &str) -> Option<(usize, bool)> {
        if self.provider.as_deref().is_some_and(|name| name != provider) {
            return None;
        }
        let matches = match self.model.strip_suffix('*') {
            Some(beginning) => model.starts_with(beginning),
            None => model == self.model,
        };
        // A whole name fits better than the same one as a beginning.
        let given = if self.model.ends_with('*') { self.model.len() - 1 } else { usize::MAX };
        matches.then_some((given, self.provider.is_some()))
    }

    /// Whether it is of the same calls as another, so that one of them is wrong.
    #[must_use]
    pub fn is_of_the_same(&self, other: &Self) -> bool {
        (&self.model, &self.provider, self.from) == (&other.model, &other.provider, other.from)
    }

    /// What these tokens cost; `None` if the provider did not tell enough. What is part of the input is paid once.
    fn cost(&self, tokens: &Tokens) -> Option<Cost> {
        let input = tokens.input?;
        let read = tokens.cache_read.unwrap_or(0).min(input);
        let write = tokens.cache_write.unwrap_or(0).min(input - read);
        let output = match self.output {
            Some(rate) => rate.times(tokens.output?),
            None => 0,
        };
        let parts = [
            self.input.times(input - read - write),
            self.cache_read.unwrap_or(self.input).times(read),
            self.cache_write.unwrap_or(self.input).times(write),
            output,
        ];
        Some(Cost(parts.iter().fold(0, |sum, part| sum.saturating_add(*part))))
    }
}

/// All prices that are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices(Vec<Price>);

impl Prices {
    /// A table; the order does not matter.
    #[must_use]
    pub fn new(prices: Vec<Price>) -> Self {
        Self(prices)
    }

    /// Whether nothing has a price.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The providers that prices are of alone.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|price| price.provider.as_deref())
    }

    /// What a call cost on a day. `models` are names of the model, the one to try first before the others: the model
    /// that answered, then the one that was asked for. Of the prices that had begun, the one that gives most of the
    /// name is taken, of these the one for this provider, and of these the latest.
    #[must_use]
    pub fn cost(&self, provider: &str, models: &[&str], day: Date, tokens: &Tokens) -> Option<Cost> {
        models.iter().find_map(|model| self.price(provider, model, day))?.cost(tokens)
    }

    fn price(&self, provider: &str, model: &str, day: Date) -> Option<&Price> {
        let begun = self.0.iter().filter(|price| price.from <= day);
        let fitting = begun.filter_map(|price| Some((price.fits(provider, model)?, price)));
        fitting.max_by_key(|(fit, price)| (*fit, price.from)).map(|(_, price)| price)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn price(model: &str, from: Date, input: f64) -> Price {
        let rate = |usd| Rate::per_million(usd).unwrap();
        Price {
            provider: None,
            model: model.to_owned(),
            from,
            input: rate(input),
            output: Some(rate(15.0)),
            cache_read: Some(rate(0.3)),
            cache_write: None,
        }
    }

    fn tokens(input: u64, output: u64) -> Tokens {
        Tokens { input: Some(input), output: Some(output), ..Tokens::default() }
    }

    #[test]
    fn subsets_are_paid_once_at_their_own_price() {
        let prices = Prices::new(vec![price("m", date(2026, 1, 1), 3.0)]);
        let tokens = Tokens { cache_read: Some(800), reasoning: Some(50), ..tokens(1000, 100) };
        let cost = prices.cost("any", &["m"], date(2026, 2, 1), &tokens).unwrap();
        // 200 at 3, 800 at 0.3, 100 at 15, USD for a million.
        assert_eq!(cost, Cost(600_000_000 + 240_000_000 + 1_500_000_000));
        assert!((cost.usd() - 0.00234).abs() < 1e-12);
    }

    #[test]
    fn the_price_of_the_day_and_of_the_longest_name_counts() {
        let own = Price { provider: Some("x".to_owned()), ..price("gpt-*", date(2026, 1, 1), 9.0) };
        let prices = Prices::new(vec![
            price("gpt-*", date(2026, 1, 1), 1.0),
            price("gpt-5-*", date(2026, 1, 1), 2.0),
            price("gpt-5-mini", date(2026, 1, 1), 4.0),
            price("gpt-5-mini", date(2026, 6, 1), 5.0),
            own,
        ]);
        let input = |provider: &str, models: &[&str], day| {
            Some(prices.cost(provider, models, day, &tokens(1, 0))?.0 / 1_000_000)
        };
        assert_eq!(input("openai", &["gpt-4"], date(2026, 3, 1)), Some(1));
        assert_eq!(input("openai", &["gpt-5-nano"], date(2026, 3, 1)), Some(2));
        assert_eq!(input("openai", &["gpt-5-mini"], date(2026, 5, 31)), Some(4));
        assert_eq!(input("openai", &["gpt-5-mini"], date(2026, 6, 1)), Some(5));
        assert_eq!(input("x", &["gpt-4"], date(2026, 3, 1)), Some(9));
        assert_eq!(input("openai", &["unknown", "gpt-5-mini"], date(2026, 7, 1)), Some(5));
    }

    #[test]
    fn what_is_not_known_has_no_cost() {
        let prices = Prices::new(vec![price("m", date(2026, 1, 1), 3.0)]);
        let day = date(2026, 1, 1);
        assert_eq!(prices.cost("any", &["other"], day, &tokens(1, 1)), None);
        assert_eq!(prices.cost("any", &["m"], date(2025, 12, 31), &tokens(1, 1)), None);
        assert_eq!(prices.cost("any", &["m"], day, &Tokens::default()), None);
        assert_eq!(prices.cost("any", &["m"], day, &Tokens { output: None, ..tokens(1, 1) }), None);
        for usd in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Rate::per_million(usd), None);
        }
    }
}

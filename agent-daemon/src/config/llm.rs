//! What calls of models cost: the operator's table of prices; and whether tokens are estimated.

use jiff::civil::Date;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{
    options::{Opt, boolean, put},
    raw::{ItemError, Text},
};
use crate::model::price::{Price, Prices, Rate};

/// The most prices.
pub(super) const MAX_PRICES: usize = 1000;

/// How calls of models are told, as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLlm {
    pub(super) estimate_tokens: Text,
    pub(super) prices: Option<Vec<Spanned<RawPrice>>>,
}

/// A price, as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPrice {
    pub(super) model: Text,
    pub(super) provider: Text,
    pub(super) from: Text,
    pub(super) input: Text,
    pub(super) output: Text,
    pub(super) cache_read: Text,
    pub(super) cache_write: Text,
}

/// How calls of models are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LlmConfig {
    /// Whether tokens are estimated of streams whose provider tells none.
    pub estimate_tokens: bool,
    /// What they cost.
    pub prices: Prices,
}

/// Every option of it.
pub(super) const OPTIONS: [Opt; 1] = [Opt {
    key: "llm.estimate_tokens",
    doc: "Whether tokens, and with them cost, are estimated of streams whose provider tells none (as of OpenAI's without\nstream_options.include_usage): a token for every 4 bytes of the request, one for each piece of the answer. Such calls\nhave the usage `estimated`, and sums say how many these are.",
    get: |c| c.llm.estimate_tokens.to_string(),
    set: |c, t| put(&mut c.llm.estimate_tokens, boolean(t), "true or false"),
}];

/// Reads a price that follows others.
pub(super) fn price(raw: RawPrice, before: &[Price]) -> Result<Price, ItemError> {
    let Some(model) = raw.model else {
        return Err((None, "model", "is missing: every price is of a model".to_owned()));
    };
    let beginning = model.value.strip_suffix('*').unwrap_or(&model.value);
    if model.value.is_empty() || model.value.len() > 128 || beginning.contains('*') {
        let message = "must be a model's name, or its beginning and *".to_owned();
        return Err((Some(model), "model", message));
    }
    let Some(input) = rate(raw.input, "input")? else {
        return Err((Some(model), "input", "is missing: USD for a million tokens".to_owned()));
    };
    let price = Price {
        from: raw.from.map(day).transpose()?.unwrap_or(Date::MIN),
        provider: raw.provider.map(|provider| provider.value),
        input,
        output: rate(raw.output, "output")?,
        cache_read: rate(raw.cache_read, "cache_read")?,
        cache_write: rate(raw.cache_write, "cache_write")?,
        model: model.value,
    };
    match before.iter().position(|other| other.is_of_the_same(&price)) {
        Some(other) => {
            let message = format!("has its price from this day on already, in llm.prices[{other}]");
            Err((None, "model", message))
        }
        None => Ok(price),
    }
}

fn rate(text: Text, key: &'static str) -> Result<Option<Rate>, ItemError> {
    let read = |text: &str| text.parse().ok().and_then(Rate::per_million);
    let wrong = || "must be a number of USD for a million tokens, from 0 to 100000".to_owned();
    text.map(|text| read(&text.value).ok_or_else(|| (Some(text), key, wrong()))).transpose()
}

fn day(text: Spanned<String>) -> Result<Date, ItemError> {
    let read = text.value.parse();
    read.map_err(|_| (Some(text), "from", "must be a day such as 2026-01-31".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::civil::date;

    use crate::{config::Config, model::wire::Tokens};

    fn parse(prices: &str) -> Result<Config, String> {
        let text = format!("llm: {{ prices: [{prices}] }}");
        Config::parse(&text, Path::new("a.yaml")).map_err(|error| error.to_string())
    }

    #[test]
    fn prices_are_read() {
        let config = parse(
            "{ model: gpt-*, input: 2, output: 8.5, cache_read: 0.2 }, \
             { model: gpt-5, provider: openai, from: 2026-01-01, input: 3 }",
        );
        let config = config.unwrap();
        let tokens = Tokens { input: Some(1_000_000), output: Some(0), ..Tokens::default() };
        let cost = |model| {
            let cost = config.llm.prices.cost("openai", &[model], date(2026, 2, 1), &tokens);
            cost.map(|cost| cost.usd())
        };
        assert_eq!((cost("gpt-4"), cost("gpt-5"), cost("other")), (Some(2.0), Some(3.0), None));
    }

    #[test]
    fn a_model_may_have_a_price_for_each_provider_and_day() {
        for other in ["provider: a", "from: 2026-01-31", "provider: a, from: 2026-01-31"] {
            let prices = format!("{{ model: m, input: 1 }}, {{ model: m, input: 2, {other} }}");
            parse(&prices).unwrap();
        }
    }

    #[test]
    fn what_is_no_price_is_refused_with_its_place() {
        for (prices, says) in [
            ("{ input: 1 }", "prices[0].model"),
            ("{ model: m }", "prices[0].input"),
            ("{ model: m, input: 1 }, { model: m, input: -1 }", "prices[1].input"),
            ("{ model: '*x*', input: 1 }", "its beginning and *"),
            ("{ model: m, input: 1, from: yesterday }", "2026-01-31"),
            ("{ model: m, input: 1, price: 1 }", "price"),
            (
                "{ model: m, input: 1 }, { model: m, input: 2 }",
                "prices[1].model has its price from this day on already",
            ),
            (
                "{ model: n, input: 1 }, { model: m, provider: a, from: 2026-01-31, input: 1 }, \
                 { model: m, provider: a, from: 2026-01-31, input: 1 }",
                "prices[1]",
            ),
        ] {
            let error = parse(prices).unwrap_err();
            assert!(error.contains(says), "{prices}: {error}");
        }
    }
}

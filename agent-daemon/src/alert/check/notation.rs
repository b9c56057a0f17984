//! promtool's notation of series: `0+10x5 _ 3x2 stale` is 0 10 20 30 40 50, nothing, 3 3 3, the end.

use crate::alert::{
    eval::STALE,
    expr::{self, ast::Kind},
    labels::Labels,
    matcher::MatchOp,
};

/// The most samples of one series.
const MAX_SAMPLES: usize = 200_000;

/// Values one interval apart; `None`: no sample.
pub(super) fn values(text: &str) -> Result<Vec<Option<f64>>, String> {
    let mut values = Vec::new();
    for word in text.split_whitespace() {
        let (first, step, times) = word_parts(word)
            .ok_or_else(|| format!("{word:?} is neither a number, a+bxn, a-bxn, axn, _, _xn nor stale"))?;
        if values.len().saturating_add(times) > MAX_SAMPLES {
            return Err(format!("a series may have {MAX_SAMPLES} samples at most"));
        }
        values.extend(
            (0..times).map(|n| first.map(|first| if step == 0.0 { first } else { first + step * n as f64 })),
        );
    }
    Ok(values)
}

/// First value, step and how many.
fn word_parts(word: &str) -> Option<(Option<f64>, f64, usize)> {
    if word == "stale" {
        return Some((Some(STALE), 0.0, 1));
    }
    if let Some(rest) = word.strip_prefix('_') {
        let times = if rest.is_empty() { 1 } else { rest.strip_prefix('x')?.parse().ok()? };
        return Some((None, 0.0, times));
    }
    let Some((value, times)) = word.rsplit_once('x') else {
        return Some((Some(word.parse().ok()?), 0.0, 1));
    };
    // So many more than the first.
    let times = times.parse::<usize>().ok()?.checked_add(1)?;
    let (first, step) = match value.char_indices().skip(1).find(|(at, c)| is_step(value, *at, *c)) {
        Some((at, _)) => value.split_at_checked(at)?,
        None => (value, "0"),
    };
    Some((Some(first.parse().ok()?), step.parse().ok()?, times))
}

/// Whether a sign is between two numbers, not in an exponent.
fn is_step(value: &str, at: usize, c: char) -> bool {
    let before = value.get(..at).and_then(|text| text.chars().next_back());
    matches!(c, '+' | '-') && !matches!(before, Some('e' | 'E'))
}

/// `name{a="b"}` or `{a="b"}`: labels, no conditions.
pub(super) fn labels(text: &str) -> Result<Labels, String> {
    if matches!(text.trim(), "" | "{}") {
        return Ok(Labels::default());
    }
    let expr = expr::parse(text).map_err(|error| error.to_string())?;
    match &expr.kind {
        Kind::Selector(selector) if selector.matchers.iter().all(|m| m.op() == MatchOp::Equal) => {
            Ok(Labels::new(selector.matchers.iter().map(|m| (m.name(), m.value()))))
        }
        _ => Err(format!("{text:?} is no series such as name{{label=\"value\"}}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{labels, values};
    use proptest::prelude::proptest;

    #[test]
    fn the_notation_expands() {
        let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(values("1 2.5 -3").unwrap(), some(&[1.0, 2.5, -3.0]));
        assert_eq!(values("0+10x2").unwrap(), some(&[0.0, 10.0, 20.0]));
        assert_eq!(values("-2-1e-1x1").unwrap(), some(&[-2.0, -2.1]));
        assert_eq!(values("7x1 _ _x2").unwrap(), [Some(7.0), Some(7.0), None, None, None]);
        assert!(values("stale").unwrap()[0].unwrap().is_nan());
        for wrong in ["x", "1x", "1+x3", "1..2", "_y", "1x999999999", "1x18446744073709551615"] {
            assert!(values(wrong).is_err(), "{wrong}");
        }
        assert_eq!(labels("up{a=\"b\"}").unwrap().to_string(), "up{a=\"b\"}");
        assert!(labels("up{a=~\"b\"}").is_err() && labels("up + 1").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-+x_0-9. e]{0,12}") {
            let _ = values(&text);
        }
    }
}

//! Medians and quartiles: a noisy machine has outliers on one side only, and means would follow them.

/// What is said of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) median: f64,
    /// A quarter of the series lies below.
    pub(super) low: f64,
    /// A quarter of the series lies above.
    pub(super) high: f64,
}

/// `None` for an empty series.
pub(super) fn summary(series: &[f64]) -> Option<Summary> {
    let mut sorted = series.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some(Summary {
        median: quantile(&sorted, 0.5)?,
        low: quantile(&sorted, 0.25)?,
        high: quantile(&sorted, 0.75)?,
    })
}

/// Linear between the two nearest.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share * last as f64;
    let (below, above) = (sorted.get(place.floor() as usize)?, sorted.get(place.ceil() as usize)?);
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_ignores_order_and_outliers() {
        let summary = summary(&[5.0, 1.0, 3.0, 2.0, 1e9]).unwrap();
        assert_eq!(summary, Summary { median: 3.0, low: 2.0, high: 5.0 });
    }

    #[test]
    fn an_even_series_meets_in_the_middle_and_an_empty_one_has_no_summary() {
        assert_eq!(summary(&[1.0, 2.0, 3.0, 4.0]).unwrap().median, 2.5);
        assert_eq!(summary(&[7.0]).unwrap(), Summary { median: 7.0, low: 7.0, high: 7.0 });
        assert_eq!(summary(&[]), None);
    }
}

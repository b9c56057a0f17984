//! Medians, quantiles and how wide values spread, where some of them are wrong.

/// What a median distance from the median is of Student's distribution of four degrees of freedom.
const T4_MEDIAN: f64 = 0.7407;
/// Within how many scales of its centre that distribution has [`WIDE`] of its values.
const T4_WIDE: f64 = 2.1318;
/// The share of values that [`T4_WIDE`] is about: up to 10 % of the values may be wrong.
const WIDE: f64 = 0.9;

/// The middle value, or the mean of the middle two. Reorders the values. `None` without values.
pub fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if !below.is_empty() && below.len() == middle && (below.len() * 2) == values.len() {
        let lower = values.get(..middle)?.iter().copied().max_by(f64::total_cmp)?;
        return Some(lower / 2.0 + upper / 2.0);
    }
    Some(upper)
}

/// The median distance of the values from a centre. Overwrites the values.
pub fn median_distance(values: &mut [f64], centre: f64) -> Option<f64> {
    to_distances(values, centre);
    median(values)
}

fn to_distances(values: &mut [f64], centre: f64) {
    for value in values {
        *value = (*value - centre).abs();
    }
}

/// A quantile, 0 to 1, of sorted values: between two ranks in proportion. NaN without values.
#[must_use]
pub fn between_ranks(sorted: &[f64], q: f64) -> f64 {
    let rank = q.clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f64;
    let at = |rank: f64| sorted.get(rank as usize).copied().unwrap_or(f64::NAN);
    let (lower, upper) = (at(rank.floor()), at(rank.ceil()));
    let share = rank.fract();
    if share == 0.0 { lower } else { lower * (1.0 - share) + upper * share }
}

/// The scale of Student's distribution of four degrees of freedom that is as wide as the values are, both in
/// the middle and at the shoulders: values that come in bursts are wide, whatever their median distance. 0 where
/// most values are the same. Overwrites the values.
#[must_use]
pub fn scale(values: &mut [f64], centre: f64) -> f64 {
    to_distances(values, centre);
    values.sort_unstable_by(f64::total_cmp);
    let middle = between_ranks(values, 0.5) / T4_MEDIAN;
    let shoulders = between_ranks(values, WIDE) / T4_WIDE;
    middle.max(shoulders)
}

/// How surely a value so many scales from the centre is none of Student's distribution of four degrees of freedom
/// (0 to 1): 0.99 at 4.6 scales, 0.999 at 8.6. Its tails are about as heavy as those of measurements.
#[must_use]
pub fn confidence(scales: f64) -> f64 {
    let t = scales.abs();
    if t > 1e6 {
        // Their squares would be infinite.
        return 1.0;
    }
    // The distribution function in closed form, both sides.
    let square = t * t / (1.0 + t * t / 4.0);
    0.75 * square.sqrt() * (1.0 - square / 12.0)
}

/// How many standard deviations a normal value is within with this confidence (0.5 to 1). The approximation 26.2.23
/// of Abramowitz and Stegun, Handbook of Mathematical Functions; its error is below 0.00045.
#[must_use]
pub fn normal_width(confidence: f64) -> f64 {
    let tail = ((1.0 - confidence) / 2.0).clamp(1e-300, 0.5);
    let t = (-2.0 * tail.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    (t - above / below).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::{between_ranks, confidence, median, normal_width, scale};
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn known_values() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&mut [7.0]), Some(7.0));
        assert_eq!(median(&mut []), None);
        assert!(between_ranks(&[], 0.5).is_nan());
        // Tables of Student's distribution, and of the normal one.
        for (t, expected) in
            [(0.7407, 0.5), (1.533, 0.8), (2.1318, 0.9), (2.776, 0.95), (4.604, 0.99), (8.610, 0.999)]
        {
            assert!((confidence(t) - expected).abs() < 5e-4, "{t}: {}", confidence(t));
        }
        for (share, width) in [(0.9, 1.6449), (0.95, 1.96), (0.99, 2.5758), (0.999, 3.2905)] {
            assert!((normal_width(share) - width).abs() < 1e-3, "{share}");
        }
    }

    #[test]
    fn a_few_wrong_values_do_not_widen_the_scale() {
        let good: Vec<f64> = (0..100).map(|i| f64::from(i % 10)).collect();
        let before = scale(&mut good.clone(), 4.5);
        let mut some_wrong = good;
        some_wrong.iter_mut().step_by(12).for_each(|v| *v = 1e9);
        assert!(scale(&mut some_wrong, 4.5) < before * 1.5);
    }

    proptest! {
        #[test]
        fn the_median_is_in_the_middle(mut values in prop::collection::vec(-1e6..1e6_f64, 1..50)) {
            let middle = median(&mut values).unwrap();
            values.sort_by(f64::total_cmp);
            prop_assert!((between_ranks(&values, 0.5) - middle).abs() < 1e-6);
        }

        #[test]
        fn confidence_is_a_share(scales: f64) {
            let share = confidence(scales);
            prop_assert!(scales.is_nan() || (0.0..=1.0 + 1e-9).contains(&share));
            prop_assert_eq!(share.is_nan(), scales.is_nan());
        }
    }
}

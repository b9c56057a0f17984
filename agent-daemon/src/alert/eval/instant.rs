//! Functions of one value.

fn number(numbers: &[f64], index: usize, missing: f64) -> f64 {
    numbers.get(index).copied().unwrap_or(missing)
}

/// `clamp(v, min, max)`. Unlike `f64::clamp` it never panics: where a bound is NaN, so is the result. The evaluator
/// leaves out everything where `min` is above `max`.
pub(crate) fn clamp(value: f64, numbers: &[f64]) -> f64 {
    let (min, max) = (number(numbers, 0, f64::NAN), number(numbers, 1, f64::NAN));
    // NaN compares with nothing, and is no order of bounds.
    if min <= max { clamp_max(clamp_min(value, &[min]), &[max]) } else { f64::NAN }
}

/// `clamp_min(v, min)`: NaN stays NaN.
pub(crate) fn clamp_min(value: f64, numbers: &[f64]) -> f64 {
    let min = number(numbers, 0, f64::NAN);
    if value.is_nan() || min.is_nan() { f64::NAN } else { value.max(min) }
}

/// `clamp_max(v, max)`: NaN stays NaN.
pub(crate) fn clamp_max(value: f64, numbers: &[f64]) -> f64 {
    let max = number(numbers, 0, f64::NAN);
    if value.is_nan() || max.is_nan() { f64::NAN } else { value.min(max) }
}

/// `round(v, to)`: to the nearest multiple, ties upwards.
pub(crate) fn round(value: f64, numbers: &[f64]) -> f64 {
    // The inverse keeps multiples like 0.1 exact.
    let inverse = 1.0 / number(numbers, 0, 1.0);
    (value * inverse + 0.5).floor() / inverse
}

/// `sgn(v)`: 1, 0 or -1.
pub(crate) fn sgn(value: f64, _: &[f64]) -> f64 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        value
    }
}

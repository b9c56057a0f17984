//! How fast a value grows: a line through what it was lately, in which older values count less and less.
//!
//! A least-squares line whose weights halve every [`HALF_LIFE_S`]. It keeps five numbers, whatever the time, and
//! takes values at any distance of each other.

/// After how long a value counts half, seconds.
const HALF_LIFE_S: f64 = 300.0;

/// How widely the values have to be spread in time before a line is told: their standard deviation, seconds. Values
/// every 5 s reach it after 35 s.
const SPREAD_S: f64 = 10.0;

/// Sums over the values so far: `t` is the time of a value before now (0 or less).
#[derive(Clone, Copy, Debug, Default)]
pub struct Slope {
    weight: f64,
    t: f64,
    y: f64,
    tt: f64,
    ty: f64,
}

impl Slope {
    /// One more value, `seconds` after the last one.
    pub fn add(&mut self, seconds: f64, value: f64) {
        let seconds = seconds.max(0.0);
        let Self { weight, t, y, tt, ty } = *self;
        let kept = (-seconds / HALF_LIFE_S).exp2();
        *self = Self {
            weight: 1.0 + kept * weight,
            t: kept * (t - seconds * weight),
            y: value + kept * y,
            tt: kept * (tt - 2.0 * seconds * t + seconds * seconds * weight),
            ty: kept * (ty - seconds * y),
        };
    }

    /// Growth per second; `None` before there is enough to tell.
    #[must_use]
    pub fn per_second(&self) -> Option<f64> {
        let variance = self.weight * self.tt - self.t * self.t;
        if variance < (SPREAD_S * self.weight).powi(2) {
            return None;
        }
        Some((self.weight * self.ty - self.t * self.y) / variance).filter(|slope| slope.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
        let mut slope = Slope::default();
        values.for_each(|(seconds, value)| slope.add(seconds, value));
        slope.per_second()
    }

    #[test]
    fn a_straight_line_has_its_own_slope_at_any_distance() {
        let at = |distance: f64| of((0..200).map(|n| (distance, 7e9 + 1e6 * distance * f64::from(n))));
        for distance in [1.0, 5.0, 60.0] {
            assert!((at(distance).unwrap() - 1e6).abs() < 1.0, "{distance}: {:?}", at(distance));
        }
        let uneven = (0..400).map(|n| if n % 2 == 0 { 1.0 } else { 9.0 });
        let line = uneven.scan(0.0, |at, distance| {
            *at += distance;
            Some((distance, 3.0 * *at))
        });
        assert!((of(line).unwrap() - 3.0).abs() < 1e-6);
    }

    #[test]
    fn nothing_is_told_of_little_and_a_step_is_forgotten() {
        assert_eq!(of((0..7).map(|n| (5.0, f64::from(n)))), None, "30 s");
        assert_eq!(of((0..900).map(|n| (0.0, f64::from(n)))), None, "no time at all");
        let step = (0..1_000).map(|n| (5.0, if n < 100 { 0.0 } else { 1e9 }));
        assert!(of(step).unwrap().abs() < 1e3, "75 minutes later");
        assert_eq!(of((0..100).map(|_| (5.0, 5e8))).map(f64::round), Some(0.0));
    }
}

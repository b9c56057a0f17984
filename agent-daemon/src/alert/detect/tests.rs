//! How well detection does on series whose anomalies are known, beside a plain threshold.

use super::{
    anomaly::{Basis, judge},
    forecast::Line,
};
use crate::alert::eval::{Millis, Sample};

const STEP: Millis = 300_000;
const DAY: Millis = 86_400_000;
const PER_DAY: usize = (DAY / STEP) as usize;
const DAYS: usize = 9;
/// Days that are judged; those before them are history.
const JUDGED: usize = 2;

/// Noise that is the same in every run.
struct Noise(u64);

impl Noise {
    /// Between 0 and 1.
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal, standard deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// What a series is like without anomalies.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Busy by day, idle by night.
    Daily,
    /// Around one level.
    Level,
    /// Mostly low, a burst in one sample of five.
    Bursts,
    /// Like [`Shape::Daily`], with anomalies that are small.
    Weak,
    /// Like [`Shape::Daily`], and every day a little more.
    Growing,
}

fn normal_value(shape: Shape, index: usize, noise: &mut Noise) -> f64 {
    let phase = index as f64 / PER_DAY as f64 * std::f64::consts::TAU;
    match shape {
        Shape::Daily | Shape::Weak => 50.0 - 40.0 * phase.cos() + 2.0 * noise.normal(),
        Shape::Growing => 50.0 - 40.0 * phase.cos() + 2.0 * noise.normal() + phase / std::f64::consts::TAU,
        Shape::Level => 30.0 + 3.0 * noise.normal(),
        Shape::Bursts if noise.uniform() < 0.2 => 60.0 + 10.0 * noise.normal(),
        Shape::Bursts => 10.0 + noise.normal(),
    }
}

/// Anomalies: first sample of the judged days, how many, what is added.
fn anomalies(shape: Shape) -> Vec<(usize, usize, f64)> {
    match shape {
        // A night that is busy, a peak that is missing, a spike by day, a level that is too high at dawn.
        Shape::Weak => vec![(70, 6, 15.0), (PER_DAY + 2, 6, 15.0), (PER_DAY + 140, 6, -15.0)],
        Shape::Daily | Shape::Growing => {
            vec![(12, 10, 45.0), (140, 12, -60.0), (PER_DAY + 150, 3, 60.0), (PER_DAY + 60, 20, 40.0)]
        }
        Shape::Level => vec![(50, 6, 60.0), (200, 20, 45.0), (PER_DAY + 30, 3, -60.0)],
        Shape::Bursts => vec![(100, 10, 400.0), (PER_DAY + 100, 5, 800.0)],
    }
}

#[derive(Debug, Default)]
struct Score {
    events: usize,
    found: usize,
    /// Runs of samples that were called unusual and were not.
    false_alarms: usize,
    /// Samples from the beginning of found events to the first call, all together.
    delay: usize,
}

fn score(shape: Shape, calls: &[bool]) -> Score {
    let events = anomalies(shape);
    let inside = |index: usize| events.iter().any(|(at, length, _)| (*at..at + length).contains(&index));
    let mut score = Score { events: events.len(), ..Score::default() };
    for (at, length, _) in &events {
        if let Some(delay) = calls[*at..at + length].iter().position(|call| *call) {
            score.found += 1;
            score.delay += delay;
        }
    }
    for (index, call) in calls.iter().enumerate() {
        let begins = *call && (index == 0 || !calls[index - 1]);
        score.false_alarms += usize::from(begins && !inside(index));
    }
    score
}

/// The series, and the first judged sample.
fn series(shape: Shape, seed: u64) -> (Vec<Sample>, usize) {
    let mut noise = Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let first = (DAYS - JUDGED) * PER_DAY;
    let value = |index: usize| {
        let added = anomalies(shape).into_iter();
        let added = added.filter(|(at, length, _)| (first + at..first + at + length).contains(&index));
        normal_value(shape, index, &mut noise) + added.map(|(.., added)| added).sum::<f64>()
    };
    let values: Vec<f64> = (0..DAYS * PER_DAY).map(value).collect();
    let samples = values.iter().zip(0..).map(|(value, n)| Sample { at: n * STEP, value: *value });
    (samples.collect(), first)
}

fn by_history(samples: &[Sample], first: usize, confidence: f64) -> Vec<bool> {
    let week = 7 * PER_DAY;
    let call = |end: usize| {
        judge(&samples[end.saturating_sub(week)..=end]).is_some_and(|v| v.confidence >= confidence)
    };
    (first..samples.len()).map(call).collect()
}

/// A threshold that a person would choose: just above everything seen in the days before.
fn by_threshold(samples: &[Sample], first: usize) -> Vec<bool> {
    let most = samples[..first].iter().map(|sample| sample.value).fold(f64::MIN, f64::max);
    samples[first..].iter().map(|sample| sample.value > most * 1.05).collect()
}

#[test]
fn anomalies_are_found_where_a_threshold_is_blind() {
    println!(
        "{:<8} {:<10} {:>6} {:>6} {:>6} {:>12}",
        "series", "by", "events", "found", "false", "delay, min"
    );
    // The share of events that must be found, in percent.
    for (shape, least) in
        [(Shape::Daily, 90), (Shape::Level, 90), (Shape::Bursts, 90), (Shape::Growing, 90), (Shape::Weak, 20)]
    {
        let mut totals = [Score::default(), Score::default()];
        for seed in 1..=10 {
            let (samples, first) = series(shape, seed);
            let calls = [by_history(&samples, first, 0.999), by_threshold(&samples, first)];
            for (total, calls) in totals.iter_mut().zip(&calls) {
                let one = score(shape, calls);
                total.events += one.events;
                total.found += one.found;
                total.false_alarms += one.false_alarms;
                total.delay += one.delay;
            }
        }
        for (name, total) in ["history", "threshold"].iter().zip(&totals) {
            let delay = total.delay as f64 * (STEP / 60_000) as f64 / total.found.max(1) as f64;
            println!(
                "{:<8} {name:<10} {:>6} {:>6} {:>6} {delay:>12.1}",
                format!("{shape:?}"),
                total.events,
                total.found,
                total.false_alarms
            );
        }
        let [history, threshold] = totals;
        assert!(history.found * 100 >= history.events * least, "{shape:?}: {history:?}");
        // Ten series of two days: 5,760 samples.
        assert!(history.false_alarms <= 10, "{shape:?}: {history:?}");
        assert!(history.found >= threshold.found, "{shape:?}: {history:?} {threshold:?}");
    }
}

#[test]
fn a_day_like_others_is_no_anomaly_and_little_history_is_silence() {
    let (samples, first) = series(Shape::Daily, 3);
    assert_eq!(judge(&samples[..20]), None);
    assert_eq!(judge(&[]), None);
    let verdict = judge(&samples[..first]).unwrap();
    assert_eq!(verdict.basis, Basis::TimeOfDay);
    assert!(verdict.confidence < 0.99, "{verdict:?}");
    // A day of samples each minute: too few days, so the last two hours.
    let minutes: Vec<Sample> =
        (0..1000).map(|n| Sample { at: n * 60_000, value: 10.0 + (n % 7) as f64 }).collect();
    assert_eq!(judge(&minutes).unwrap().basis, Basis::Recent);
    let zeros: Vec<Sample> = minutes.iter().map(|s| Sample { value: 0.0, ..*s }).collect();
    assert_eq!(judge(&zeros), None, "all zero: nobody can say how far is far");
}

/// The first days have no days before them: they are compared with the last two hours, which a morning is not like.
#[test]
fn the_first_days_are_quiet() {
    let mut calls = 0;
    for seed in 1..=3 {
        let mut noise = Noise(seed * 77 + 1);
        let samples: Vec<Sample> = (0..2 * 1440)
            .map(|n: i64| Sample {
                at: n * 60_000,
                value: normal_value(Shape::Daily, n as usize / 5, &mut noise),
            })
            .collect();
        let ends = (0..samples.len()).filter(|end| {
            judge(&samples[end.saturating_sub(200)..=*end]).is_some_and(|verdict| verdict.confidence >= 0.999)
        });
        calls += ends.count();
    }
    println!("false calls of 8,640 in first days: {calls}");
    assert!(calls <= 4, "{calls}");
}

#[test]
fn a_line_is_found_through_noise_and_outliers() {
    let mut noise = Noise(42);
    let samples: Vec<Sample> = (0..360)
        .map(|n: i64| {
            let outlier = if n % 10 == 3 { 5000.0 } else { 0.0 };
            Sample { at: n * 60_000, value: 1000.0 - 0.05 * (n * 60) as f64 + 5.0 * noise.normal() + outlier }
        })
        .collect();
    let range = (-1, 359 * 60_000);
    let line = Line::fit(&samples, range, 359 * 60_000).unwrap();
    assert!((line.slope + 0.05).abs() < 0.002, "{}", line.slope);
    let (low, high) = line.slope_between(0.95);
    assert!(low <= line.slope && line.slope <= high && high < 0.0, "{low} {high}");
    // 1000 − 0.05 · 21,540 s is −77: zero is behind, −1000 lies ahead.
    assert_eq!(line.until(0.0, 0.95), None);
    let seconds = line.until(-1000.0, 0.95).unwrap();
    assert!((15_000.0..30_000.0).contains(&seconds), "{seconds}");
    let (low, high) = line.between(3600.0, 0.9);
    assert!(low < line.at(3600.0) && line.at(3600.0) < high);
}

#[test]
fn noise_without_a_trend_has_no_sure_direction() {
    let mut noise = Noise(7);
    let mut sure = 0;
    for _ in 0..100 {
        let samples: Vec<Sample> =
            (0..100).map(|n| Sample { at: n * 60_000, value: noise.normal() }).collect();
        let line = Line::fit(&samples, (-1, 99 * 60_000), 99 * 60_000).unwrap();
        sure += usize::from(line.until(1000.0, 0.95).is_some());
    }
    // 95 % between two bounds: one of forty is sure of going up.
    assert!(sure <= 10, "{sure}");
    assert!(Line::fit(&[], (0, 1), 1).is_none());
}

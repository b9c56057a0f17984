//! Paired rounds: in each one every contender is measured once, and it is the differences within rounds that
//! are compared, because they share the machine's mood.
//!
//! The order is turned by one place each round, so that no contender always follows the same one. A contender
//! that fails (a peer this kernel refuses) drops out with its reason, and the others go on.

use anyhow::{Context, Result};

use super::stats::{Summary, summary};

/// Something to measure under: a name, and how to take one sample.
pub(super) struct Contender<'a, T = f64> {
    pub(super) name: String,
    pub(super) sample: Box<dyn FnMut() -> Result<T> + 'a>,
}

/// What a contender did, round by round.
#[derive(Debug)]
pub(super) struct Series<T = f64> {
    pub(super) name: String,
    pub(super) samples: Vec<T>,
    /// Why it dropped out, if it did.
    pub(super) dropped: Option<String>,
}

impl Series {
    /// One that nobody dropped out of.
    pub(super) fn new(name: impl Into<String>, samples: Vec<f64>) -> Self {
        Self { name: name.into(), samples, dropped: None }
    }

    /// Of the samples themselves.
    pub(super) fn absolute(&self) -> Option<Summary> {
        summary(&self.samples)
    }

    /// Of the differences to another series, round by round.
    pub(super) fn above(&self, other: &Self) -> Option<Summary> {
        let pairs = self.samples.iter().zip(&other.samples);
        summary(&pairs.map(|(ours, theirs)| ours - theirs).collect::<Vec<_>>())
    }
}

/// Measures all contenders in `rounds` rounds. The first one is the baseline.
///
/// # Errors
/// The baseline failed: then nothing can be said.
pub(super) fn hold<T>(mut contenders: Vec<Contender<'_, T>>, rounds: u32) -> Result<Vec<Series<T>>> {
    let mut series: Vec<Series<T>> = contenders
        .iter()
        .map(|contender| Series { name: contender.name.clone(), samples: Vec::new(), dropped: None })
        .collect();
    let count = contenders.len();
    for round in 0..rounds as usize {
        eprintln!("  round {} of {rounds}", round + 1);
        let order = (0..count).map(|place| (place + round) % count);
        for index in order {
            let (Some(contender), Some(series)) = (contenders.get_mut(index), series.get_mut(index)) else {
                continue;
            };
            if series.dropped.is_some() {
                continue;
            }
            match (contender.sample)() {
                Ok(sample) => series.samples.push(sample),
                Err(error) if index == 0 => return Err(error).with_context(|| series.name.clone()),
                Err(error) => {
                    eprintln!("  {} drops out: {error:#}", series.name);
                    series.samples.clear();
                    series.dropped = Some(format!("{error:#}"));
                }
            }
        }
    }
    Ok(series)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn contender<'a>(name: &str, sample: impl FnMut() -> Result<f64> + 'a) -> Contender<'a> {
        Contender { name: name.to_owned(), sample: Box::new(sample) }
    }

    #[test]
    fn rounds_are_paired_though_the_order_turns() {
        // A machine that grows slower with every sample: pairs must not mix rounds.
        let order = RefCell::new(String::new());
        let take = |name: &'static str, value: f64| {
            let order = &order;
            contender(name, move || {
                order.borrow_mut().push_str(name);
                Ok(value + 100.0 * (order.borrow().len() as f64 / 2.0).ceil())
            })
        };
        let series = hold(vec![take("a", 1.0), take("b", 3.0)], 4).unwrap();
        assert_eq!(*order.borrow(), "abbaabba");
        let above = series[1].above(&series[0]).unwrap();
        assert_eq!((above.low, above.median, above.high), (2.0, 2.0, 2.0));
    }

    #[test]
    fn a_contender_that_fails_drops_out_and_the_others_go_on() {
        let mut tries = 0;
        let failing = contender("peer", || {
            tries += 1;
            anyhow::bail!("refused")
        });
        let series = hold(vec![contender("base", || Ok(1.0)), failing], 3).unwrap();
        assert_eq!((series[0].samples.len(), series[1].samples.len()), (3, 0));
        assert_eq!(series[1].dropped.as_deref(), Some("refused"));
        assert_eq!(tries, 1);
    }

    #[test]
    fn without_a_baseline_there_is_no_contest() {
        assert!(hold(vec![contender("base", || anyhow::bail!("no"))], 1).is_err());
    }
}

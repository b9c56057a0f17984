//! Walks an expression. Its depth is bounded by the parser, its cost by the budget.

use std::borrow::Cow;

use rustc_hash::FxHashSet;

use super::{
    EvalError, Limits, Millis, Query, Sample, Series, Source, Spent, aggregate, binary, budget::Budget,
    samples::Window,
};
use crate::alert::{
    expr::{
        Expr, Type,
        ast::{Kind, Selector},
        functions::{Body, Cost, Function},
    },
    labels::{Labels, NAME},
    matcher::MatchOp,
};

/// A value and the labels it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// Labels, and the metric's name where it is still that metric.
    pub labels: Labels,
    /// The value.
    pub value: f64,
}

/// What an expression came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Scalar(f64),
    /// Elements, no two with the same labels.
    Vector(Vec<Element>),
}

impl Value {
    /// As elements: a number is one without labels.
    #[must_use]
    pub fn into_elements(self) -> Vec<Element> {
        match self {
            Self::Scalar(value) => vec![Element { labels: Labels::default(), value }],
            Self::Vector(elements) => elements,
        }
    }
}

/// Evaluates an expression at an instant. The second part of the answer is what it cost, error or not.
pub fn evaluate(
    expr: &Expr,
    now: Millis,
    source: &dyn Source,
    limits: &Limits,
) -> (Result<Value, EvalError>, Spent) {
    let mut evaluator = Evaluator { source, budget: Budget::new(*limits) };
    let value = evaluator.value(expr, now);
    (value, evaluator.budget.spent)
}

struct Evaluator<'s> {
    source: &'s dyn Source,
    budget: Budget,
}

type Matrix<'s> = Vec<Series<'s>>;

impl<'s> Evaluator<'s> {
    fn value(&mut self, expr: &Expr, now: Millis) -> Result<Value, EvalError> {
        match expr.result() {
            Type::Scalar => self.scalar(expr, now).map(Value::Scalar),
            Type::Vector => self.vector(expr, now).map(Value::Vector),
            // The parser lets no rule be a range vector.
            Type::Matrix => Ok(Value::Vector(Vec::new())),
        }
    }

    fn scalar(&mut self, expr: &Expr, now: Millis) -> Result<f64, EvalError> {
        self.budget.work(1)?;
        match &expr.kind {
            Kind::Number(number) => Ok(*number),
            Kind::Negate(inner) => Ok(-self.scalar(inner, now)?),
            Kind::Binary(both) => {
                let (left, right) = (self.scalar(&both.left, now)?, self.scalar(&both.right, now)?);
                Ok(binary::number(both.op, left, right))
            }
            Kind::Call { function, args } => match (&function.body, args.first()) {
                (Body::Time, _) => Ok(now as f64 / 1000.0),
                (Body::Scalar, Some(arg)) => Ok(match self.vector(arg, now)?.as_slice() {
                    [only] => only.value,
                    _ => f64::NAN,
                }),
                _ => Ok(f64::NAN),
            },
            _ => Ok(f64::NAN),
        }
    }

    fn vector(&mut self, expr: &Expr, now: Millis) -> Result<Vec<Element>, EvalError> {
        let elements = match &expr.kind {
            Kind::Selector(selector) => self.latest(selector, now, |sample| sample.value)?,
            Kind::Negate(inner) => map(self.vector(inner, now)?, |value| -value),
            Kind::Call { function, args } => self.call(function, args, now)?,
            Kind::Aggregate { op, grouping, param, inner } => {
                let param = param.as_ref().map(|p| self.scalar(p, now)).transpose()?;
                let elements = self.vector(inner, now)?;
                self.budget.work(elements.len() as u64)?;
                aggregate::aggregate(*op, grouping, param, elements)
            }
            Kind::Binary(both) => {
                let (left, right) = (self.value(&both.left, now)?, self.value(&both.right, now)?);
                binary::combine(both, left, right, &mut self.budget)?
            }
            Kind::Number(_) | Kind::Range { .. } | Kind::Subquery { .. } => Vec::new(),
        };
        self.budget.work(1 + elements.len() as u64)?;
        Ok(elements)
    }

    /// The newest sample of each series that has one.
    fn latest(
        &mut self,
        selector: &Selector,
        now: Millis,
        of: impl Fn(Sample) -> f64,
    ) -> Result<Vec<Element>, EvalError> {
        let to = now.saturating_sub(selector.offset);
        let from = to.saturating_sub(self.budget.limits.lookback);
        let series = self.select(selector, from, to, 0)?;
        let newest = |series: Series<'_>| {
            let sample = series.samples.iter().rfind(|sample| sample.at > from && sample.at <= to)?;
            let labels = series.labels;
            (!sample.is_stale()).then(|| Element { labels: labels.into_owned(), value: of(*sample) })
        };
        Ok(series.into_iter().filter_map(newest).collect())
    }

    fn select(
        &mut self,
        selector: &Selector,
        from: Millis,
        to: Millis,
        resolution: Millis,
    ) -> Result<Matrix<'s>, EvalError> {
        let (max_series, max_samples) = self.budget.room();
        let query = Query { matchers: &selector.matchers, from, to, resolution, max_series, max_samples };
        let series = self.source.select(&query)?;
        let samples = series.iter().map(|s| s.samples.len() as u64).sum();
        self.budget.series(series.len() as u64, samples)?;
        Ok(series)
    }

    fn call(&mut self, function: &Function, args: &[Expr], now: Millis) -> Result<Vec<Element>, EvalError> {
        let of_type = |wanted| args.iter().find(|arg| arg.result() == wanted);
        let mut numbers = Vec::new();
        for arg in args.iter().filter(|arg| arg.result() == Type::Scalar) {
            numbers.push(self.scalar(arg, now)?);
        }
        match (&function.body, of_type(Type::Matrix).or_else(|| of_type(Type::Vector))) {
            (Body::Range(body), Some(arg)) => self.over_range(function, *body, arg, &numbers, now),
            // Bounds that exclude each other let nothing through.
            (Body::Map(_), Some(_)) if function.name == "clamp" && excluding(&numbers) => Ok(Vec::new()),
            (Body::Map(body), Some(arg)) => Ok(map(self.vector(arg, now)?, |value| body(value, &numbers))),
            (Body::Timestamp, Some(arg)) => self.timestamps(arg, now),
            (Body::Absent, Some(arg)) => {
                let missing = self.vector(arg, now)?.is_empty();
                Ok(missing.then(|| one(labels_asked_for(arg))).into_iter().collect())
            }
            (Body::AbsentOverTime, Some(arg)) => {
                let (matrix, ..) = self.matrix(arg, now, None)?;
                let stale = |series: &Series<'_>| series.samples.iter().all(|sample| sample.is_stale());
                let missing = matrix.iter().all(stale);
                Ok(missing.then(|| one(labels_asked_for(arg))).into_iter().collect())
            }
            (Body::Vector, _) => {
                let value = numbers.first().copied().unwrap_or(f64::NAN);
                Ok(vec![Element { labels: Labels::default(), value }])
            }
            _ => Ok(Vec::new()),
        }
    }

    fn timestamps(&mut self, arg: &Expr, now: Millis) -> Result<Vec<Element>, EvalError> {
        if let Kind::Selector(selector) = &arg.kind {
            let elements = self.latest(selector, now, |sample| sample.at as f64 / 1000.0)?;
            return Ok(map(elements, |value| value));
        }
        Ok(map(self.vector(arg, now)?, |_| now as f64 / 1000.0))
    }

    fn over_range(
        &mut self,
        function: &Function,
        body: fn(&Window<'_>, &[f64]) -> Option<f64>,
        arg: &Expr,
        numbers: &[f64],
        now: Millis,
    ) -> Result<Vec<Element>, EvalError> {
        let (matrix, from, to) = self.matrix(arg, now, function.points)?;
        let mut elements = Vec::with_capacity(matrix.len());
        for series in matrix {
            self.budget.work(cost(function, series.samples.len()))?;
            let samples = in_order(&series.samples, from, to);
            if samples.is_empty() {
                continue;
            }
            let window = Window { samples: &samples, from, to, now };
            // last_over_time gives a sample of the metric, not something made of it.
            let keeps_name = function.name == "last_over_time";
            let labels = if keeps_name { series.labels.into_owned() } else { series.labels.without_name() };
            elements.extend(body(&window, numbers).map(|value| Element { labels, value }));
        }
        unique(elements, function.name)
    }

    /// The series of a range vector, and the range.
    fn matrix(
        &mut self,
        arg: &Expr,
        now: Millis,
        points: Option<u32>,
    ) -> Result<(Matrix<'s>, Millis, Millis), EvalError> {
        match &arg.kind {
            Kind::Range { selector, range } => {
                let to = now.saturating_sub(selector.offset);
                let from = to.saturating_sub(*range);
                let resolution = points.map_or(0, |points| range / i64::from(points.max(1)));
                Ok((self.select(selector, from, to, resolution)?, from, to))
            }
            Kind::Subquery { inner, range, step, offset } => {
                let to = now.saturating_sub(*offset);
                let from = to.saturating_sub(*range);
                let step = step.unwrap_or(self.budget.limits.step).max(1);
                Ok((self.repeat(inner, from, to, step)?, from, to))
            }
            _ => Ok((Vec::new(), now, now)),
        }
    }

    /// Evaluates at each multiple of the step within the range.
    fn repeat(&mut self, inner: &Expr, from: Millis, to: Millis, step: i64) -> Result<Matrix<'s>, EvalError> {
        let mut series: rustc_hash::FxHashMap<Labels, Vec<Sample>> = rustc_hash::FxHashMap::default();
        let mut order = Vec::new();
        let mut at = from.div_euclid(step).saturating_add(1).saturating_mul(step);
        while at <= to {
            self.budget.step()?;
            for Element { labels, value } in self.vector(inner, at)? {
                let samples = series.entry(labels.clone()).or_insert_with(|| {
                    order.push(labels);
                    Vec::new()
                });
                samples.push(Sample { at, value });
            }
            at = at.saturating_add(step);
        }
        let owned = |labels: Labels| {
            let samples = series.remove(&labels).unwrap_or_default();
            Series { labels: Cow::Owned(labels), samples: Cow::Owned(samples) }
        };
        Ok(order.into_iter().map(owned).collect())
    }
}

/// Values changed; what comes out is no longer that metric.
fn map(elements: Vec<Element>, with: impl Fn(f64) -> f64) -> Vec<Element> {
    let change = |e: Element| Element { labels: e.labels.without_name(), value: with(e.value) };
    elements.into_iter().map(change).collect()
}

fn excluding(bounds: &[f64]) -> bool {
    matches!(bounds, [min, max] if min > max)
}

fn one(labels: Labels) -> Element {
    Element { labels, value: 1.0 }
}

/// The labels that a selector fixes, for what reports that there is none.
fn labels_asked_for(arg: &Expr) -> Labels {
    let (Kind::Selector(selector) | Kind::Range { selector, .. }) = &arg.kind else {
        return Labels::default();
    };
    let fixed = selector.matchers.iter().filter(|m| m.op() == MatchOp::Equal && m.name() != NAME);
    Labels::new(fixed.map(|m| (m.name(), m.value())))
}

fn cost(function: &Function, samples: usize) -> u64 {
    let samples = samples as u64;
    match function.cost {
        Cost::Linear => samples,
        Cost::Sorting => samples * 16,
        Cost::Pairs => samples * 16 + samples.min(100) * samples.min(100),
    }
}

/// The samples of the range, without stale markers and without those that a jump of the clock put out of order.
fn in_order<'a>(samples: &'a [Sample], from: Millis, to: Millis) -> Cow<'a, [Sample]> {
    let fits = |sample: &Sample| sample.at > from && sample.at <= to && !sample.is_stale();
    if samples.iter().all(fits) && samples.is_sorted_by(|a, b| a.at < b.at) {
        return Cow::Borrowed(samples);
    }
    let mut kept: Vec<Sample> = Vec::with_capacity(samples.len());
    for sample in samples.iter().filter(|sample| fits(sample)) {
        if kept.last().is_none_or(|last| last.at < sample.at) {
            kept.push(*sample);
        }
    }
    Cow::Owned(kept)
}

/// Refuses elements with the same labels, which come of dropping the metric's name.
fn unique(elements: Vec<Element>, what: &str) -> Result<Vec<Element>, EvalError> {
    let mut seen = FxHashSet::with_capacity_and_hasher(elements.len(), rustc_hash::FxBuildHasher);
    match elements.iter().find(|element| !seen.insert(&element.labels)) {
        Some(twice) => {
            let labels = &twice.labels;
            Err(EvalError::Ambiguous(format!(
                "{what} gives more than one value for {labels}: name one metric"
            )))
        }
        None => {
            drop(seen);
            Ok(elements)
        }
    }
}

//! The registry of functions: a new one is a row here and a Rust function beside its kin.

use super::ast::Type;
use crate::alert::{
    detect,
    eval::{instant, over_time, rates, samples::Window},
};

/// What a function does.
#[derive(Clone, Copy)]
pub enum Body {
    /// The samples of one series, and the numbers among the arguments, to a value; `None`: no element.
    Range(fn(&Window<'_>, &[f64]) -> Option<f64>),
    /// Each value, and the numbers among the arguments, to another.
    Map(fn(f64, &[f64]) -> f64),
    /// The time of the evaluation, seconds since 1970.
    Time,
    /// The time of each sample.
    Timestamp,
    /// A vector's only value; NaN where it has none or several.
    Scalar,
    /// A number as a vector without labels.
    Vector,
    /// 1 where the vector is empty.
    Absent,
    /// 1 where no series has a sample in the range.
    AbsentOverTime,
}

/// How much work a function over a range is, in work units, of n samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// n
    Linear,
    /// n · 16, for what sorts.
    Sorting,
    /// n · 16 and all pairs of what is left after thinning.
    Pairs,
}

/// A function.
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// The types of its arguments.
    pub args: &'static [Type],
    /// How many of the last arguments may be left out.
    pub optional: usize,
    /// What it returns.
    pub returns: Type,
    /// Which argument is a confidence: a literal number above 0.5 and below 1.
    pub confidence: Option<usize>,
    /// How much work.
    pub cost: Cost,
    /// How coarse samples may be, as a share of the range: 1/this. `None`: as fine as there are.
    pub points: Option<u32>,
    /// What it does.
    pub body: Body,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const S: Type = Type::Scalar;
const V: Type = Type::Vector;
const M: Type = Type::Matrix;

/// Every function, in the order of their names.
pub static FUNCTIONS: &[Function] = &[
    map("abs", &[V], |v, _| v.abs()),
    of("absent", &[V], V, Body::Absent),
    of("absent_over_time", &[M], V, Body::AbsentOverTime),
    detecting("anomaly", &[M, S], Some(1), detect::functions::anomaly),
    detecting("anomaly_baseline", &[M], None, detect::functions::anomaly_baseline),
    detecting("anomaly_confidence", &[M], None, detect::functions::anomaly_confidence),
    detecting("anomaly_rate", &[M, S], Some(1), detect::functions::anomaly_rate),
    range("avg_over_time", &[M], over_time::avg),
    map("ceil", &[V], |v, _| v.ceil()),
    range("changes", &[M], over_time::changes),
    map("clamp", &[V, S, S], instant::clamp),
    map("clamp_max", &[V, S], instant::clamp_max),
    map("clamp_min", &[V, S], instant::clamp_min),
    range("count_over_time", &[M], over_time::count),
    range("delta", &[M], rates::delta),
    range("deriv", &[M], rates::deriv),
    map("exp", &[V], |v, _| v.exp()),
    map("floor", &[V], |v, _| v.floor()),
    forecasting("forecast", &[M, S], None, detect::functions::forecast),
    forecasting("forecast_high", &[M, S, S], Some(2), detect::functions::forecast_high),
    forecasting("forecast_low", &[M, S, S], Some(2), detect::functions::forecast_low),
    forecasting("forecast_slope", &[M], None, detect::functions::forecast_slope),
    forecasting("forecast_until", &[M, S, S], Some(2), detect::functions::forecast_until),
    range("idelta", &[M], rates::idelta),
    range("increase", &[M], rates::increase),
    range("irate", &[M], rates::irate),
    range("last_over_time", &[M], over_time::last),
    map("ln", &[V], |v, _| v.ln()),
    map("log10", &[V], |v, _| v.log10()),
    map("log2", &[V], |v, _| v.log2()),
    sorting("mad_over_time", &[M], over_time::mad),
    range("max_over_time", &[M], over_time::max),
    range("min_over_time", &[M], over_time::min),
    range("predict_linear", &[M, S], rates::predict_linear),
    range("present_over_time", &[M], over_time::present),
    sorting("quantile_over_time", &[S, M], over_time::quantile),
    range("rate", &[M], rates::rate),
    range("resets", &[M], over_time::resets),
    Function { optional: 1, ..map("round", &[V, S], instant::round) },
    of("scalar", &[V], S, Body::Scalar),
    map("sgn", &[V], instant::sgn),
    map("sqrt", &[V], |v, _| v.sqrt()),
    range("stddev_over_time", &[M], over_time::stddev),
    range("stdvar_over_time", &[M], over_time::stdvar),
    range("sum_over_time", &[M], over_time::sum),
    of("time", &[], S, Body::Time),
    of("timestamp", &[V], V, Body::Timestamp),
    of("vector", &[S], V, Body::Vector),
];

impl Function {
    /// The function of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        let index = FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok()?;
        FUNCTIONS.get(index)
    }

    /// How few arguments it takes.
    #[must_use]
    pub const fn fewest(&self) -> usize {
        self.args.len() - self.optional
    }
}

const fn of(name: &'static str, args: &'static [Type], returns: Type, body: Body) -> Function {
    Function { name, args, optional: 0, returns, confidence: None, cost: Cost::Linear, points: None, body }
}

const fn map(name: &'static str, args: &'static [Type], body: fn(f64, &[f64]) -> f64) -> Function {
    of(name, args, Type::Vector, Body::Map(body))
}

const fn range(
    name: &'static str,
    args: &'static [Type],
    body: fn(&Window<'_>, &[f64]) -> Option<f64>,
) -> Function {
    of(name, args, Type::Vector, Body::Range(body))
}

const fn sorting(
    name: &'static str,
    args: &'static [Type],
    body: fn(&Window<'_>, &[f64]) -> Option<f64>,
) -> Function {
    Function { cost: Cost::Sorting, ..range(name, args, body) }
}

const fn detecting(
    name: &'static str,
    args: &'static [Type],
    confidence: Option<usize>,
    body: fn(&Window<'_>, &[f64]) -> Option<f64>,
) -> Function {
    Function { confidence, points: Some(2016), ..sorting(name, args, body) }
}

const fn forecasting(
    name: &'static str,
    args: &'static [Type],
    confidence: Option<usize>,
    body: fn(&Window<'_>, &[f64]) -> Option<f64>,
) -> Function {
    Function { cost: Cost::Pairs, points: Some(720), confidence, ..range(name, args, body) }
}

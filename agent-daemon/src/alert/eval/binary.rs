//! Operators between numbers and vectors.

use std::collections::hash_map::Entry;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Element, EvalError, Value, budget::Budget};
use crate::alert::{
    expr::ast::{Binary, Grouping, Many, Matching, Op},
    labels::Labels,
};

/// Two numbers. Comparisons give 0 or 1.
pub(super) fn number(op: Op, left: f64, right: f64) -> f64 {
    match op {
        Op::Add => left + right,
        Op::Sub => left - right,
        Op::Mul => left * right,
        Op::Div => left / right,
        Op::Mod => left % right,
        Op::Pow => left.powf(right),
        Op::Eq | Op::Ne | Op::Gt | Op::Lt | Op::Ge | Op::Le => f64::from(u8::from(holds(op, left, right))),
        Op::And | Op::Or | Op::Unless => f64::NAN,
    }
}

fn holds(op: Op, left: f64, right: f64) -> bool {
    match op {
        Op::Eq => left == right,
        Op::Ne => left != right,
        Op::Gt => left > right,
        Op::Lt => left < right,
        Op::Ge => left >= right,
        Op::Le => left <= right,
        _ => false,
    }
}

/// At least one vector.
pub(super) fn combine(
    binary: &Binary,
    left: Value,
    right: Value,
    budget: &mut Budget,
) -> Result<Vec<Element>, EvalError> {
    match (left, right) {
        (Value::Scalar(left), Value::Vector(right)) => {
            Ok(right.into_iter().filter_map(|e| beside(binary, left, e.value, e.value, e.labels)).collect())
        }
        (Value::Vector(left), Value::Scalar(right)) => {
            Ok(left.into_iter().filter_map(|e| beside(binary, e.value, right, e.value, e.labels)).collect())
        }
        (Value::Vector(left), Value::Vector(right)) => {
            budget.work((left.len() + right.len()) as u64)?;
            if binary.op.is_set() {
                return Ok(set(binary, left, right));
            }
            pairs(binary, left, right)
        }
        (Value::Scalar(_), Value::Scalar(_)) => Ok(Vec::new()),
    }
}

/// A number beside an element; `own` is the element's value.
fn beside(binary: &Binary, left: f64, right: f64, own: f64, labels: Labels) -> Option<Element> {
    if binary.op.is_comparison() && !binary.bool {
        // It stays what it was, name and all.
        return holds(binary.op, left, right).then_some(Element { labels, value: own });
    }
    Some(Element { labels: labels.without_name(), value: number(binary.op, left, right) })
}

fn key(matching: &Matching, labels: &Labels) -> Labels {
    match &matching.labels {
        Grouping::Only(names) => labels.only(names),
        Grouping::Except(names) => labels.except(names),
    }
}

fn set(binary: &Binary, mut left: Vec<Element>, right: Vec<Element>) -> Vec<Element> {
    let keys = |elements: &[Element]| -> FxHashSet<Labels> {
        elements.iter().map(|element| key(&binary.matching, &element.labels)).collect()
    };
    if binary.op == Op::Or {
        let known = keys(&left);
        left.extend(right.into_iter().filter(|e| !known.contains(&key(&binary.matching, &e.labels))));
        return left;
    }
    let known = keys(&right);
    left.retain(|e| known.contains(&key(&binary.matching, &e.labels)) == (binary.op == Op::And));
    left
}

/// Each element of the side that may have many, with its partner of the other.
fn pairs(binary: &Binary, left: Vec<Element>, right: Vec<Element>) -> Result<Vec<Element>, EvalError> {
    let flipped = binary.matching.many == Many::Right;
    let (many, one) = if flipped { (right, left) } else { (left, right) };
    let mut partners: FxHashMap<Labels, Element> = FxHashMap::default();
    for element in one {
        match partners.entry(key(&binary.matching, &element.labels)) {
            Entry::Vacant(free) => drop(free.insert(element)),
            Entry::Occupied(taken) => return Err(ambiguous(taken.key(), "the one side", "on or ignoring")),
        }
    }
    let mut results = Vec::with_capacity(many.len());
    let mut seen = FxHashSet::default();
    for element in many {
        let group = key(&binary.matching, &element.labels);
        let Some(partner) = partners.get(&group) else { continue };
        let values = if flipped { (partner.value, element.value) } else { (element.value, partner.value) };
        let value = if binary.op.is_comparison() && !binary.bool {
            if !holds(binary.op, values.0, values.1) {
                continue;
            }
            // The left side's value, whichever may have many.
            values.0
        } else {
            number(binary.op, values.0, values.1)
        };
        let labels = result_labels(binary, &element.labels, &partner.labels, group);
        if !seen.insert(labels.clone()) {
            return Err(ambiguous(&labels, "the many side", "group_left or group_right"));
        }
        results.push(Element { labels, value });
    }
    Ok(results)
}

fn result_labels(binary: &Binary, many: &Labels, one: &Labels, group: Labels) -> Labels {
    if binary.matching.many == Many::Neither {
        return match &binary.matching.labels {
            // What only one side may have is not in the result; a comparison keeps its left side's name.
            Grouping::Except(names) if names.is_empty() && binary.op.is_comparison() && !binary.bool => {
                many.clone()
            }
            _ => group,
        };
    }
    let base = if binary.op.is_comparison() && !binary.bool { many.clone() } else { many.without_name() };
    binary.matching.include.iter().fold(base, |labels, name| labels.with(name, one.get(name)))
}

fn ambiguous(labels: &Labels, side: &str, hint: &str) -> EvalError {
    EvalError::Ambiguous(format!("{side} has several elements for {labels}: narrow them, or say {hint}"))
}

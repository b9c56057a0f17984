//! Which labels the elements of an expression can have, as far as the expression itself says: a template that
//! names another label is a mistake that can be told at load.

use super::ast::{Aggregation, Expr, Grouping, Kind, Many, Op};

/// Labels that elements may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelSet {
    /// Those only.
    Closed(Vec<String>),
    /// Whatever the series have.
    Open,
}

impl LabelSet {
    /// Whether an element may have this label.
    #[must_use]
    pub fn may_have(&self, name: &str) -> bool {
        match self {
            Self::Closed(names) => names.iter().any(|n| n == name),
            Self::Open => true,
        }
    }

    fn and_those_of(self, other: Self) -> Self {
        match (self, other) {
            (Self::Closed(mut names), Self::Closed(more)) => {
                names.extend(more);
                Self::Closed(names)
            }
            _ => Self::Open,
        }
    }
}

impl Expr {
    /// The labels that its elements may have.
    #[must_use]
    pub fn labels(&self) -> LabelSet {
        match &self.kind {
            Kind::Number(_) => LabelSet::Closed(Vec::new()),
            Kind::Selector(_) | Kind::Range { .. } => LabelSet::Open,
            Kind::Aggregate { op: Aggregation::TopK | Aggregation::BottomK, inner, .. }
            | Kind::Subquery { inner, .. }
            | Kind::Negate(inner) => inner.labels(),
            Kind::Aggregate { grouping: Grouping::Only(names), .. } => LabelSet::Closed(names.clone()),
            Kind::Aggregate { inner, .. } => inner.labels(),
            // absent makes labels of its argument's conditions: only functions of numbers have none for sure.
            Kind::Call { args, .. } if args.iter().all(|arg| arg.result() == super::Type::Scalar) => {
                LabelSet::Closed(Vec::new())
            }
            Kind::Call { args, .. } => {
                args.iter().map(Self::labels).fold(LabelSet::Closed(Vec::new()), LabelSet::and_those_of)
            }
            Kind::Binary(binary) => {
                let (left, right) = (binary.left.labels(), binary.right.labels());
                match (binary.op, binary.matching.many) {
                    (Op::And | Op::Unless, _) => left,
                    // A number beside a vector has no labels; else the one side's may be taken over.
                    (Op::Or, _) | (_, Many::Left | Many::Right) => left.and_those_of(right),
                    _ if binary.left.result() == super::Type::Scalar => right,
                    _ => left,
                }
            }
        }
    }
}

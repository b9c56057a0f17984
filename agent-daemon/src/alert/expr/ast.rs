//! Expressions, as parsed and checked: every node has a type, and what stands where is allowed there.

use super::functions::Function;
use crate::alert::matcher::Matcher;

/// What an expression evaluates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A number.
    Scalar,
    /// One value for each of some label sets: PromQL's instant vector.
    Vector,
    /// Samples of some time for each of some label sets: PromQL's range vector.
    Matrix,
}

impl Type {
    /// As it is called in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "a number",
            Self::Vector => "a vector",
            Self::Matrix => "a range vector",
        }
    }
}

/// An expression and where it begins.
#[derive(Clone, Debug)]
pub struct Expr {
    /// The byte of the text where it begins; of a binary operation, where the operator stands.
    pub at: usize,
    /// What it is.
    pub kind: Kind,
}

/// The kinds of expressions.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A number.
    Number(f64),
    /// The latest sample of each series.
    Selector(Selector),
    /// The samples of some time of each series.
    Range {
        /// Which series.
        selector: Selector,
        /// How long, milliseconds.
        range: i64,
    },
    /// An expression, evaluated again and again.
    Subquery {
        /// The expression.
        inner: Box<Expr>,
        /// How long, milliseconds.
        range: i64,
        /// How often, milliseconds; `None`: the evaluator's default.
        step: Option<i64>,
        /// How long ago, milliseconds.
        offset: i64,
    },
    /// A function of arguments.
    Call {
        /// The function.
        function: &'static Function,
        /// Its arguments, by number and type as the function wants them.
        args: Vec<Expr>,
    },
    /// Many elements to few.
    Aggregate {
        /// How.
        op: Aggregation,
        /// Which labels make a group.
        grouping: Grouping,
        /// How many or which quantile, for those that ask.
        param: Option<Box<Expr>>,
        /// Of what.
        inner: Box<Expr>,
    },
    /// The opposite number.
    Negate(Box<Expr>),
    /// An operation on two expressions.
    Binary(Box<Binary>),
}

/// Which series, and how long ago.
#[derive(Clone, Debug)]
pub struct Selector {
    /// Conditions, the one on the name included.
    pub matchers: Vec<Matcher>,
    /// How long ago, milliseconds; negative: in the future.
    pub offset: i64,
}

/// Ways to aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// `sum`
    Sum,
    /// `avg`
    Avg,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `count`
    Count,
    /// `group`: 1 for each group.
    Group,
    /// `stddev`, of the population.
    Stddev,
    /// `stdvar`, of the population.
    Stdvar,
    /// `quantile(q, …)`
    Quantile,
    /// `topk(k, …)`
    TopK,
    /// `bottomk(k, …)`
    BottomK,
}

impl Aggregation {
    /// Whether a number stands before the vector.
    #[must_use]
    pub const fn takes_param(self) -> bool {
        matches!(self, Self::Quantile | Self::TopK | Self::BottomK)
    }

    /// The aggregation of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Some(match name {
            "sum" => Self::Sum,
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "count" => Self::Count,
            "group" => Self::Group,
            "stddev" => Self::Stddev,
            "stdvar" => Self::Stdvar,
            "quantile" => Self::Quantile,
            "topk" => Self::TopK,
            "bottomk" => Self::BottomK,
            _ => return None,
        })
    }
}

/// Which labels make a group, or which must agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Those: `by (…)`, `on (…)`.
    Only(Vec<String>),
    /// All others: `without (…)`, `ignoring (…)`.
    Except(Vec<String>),
}

/// An operation on two expressions.
#[derive(Clone, Debug)]
pub struct Binary {
    /// Which.
    pub op: Op,
    /// Comparisons only: 0 and 1 instead of leaving out.
    pub bool: bool,
    /// Which elements belong together.
    pub matching: Matching,
    /// On the left.
    pub left: Expr,
    /// On the right.
    pub right: Expr,
}

/// How the elements of two vectors find each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matching {
    /// Labels that must agree.
    pub labels: Grouping,
    /// Which side may have many elements for one of the other.
    pub many: Many,
    /// Labels that the many take from the one.
    pub include: Vec<String>,
}

impl Default for Matching {
    fn default() -> Self {
        Self { labels: Grouping::Except(Vec::new()), many: Many::Neither, include: Vec::new() }
    }
}

/// Which side may have many elements for one of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Many {
    /// One to one.
    Neither,
    /// `group_left`
    Left,
    /// `group_right`
    Right,
}

/// Operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `>`
    Gt,
    /// `<`
    Lt,
    /// `>=`
    Ge,
    /// `<=`
    Le,
    /// `and`
    And,
    /// `or`
    Or,
    /// `unless`
    Unless,
}

impl Op {
    /// The operator written so, words in lower case.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        Some(match text {
            "+" => Self::Add,
            "-" => Self::Sub,
            "*" => Self::Mul,
            "/" => Self::Div,
            "%" => Self::Mod,
            "^" => Self::Pow,
            "==" => Self::Eq,
            "!=" => Self::Ne,
            ">" => Self::Gt,
            "<" => Self::Lt,
            ">=" => Self::Ge,
            "<=" => Self::Le,
            "and" => Self::And,
            "or" => Self::Or,
            "unless" => Self::Unless,
            _ => return None,
        })
    }

    /// How tightly it binds; `^` binds to the right.
    #[must_use]
    pub const fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Eq | Self::Ne | Self::Gt | Self::Lt | Self::Ge | Self::Le => 3,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod => 5,
            Self::Pow => 6,
        }
    }

    /// Whether it compares.
    #[must_use]
    pub const fn is_comparison(self) -> bool {
        self.precedence() == 3
    }

    /// Whether it is `and`, `or` or `unless`.
    #[must_use]
    pub const fn is_set(self) -> bool {
        self.precedence() < 3
    }
}

impl Expr {
    /// What it evaluates to.
    #[must_use]
    pub fn result(&self) -> Type {
        match &self.kind {
            Kind::Number(_) => Type::Scalar,
            Kind::Selector(_) | Kind::Aggregate { .. } => Type::Vector,
            Kind::Range { .. } | Kind::Subquery { .. } => Type::Matrix,
            Kind::Call { function, .. } => function.returns,
            Kind::Negate(inner) => inner.result(),
            Kind::Binary(binary) => match (binary.left.result(), binary.right.result()) {
                (Type::Scalar, Type::Scalar) => Type::Scalar,
                _ => Type::Vector,
            },
        }
    }

    /// The expressions that it is made of.
    pub fn children(&self) -> impl Iterator<Item = &Self> {
        let (one, two, many): (Option<&Self>, Option<&Self>, &[Self]) = match &self.kind {
            Kind::Number(_) | Kind::Selector(_) | Kind::Range { .. } => (None, None, &[]),
            Kind::Subquery { inner, .. } | Kind::Negate(inner) => (Some(inner), None, &[]),
            Kind::Call { args, .. } => (None, None, args),
            Kind::Aggregate { param, inner, .. } => (param.as_deref(), Some(inner), &[]),
            Kind::Binary(binary) => (Some(&binary.left), Some(&binary.right), &[]),
        };
        one.into_iter().chain(two).chain(many)
    }

    /// How many expressions lie within each other.
    #[must_use]
    pub fn depth(&self) -> usize {
        1 + self.children().map(Self::depth).max().unwrap_or_default()
    }

    /// The names of the series that it reads, where it says them.
    #[must_use]
    pub fn series(&self) -> Vec<&str> {
        let mut names: Vec<&str> = match &self.kind {
            Kind::Selector(selector) | Kind::Range { selector, .. } => selector.name().into_iter().collect(),
            _ => self.children().flat_map(Self::series).collect(),
        };
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl Selector {
    /// The metric's name, where it is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        use crate::alert::{labels::NAME, matcher::MatchOp};
        let named = self.matchers.iter().find(|m| m.name() == NAME && m.op() == MatchOp::Equal);
        named.map(Matcher::value)
    }
}

//! The parser's second half: what stands before and after operands. `[5m]`, `[1h:1m]`, `offset 5m`, `by (…)`,
//! `on (…) group_left (…)`.

use super::{
    ast::{Expr, Grouping, Kind, Many, Matching, Op},
    lex::Token,
    parse::{Parser, matching},
};
use crate::alert::error::At;

/// How often subqueries may be evaluated.
pub const MAX_STEPS: i64 = 2000;
/// The step of a subquery that names none, milliseconds.
pub const DEFAULT_STEP: i64 = 60_000;

type Parsed<T> = Result<T, At<String>>;

impl Parser<'_> {
    /// `[5m]`, `[1h:1m]` and `offset 5m`, in this order.
    pub(super) fn suffixes(&mut self, mut expr: Expr) -> Parsed<Expr> {
        if self.lexer.peek()?.1 == Token::Symbol("[") {
            expr = self.range(expr)?;
        }
        let (at, token) = self.lexer.peek()?;
        match token {
            Token::Symbol("[") => Err(At::new(at, "only one range may stand here".to_owned())),
            Token::Word(word) if word.eq_ignore_ascii_case("offset") => {
                self.lexer.next()?;
                self.offset(at, expr)
            }
            _ => Ok(expr),
        }
    }

    fn range(&mut self, expr: Expr) -> Parsed<Expr> {
        self.expect("[")?;
        let range = self.duration()?;
        let at = expr.at;
        let subquery = self.eat(":")?;
        let kind = if subquery {
            let step = if self.lexer.peek()?.1 == Token::Symbol("]") { None } else { Some(self.duration()?) };
            if expr.result() != super::Type::Vector {
                return Err(At::new(
                    at,
                    format!("a subquery repeats a vector, not {}", expr.result().name()),
                ));
            }
            let steps = range / step.unwrap_or(DEFAULT_STEP);
            if steps > MAX_STEPS {
                let what = format!(
                    "this is {steps} steps, of {MAX_STEPS} at most: take a longer one, as in [7d:10m]"
                );
                return Err(At::new(at, what));
            }
            Kind::Subquery { inner: Box::new(expr), range, step, offset: 0 }
        } else {
            let Kind::Selector(selector) = expr.kind else {
                let what = "a range stands after a series only; of an expression write [1h:1m]";
                return Err(At::new(at, what.to_owned()));
            };
            Kind::Range { selector, range }
        };
        self.expect("]")?;
        Ok(Expr { at, kind })
    }

    fn offset(&mut self, at: usize, mut expr: Expr) -> Parsed<Expr> {
        let negative = self.eat("-")?;
        let millis = self.duration()?;
        let millis = if negative { -millis } else { millis };
        match &mut expr.kind {
            Kind::Selector(selector) | Kind::Range { selector, .. } => selector.offset = millis,
            Kind::Subquery { offset, .. } => *offset = millis,
            _ => return Err(At::new(at, "offset stands after a series or a range only".to_owned())),
        }
        Ok(expr)
    }

    /// A duration above zero.
    fn duration(&mut self) -> Parsed<i64> {
        let (at, token) = self.lexer.next()?;
        match token {
            Token::Duration(millis) if millis > 0 => Ok(millis),
            Token::Duration(_) => Err(At::new(at, "a duration must be above zero here".to_owned())),
            other => Err(At::new(at, format!("expected a duration such as 5m, found {other}"))),
        }
    }

    /// `by (…)` or `without (…)`, if it comes next.
    pub(super) fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        if self.eat_word("by")? {
            return Ok(Some(Grouping::Only(self.names()?)));
        }
        Ok(if self.eat_word("without")? { Some(Grouping::Except(self.names()?)) } else { None })
    }

    /// `on (…)` or `ignoring (…)` and what follows, if it comes next.
    pub(super) fn matching(&mut self, op: Op) -> Parsed<Option<Matching>> {
        let labels = if self.eat_word("on")? {
            Grouping::Only(self.names()?)
        } else if self.eat_word("ignoring")? {
            Grouping::Except(self.names()?)
        } else {
            return Ok(None);
        };
        let at = self.lexer.peek()?.0;
        let many = if self.eat_word("group_left")? {
            Many::Left
        } else if self.eat_word("group_right")? {
            Many::Right
        } else {
            return Ok(Some(matching(labels, Many::Neither, Vec::new())));
        };
        if op.is_set() {
            return Err(At::new(at, "and, or and unless need no group_left or group_right".to_owned()));
        }
        let include = if self.lexer.peek()?.1 == Token::Symbol("(") { self.names()? } else { Vec::new() };
        Ok(Some(matching(labels, many, include)))
    }

    /// Labels' names in parentheses.
    fn names(&mut self) -> Parsed<Vec<String>> {
        self.expect("(")?;
        let mut names = Vec::new();
        while !self.eat(")")? {
            match self.lexer.next()? {
                (_, Token::Word(name)) if !name.contains(':') => names.push(name),
                (at, other) => return Err(At::new(at, format!("expected a label's name, found {other}"))),
            }
            if !self.eat(",")? {
                self.expect(")")?;
                break;
            }
        }
        Ok(names)
    }

    pub(super) fn eat(&mut self, symbol: &'static str) -> Parsed<bool> {
        let found = self.lexer.peek()?.1 == Token::Symbol(symbol);
        if found {
            self.lexer.next()?;
        }
        Ok(found)
    }

    pub(super) fn eat_word(&mut self, word: &str) -> Parsed<bool> {
        let found = matches!(self.lexer.peek()?.1, Token::Word(w) if w.eq_ignore_ascii_case(word));
        if found {
            self.lexer.next()?;
        }
        Ok(found)
    }

    pub(super) fn expect(&mut self, symbol: &'static str) -> Parsed<()> {
        match self.lexer.next()? {
            (_, Token::Symbol(found)) if found == symbol => Ok(()),
            (at, other) => Err(At::new(at, format!("expected {symbol}, found {other}"))),
        }
    }
}

//! Text to a checked expression. Whatever is wrong is said with the byte where it stands; the text's length and
//! the nesting are bounded, so no text takes long or exhausts the stack.

use super::{
    ast::{Aggregation, Binary, Expr, Grouping, Kind, Many, Matching, Op, Selector, Type},
    functions::{FUNCTIONS, Function},
    lex::{Lexer, Token},
};
use crate::alert::{
    error::At,
    labels::NAME,
    matcher::{MatchOp, Matcher},
};

/// The longest expression, bytes.
pub(crate) const MAX_BYTES: usize = 16 << 10;
/// How deep expressions may be nested.
pub(crate) const MAX_DEPTH: usize = 64;

/// Reads an expression.
///
/// # Errors
/// What is wrong, at which byte of the text.
pub fn parse(text: &str) -> Result<Expr, At<String>> {
    if text.len() > MAX_BYTES {
        return Err(At::new(0, format!("an expression may have {MAX_BYTES} bytes at most")));
    }
    let mut parser = Parser { lexer: Lexer::new(text), depth: 0 };
    let expr = parser.expr(0)?;
    match parser.lexer.next()? {
        // A chain of operators in parentheses within another is deeper than either.
        (_, Token::End) if expr.depth() > MAX_DEPTH => Err(too_deep(expr.at)),
        (_, Token::End) => Ok(expr),
        (at, token) => Err(At::new(at, format!("expected an operator or the end, found {token}"))),
    }
}

pub(super) struct Parser<'a> {
    pub(super) lexer: Lexer<'a>,
    depth: usize,
}

type Parsed<T = Expr> = Result<T, At<String>>;

impl Parser<'_> {
    /// An expression of operators that bind at least so tightly.
    fn expr(&mut self, tightness: u8) -> Parsed {
        self.nested(|parser| {
            let mut left = parser.unary()?;
            // Each operator makes the tree one deeper on its left side.
            let mut links = 0;
            while let Some((at, op)) = parser.operator(tightness)? {
                links += 1;
                if parser.depth + links > MAX_DEPTH {
                    return Err(too_deep(at));
                }
                left = parser.binary(at, op, left)?;
            }
            Ok(left)
        })
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(too_deep(self.lexer.peek()?.0));
        }
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// The operator that comes next, if it binds at least so tightly.
    fn operator(&mut self, tightness: u8) -> Parsed<Option<(usize, Op)>> {
        let (at, token) = self.lexer.peek()?;
        let op = match &token {
            Token::Symbol(symbol) => Op::find(symbol),
            Token::Word(word) => Op::find(&word.to_ascii_lowercase()),
            _ => None,
        };
        let Some(op) = op.filter(|op| op.precedence() >= tightness) else { return Ok(None) };
        self.lexer.next()?;
        Ok(Some((at, op)))
    }

    fn binary(&mut self, at: usize, op: Op, left: Expr) -> Parsed {
        let bool = self.eat_word("bool")?;
        let matching = self.matching(op)?;
        let right_binds = if op == Op::Pow { op.precedence() } else { op.precedence() + 1 };
        let right = self.expr(right_binds)?;
        check_binary(at, op, bool, matching.is_some(), (left.result(), right.result()))?;
        let binary = Binary { op, bool, matching: matching.unwrap_or_default(), left, right };
        Ok(Expr { at, kind: Kind::Binary(Box::new(binary)) })
    }

    fn unary(&mut self) -> Parsed {
        let (at, token) = self.lexer.peek()?;
        let negative = token == Token::Symbol("-");
        if !negative && token != Token::Symbol("+") {
            let primary = self.primary()?;
            return self.suffixes(primary);
        }
        self.lexer.next()?;
        // -2^2 is -(2^2), as in Prometheus.
        let inner = self.expr(Op::Pow.precedence())?;
        if inner.result() == Type::Matrix {
            return Err(At::new(at, "a range vector has no sign".to_owned()));
        }
        Ok(match inner.kind {
            Kind::Number(number) if negative => Expr { at, kind: Kind::Number(-number) },
            _ if negative => Expr { at, kind: Kind::Negate(Box::new(inner)) },
            _ => inner,
        })
    }

    fn primary(&mut self) -> Parsed {
        let (at, token) = self.lexer.next()?;
        match token {
            Token::Number(number) => Ok(Expr { at, kind: Kind::Number(number) }),
            Token::Symbol("(") => {
                let inner = self.expr(0)?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Symbol("{") => self.selector(at, None),
            Token::Word(word) => self.named(at, word),
            Token::Duration(_) => {
                Err(At::new(at, "a duration stands in [ ] or after offset only".to_owned()))
            }
            other => Err(At::new(at, format!("expected a series, a function or a number, found {other}"))),
        }
    }

    fn named(&mut self, at: usize, word: String) -> Parsed {
        let lower = word.to_ascii_lowercase();
        let next = self.lexer.peek()?.1;
        if let Some(op) = Aggregation::find(&lower).filter(|_| begins_aggregate(&next)) {
            return self.aggregate(at, op);
        }
        match next {
            Token::Symbol("(") => self.call(at, &word),
            Token::Symbol("{") => {
                self.lexer.next()?;
                self.selector(at, Some(word))
            }
            _ if Op::find(&lower).is_some() => {
                Err(At::new(at, format!("expected a series, a function or a number, found {word}")))
            }
            _ => {
                let matchers = Matcher::new(NAME, MatchOp::Equal, word).map_err(|what| At::new(at, what))?;
                Ok(Expr { at, kind: Kind::Selector(Selector { matchers: vec![matchers], offset: 0 }) })
            }
        }
    }

    /// What stands in braces, of which the first is taken already.
    fn selector(&mut self, at: usize, name: Option<String>) -> Parsed {
        let mut matchers = Vec::new();
        if let Some(name) = name {
            matchers.push(Matcher::new(NAME, MatchOp::Equal, name).map_err(|what| At::new(at, what))?);
        }
        while !self.eat("}")? {
            matchers.push(Matcher::read(&mut self.lexer)?);
            if !self.eat(",")? {
                self.expect("}")?;
                break;
            }
        }
        // All series of everything is never meant, and costs the most.
        if matchers.iter().all(|matcher| matcher.accepts("")) {
            return Err(At::new(at, "a selector needs a condition that no empty value fulfils".to_owned()));
        }
        Ok(Expr { at, kind: Kind::Selector(Selector { matchers, offset: 0 }) })
    }

    fn call(&mut self, at: usize, name: &str) -> Parsed {
        let Some(function) = Function::find(name) else { return Err(At::new(at, unknown_function(name))) };
        let args = self.args()?;
        check_args(at, function, &args)?;
        Ok(Expr { at, kind: Kind::Call { function, args } })
    }

    /// Arguments in parentheses.
    fn args(&mut self) -> Parsed<Vec<Expr>> {
        self.expect("(")?;
        let mut args = Vec::new();
        while !self.eat(")")? {
            args.push(self.expr(0)?);
            if !self.eat(",")? {
                self.expect(")")?;
                break;
            }
        }
        Ok(args)
    }

    fn aggregate(&mut self, at: usize, op: Aggregation) -> Parsed {
        let before = self.grouping()?;
        let mut args = self.args()?;
        let after = if before.is_none() { self.grouping()? } else { None };
        let grouping = before.or(after).unwrap_or(Grouping::Only(Vec::new()));
        let wanted = if op.takes_param() { 2 } else { 1 };
        let found = args.len();
        let (Some(inner), true) = (args.pop(), found == wanted) else {
            let what = if wanted == 2 { "a number and a vector" } else { "one vector" };
            return Err(At::new(at, format!("this aggregation takes {what}, found {found} arguments")));
        };
        expect_type(&inner, Type::Vector, "an aggregation")?;
        let param = args.pop().map(Box::new);
        if let Some(param) = &param {
            expect_type(param, Type::Scalar, "an aggregation's first argument")?;
        }
        Ok(Expr { at, kind: Kind::Aggregate { op, grouping, param, inner: Box::new(inner) } })
    }
}

fn begins_aggregate(next: &Token) -> bool {
    match next {
        Token::Symbol("(") => true,
        Token::Word(word) => word.eq_ignore_ascii_case("by") || word.eq_ignore_ascii_case("without"),
        _ => false,
    }
}

fn too_deep(at: usize) -> At<String> {
    At::new(at, format!("expressions may be nested {MAX_DEPTH} deep at most"))
}

fn unknown_function(name: &str) -> String {
    let known = FUNCTIONS.iter().map(|function| function.name);
    let near = known.clone().find(|k| k.eq_ignore_ascii_case(name) || k.replace('_', "") == name);
    match near {
        Some(near) => format!("there is no function {name}: did you mean {near}?"),
        None => {
            format!("there is no function {name} here: known are {}", known.collect::<Vec<_>>().join(", "))
        }
    }
}

fn expect_type(expr: &Expr, wanted: Type, who: &str) -> Parsed<()> {
    let found = expr.result();
    if found == wanted {
        return Ok(());
    }
    let hint = match (wanted, found) {
        (Type::Matrix, Type::Vector) => ": write the time in brackets after it, as in [5m]",
        _ => "",
    };
    Err(At::new(expr.at, format!("{who} takes {}, not {}{hint}", wanted.name(), found.name())))
}

fn check_args(at: usize, function: &Function, args: &[Expr]) -> Parsed<()> {
    let (fewest, most) = (function.fewest(), function.args.len());
    if !(fewest..=most).contains(&args.len()) {
        let wanted = if fewest == most { fewest.to_string() } else { format!("{fewest} to {most}") };
        let message = format!("{} takes {wanted} arguments, found {}", function.name, args.len());
        return Err(At::new(at, message));
    }
    for (arg, wanted) in args.iter().zip(function.args) {
        expect_type(arg, *wanted, function.name)?;
    }
    let Some(confidence) = function.confidence.and_then(|index| args.get(index)) else { return Ok(()) };
    match confidence.kind {
        Kind::Number(number) if number > 0.5 && number < 1.0 => Ok(()),
        _ => Err(At::new(
            confidence.at,
            "a confidence is a number above 0.5 and below 1, as in 0.99".to_owned(),
        )),
    }
}

fn check_binary(at: usize, op: Op, bool: bool, matching: bool, types: (Type, Type)) -> Parsed<()> {
    let refuse = |what: &str| Err(At::new(at, what.to_owned()));
    match types {
        (Type::Matrix, _) | (_, Type::Matrix) => {
            refuse("a range vector is no operand: apply a function like rate or avg_over_time to it")
        }
        _ if bool && !op.is_comparison() => refuse("bool belongs to comparisons only"),
        (Type::Vector, Type::Vector) => Ok(()),
        _ if op.is_set() => refuse("and, or and unless stand between vectors only"),
        _ if matching => refuse("on and ignoring stand between vectors only"),
        (Type::Scalar, Type::Scalar) if op.is_comparison() && !bool => {
            refuse("two numbers are compared with bool only, as in 1 > bool 2")
        }
        _ => Ok(()),
    }
}

/// Which labels two vectors are matched by, and how many stand on which side.
pub(super) const fn matching(labels: Grouping, many: Many, include: Vec<String>) -> Matching {
    Matching { labels, many, include }
}

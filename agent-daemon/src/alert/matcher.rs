//! Conditions on labels: `agent=~"claude.*"`. Selectors, routes, silences and inhibitions share them.
//!
//! Regular expressions match the whole value, as in Prometheus, and compile within a bound of memory; the engine
//! matches in time linear in the value. A label that is missing has the empty value.

use std::fmt;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    error::At,
    expr::lex::{Lexer, Token, quote},
    labels::Labels,
};

/// The longest regular expression, bytes.
const MAX_PATTERN_BYTES: usize = 1024;
/// The most memory that one compiled expression may take, bytes.
const MAX_COMPILED_BYTES: usize = 256 << 10;

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Matches,
    /// `!~`
    NotMatches,
}

impl MatchOp {
    const fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Matches => "=~",
            Self::NotMatches => "!~",
        }
    }
}

/// One condition on one label.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<Regex>,
}

impl Matcher {
    /// A condition.
    ///
    /// # Errors
    /// Why the regular expression is none.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self, String> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Matches | MatchOp::NotMatches => Some(compile(&value)?),
        };
        Ok(Self { name, op, value, regex })
    }

    /// The label asked for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is compared.
    #[must_use]
    pub const fn op(&self) -> MatchOp {
        self.op
    }

    /// What it is compared with.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a value fits.
    #[must_use]
    pub fn accepts(&self, value: &str) -> bool {
        let like = self.regex.as_ref().is_some_and(|regex| regex.is_match(value));
        match self.op {
            MatchOp::Equal => value == self.value,
            MatchOp::NotEqual => value != self.value,
            MatchOp::Matches => like,
            MatchOp::NotMatches => !like,
        }
    }

    /// Whether the label of that name fits.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.accepts(labels.get(&self.name))
    }

    /// Reads one condition as it stands in a selector: `severity="critical"`.
    ///
    /// # Errors
    /// What is wrong, at which byte of the text.
    pub fn parse(text: &str) -> Result<Self, At<String>> {
        let mut lexer = Lexer::new(text);
        let matcher = Self::read(&mut lexer)?;
        match lexer.next()? {
            (_, Token::End) => Ok(matcher),
            (at, token) => Err(At::new(at, format!("nothing may follow the condition, but here is {token}"))),
        }
    }

    /// Reads the condition that comes next.
    pub(super) fn read(lexer: &mut Lexer<'_>) -> Result<Self, At<String>> {
        let (at, token) = lexer.next()?;
        let Token::Word(name) = token else {
            return Err(At::new(at, format!("expected a label's name, found {token}")));
        };
        let (op_at, token) = lexer.next()?;
        let op = match token {
            Token::Symbol("=") => MatchOp::Equal,
            Token::Symbol("!=") => MatchOp::NotEqual,
            Token::Symbol("=~") => MatchOp::Matches,
            Token::Symbol("!~") => MatchOp::NotMatches,
            other => {
                return Err(At::new(op_at, format!("expected =, !=, =~ or !~ after {name}, found {other}")));
            }
        };
        let (value_at, token) = lexer.next()?;
        let Token::Text(value) = token else {
            return Err(At::new(value_at, format!("expected a value in quotes, found {token}")));
        };
        if name.contains(':') {
            return Err(At::new(at, format!("{name} is no label's name")));
        }
        Self::new(name, op, value).map_err(|message| At::new(value_at, message))
    }
}

/// Whether all conditions hold.
#[must_use]
pub fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels))
}

fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(format!("a regular expression may have {MAX_PATTERN_BYTES} bytes at most"));
    }
    // By itself first: `)(` must not become valid between the brackets that are put around it.
    let limited = |text: &str| RegexBuilder::new(text).size_limit(MAX_COMPILED_BYTES).build();
    limited(pattern).and_then(|_| limited(&format!("^(?s:{pattern})$"))).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "this regular expression would take too much memory".to_owned(),
        error => {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("{pattern:?} is no regular expression: {reason}")
        }
    })
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.name, self.op.symbol(), quote(&self.value))
    }
}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{Labels, Matcher};

    #[test]
    fn conditions_compare_whole_values() {
        let labels = Labels::new([("a", "one"), ("__name__", "m")]);
        for (text, expected) in [
            (r#"a="one""#, true),
            (r#"a!="one""#, false),
            (r#"a=~"on""#, false),
            (r#"a=~"on.""#, true),
            (r#"a=~"x|one""#, true),
            (r#"a!~"two.*""#, true),
            (r#"missing="""#, true),
            (r#"missing=~".+""#, false),
            (r#"__name__="m""#, true),
        ] {
            assert_eq!(Matcher::parse(text).unwrap().matches(&labels), expected, "{text}");
        }
    }

    #[test]
    fn wrong_conditions_say_what_is_wrong_and_where() {
        for (text, at, part) in [
            (r#"a=~"(""#, 3, "no regular expression"),
            (r#"a=~")(""#, 3, "no regular expression"),
            (r#"a=~"(\\w{900}){900}""#, 3, "too much memory"),
            ("a=b", 2, "in quotes"),
            ("a", 1, "expected ="),
            (r#"a:b="c""#, 0, "no label's name"),
            (r#"a="b" x"#, 6, "nothing may follow"),
        ] {
            let error = Matcher::parse(text).unwrap_err();
            assert!(error.what.contains(part), "{text}: {error}");
            assert_eq!(error.at, at, "{text}: {error}");
        }
    }

    #[test]
    fn what_is_displayed_reads_the_same() {
        for text in [r#"a="b\"c\\d""#, r#"a=~"x|y\\.z""#, "a!=\"\\n\\té\""] {
            let one = Matcher::parse(text).unwrap();
            assert_eq!(Matcher::parse(&one.to_string()).unwrap(), one);
        }
    }
}

//! Words of the expression language, each with the byte where it begins.

use std::fmt;

use super::duration::parse_millis;
use crate::alert::error::At;

/// The longest name, bytes.
const MAX_NAME_BYTES: usize = 256;

/// Symbols, longer ones before their beginnings.
const SYMBOLS: [&str; 22] = [
    "==", "=~", "!=", "!~", ">=", "<=", "=", ">", "<", "+", "-", "*", "/", "%", "^", "(", ")", "{", "}", "[",
    "]", ",",
];

/// One word.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A number, `Inf` and `NaN` included.
    Number(f64),
    /// A duration, milliseconds.
    Duration(i64),
    /// A name or a keyword.
    Word(String),
    /// A text in quotes, without them.
    Text(String),
    /// An operator or a bracket; `:` within square brackets.
    Symbol(&'static str),
    /// Nothing more.
    End,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "the number {number}"),
            Self::Duration(_) => f.write_str("a duration"),
            Self::Word(word) => f.write_str(word),
            Self::Text(text) => write!(f, "the text {text:?}"),
            Self::Symbol(symbol) => f.write_str(symbol),
            Self::End => f.write_str("the end"),
        }
    }
}

/// Reads words off a text.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
    in_range: bool,
}

impl<'a> Lexer<'a> {
    /// Begins with the text's first word.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { text, at: 0, in_range: false }
    }

    /// The next word and the byte where it begins.
    ///
    /// # Errors
    /// No word begins there, or one does not end.
    #[expect(
        clippy::should_implement_trait,
        reason = "the end is a token, since parsers ask for what follows it"
    )]
    pub fn next(&mut self) -> Result<(usize, Token), At<String>> {
        self.skip_space();
        let at = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok((at, Token::End)) };
        let token = match first {
            '"' | '\'' | '`' => self.quoted(first)?,
            '0'..='9' | '.' => self.number()?,
            ':' if self.in_range => self.symbol(":"),
            'a'..='z' | 'A'..='Z' | '_' | ':' => self.word()?,
            _ => self.operator()?,
        };
        Ok((at, token))
    }

    /// The word after this one.
    pub(super) fn peek(&self) -> Result<(usize, Token), At<String>> {
        self.clone().next()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn symbol(&mut self, symbol: &'static str) -> Token {
        self.at += symbol.len();
        match symbol {
            "[" => self.in_range = true,
            "]" => self.in_range = false,
            _ => {}
        }
        Token::Symbol(symbol)
    }

    fn operator(&mut self) -> Result<Token, At<String>> {
        let rest = self.rest();
        let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) else {
            let found = rest.chars().next().unwrap_or_default();
            let hint = match found {
                '@' => ": the modifier @ is not supported",
                '&' => ": write and",
                '|' => ": write or",
                '!' => ": there is no negation, compare with == 0",
                _ => "",
            };
            return Err(At::new(self.at, format!("{found:?} has no meaning here{hint}")));
        };
        Ok(self.symbol(symbol))
    }

    fn word(&mut self) -> Result<Token, At<String>> {
        let at = self.at;
        let word = self.take(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
        if word.len() > MAX_NAME_BYTES {
            return Err(At::new(at, format!("a name may have {MAX_NAME_BYTES} bytes at most")));
        }
        Ok(match word {
            _ if word.eq_ignore_ascii_case("inf") => Token::Number(f64::INFINITY),
            _ if word.eq_ignore_ascii_case("nan") => Token::Number(f64::NAN),
            _ => Token::Word(word.to_owned()),
        })
    }

    fn number(&mut self) -> Result<Token, At<String>> {
        let at = self.at;
        let mut before = ' ';
        let hex = self.rest().starts_with("0x");
        let text = self.take(|c| {
            let exponent = !hex && matches!(before, 'e' | 'E') && matches!(c, '+' | '-');
            before = c;
            exponent || c.is_ascii_alphanumeric() || c == '.'
        });
        let number = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok().map(|n| n as f64),
            None => text.parse().ok(),
        };
        if let Some(number) = number {
            return Ok(Token::Number(number));
        }
        parse_millis(text)
            .map(Token::Duration)
            .ok_or_else(|| At::new(at, format!("{text} is neither a number nor a duration (5m, 1h30m)")))
    }

    fn take(&mut self, mut belongs: impl FnMut(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn quoted(&mut self, quote: char) -> Result<Token, At<String>> {
        let begin = self.at;
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((offset, c)) = chars.next() {
            let here = begin + offset;
            match c {
                _ if c == quote => {
                    self.at = here + 1;
                    return Ok(Token::Text(text));
                }
                '\\' if quote != '`' => {
                    let escaped = chars.next().map(|(_, c)| c);
                    text.push(escaped.and_then(unescape).ok_or_else(|| {
                        At::new(here, r#"after \ only \, quotes, n, r or t may stand"#.to_owned())
                    })?);
                }
                _ => text.push(c),
            }
        }
        Err(At::new(begin, "this text has no closing quote".to_owned()))
    }
}

/// A text in double quotes that [`Lexer`] reads back.
pub(in crate::alert) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\\' | '"' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

const fn unescape(c: char) -> Option<char> {
    match c {
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        '\\' | '"' | '\'' => Some(c),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Lexer, Token};

    fn all(text: &str) -> Vec<Token> {
        let mut lexer = Lexer::new(text);
        std::iter::from_fn(|| Some(lexer.next().unwrap().1).filter(|t| *t != Token::End)).collect()
    }

    #[test]
    fn words_are_told_apart() {
        let word = |w: &str| Token::Word(w.to_owned());
        assert_eq!(
            all("a:b{c='x\\'y'}[5m:1m] # comment\n>= 1.5e-3"),
            [
                word("a:b"),
                Token::Symbol("{"),
                word("c"),
                Token::Symbol("="),
                Token::Text("x'y".to_owned()),
                Token::Symbol("}"),
                Token::Symbol("["),
                Token::Duration(300_000),
                Token::Symbol(":"),
                Token::Duration(60_000),
                Token::Symbol("]"),
                Token::Symbol(">="),
                Token::Number(0.0015),
            ]
        );
        assert_eq!(
            all("0x1f .5 1e3 +Inf"),
            [
                Token::Number(31.0),
                Token::Number(0.5),
                Token::Number(1000.0),
                Token::Symbol("+"),
                Token::Number(f64::INFINITY)
            ]
        );
    }

    #[test]
    fn what_is_no_word_is_refused_where_it_stands() {
        for (text, at) in [("a  @", 3), ("\"abc", 0), ("'a\\q'", 2), ("5q", 0), ("é", 0), ("1.2.3", 0)] {
            let mut lexer = Lexer::new(text);
            let error = std::iter::repeat_with(|| lexer.next()).take(9).find_map(Result::err);
            assert_eq!(error.map(|e| e.at), Some(at), "{text}");
        }
    }
}

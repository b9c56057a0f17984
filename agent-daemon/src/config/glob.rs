//! Patterns for paths and names.
//!
//! `*` stands for any characters but `/`, `**` for any characters, `?` for one character but `/`; all else
//! stands for itself. A pattern without `/` is held against the last part of a path.
//!
//! Matching takes time in proportion to pattern times text, whatever either holds, and no allocation for
//! patterns without wildcards.

use std::fmt;

/// Longest pattern, bytes.
const MAX_BYTES: usize = 512;

/// A pattern for paths and names.
#[derive(Clone, PartialEq, Eq)]
pub struct Glob {
    source: String,
    tokens: Option<Vec<Token>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// This character.
    Char(char),
    /// One character but `/`.
    One,
    /// Any characters but `/`.
    Part,
    /// Any characters.
    Any,
}

/// Why a text is no pattern.
#[derive(Debug, thiserror::Error)]
pub enum GlobError {
    /// It would match nothing.
    #[error("must not be empty")]
    Empty,
    /// It is too long.
    #[error("is longer than {MAX_BYTES} bytes")]
    TooLong,
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// It is empty or too long.
    pub fn new(source: &str) -> Result<Self, GlobError> {
        if source.is_empty() {
            return Err(GlobError::Empty);
        }
        if source.len() > MAX_BYTES {
            return Err(GlobError::TooLong);
        }
        let tokens = source.contains(['*', '?']).then(|| tokens(source));
        Ok(Self { source: source.to_owned(), tokens })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether the pattern covers `text`: its last part, for a pattern without `/`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text = if self.source.contains('/') { text } else { text.rsplit('/').next().unwrap_or(text) };
        self.matches_whole(text)
    }

    /// Whether the pattern covers all of `text`, with or without `/`.
    #[must_use]
    pub fn matches_whole(&self, text: &str) -> bool {
        match &self.tokens {
            None => self.source == text,
            Some(tokens) => run(tokens, text),
        }
    }
}

fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for c in source.chars() {
        match (c, tokens.last()) {
            ('*', Some(Token::Part | Token::Any)) => {
                tokens.pop();
                tokens.push(Token::Any);
            }
            ('*', _) => tokens.push(Token::Part),
            ('?', _) => tokens.push(Token::One),
            (c, _) => tokens.push(Token::Char(c)),
        }
    }
    tokens
}

/// Follows all ways through the pattern at once: `live[i]` says that the text so far can end before token
/// `i`. Most texts end otherwise than the pattern does, which is seen without that.
fn run(tokens: &[Token], text: &str) -> bool {
    if !ends_alike(tokens, text) {
        return false;
    }
    let mut live = vec![false; tokens.len() + 1];
    let mut next = live.clone();
    if let Some(first) = live.first_mut() {
        *first = true;
    }
    skip_stars(tokens, &mut live);
    for c in text.chars() {
        next.fill(false);
        for (i, token) in tokens.iter().enumerate().filter(|(i, _)| live.get(*i) == Some(&true)) {
            let to = match token {
                Token::Char(own) if *own == c => i + 1,
                Token::One if c != '/' => i + 1,
                Token::Part if c != '/' => i,
                Token::Any => i,
                Token::Char(_) | Token::One | Token::Part => continue,
            };
            if let Some(slot) = next.get_mut(to) {
                *slot = true;
            }
        }
        skip_stars(tokens, &mut next);
        std::mem::swap(&mut live, &mut next);
    }
    live.last() == Some(&true)
}

/// Whether the text has at its end the characters that the pattern has behind its last wildcard.
fn ends_alike(tokens: &[Token], text: &str) -> bool {
    let mut last = text.chars().rev();
    let mut own = tokens.iter().rev().map_while(|token| match token {
        Token::Char(own) => Some(*own),
        Token::One | Token::Part | Token::Any => None,
    });
    own.all(|own| last.next() == Some(own))
}

/// A star may stand for nothing.
fn skip_stars(tokens: &[Token], live: &mut [bool]) {
    for (i, token) in tokens.iter().enumerate() {
        if live.get(i) == Some(&true)
            && matches!(token, Token::Part | Token::Any)
            && let Some(slot) = live.get_mut(i + 1)
        {
            *slot = true;
        }
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn covers_what_it_should() {
        for (pattern, text, expected) in [
            ("claude", "/usr/bin/claude", true),
            ("claude", "claude", true),
            ("claude", "/usr/bin/claude-x", false),
            ("/usr/bin/claude", "/opt/usr/bin/claude", false),
            ("mcp-server-*", "/x/mcp-server-git", true),
            ("mcp-server-*", "/mcp-server-git/x", false),
            ("/usr/*/claude", "/usr/local/bin/claude", false),
            ("/usr/**/claude", "/usr/local/bin/claude", true),
            ("**/versions/*", "/home/u/versions/2.1", true),
            ("**/versions/*", "/home/u/versions/2.1/x", false),
            ("vllm.entrypoints.*", "vllm.entrypoints.openai.api_server", true),
            ("python3.?", "/usr/bin/python3.9", true),
            ("python3.?", "/usr/bin/python3.11", false),
            ("/system.slice/**", "/system.slice/a.service/b", true),
            ("*é*", "caféx", true),
            ("*.pt", "/m/x.pt", true),
            ("*.pt", ".pt", true),
            ("*.pt", "t", false),
            ("?a", "a", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(Glob::new(pattern).unwrap().matches(text), expected, "{pattern} {text}");
        }
        assert!(Glob::new("").is_err());
    }

    #[test]
    fn many_stars_take_little_time() {
        let glob = Glob::new(&"*a".repeat(200)).unwrap();
        assert!(!glob.matches(&format!("{}b", "a".repeat(4000))));
    }
}

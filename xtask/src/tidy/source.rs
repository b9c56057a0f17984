//! A Rust file as tidy sees it: its text, and a flat list of tokens that know their line, their depth in
//! brackets, the modules around them, and whether they are test code.
//!
//! Comments and the insides of literals are no tokens, so nothing in them can be mistaken for code.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

/// One parsed file.
pub(super) struct Source {
    /// Relative to the checkout.
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) tokens: Vec<Token>,
}

/// An identifier, a literal, a bracket or punctuation; `::` is one token.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
    /// Brackets open around it; an opening bracket and its closing one lie outside themselves.
    pub(super) depth: usize,
    /// Inline modules around it.
    pub(super) modules: usize,
    /// Below `#[cfg(test)]` or `#[test]`.
    pub(super) test: bool,
}

impl Source {
    /// Reads a file's tokens.
    ///
    /// # Errors
    /// The text is no Rust.
    pub(super) fn parse(path: PathBuf, text: String) -> Result<Self> {
        let stream: TokenStream = text
            .parse()
            .map_err(|error| anyhow!("{error}"))
            .with_context(|| format!("{} is not Rust", path.display()))?;
        let mut flat = Flattener { tokens: Vec::new(), depth: 0, modules: 0 };
        flat.stream(stream);
        let mut tokens = flat.tokens;
        mark_tests(&mut tokens, is_test_file(&path));
        Ok(Self { path, text, tokens })
    }

    /// The text of the token at `index`, empty past the end.
    pub(super) fn at(&self, index: usize) -> &str {
        self.tokens.get(index).map_or("", |token| &token.text)
    }
}

/// A file of tests that its parent includes under `#[cfg(test)]`, by convention `tests.rs` or `tests/`.
fn is_test_file(path: &Path) -> bool {
    let in_src = path.iter().skip_while(|part| *part != "src");
    in_src.into_iter().any(|part| part == "tests.rs" || part == "tests")
}

struct Flattener {
    tokens: Vec<Token>,
    depth: usize,
    modules: usize,
}

impl Flattener {
    fn stream(&mut self, stream: TokenStream) {
        let mut joint_colon = false;
        for tree in stream {
            let line = tree.span().start().line;
            match tree {
                TokenTree::Group(group) => self.group(&group),
                TokenTree::Punct(punct) if punct.as_char() == ':' && joint_colon => {
                    joint_colon = false;
                    if let Some(first) = self.tokens.last_mut() {
                        first.text.push(':');
                    }
                }
                TokenTree::Punct(punct) => {
                    joint_colon = punct.as_char() == ':' && punct.spacing() == Spacing::Joint;
                    self.push(punct.to_string(), line);
                }
                TokenTree::Ident(ident) => self.push(ident.to_string(), line),
                TokenTree::Literal(literal) => self.push(literal.to_string(), line),
            }
        }
    }

    fn group(&mut self, group: &Group) {
        let (open, close) = match group.delimiter() {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Brace => ("{", "}"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::None => ("", ""),
        };
        let module = open == "{" && self.tokens.iter().rev().nth(1).is_some_and(|token| token.text == "mod");
        self.push(open.to_owned(), group.span_open().start().line);
        self.depth += 1;
        self.modules += usize::from(module);
        self.stream(group.stream());
        self.modules -= usize::from(module);
        self.depth -= 1;
        self.push(close.to_owned(), group.span_close().start().line);
    }

    fn push(&mut self, text: String, line: usize) {
        self.tokens.push(Token { text, line, depth: self.depth, modules: self.modules, test: false });
    }
}

/// Marks the items under a test attribute, to their closing brace or semicolon.
fn mark_tests(tokens: &mut [Token], all: bool) {
    let mut index = 0;
    while index < tokens.len() {
        match test_attribute(tokens, index) {
            Some(item) => {
                let end = item_end(tokens, item);
                tokens[index..end].iter_mut().for_each(|token| token.test = true);
                index = end;
            }
            None => {
                tokens[index].test |= all;
                index += 1;
            }
        }
    }
}

/// Where the item begins if `#[test]` or a `#[cfg(…test…)]` without `not` stands at `index`.
fn test_attribute(tokens: &[Token], index: usize) -> Option<usize> {
    let text = |at: usize| tokens.get(at).map(|token| token.text.as_str());
    if text(index)? != "#" || text(index + 1)? != "[" {
        return None;
    }
    let end = closing(tokens, index + 1);
    let inside = tokens.get(index + 2..end)?;
    let has = |word: &str| inside.iter().any(|token| token.text == word);
    let name = inside.first()?.text.as_str();
    (name == "test" || name == "cfg" && has("test") && !has("not")).then_some(end + 1)
}

/// The index of the bracket that closes the one at `open`.
pub(super) fn closing(tokens: &[Token], open: usize) -> usize {
    let depth = tokens[open].depth;
    let inner = tokens[open + 1..].iter().take_while(|token| token.depth > depth).count();
    open + 1 + inner
}

/// One past the item that begins at `start`: after its first body or its semicolon.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let Some(depth) = tokens.get(start).map(|token| token.depth) else { return tokens.len() };
    let mut index = start;
    while index < tokens.len() && tokens[index].depth >= depth {
        let token = &tokens[index];
        if token.depth == depth && token.text == ";" {
            return index + 1;
        }
        if token.depth == depth && token.text == "{" {
            return closing(tokens, index) + 1;
        }
        index += 1;
    }
    index
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A source for the rules' own tests.
    pub(in crate::tidy) fn source(path: &str, text: &str) -> Source {
        Source::parse(path.into(), text.to_owned()).unwrap()
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        let source = source("x.rs", "// crate::a\n/* fn f() { */ const A: &str = r#\"use b::*; }\"#;\n");
        assert!(source.tokens.iter().all(|token| token.text != "crate" && token.text != "fn"));
    }

    #[test]
    fn test_code_ends_where_its_item_ends() {
        let text = "#[cfg(test)]\nmod tests { fn a() {} }\nfn b() {}\n#[cfg(test)] use c;\n#[test] #[ignore] fn d() { e }\n#[cfg(not(test))] fn f() {}";
        let source = source("x.rs", text);
        let is_test = |name: &str| source.tokens.iter().find(|t| t.text == name).unwrap().test;
        assert_eq!(["a", "b", "c", "d", "e", "f"].map(is_test), [true, false, true, true, true, false]);
    }

    #[test]
    fn a_file_of_tests_is_test_code() {
        assert!(source("agent-daemon/src/store/tests.rs", "fn a() {}").tokens.iter().all(|t| t.test));
        assert!(source("tests/suite/main.rs", "fn a() {}").tokens.iter().all(|t| !t.test));
    }

    #[test]
    fn paths_and_inline_modules_are_seen() {
        let source = source("x.rs", "mod a { mod b { c::d } }");
        let texts: Vec<&str> = source.tokens.iter().map(|t| t.text.as_str()).collect();
        assert_eq!(texts, ["mod", "a", "{", "mod", "b", "{", "c", "::", "d", "}", "}"]);
        assert_eq!(source.tokens.iter().find(|t| t.text == "c").unwrap().modules, 2);
    }
}

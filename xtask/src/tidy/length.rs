//! Files of more than 400 lines and functions of more than 60 are split, or listed here with a reason. An
//! exception that nothing needs any more is a finding, too.

use std::path::Path;

use super::{
    Finding,
    source::{Source, Token, closing},
};

const FILE: usize = 400;
const FUNCTION: usize = 60;

/// A file that may be long, or a function in it (`path::name`), and why.
const EXCEPTIONS: &[(&str, &str)] = &[];

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    check_with(sources, EXCEPTIONS)
}

fn check_with(sources: &[Source], exceptions: &[(&str, &str)]) -> Vec<Finding> {
    let mut used = vec![false; exceptions.len()];
    let mut findings: Vec<Finding> = sources
        .iter()
        .flat_map(long_places)
        .filter(|(name, _)| match exceptions.iter().position(|(excepted, _)| excepted == name) {
            Some(index) => {
                used[index] = true;
                false
            }
            None => true,
        })
        .map(|(_, finding)| finding)
        .collect();
    for ((name, _), _) in exceptions.iter().zip(used).filter(|(_, used)| !used) {
        let message = format!("the exception for {name} is not needed any more: remove it");
        findings.push(Finding { path: Path::new(file!()).to_path_buf(), line: 1, message });
    }
    findings
}

/// The file if it is long, and its long functions, by the name that an exception would give them.
fn long_places(source: &Source) -> Vec<(String, Finding)> {
    let path = source.path.display().to_string();
    let finding = |line, message| Finding { path: source.path.clone(), line, message };
    let mut places = Vec::new();
    let lines = source.text.lines().count();
    if lines > FILE {
        let message = format!("{lines} lines, more than {FILE}: split it");
        places.push((path.clone(), finding(1, message)));
    }
    for (name, line, length) in functions(source).filter(|(_, _, length)| *length > FUNCTION) {
        let message = format!("`{name}` has {length} lines, more than {FUNCTION}: split it");
        places.push((format!("{path}::{name}"), finding(line, message)));
    }
    places
}

/// Name, first line and number of lines of every function with a body.
fn functions(source: &Source) -> impl Iterator<Item = (&str, usize, usize)> {
    let tokens = &source.tokens;
    tokens.iter().enumerate().filter(|(_, token)| token.text == "fn").filter_map(move |(index, token)| {
        let body = body(tokens, index)?;
        let last = tokens.get(closing(tokens, body))?.line;
        Some((source.at(index + 1), token.line, last - token.line + 1))
    })
}

/// The brace that opens the body of the function at `index`; none for a declaration or a pointer's type.
fn body(tokens: &[Token], index: usize) -> Option<usize> {
    let depth = tokens[index].depth;
    let ends =
        |token: &Token| token.depth < depth || token.depth == depth && ["{", ";"].contains(&&*token.text);
    let end = index + tokens[index..].iter().position(ends)?;
    let named = tokens.get(index + 1).is_some_and(|token| token.text != "(");
    (named && tokens[end].depth == depth && tokens[end].text == "{").then_some(end)
}

#[cfg(test)]
mod tests {
    use super::{super::source::tests::source, *};

    fn function(lines: usize) -> String {
        format!("fn f(a: fn(u8) -> u8) where u8: Copy {{\n{}}}\n", "    let _ = 1;\n".repeat(lines - 2))
    }

    fn messages(text: &str, exceptions: &[(&str, &str)]) -> Vec<String> {
        check_with(&[source("x.rs", text)], exceptions).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn sixty_lines_pass_and_sixty_one_do_not() {
        assert!(messages(&function(60), &[]).is_empty());
        let text = format!("trait A {{ fn g(&self); }}\n{}", function(61));
        assert_eq!(messages(&text, &[]), ["x.rs:2: `f` has 61 lines, more than 60: split it"]);
    }

    #[test]
    fn long_files_are_found() {
        assert!(messages(&"// line\n".repeat(400), &[]).is_empty());
        assert_eq!(messages(&"// line\n".repeat(401), &[]), ["x.rs:1: 401 lines, more than 400: split it"]);
    }

    #[test]
    fn an_exception_holds_while_it_is_needed() {
        let exceptions = [("x.rs::f", "a table")];
        assert!(messages(&function(61), &exceptions).is_empty());
        assert_eq!(messages(&function(60), &exceptions).len(), 1);
    }
}

//! No wildcard imports: they hide which file needs what, and [`super::imports`] could not see through them.
//! A test module may import all of what it tests.

use super::{Finding, source::Source};

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let tokens = &source.tokens;
    let mut findings = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        // `use<'a>` in a return type is no import.
        if source.at(index) != "use" || source.at(index + 1) == "<" {
            index += 1;
            continue;
        }
        let length = tokens[index..].iter().take_while(|token| token.text != ";").count();
        let statement = &tokens[index..index + length];
        let what: String = statement.iter().skip(1).map(|token| token.text.as_str()).collect();
        let allowed = tokens[index].test && what.contains("super::") && stars(&what) == 1 && of_super(&what);
        if stars(&what) > 0 && !allowed {
            let message = format!("wildcard import `{what}`: name what is used");
            findings.push(Finding { path: source.path.clone(), line: tokens[index].line, message });
        }
        index += length;
    }
    findings
}

fn stars(what: &str) -> usize {
    what.matches('*').count()
}

/// `super::*`, alone or in a group after `super::`.
fn of_super(what: &str) -> bool {
    what == "super::*" || what.starts_with("super::{") && (what.contains(",*") || what.contains("{*"))
}

#[cfg(test)]
mod tests {
    use super::{super::source::tests::source, *};

    fn lines(text: &str) -> Vec<usize> {
        check(&source("x.rs", text)).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn wildcards_are_found_in_every_form() {
        assert_eq!(lines("use a::*;"), [1]);
        assert_eq!(lines("\npub use a::{b, c::*};"), [2]);
        assert_eq!(lines("fn f() {\n    use super::*;\n}"), [2]);
        assert_eq!(lines("#[cfg(test)] mod tests { use a::*; }"), [1]);
        assert_eq!(lines("#[cfg(test)] mod tests { use super::{a::*, b}; }"), [1]);
    }

    #[test]
    fn what_is_no_wildcard_passes() {
        assert!(lines("use a::{b, c}; fn f(x: *const u8) -> u8 { 2 * 3 }").is_empty());
        assert!(lines("fn f(x: &str) -> impl Fn() + use<'_> { || { *x; } }").is_empty());
        assert!(lines("#[cfg(test)] mod tests { use super::*; }").is_empty());
        assert!(lines("#[cfg(test)] mod tests { use super::{super::a, *}; }").is_empty());
    }
}

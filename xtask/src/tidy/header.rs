//! Every file opens with `//!`: why it exists, its limits and invariants.

use super::{Finding, source::Source};

pub(super) fn check(source: &Source) -> Option<Finding> {
    let words = source.text.lines().next().and_then(|first| first.strip_prefix("//!"));
    if words.is_some_and(|words| !words.trim().is_empty()) {
        return None;
    }
    let message = "does not open with `//!`: say why this file exists, and its limits".to_owned();
    Some(Finding { path: source.path.clone(), line: 1, message })
}

#[cfg(test)]
mod tests {
    use super::{super::source::tests::source, *};

    #[test]
    fn a_file_says_first_why_it_exists() {
        assert!(check(&source("x.rs", "//! Because.\nfn a() {}")).is_none());
        for text in ["fn a() {}", "// Because.\n", "//!\nfn a() {}", "", "\n//! Late."] {
            assert!(check(&source("x.rs", text)).is_some(), "{text:?}");
        }
    }
}

//! Names without what makes each of them new, and how many different ones there may be.
//!
//! A name is a template where the sender's library knows it. Where it does not, what looks like an id is replaced. Beyond
//! a bound, new names are `other`: a client that puts ids where they do not belong makes no endless list.

use std::sync::{Mutex, PoisonError};

use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use std::hash::{Hash, Hasher};

/// Characters of a token that mixes digits and letters.
const SHORTEST_TOKEN: usize = 7;
/// Digits of a number that may say when or how many, in a name that is no path.
const LONGEST_YEAR: usize = 4;

/// What stands in place of one too many.
const OTHER: &str = "other";

/// A path or URL as a name: without scheme, host, query and fragment, its ids replaced by `{id}`.
pub(super) fn route_of(text: &str) -> String {
    let path = match text.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| rest.get(at..).unwrap_or("/")),
        None => text,
    };
    let segments: Vec<&str> =
        without_query(path).split('/').map(|part| without_id(part, is_number)).collect();
    segments.join("/")
}

/// The text up to a query, a fragment or matrix parameters.
pub(super) fn without_query(text: &str) -> &str {
    text.split(['?', '#', ';']).next().unwrap_or_default()
}

/// A name that is no path may hold ids, too: words that are ids are replaced.
pub(super) fn name_of(text: &str) -> String {
    let word = |word: &str| match word.contains('/') {
        true => route_of(word),
        false => without_id(word, |word| is_number(word) && word.len() > LONGEST_YEAR).to_owned(),
    };
    let words: Vec<String> = without_query(text).split(' ').map(word).collect();
    words.join(" ")
}

/// `{id}` in place of what names one thing among many: a number of this sort, a UUID, a long or mixed token, an address.
fn without_id(part: &str, is_number: impl Fn(&str) -> bool) -> &str {
    // A template's own parameter is none.
    let is_parameter = part.starts_with(['{', '<', ':']);
    if !is_parameter && (is_number(part) || is_token(part)) { "{id}" } else { part }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// What is short, like `s3` or `sha256`, is rather a name.
fn is_token(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let hexadecimal = text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let mixed = digits > 0 && !is_number(text) && (hexadecimal || digits * 3 >= text.len());
    mixed && text.len() >= SHORTEST_TOKEN
        || digits > 0 && text.len() >= 16
        || text.len() >= 32
        || text.contains(['@', '%', '='])
}

/// What a name is of; each has a bound of its own for each project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Field {
    Kind,
    Name,
    Model,
    Label,
}

impl Field {
    /// Different values that are kept apart.
    const fn most(self) -> usize {
        match self {
            Self::Kind => 32,
            Self::Name => 500,
            Self::Model => 50,
            Self::Label => 1000,
        }
    }
}

/// The names that came so far, as hashes.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<FxHashMap<(String, Field), FxHashSet<u64>>>);

impl Known {
    /// Leaves the value as it is, or makes it `other`, if it is new and there are too many; whether it was left.
    pub(super) fn bound(&self, project: &str, field: Field, value: &mut String) -> bool {
        let mut hasher = FxHasher::default();
        value.hash(&mut hasher);
        let hash = hasher.finish();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let values = known.entry((project.to_owned(), field)).or_default();
        if values.contains(&hash) || values.len() < field.most() && values.insert(hash) || value == OTHER {
            return true;
        }
        *value = OTHER.to_owned();
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_queries_go_and_templates_stay() {
        for (text, expected) in [
            ("/orders/4711?token=planted", "/orders/{id}"),
            ("https://shop.example:8/a/b#c", "/a/b"),
            ("https://shop.example", "/"),
            ("/users/3f2504e0-4f89-11d3-9a0c-0305e82c3301/posts", "/users/{id}/posts"),
            ("/orders/<int:id>/{item}", "/orders/<int:id>/{item}"),
            ("/api/v1/agents", "/api/v1/agents"),
            ("/reset/eyJhbGciOiJIUzI1NiJ9", "/reset/{id}"),
            ("/mail/ada@example.org", "/mail/{id}"),
            ("/assets/app.js", "/assets/app.js"),
            ("/s3/h264/v10/7", "/s3/h264/v10/{id}"),
            ("/commits/3fa9c1d", "/commits/{id}"),
        ] {
            assert_eq!(route_of(text), expected);
        }
        assert_eq!(name_of("GET /orders/12?x=1"), "GET /orders/{id}");
        for name in ["render template", "s3", "import 2024", "sha256 sum", "step 3 of 12"] {
            assert_eq!(name_of(name), name);
        }
        assert_eq!(name_of("mail to ada@example.org of order 48151623"), "mail to {id} of order {id}");
        assert_eq!(name_of("job 3f2504e0-4f89-11d3"), "job {id}");
    }

    #[test]
    fn one_too_many_is_other() {
        let known = Known::default();
        let mut left = 0;
        for n in 0..10_000 {
            let mut value = format!("name {n}");
            left += usize::from(known.bound("shop", Field::Name, &mut value));
        }
        assert_eq!(left, Field::Name.most());
        let mut first = "name 0".to_owned();
        assert!(known.bound("shop", Field::Name, &mut first) && first == "name 0");
        let mut elsewhere = "name 9999".to_owned();
        assert!(known.bound("other shop", Field::Name, &mut elsewhere));
    }
}

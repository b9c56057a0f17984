//! Route templates: paths and names without what makes each of them new.
//!
//! A name is a template where the sender's library knows it. Where it does not, what looks like an id is replaced. This
//! is a guess by form alone: an id that looks like a word stays, and whoever keeps names bounds their number.

/// Characters of a token that mixes digits and letters.
const SHORTEST_TOKEN: usize = 7;
/// Digits of a number that may say when or how many, in a name that is no path.
const LONGEST_YEAR: usize = 4;

/// A path or URL as a name: without scheme, host, query and fragment, its ids replaced by `{id}`.
#[must_use]
pub fn route_of(text: &str) -> String {
    let path = match text.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| rest.get(at..).unwrap_or("/")),
        None => text,
    };
    let segments: Vec<&str> =
        without_query(path).split('/').map(|part| without_id(part, is_number)).collect();
    segments.join("/")
}

/// The text up to a query, a fragment or matrix parameters.
#[must_use]
pub fn without_query(text: &str) -> &str {
    text.split(['?', '#', ';']).next().unwrap_or_default()
}

/// A name that is no path may hold ids, too: words that are ids are replaced.
#[must_use]
pub fn name_of(text: &str) -> String {
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
}

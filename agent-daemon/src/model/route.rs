//! Route templates: paths and names without what makes each of them new.
//!
//! A name is a template where the sender's library knows it. Where it does not, what looks like an id is replaced. This
//! is a guess by form alone: an id that looks like a word stays, and whoever keeps names bounds their number.

/// Characters of a token that mixes digits and letters.
const SHORTEST_TOKEN: usize = 7;
/// Digits of a number that may say when or how many, in a name that is no path.
const LONGEST_YEAR: usize = 4;

/// The longest part of a path that is made of words, the longest word, and how many there may be: titles are content.
const LONGEST_PART: usize = 48;
const LONGEST_WORD: usize = 24;
const MOST_WORDS: usize = 4;
/// Consonants in a row that no word has.
const MOST_CONSONANTS: usize = 7;

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

/// The template of a path that was really asked for, which nobody made for being read: of each part only what is made of words
/// stays. `None` for what is no path.
#[must_use]
pub fn endpoint_of(path: &str) -> Option<String> {
    let path = match path {
        // A whole URL without a path.
        "" => "/",
        // Of the server as such (OPTIONS).
        "*" => return Some("*".to_owned()),
        path if path.starts_with('/') => path,
        // What proxies are asked for.
        _ => return None,
    };
    let part = |part| if is_words(part) && !is_number(part) { part } else { "{id}" };
    let parts: Vec<&str> = without_query(path).split('/').map(part).collect();
    Some(parts.join("/"))
}

/// Whether it is nothing, or a few words: what is made up is seldom pronounced.
fn is_words(part: &str) -> bool {
    let is_separator = |c: char| matches!(c, '.' | '-' | '_' | ':');
    let shown = part.strip_prefix('~').unwrap_or(part);
    let mut words = shown.split(is_separator).filter(|word| !word.is_empty());
    part.len() <= LONGEST_PART && words.clone().count() <= MOST_WORDS && words.all(is_word)
}

/// A word of letters, or one with few digits, like `v1`, `oauth2` or `base64`.
fn is_word(word: &str) -> bool {
    let count = |is: fn(&u8) -> bool| word.bytes().filter(is).count();
    let (digits, upper) = (count(u8::is_ascii_digit), count(u8::is_ascii_uppercase));
    let (lower, length) = (count(u8::is_ascii_lowercase), word.len());
    let is_mixed = digits > 0 && upper > 0 && lower > 0;
    let few_digits = match digits {
        0 => length <= LONGEST_WORD,
        1..=2 => length <= 16 && !(is_mixed && length >= SHORTEST_TOKEN),
        3..=4 => length < SHORTEST_TOKEN,
        _ => false,
    };
    // getUserById, but not QWxhZGRpbjpv.
    let is_scrambled = lower > 0 && length >= 12 && upper * 3 > length;
    let is_pronounced = !is_scrambled && consonants(word) < MOST_CONSONANTS;
    digits + upper + lower == length && few_digits && is_pronounced && !is_token(word)
}

/// The most consonants in a row.
fn consonants(word: &str) -> usize {
    let is_consonant = |c: char| c.is_ascii_alphabetic() && !"aeiouyAEIOUY".contains(c);
    word.split(|c| !is_consonant(c)).map(str::len).max().unwrap_or(0)
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
    use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    #[test]
    fn of_a_path_that_was_asked_for_words_stay() {
        for path in [
            "/",
            "/v1/chat/completions",
            "/api/v1beta1/agents",
            "/oauth2/token",
            "/google.pubsub.v1.Publisher/GetUserProfileById",
            "/base64/utf8/s3",
            "/.well-known/openid-configuration",
            "/assets/app.js",
            "/organizations_and_memberships",
        ] {
            assert_eq!(endpoint_of(path).as_deref(), Some(path));
        }
        for (path, expected) in [
            ("", "/"),
            ("/orders/4711?token=planted", "/orders/{id}"),
            ("/v1/models/claude-3-5-sonnet-20241022", "/v1/models/{id}"),
            ("/reset/QWxhZGRpbjpvcGVu", "/reset/{id}"),
            ("/key/sk-ant-api03-Zm9vYmFy", "/key/{id}"),
            ("/blog/why-we-left-the-cloud-behind", "/blog/{id}"),
            ("/mail/ada@example.org", "/mail/{id}"),
            ("/f/a%20b", "/f/{id}"),
            ("/h/deadbeef", "/h/deadbeef"),
            ("/h/dead7bee", "/h/{id}"),
        ] {
            assert_eq!(endpoint_of(path).as_deref(), Some(expected), "{path}");
        }
        assert_eq!(endpoint_of("api.openai.com:443"), None);
    }

    /// What keys, ids and addresses look like.
    fn secret() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9]{1,20}",
            "[0-9a-f]{7}[0-9][0-9a-f]{8,56}",
            "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}",
            "[A-Za-z0-9]{15}[0-9][A-Za-z0-9_-]{4,60}",
            "[A-Za-z]{49,80}",
            "[A-Za-z0-9+_-]{20,60}={1,2}",
            "[a-z]{1,10}@[a-z]{1,10}[.]com",
            "eyJ[A-Za-z0-9]{20}[0-9][.]eyJ[A-Za-z0-9]{20}[.][A-Za-z0-9_-]{43}",
            "(sk|pk|rk)_(live|test)_[A-Za-z0-9]{16}[0-9]{2}[A-Za-z0-9]{6}",
            "gh[pousr]_[A-Za-z0-9]{17}[0-9][A-Za-z0-9]{18}",
            "AKIA[A-Z2-7]{14}[2-7][A-Z2-7]",
        ]
    }

    proptest! {
        #[test]
        fn no_secret_stands_in_an_endpoint(secret in secret(), before in "(/[a-z]{1,8}){0,3}", after in "(/[a-z]{1,8}){0,2}") {
            let route = endpoint_of(&format!("{before}/{secret}{after}?key={secret}")).unwrap();
            prop_assert!(!route.contains(&secret), "{route}");
            prop_assert!(route.contains("{id}"), "{route}");
        }

        #[test]
        fn any_path_becomes_an_endpoint_that_stays_as_it_is(path in "/.{0,60}") {
            let route = endpoint_of(&path).unwrap();
            prop_assert!(route.starts_with('/') && !route.contains('?'));
            prop_assert_eq!(endpoint_of(&route.replace("{id}", "7")), Some(route));
        }
    }

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

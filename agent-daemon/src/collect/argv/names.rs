//! What the name of a flag, variable, header or field says about its value.

/// What a name makes of the value after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing: the value is judged by its own looks.
    Plain,
    /// The value is a secret.
    Secret,
    /// The value is text: a prompt, a message, a request body.
    Text,
    /// The value is a header: its name may be shown, its value not.
    Header,
    /// The value is `USER:PASSWORD`.
    User,
}

/// Fragments that make any name a secret's.
const SECRET_FRAGMENTS: &str = "secret passw passphrase credential apikey accesskey privatekey sharedkey authkey bearer cookie \
    signature token fromliteral";

/// Words that make a name a secret's where they stand alone between separators.
const SECRET_WORDS: &str =
    "key keys pass pwd pw creds auth authorization authentication sig jwt pat psk otp pin sas";

/// Last words that say the value only describes a secret.
const ABOUT: &str = "length size len type mode method scheme provider format alg algorithm stdin enabled timeout \
    limit count ttl";

/// Words that make a flag's value text.
const TEXT_WORDS: &str =
    "prompt prompts message messages instruction instructions question query goal task say";

/// Flags whose value is a body, alone or before the way it is encoded.
const BODIES: [&[&str]; 9] = [
    &["data"],
    &["data", "raw"],
    &["data", "binary"],
    &["data", "urlencode"],
    &["data", "ascii"],
    &["body"],
    &["body", "data"],
    &["post", "data"],
    &["text"],
];

/// Last words after which a text flag's value is a name or figure after all.
const NOT_TEXT: &str = "file files path dir directory id ids tool tokens length len size cache timeout type format name \
    interval";

/// What a name, with its dashes, says about its value.
pub(super) fn meaning(name: &str) -> Meaning {
    let words = words(name.trim_start_matches('-'));
    if is_secret(&words) {
        return Meaning::Secret;
    }
    let last = words.last().map_or("", String::as_str);
    let text = || words.iter().any(|w| has_word(TEXT_WORDS, w)) && !has_word(NOT_TEXT, last);
    if matches!(last, "header" | "headers") {
        Meaning::Header
    } else if last == "user" && name.starts_with('-') {
        Meaning::User
    } else if name.starts_with('-') && (text() || is_body(&words)) {
        Meaning::Text
    } else {
        Meaning::Plain
    }
}

/// Whether a name is a secret's, given its value: `--max-tokens 100` and `--key-file /run/k` are none.
pub(in crate::collect) fn is_secret_with(name: &str, value: &str) -> bool {
    let words = words(name.trim_start_matches('-'));
    is_secret(&words) && !is_harmless(&words, value)
}

/// Whether `word` is one of the words of a list separated by blanks.
pub(super) fn has_word(list: &str, word: &str) -> bool {
    list.split(' ').any(|w| w == word)
}

fn is_secret(words: &[String]) -> bool {
    let last = words.last().map_or("", String::as_str);
    if has_word(ABOUT, last) || words.first().is_some_and(|w| w == "no") || matches!(words, [w] if w == "pwd")
    {
        return false;
    }
    let squashed = words.concat();
    let tokenizer = words.iter().any(|w| w.starts_with("tokeni"));
    SECRET_FRAGMENTS.split(' ').any(|f| squashed.contains(f) && !(tokenizer && f == "token"))
        || words.iter().any(|w| has_word(SECRET_WORDS, w))
        || squashed.ends_with("key")
}

/// A count of tokens, or the path of a file that holds the secret.
fn is_harmless(words: &[String], value: &str) -> bool {
    let last = words.last().map_or("", String::as_str);
    let count = !value.is_empty() && value.len() <= 9 && value.bytes().all(|b| b.is_ascii_digit());
    let path = value.starts_with(['/', '.', '~']) && !value.contains(char::is_whitespace);
    (count && words.iter().any(|w| w == "tokens"))
        || (path && matches!(last, "file" | "files" | "path" | "dir" | "directory"))
}

fn is_body(words: &[String]) -> bool {
    BODIES.iter().any(|body| body.iter().eq(words.iter()))
}

/// The end of a name, bytes, that is looked at.
const LONGEST_NAME: usize = 128;

/// The lower-case words of a name: `AWS_SECRET`, `x-api-key` and `apiKey` all have them.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut previous_lower = false;
    let tail = name.get(name.ceil_char_boundary(name.len().saturating_sub(LONGEST_NAME))..).unwrap_or(name);
    for c in tail.chars() {
        let upper = c.is_uppercase();
        if !c.is_alphanumeric() || (upper && previous_lower) {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        previous_lower = c.is_lowercase();
    }
    words.retain(|w| !w.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::{Meaning, is_secret_with, meaning};

    #[test]
    fn names_of_secrets_are_known() {
        for name in [
            "--api-key",
            "OPENAI_API_KEY",
            "--token",
            "githubToken",
            "DB_PASSWORD",
            "--pass",
            "DB_PWD",
            "authorization",
            "x-api-key",
            "Cookie",
            "AWS_ACCESS_KEY_ID",
            "client_secret",
            "KEY",
            "--hf-token",
            "MYKEY",
            "sas",
            "PGPASSWORD",
            "aws_session_token",
            "-Dkey",
            "--auth",
            "pw",
            "--creds",
            "--from-literal",
        ] {
            assert_eq!(meaning(name), Meaning::Secret, "{name}");
        }
        for name in [
            "--author",
            "--tokenizer",
            "--keyboard",
            "PWD",
            "--monkeys",
            "--model",
            "--no-auth",
            "--auth-mode",
            "--compass",
            "--bypass",
            "--passthrough",
            "--token-limit",
        ] {
            assert_eq!(meaning(name), Meaning::Plain, "{name}");
        }
    }

    #[test]
    fn counts_and_paths_are_no_secrets() {
        assert!(!is_secret_with("--max-tokens", "4096"));
        assert!(is_secret_with("--token", "4096"));
        assert!(!is_secret_with("--key-file", "/run/key"));
        assert!(is_secret_with("--key-file", "c2VjcmV0"));
    }

    #[test]
    fn names_of_text_are_known() {
        for name in
            ["--prompt", "--system-prompt", "--append-system-prompt", "--message", "--data", "--data-raw"]
        {
            assert_eq!(meaning(name), Meaning::Text, "{name}");
        }
        for name in
            ["--prompt-file", "--data-parallel-size", "--input-format", "--permission-prompt-tool", "data"]
        {
            assert_eq!(meaning(name), Meaning::Plain, "{name}");
        }
        assert_eq!(meaning("--header"), Meaning::Header);
        assert_eq!((meaning("--proxy-user"), meaning("--user")), (Meaning::User, Meaning::User));
    }
}

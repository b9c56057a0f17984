//! Finds secrets inside one argument by their looks: the shapes of known keys, credentials in URLs,
//! headers, assignments to names of secrets, and long random strings.
//!
//! What cannot be found by looks, a word that merely happens to be a password, is found by its place: see
//! the parent module. Cut arguments are expected: every shape is known by how it begins.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

use super::names::is_secret_with;

/// What stands for a secret.
pub(in crate::collect) const REDACTED: &str = "[redacted]";

/// The shapes of well-known keys. Each alternative starts at a word boundary and ends with the last
/// character such a key can have.
pub(in crate::collect) const SHAPES: &str = concat!(
    r"(?x)\b(?:",
    // OpenAI, Anthropic, OpenRouter, DeepSeek, Stripe, Cerebras
    r"(?:sk|rk|pk|csk|sess)[-_][A-Za-z0-9_\-]{6,}",
    // GitHub, GitLab
    r"|gh[pousr]_[A-Za-z0-9_]{6,}|github_pat_[A-Za-z0-9_]{6,}|gl[a-z]{2,6}-[A-Za-z0-9_\-.]{10,}",
    // Slack
    r"|x(?:ox[a-z]|app)-[A-Za-z0-9\-]{6,}",
    // AWS
    r"|(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{8,}",
    // Google
    r"|AIza[A-Za-z0-9_\-]{10,}|ya29\.[A-Za-z0-9_\-.]{6,}|GOCSPX-[A-Za-z0-9_\-]{6,}",
    // Hugging Face, npm, PyPI, Docker, Groq, Replicate, Perplexity, xAI, Tavily, Fireworks, NVIDIA, Notion
    r"|hf_[A-Za-z0-9]{6,}|npm_[A-Za-z0-9]{6,}|pypi-[A-Za-z0-9_\-]{10,}|dckr_[a-z]+_[A-Za-z0-9_\-]{6,}",
    r"|gsk_[A-Za-z0-9]{6,}|r8_[A-Za-z0-9]{6,}|pplx-[A-Za-z0-9]{6,}|xai-[A-Za-z0-9]{6,}|tvly-[A-Za-z0-9_\-]{6,}",
    r"|fw_[A-Za-z0-9]{10,}|nvapi-[A-Za-z0-9_\-]{6,}|ntn_[A-Za-z0-9]{6,}|secret_[A-Za-z0-9]{10,}",
    // Linear, Figma, Shopify, DigitalOcean, SendGrid, Vault, Doppler, age
    r"|lin_api_[A-Za-z0-9]{6,}|figd_[A-Za-z0-9_\-]{6,}|shp[a-z]{2}_[A-Za-z0-9]{6,}|do[opr]_v1_[a-z0-9]{6,}",
    r"|SG\.[A-Za-z0-9_\-.]{10,}|hv[sbr]\.[A-Za-z0-9_\-]{6,}|dp\.[a-z]{2,7}\.[A-Za-z0-9]{6,}|AGE-SECRET-KEY-[A-Z0-9]*",
    // JSON Web Tokens, whole or cut
    r"|eyJ[A-Za-z0-9_\-]{6,}(?:\.[A-Za-z0-9_\-]*)*",
    // Webhooks, whose path is the secret
    r"|hooks\.slack\.com/[^\s]*|discord(?:app)?\.com/api/webhooks/[^\s]*|api\.telegram\.org/bot[^\s]*",
    r")",
);

/// Keys of several lines: in a command line, all that follows.
const BLOCK: &str = r"|-----BEGIN[\s\S]*";

#[expect(clippy::expect_used, reason = "the pattern is a constant, and a test compiles it")]
static SHAPE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&format!("{SHAPES}{BLOCK}")).expect("a valid pattern"));

/// Replaces every secret that can be told by its looks.
pub(super) fn redact(text: &str) -> Cow<'_, str> {
    let text = redact_assignment(text);
    let text = then(text, redact_scheme);
    let text = then(text, redact_userinfo);
    let text = then(text, redact_known);
    then(text, redact_random)
}

/// Replaces every key of a known shape.
pub(super) fn redact_known(text: &str) -> Cow<'_, str> {
    SHAPE.replace_all(text, REDACTED)
}

fn then(text: Cow<'_, str>, step: impl Fn(&str) -> Cow<'_, str>) -> Cow<'_, str> {
    match step(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(new) => Cow::Owned(new),
    }
}

/// Hides what follows `NAME=` or `NAME:` where the name is a secret's: to the end of the argument, or of
/// the parameter where it stands in a URL's query.
fn redact_assignment(text: &str) -> Cow<'_, str> {
    let mut in_query = false;
    for (at, c) in text.char_indices() {
        in_query |= matches!(c, '?' | '#') && text.get(..at).is_some_and(|t| t.contains("://"));
        let (Some(before), Some(after)) = (text.get(..at), text.get(at + c.len_utf8()..)) else { continue };
        if !matches!(c, '=' | ':') || (c == ':' && after.starts_with("//")) {
            continue;
        }
        let value = after.trim_start_matches([' ', '"', '\'', '\\', '=']);
        if value.is_empty() || !is_secret_with(name_before(before), value) {
            continue;
        }
        let kept = text.get(..text.len() - value.len()).unwrap_or_default();
        let rest = in_query.then(|| value.find('&').and_then(|end| value.get(end..))).flatten();
        let rest = rest.map_or(Cow::Borrowed(""), redact_assignment_in_query);
        return Cow::Owned(format!("{kept}{REDACTED}{rest}"));
    }
    Cow::Borrowed(text)
}

/// Goes on behind a hidden parameter of a query.
fn redact_assignment_in_query(rest: &str) -> Cow<'_, str> {
    let mut out = String::new();
    for parameter in rest.split_inclusive('&') {
        let name = parameter.split('=').next().unwrap_or_default();
        match parameter.split_once('=') {
            Some((_, value)) if is_secret_with(name, value) => {
                out.push_str(name);
                out.push('=');
                out.push_str(REDACTED);
                out.push_str(if value.ends_with('&') { "&" } else { "" });
            }
            _ => out.push_str(parameter),
        }
    }
    Cow::Owned(out)
}

/// The name that ends where an assignment's sign stands.
fn name_before(before: &str) -> &str {
    let before = before.trim_end_matches([' ', '"', '\'', '\\']);
    let start = before.rfind(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.'));
    start.and_then(|s| before.get(s..)).unwrap_or(before).trim_start_matches(|c: char| !c.is_alphanumeric())
}

/// Hides what follows an authentication scheme: `Bearer X`, `Basic X`.
fn redact_scheme(text: &str) -> Cow<'_, str> {
    let lower = text.to_ascii_lowercase();
    for scheme in ["bearer ", "basic ", "digest ", "token "] {
        let starts_word = |at: usize| {
            lower
                .get(..at)
                .is_some_and(|b| !b.ends_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_'))
        };
        if let Some(at) = lower.match_indices(scheme).map(|(at, _)| at).find(|at| starts_word(*at))
            && let Some(kept) = text.get(..at + scheme.len())
            && kept.len() < text.len()
        {
            return Cow::Owned(format!("{kept}{REDACTED}"));
        }
    }
    Cow::Borrowed(text)
}

/// Hides the user part of URLs. Passwords in URLs are often not encoded, so everything up to the last `@`
/// goes; and a URL whose port is no port may be one cut before its `@`, so all of it goes.
fn redact_userinfo(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else { return Cow::Borrowed(text) };
    let (url, after) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
    let url = match url.rsplit_once('@') {
        Some((_, host))
            if !is_host(authority(url)) || !scheme.ends_with("http") && !scheme.ends_with("https") =>
        {
            Cow::Owned(format!("{REDACTED}@{host}"))
        }
        None if !is_host(authority(url)) => Cow::Owned(REDACTED.to_owned()),
        _ => Cow::Borrowed(url),
    };
    match (url, redact_userinfo(after)) {
        (Cow::Borrowed(_), Cow::Borrowed(_)) => Cow::Borrowed(text),
        (url, after) => Cow::Owned(format!("{scheme}://{url}{after}")),
    }
}

fn authority(url: &str) -> &str {
    url.split(['/', '?', '#']).next().unwrap_or_default()
}

/// Whether an authority is a host, perhaps with a port, and nothing else.
fn is_host(authority: &str) -> bool {
    let port = match authority.strip_prefix('[').and_then(|a| a.split_once(']')) {
        Some((_, port)) => port.strip_prefix(':'),
        None => authority.split_once(':').map(|(_, port)| port),
    };
    let is_port = |p: &str| !p.is_empty() && p.len() <= 5 && p.bytes().all(|b| b.is_ascii_digit());
    !authority.contains('@') && port.is_none_or(is_port)
}

/// Hides long random strings: 32 characters or more with at least three capitals, small letters and
/// digits each. Hashes in hexadecimal, which are mostly no secrets, stay.
fn redact_random(text: &str) -> Cow<'_, str> {
    let of_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+');
    let mut out: Option<String> = None;
    let mut done = 0;
    for run in text.split(|c| !of_key(c)).filter(|r| is_random(r)) {
        let Some(start) = text.get(done..).and_then(|t| t.find(run)).map(|at| at + done) else { continue };
        let out = out.get_or_insert_default();
        out.push_str(text.get(done..start).unwrap_or_default());
        out.push_str(REDACTED);
        done = start + run.len();
    }
    match out {
        Some(out) => Cow::Owned(out + text.get(done..).unwrap_or_default()),
        None => Cow::Borrowed(text),
    }
}

/// Whether it looks like a key, whatever it is of.
pub(in crate::collect) fn is_random(run: &str) -> bool {
    let count = |class: fn(&u8) -> bool| run.bytes().filter(class).count();
    run.len() >= 32
        && count(u8::is_ascii_uppercase) >= 3
        && count(u8::is_ascii_lowercase) >= 3
        && count(u8::is_ascii_digit) >= 3
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn hides_what_looks_like_a_secret() {
        for (text, shown) in [
            ("OPENAI_API_KEY=abc", "OPENAI_API_KEY=[redacted]"),
            ("PASSWORD=a&b;c d", "PASSWORD=[redacted]"),
            ("--set=db.password=x,y=z", "--set=db.password=[redacted]"),
            ("Authorization: Bearer abc", "Authorization: [redacted]"),
            ("X-Api-Key:abc", "X-Api-Key:[redacted]"),
            ("use Bearer abc def", "use Bearer [redacted]"),
            ("https://u:p@h/x?a=b", "https://[redacted]@h/x?a=b"),
            ("postgres://u:p@ss/w@h/db", "postgres://[redacted]@h/db"),
            ("postgres://u:cut-off-pass", "postgres://[redacted]"),
            ("https://h/p?a=1&token=x&b=2&sig=z", "https://h/p?a=1&token=[redacted]&b=2&sig=[redacted]"),
            ("prefix,sk-ant-api03-abc_DEF", "prefix,[redacted]"),
            ("ghp_0123456789", "[redacted]"),
            ("eyJhbGciOi.eyJzdWIi.c2ln", "[redacted]"),
            ("eyJhbGciOi", "[redacted]"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIE", "[redacted]"),
            ("a/Zm9vYmFyQmF6UXV4MTIzNDU2Nzg5MGFiY2RlZg/b", "a/[redacted]/b"),
        ] {
            assert_eq!(redact(text), shown, "{text}");
        }
    }

    #[test]
    fn leaves_the_rest_alone() {
        for text in [
            "src/main.rs",
            "http://[::1]:8080/x",
            "https://example.com:8443/a@b",
            "git@github.com:org/repo.git",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "@modelcontextprotocol/server-filesystem",
            "--max-tokens=4096",
            "PWD=/home/u",
            "task-runner",
            "TestTheVeryLongNameOfSomethingThatIsTested2",
            "host:8080",
        ] {
            assert_eq!(redact(text), text, "{text}");
        }
    }
}

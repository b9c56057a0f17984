//! Routes: a path's end, and the dialect that is spoken there.

use crate::wire::dialect::Dialect;

/// The longest name of a model in a path, bytes.
const LONGEST_MODEL: usize = 256;

/// One route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    /// The path's last segments; `{model}` in one of them stands for the model's name.
    end: &'static str,
    pub(super) dialect: &'static Dialect,
    pub(super) stream: Option<bool>,
    /// Whether the path says nothing where the host is nobody's.
    pub(super) hosted: bool,
}

impl Route {
    /// A route whose requests say for themselves whether they ask for a stream.
    pub(super) const fn new(end: &'static str, dialect: &'static Dialect) -> Self {
        Self { end, dialect, stream: None, hosted: false }
    }

    /// A route that is this provider's only at its own hosts.
    pub(super) const fn hosted(end: &'static str, dialect: &'static Dialect) -> Self {
        Self { end, dialect, stream: None, hosted: true }
    }

    /// A route that answers in a stream, or does not.
    pub(super) const fn streaming(end: &'static str, dialect: &'static Dialect, stream: bool) -> Self {
        Self { end, dialect, stream: Some(stream), hosted: false }
    }

    /// Whether the path ends so, and with which model.
    pub(super) fn matches(&self, path: &str) -> Option<Option<String>> {
        let mut segments = path.trim_end_matches('/').rsplit('/');
        let mut model = None;
        for wanted in self.end.trim_start_matches('/').rsplit('/') {
            let segment = segments.next()?;
            match wanted.split_once("{model}") {
                None if segment == wanted => {}
                None => return None,
                Some((before, after)) => {
                    let name = segment.strip_prefix(before)?.strip_suffix(after)?;
                    model = Some(decoded(name).filter(|name| !name.is_empty())?);
                }
            }
        }
        Some(model)
    }
}

/// Percent signs decoded, if what comes out is a model's name.
fn decoded(name: &str) -> Option<String> {
    let mut bytes = name.bytes();
    let mut text = String::new();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                // Two digits are at most 255.
                (digit()? * 16 + digit()?) as u8
            }
            byte => byte,
        };
        if !byte.is_ascii_alphanumeric() && !b"._:/@-".contains(&byte) || text.len() >= LONGEST_MODEL {
            return None;
        }
        text.push(char::from(byte));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::dialect::chat;

    #[test]
    fn a_route_is_a_paths_end() {
        let route = Route::new("/models/{model}:generateContent", &chat::DIALECT);
        let model = |path| route.matches(path).map(Option::unwrap);
        assert_eq!(model("/v1beta/models/gemini-2.5-pro:generateContent").as_deref(), Some("gemini-2.5-pro"));
        assert_eq!(model("/models/a%2Fb%3A0:generateContent").as_deref(), Some("a/b:0"));
        for path in ["/models/x:streamGenerateContent", "/x:generateContent", "/models/:generateContent", ""]
        {
            assert_eq!(route.matches(path), None, "{path}");
        }
        assert_eq!(route.matches("/models/%zz:generateContent"), None);
        assert_eq!(
            Route::new("/chat/completions", &chat::DIALECT).matches("/v1/chat/completions/"),
            Some(None)
        );
        assert_eq!(Route::new("/completions", &chat::DIALECT).matches("/xcompletions"), None);
    }
}

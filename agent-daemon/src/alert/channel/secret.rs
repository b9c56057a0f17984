//! Secrets come from files or from the environment, are read anew for each try, so that a replaced one is taken up,
//! and are shown nowhere: what has one in it is cleaned before anybody reads it.

use std::{
    fmt,
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";
/// Secrets that are shorter are not looked for in texts: they would be found everywhere.
const SHORTEST: usize = 4;
/// The longest secret, bytes.
const MAX_SECRET: usize = 64 << 10;
/// The longest text of somebody else that is shown, characters.
const MAX_SHOWN: usize = 300;

/// Where a secret comes from. Not the secret itself: this may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Secret {
    File(PathBuf),
    Environment(String),
}

/// Why there is no secret. Says where it was looked for, never what was found.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    #[error("cannot read {0}: {1}")]
    Unreadable(PathBuf, io::Error),
    #[error("the environment has no {0}")]
    Unset(String),
    #[error("{0} holds nothing")]
    Empty(String),
    #[error("{0} holds more than one line, or what is no text")]
    NoText(String),
}

impl Secret {
    /// The one of two settings that is given.
    ///
    /// # Errors
    /// Both are.
    pub(super) fn choose(
        what: &str,
        file: Option<&PathBuf>,
        environment: Option<&String>,
    ) -> Result<Option<Self>, String> {
        match (file, environment) {
            (Some(_), Some(_)) => Err(format!("there are {what}_file and {what}_env: one is enough")),
            (Some(path), None) => Ok(Some(Self::File(path.clone()))),
            (None, Some(name)) => Ok(Some(Self::Environment(name.clone()))),
            (None, None) => Ok(None),
        }
    }

    /// The secret, without white space around it.
    pub(super) fn read(&self) -> Result<Revealed, SecretError> {
        let (text, place) = match self {
            Self::File(path) => {
                let text = text(path).map_err(|error| SecretError::Unreadable(path.clone(), error))?;
                (text, path.display().to_string())
            }
            Self::Environment(name) => {
                let text = std::env::var(name).map_err(|_| SecretError::Unset(name.clone()))?;
                (text, name.clone())
            }
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(SecretError::Empty(place));
        }
        if text.len() > MAX_SECRET || text.chars().any(char::is_control) {
            return Err(SecretError::NoText(place));
        }
        Ok(Revealed(text.to_owned()))
    }
}

/// A file's text; of one without end a beginning that is too long. A pipe that nobody writes to is empty.
fn text(path: &PathBuf) -> io::Result<String> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_SECRET as u64 + 2).read_to_end(&mut bytes)?;
    // Its bytes are not in the error.
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is no text"))
}

/// A secret that was read, for as long as a try takes.
pub(super) struct Revealed(String);

impl Revealed {
    /// The secret itself.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// Texts that must not be shown.
#[derive(Default)]
pub(super) struct Cleaner(Vec<String>);

impl fmt::Debug for Cleaner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cleaner").field(&self.0.len()).finish()
    }
}

impl Cleaner {
    /// Hides this text, also as JSON and as a part of an address would have it.
    pub(super) fn hide(&mut self, secret: &str) {
        let escaped = serde_json::to_string(secret).unwrap_or_default();
        let escaped = escaped.trim_matches('"').to_owned();
        for form in [secret.to_owned(), super::url::encoded(secret), escaped] {
            if form.len() >= SHORTEST && !self.0.contains(&form) {
                self.0.push(form);
            }
        }
        // Of two that overlap the longer one is hidden first.
        self.0.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// A text of somebody else: without secrets, on one line, not long.
    pub(super) fn clean(&self, text: &str) -> String {
        let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        for secret in &self.0 {
            text = text.replace(secret, REDACTED);
        }
        let text = text.trim();
        match text.char_indices().nth(MAX_SHOWN) {
            Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
            None => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cleaner, MAX_SHOWN, Secret, SecretError};

    #[test]
    fn a_file_without_end_and_one_that_is_no_text_are_refused() {
        let zero = Secret::File("/dev/zero".into()).read().unwrap_err();
        assert!(matches!(zero, SecretError::NoText(_)), "{zero}");
        let missing = Secret::File("/nonexistent/secret".into()).read().unwrap_err();
        assert!(missing.to_string().contains("/nonexistent/secret"), "{missing}");
        let unset = Secret::Environment("AGENTPERF_NO_SUCH_SECRET".to_owned()).read().unwrap_err();
        assert_eq!(unset.to_string(), "the environment has no AGENTPERF_NO_SUCH_SECRET");
    }

    #[test]
    fn a_secret_is_read_trimmed_and_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cr3t-token\n").unwrap();
        let secret = Secret::File(file.path().to_owned());
        let revealed = secret.read().unwrap();
        assert_eq!(revealed.expose(), "s3cr3t-token");
        assert!(!format!("{secret:?} {revealed:?}").contains("s3cr3t"));
        std::fs::write(file.path(), "s3cr3t\ntoken").unwrap();
        let error = secret.read().unwrap_err().to_string();
        assert!(!error.contains("s3cr3t"), "{error}");
    }

    #[test]
    fn texts_are_cleaned_in_every_form_and_cut() {
        let mut cleaner = Cleaner::default();
        cleaner.hide("s3 cr\"3t/");
        cleaner.hide("s3 cr");
        let cleaned = cleaner.clean("a s3 cr\"3t/ b\r\ns3%20cr%223t%2F s3 cr\\\"3t/ s3 cr");
        assert_eq!(cleaned, "a [redacted] b  [redacted] [redacted] [redacted]");
        assert_eq!(cleaner.clean(&"ä".repeat(100_000)).chars().count(), MAX_SHOWN + 1);
        assert!(!format!("{cleaner:?}").contains("s3"));
    }
}

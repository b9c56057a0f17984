//! Secrets that go with each request. They are read anew for each, so that a token that is replaced is taken up, and
//! are shown nowhere: `Debug` says how many headers there are, and texts that come back are cleaned of them.

use std::{fmt, fs::File, io::Read as _, path::PathBuf};

use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

use crate::config::{Headers, Receiver};

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";
/// Secrets that are shorter are not looked for in texts: they would be found everywhere.
const SHORTEST: usize = 4;
/// Bytes that are read of a file of secrets.
const MAX_FILE: usize = 64 << 10;

/// Why there are no headers to send. Says which file, never what is in it.
#[derive(Debug, thiserror::Error)]
pub(in crate::export) enum CredentialsError {
    #[error("cannot read {0}: {1}")]
    Unreadable(PathBuf, std::io::Error),
    #[error("{0} is too long")]
    TooLong(PathBuf),
    #[error("{0} line {1} is no header: it must be written `Name: value`")]
    NoHeader(PathBuf, usize),
    #[error("{0} holds what cannot stand in a header")]
    NoToken(PathBuf),
    #[error("the header {0} cannot be sent")]
    Unsendable(String),
}

/// Where the secrets of a receiver come from.
#[derive(Clone)]
pub(in crate::export) struct Credentials {
    bearer_token_file: Option<PathBuf>,
    headers_file: Option<PathBuf>,
    headers: Headers,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    pub(in crate::export) fn of(receiver: &Receiver) -> Self {
        Self {
            bearer_token_file: receiver.bearer_token_file.clone(),
            headers_file: receiver.headers_file.clone(),
            headers: receiver.headers.clone(),
        }
    }

    /// The headers of the next request.
    pub(in crate::export) fn read(&self) -> Result<HeaderMap, CredentialsError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers.0 {
            let unsendable = || CredentialsError::Unsendable(name.clone());
            let header = HeaderName::try_from(name.as_str()).map_err(|_| unsendable())?;
            headers.insert(header, secret(value).ok_or_else(unsendable)?);
        }
        if let Some(path) = &self.headers_file {
            for (number, line) in text(path)?.lines().enumerate() {
                if !line.trim().is_empty() {
                    let wrong = || CredentialsError::NoHeader(path.clone(), number + 1);
                    let (name, value) = line.split_once(':').ok_or_else(wrong)?;
                    let name = HeaderName::try_from(name.trim()).map_err(|_| wrong())?;
                    headers.insert(name, secret(value.trim()).ok_or_else(wrong)?);
                }
            }
        }
        if let Some(path) = &self.bearer_token_file {
            let token = secret(&format!("Bearer {}", text(path)?.trim()));
            let token = token.ok_or_else(|| CredentialsError::NoToken(path.clone()))?;
            headers.insert(header::AUTHORIZATION, token);
        }
        Ok(headers)
    }

    /// A text without the secrets that were sent: receivers may say what they refused.
    pub(in crate::export) fn clean(headers: &HeaderMap, text: &str) -> String {
        let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let values = headers.values().filter(|value| value.is_sensitive());
        for value in values.filter_map(|value| value.to_str().ok()) {
            let bare = value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("Basic "));
            for secret in [value, bare.unwrap_or(value)] {
                if secret.len() >= SHORTEST {
                    text = text.replace(secret, REDACTED);
                }
            }
        }
        text
    }
}

fn secret(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn text(path: &PathBuf) -> Result<String, CredentialsError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE as u64 + 1).read_to_string(&mut text));
    read.map_err(|error| CredentialsError::Unreadable(path.clone(), error))?;
    if text.len() > MAX_FILE { Err(CredentialsError::TooLong(path.clone())) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        let receiver =
            Receiver { bearer_token_file: Some(PathBuf::from("/dev/zero")), ..Receiver::default() };
        assert!(matches!(Credentials::of(&receiver).read(), Err(CredentialsError::TooLong(_))));
    }

    fn credentials(token: &str, headers: &str) -> (Credentials, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let (token_file, headers_file) = (folder.path().join("token"), folder.path().join("headers"));
        fs::write(&token_file, token).unwrap();
        fs::write(&headers_file, headers).unwrap();
        let receiver = Receiver {
            bearer_token_file: Some(token_file),
            headers_file: Some(headers_file),
            ..Receiver::default()
        };
        (Credentials::of(&receiver), folder)
    }

    #[test]
    fn they_are_read_and_never_shown() {
        let (credentials, _folder) =
            credentials("s3cr3t-token\n", "X-Scope-OrgID: tenant-7\n\nX-Key: k3y-of-mine\n");
        let headers = credentials.read().unwrap();
        assert_eq!(headers["authorization"], "Bearer s3cr3t-token");
        assert_eq!(headers["x-scope-orgid"], "tenant-7");
        let shown = format!("{credentials:?} {headers:?}");
        let cleaned = Credentials::clean(&headers, "no such token: s3cr3t-token\r\n(k3y-of-mine)");
        for secret in ["s3cr3t", "k3y"] {
            assert!(!shown.contains(secret) && !cleaned.contains(secret), "{shown} {cleaned}");
        }
        assert_eq!(cleaned, "no such token: [redacted]  ([redacted])");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for (token, headers) in
            [("a\u{7}b", ""), ("ok", "s3cr3t"), ("ok", "a b: s3cr3t"), ("ok", "a: s3cr3t\u{7}")]
        {
            let error = credentials(token, headers).0.read().unwrap_err().to_string();
            assert!(!error.contains("s3cr3t") && !error.contains("\u{7}"), "{error}");
        }
    }
}

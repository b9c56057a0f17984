//! Addresses: what may be written in a configuration, what may be shown, and texts within them.

use std::fmt;

use hyper::Uri;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::secret::{Cleaner, Secret};

/// An address to send to. A name and a password before the host are taken off, for they are sent as a header.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) uri: Uri,
    /// `name:password`.
    pub(super) user: Option<String>,
}

impl Url {
    /// Reads an address.
    ///
    /// # Errors
    /// Why it is none. The address is not said: it may have a secret in it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: Uri = text.trim().parse().map_err(|_| "it is no address")?;
        let mut parts = uri.into_parts();
        let scheme = parts.scheme.as_ref().map(|scheme| scheme.as_str());
        if !matches!(scheme, Some("http" | "https")) {
            return Err("an address begins with http:// or https://");
        }
        let authority = parts.authority.take().ok_or("an address needs a host")?;
        let (user, host) = match authority.as_str().rsplit_once('@') {
            Some((user, host)) => (Some(decoded(user)), host.to_owned()),
            None => (None, authority.as_str().to_owned()),
        };
        parts.authority = Some(host.parse().map_err(|_| "an address needs a host")?);
        let uri = Uri::from_parts(parts).map_err(|_| "it is no address")?;
        Ok(Self { uri, user })
    }

    /// What may be shown of it: scheme, host and port.
    pub(super) fn shown(&self) -> String {
        let host = self.uri.authority().map_or("", |authority| authority.as_str());
        format!("{}://{host}", self.uri.scheme_str().unwrap_or("http"))
    }

    /// Hides all of it that [`Self::shown`] leaves out.
    pub(super) fn hide_in(&self, cleaner: &mut Cleaner) {
        let path = self.uri.path_and_query().map_or("", |path| path.as_str());
        cleaner.hide(path);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        // Words such as `alerts` stand in paths, and in what receivers say.
        let parts = path.split('/').filter(|part| part.len() >= 8);
        let values = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
        for part in parts.chain(values) {
            cleaner.hide(part);
            cleaner.hide(&decoded(part));
        }
        if let Some(user) = &self.user {
            cleaner.hide(user);
            cleaner.hide(user.split_once(':').map_or(user, |(_, password)| password));
        }
    }

    /// With this path behind its own.
    pub(super) fn join(&self, path: &str) -> Option<Uri> {
        self.with_path(&format!("{}{path}", self.uri.path().trim_end_matches('/')))
    }

    /// With this query behind its own.
    pub(super) fn query(&self, query: &str) -> Option<Uri> {
        let own = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let sign = if own.contains('?') { '&' } else { '?' };
        self.with_path(&format!("{own}{sign}{query}"))
    }

    fn with_path(&self, path: &str) -> Option<Uri> {
        let mut parts = self.uri.clone().into_parts();
        parts.path_and_query = path.parse().ok();
        parts.path_and_query.as_ref()?;
        Uri::from_parts(parts).ok()
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

/// An address in a file that anybody may read: one with a password is refused.
impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let url = Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)?;
        match url.user {
            Some(_) => {
                Err(D::Error::custom("a password stands in a file or in the environment: url_file, url_env"))
            }
            None => Ok(url),
        }
    }
}

/// Where an address comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UrlSource {
    Plain(Url),
    Secret(Secret),
}

impl UrlSource {
    /// The address that is written, or the one that is kept elsewhere.
    ///
    /// # Errors
    /// There is more than one, or none.
    pub(super) fn choose(plain: Option<&Url>, secret: Option<Secret>) -> Result<Self, String> {
        match (plain, secret) {
            (Some(_), Some(_)) => Err("there is more than one url".to_owned()),
            (Some(url), None) => Ok(Self::Plain(url.clone())),
            (None, Some(secret)) => Ok(Self::Secret(secret)),
            (None, None) => Err("it needs a url, url_file or url_env".to_owned()),
        }
    }

    /// The address as it is now.
    pub(super) fn read(&self) -> Result<Url, String> {
        match self {
            Self::Plain(url) => Ok(url.clone()),
            Self::Secret(secret) => {
                let revealed = secret.read().map_err(|error| error.to_string())?;
                Url::parse(revealed.expose()).map_err(|why| format!("the url: {why}"))
            }
        }
    }

    /// What may be shown of it.
    pub(super) fn shown(&self) -> String {
        self.read().map_or_else(|_| "an unknown url".to_owned(), |url| url.shown())
    }
}

/// A text as a part of a query or a form.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The other way round. What is no such escape stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend(before.bytes());
        match after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(b'%');
                rest = after;
            }
        }
    }
    bytes.extend(rest.bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Cleaner, Url, decoded, encoded};

    #[test]
    fn only_scheme_host_and_port_are_shown() {
        let url =
            Url::parse("https://joe:s3cr3t%21@h.example:8443/hooks/T0ken-of-mine?key=qu3ry-k3y").unwrap();
        assert_eq!(url.shown(), "https://h.example:8443");
        assert_eq!(format!("{url:?}"), "https://h.example:8443");
        assert_eq!(url.user.as_deref(), Some("joe:s3cr3t!"));
        assert_eq!(url.uri.to_string(), "https://h.example:8443/hooks/T0ken-of-mine?key=qu3ry-k3y");
        let mut cleaner = Cleaner::default();
        url.hide_in(&mut cleaner);
        let cleaned = cleaner.clean("no T0ken-of-mine, nor qu3ry-k3y, nor s3cr3t!");
        assert_eq!(cleaned, "no [redacted], nor [redacted], nor [redacted]");
    }

    #[test]
    fn what_is_no_address_is_refused_unseen() {
        for text in ["", "ftp://s3cr3t/", "s3cr3t", "/s3cr3t", "http://", "http://a b/s3cr3t"] {
            let why = Url::parse(text).expect_err(text);
            assert!(!why.contains("s3cr3t"), "{why}");
        }
    }

    #[test]
    fn paths_and_queries_are_added() {
        let url = Url::parse("http://h/prefix/").unwrap();
        assert_eq!(url.join("/api/v2/alerts").unwrap().to_string(), "http://h/prefix/api/v2/alerts");
        let url = Url::parse("http://h/send?key=1").unwrap();
        assert_eq!(url.query("a=b").unwrap().to_string(), "http://h/send?key=1&a=b");
    }

    #[test]
    fn escapes_go_there_and_back() {
        let text = "ä +&=%/?";
        assert_eq!(encoded(text), "%C3%A4%20%2B%26%3D%25%2F%3F");
        assert_eq!(decoded(&encoded(text)), text);
        assert_eq!(decoded("100%"), "100%");
    }
}

//! Projects: whose applications may tell of operations, by which key, and how many.

use std::path::Path;

use serde_saphyr::Spanned;

use super::{
    raw::{ItemError, RawProject, Text},
    secret::Secret,
    texts::Texts,
};

/// The most projects.
pub(super) const MAX_PROJECTS: usize = 64;
/// The most labels that a project may allow.
const MAX_LABELS: usize = 32;

/// Whose applications may tell of operations.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// What it is called.
    pub name: String,
    /// What its applications show.
    pub key: Secret,
    /// Web pages that may send, by their origins, as browsers write them: `https://shop.example`.
    pub origins: Vec<String>,
    /// Operations a second; ten seconds' worth may come at once.
    pub rate: u32,
    /// The share of operations that is kept, above 0 and at most 1.
    pub sample: f64,
    /// Labels and attributes that are kept besides the well-known ones.
    pub labels: Vec<String>,
    /// Whether users and sessions are kept as they are sent, not as pseudonyms.
    pub plain_users: bool,
}

impl Project {
    /// Reads a project; `environment` gives the value of a variable.
    pub(super) fn from_raw(
        raw: RawProject,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ItemError> {
        let Some(name) = raw.name else {
            return Err((None, "name", "is missing: every project needs one".to_owned()));
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if !(1..=32).contains(&name.value.len()) || !name.value.bytes().all(plain) {
            let message = "must have 1 to 32 letters, digits, - or _".to_owned();
            return Err((Some(name), "name", message));
        }
        let labels = each(raw.labels, "labels", label)?;
        if labels.len() > MAX_LABELS {
            return Err((Some(name), "labels", format!("may be {MAX_LABELS} at most")));
        }
        Ok(Self {
            key: key(raw.key_file, raw.key_env, environment)?,
            origins: each(raw.origins, "origins", origin)?,
            rate: one(raw.rate, "rate", |t| ranged(t, 1, 100_000))?.unwrap_or(100),
            sample: one(raw.sample, "sample", share)?.unwrap_or(1.0),
            plain_users: one(raw.users, "users", users)?.unwrap_or(false),
            labels,
            name: name.value,
        })
    }

    /// Whether none of those `before` has its name or key.
    pub(super) fn differs_from(&self, before: &[Self]) -> Result<(), ItemError> {
        if before.iter().any(|known| known.name == self.name) {
            return Err((None, "name", format!("is there twice: {}", self.name)));
        }
        if before.iter().any(|known| known.key == self.key) {
            return Err((None, "key_file", "holds the key of another project".to_owned()));
        }
        Ok(())
    }
}

fn key(
    file: Text,
    variable: Text,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Secret, ItemError> {
    match (file, variable) {
        (Some(file), None) => Secret::read(Path::new(&file.value)).map_err(|e| (Some(file), "key_file", e)),
        (None, Some(variable)) => {
            let value =
                environment(&variable.value).ok_or_else(|| "is not set in the environment".to_owned());
            value.and_then(|text| Secret::new(&text)).map_err(|e| (Some(variable), "key_env", e))
        }
        _ => Err((None, "key_file", "or key_env must be given, and not both".to_owned())),
    }
}

fn one<T>(
    raw: Text,
    key: &'static str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, ItemError> {
    raw.map(|text| read(&text.value).map_err(|message| (Some(text), key, message))).transpose()
}

fn each<T>(
    raw: Option<Spanned<Texts>>,
    key: &'static str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, ItemError> {
    let items = raw.into_iter().flat_map(Texts::into_items);
    items.map(|text| read(&text.value).map_err(|message| (Some(text), key, message))).collect()
}

fn ranged(text: &str, least: u32, most: u32) -> Result<u32, String> {
    let found = text.parse().ok().filter(|n| (least..=most).contains(n));
    found.ok_or_else(|| format!("must be a whole number from {least} to {most}"))
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    let found = text.parse().ok().filter(|share: &f64| *share > 0.0 && *share <= 1.0);
    found.ok_or_else(|| "must be a number above 0 and at most 1".to_owned())
}

fn users(text: &str) -> Result<bool, String> {
    match text {
        "hashed" => Ok(false),
        "plain" => Ok(true),
        _ => Err("must be hashed or plain".to_owned()),
    }
}

/// Scheme and host, as a browser sends them.
fn origin(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]".contains(&b);
    let fine = host.is_some_and(|host| !host.is_empty() && host.bytes().all(plain));
    let wrong = || "must be origins such as https://shop.example: lower case, without a path".to_owned();
    if fine { Ok(text.to_owned()) } else { Err(wrong()) }
}

pub(super) fn label(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let fine = (1..=64).contains(&text.len()) && text.bytes().all(plain);
    let wrong = || "must be keys of 1 to 64 letters, digits, ., _ or -".to_owned();
    if fine { Ok(text.to_owned()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Config, Overrides};

    fn load(text: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agentperf.yaml");
        std::fs::write(folder.path().join("key"), "planted-0123456789\n").unwrap();
        std::fs::write(&file, text.replace("KEY", folder.path().join("key").to_str().unwrap())).unwrap();
        let environment = [("SHOP_SECRET".to_owned(), "planted-9876543210".to_owned())];
        Config::load_from(Some(Path::new(&file)), environment, Overrides::default())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn projects_are_read_and_their_keys_shown_nowhere() {
        let config = load(
            "projects:\n  - name: shop\n    key_file: KEY\n    origins: [https://shop.example, http://localhost:3000]\n    \
             rate: 50\n    sample: 0.5\n    labels: tenant\n    users: plain\n  - name: other\n    key_env: SHOP_SECRET\n",
        )
        .unwrap();
        let [shop, other] = config.projects.as_slice() else { panic!("{config:?}") };
        assert_eq!((shop.rate, shop.sample, shop.plain_users), (50, 0.5, true));
        assert_eq!((shop.key.expose(), other.key.expose()), ("planted-0123456789", "planted-9876543210"));
        assert_eq!((other.rate, other.sample, other.plain_users), (100, 1.0, false));
        assert!(!format!("{config:?}").contains("planted"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let wrong = [
            ("- key_file: KEY", "name is missing"),
            ("- name: a b\n    key_file: KEY", "name must have"),
            ("- name: a", "key_file or key_env must be given"),
            ("- name: a\n    key_file: KEY\n    key_env: SHOP_SECRET", "not both"),
            ("- name: a\n    key_file: /nonexistent", "cannot be read"),
            ("- name: a\n    key_env: NOT_SET", "is not set"),
            ("- name: a\n    key_file: KEY\n    origins: '*'", "must be origins"),
            ("- name: a\n    key_file: KEY\n    origins: https://x.example/path", "must be origins"),
            ("- name: a\n    key_file: KEY\n    rate: 0", "rate must be"),
            ("- name: a\n    key_file: KEY\n    sample: 2", "sample must be"),
            ("- name: a\n    key: planted-0123456789", "unknown key key"),
            ("- name: a\n    key_file: KEY\n  - name: a\n    key_file: KEY", "is there twice"),
            ("- name: a\n    key_file: KEY\n  - name: b\n    key_file: KEY", "the key of another project"),
        ];
        for (text, says) in wrong {
            let error = load(&format!("projects:\n  {text}\n")).unwrap_err();
            assert!(error.contains(says) && error.contains(".yaml:"), "{text}: {error}");
            assert!(!error.contains("0123456789") || text.contains("key: planted"), "{error}");
        }
    }
}

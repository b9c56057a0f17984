//! A file of rules as written: which keys there are, and where each value stands.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::{Location, Spanned, UserMessageFormatter};

use crate::alert::error::FileError;

/// The largest file, bytes.
pub(super) const MAX_BYTES: usize = 4 << 20;

pub(super) type Text = Option<Spanned<String>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawFile {
    pub(super) groups: Vec<Spanned<RawGroup>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawGroup {
    pub(super) name: Text,
    pub(super) interval: Text,
    pub(super) limit: Text,
    pub(super) rules: Vec<Spanned<RawRule>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRule {
    pub(super) alert: Text,
    pub(super) record: Text,
    pub(super) expr: Text,
    pub(super) r#for: Text,
    pub(super) keep_firing_for: Text,
    pub(super) labels: Option<RawTexts>,
    pub(super) annotations: Option<RawTexts>,
    pub(super) dedup: Text,
    pub(super) action: Text,
}

/// Names with texts, in the order of the names.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct RawTexts(pub(super) BTreeMap<String, Spanned<String>>);

/// Reads YAML strictly: what might be taken for a truth value or an octal number stays text.
pub(in crate::alert) fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, FileError> {
    if text.len() > MAX_BYTES {
        let message = format!("the file has more than {MAX_BYTES} bytes");
        return Err(FileError { line: 0, column: 0, message });
    }
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let error = error.without_snippet();
        let place = error.location().unwrap_or(Location::UNKNOWN);
        let text = error.render_with_formatter(&UserMessageFormatter);
        let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned();
        super::place::error(place, message)
    })
}

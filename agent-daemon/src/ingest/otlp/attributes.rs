//! Attributes, looked up by name, old names beside new ones.

use super::messages::{AnyValue, KeyValue};

/// The attributes of one span, point or resource.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes<'a>(pub(super) &'a [KeyValue]);

impl<'a> Attributes<'a> {
    fn value(self, names: &[&str]) -> Option<&'a AnyValue> {
        names.iter().find_map(|name| self.0.iter().find(|kv| kv.key == *name)?.value.as_ref())
    }

    /// The first of these names that is a text.
    pub(super) fn text(self, names: &[&str]) -> Option<&'a str> {
        self.value(names)?.string_value.as_deref().filter(|text| !text.is_empty())
    }

    /// The first of these names that is a whole number, or a text of one.
    pub(super) fn number(self, names: &[&str]) -> Option<u64> {
        let value = self.value(names)?;
        let number = value.int_value.and_then(|n| u64::try_from(n).ok());
        number.or_else(|| value.string_value.as_deref()?.parse().ok())
    }

    /// Whether some attribute's name begins so.
    pub(super) fn has(self, prefix: &str) -> bool {
        self.0.iter().any(|kv| kv.key.starts_with(prefix))
    }

    /// All that can be labels.
    pub(super) fn labels(self) -> impl Iterator<Item = (String, String)> + 'a {
        self.0.iter().filter_map(|kv| Some((kv.key.clone(), shown(kv.value.as_ref()?)?)))
    }
}

fn shown(value: &AnyValue) -> Option<String> {
    let number = || value.int_value.map(|n| n.to_string());
    let flag = || value.bool_value.map(|flag| flag.to_string());
    let real = || value.double_value.filter(|n| n.is_finite()).map(|n| n.to_string());
    value.string_value.clone().or_else(number).or_else(flag).or_else(real)
}

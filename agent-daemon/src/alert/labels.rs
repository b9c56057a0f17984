//! Names and labels of a series or an alert: sorted, shared, never changed.
//!
//! The metric name stands apart, since most functions drop it and nothing else: dropping it costs no allocation.
//! As in Prometheus a label with an empty value is no label.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::expr::lex::quote;

/// The label that holds the metric's name.
pub const NAME: &str = "__name__";
/// The label that holds an alert's name.
pub const ALERT_NAME: &str = "alertname";
/// The label that holds an alert's severity.
pub const SEVERITY: &str = "severity";

type Pair = (Arc<str>, Arc<str>);

/// A metric name, possibly none, and labels in the order of their names.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels {
    name: Option<Arc<str>>,
    pairs: Arc<[Pair]>,
}

impl Labels {
    /// Labels from pairs in any order. Of a name given twice the later value holds.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut sorted: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
        for (name, value) in pairs {
            sorted.insert(name.as_ref().into(), value.as_ref().into());
        }
        let name = sorted.remove(NAME).filter(|name| !name.is_empty());
        Self { name, pairs: sorted.into_iter().filter(|(_, value)| !value.is_empty()).collect() }
    }

    /// The metric's name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The value of a label; empty where it has none, as matchers see it. `__name__` is the metric's name.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        if name == NAME {
            return self.name().unwrap_or_default();
        }
        let found = self.pairs.binary_search_by(|(n, _)| n.as_ref().cmp(name)).ok();
        found.and_then(|index| self.pairs.get(index)).map_or("", |(_, value)| value)
    }

    /// Labels and values in the order of their names, without the metric's name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// How many labels there are, without the metric's name.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is neither a label nor a metric's name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.name.is_none() && self.pairs.is_empty()
    }

    /// The same without the metric's name.
    #[must_use]
    pub fn without_name(&self) -> Self {
        Self { name: None, pairs: Arc::clone(&self.pairs) }
    }

    /// Those labels only, no metric's name.
    #[must_use]
    pub fn only(&self, names: &[String]) -> Self {
        self.filtered(|name| names.iter().any(|n| n == name))
    }

    /// All but those labels, no metric's name.
    #[must_use]
    pub fn except(&self, names: &[String]) -> Self {
        if names.is_empty() {
            return self.without_name();
        }
        self.filtered(|name| !names.iter().any(|n| n == name))
    }

    /// The same with one label set, or removed by an empty value.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let own = self.name().map(|n| (NAME, n));
        Self::new(self.iter().chain(own).chain([(name, value)]))
    }

    /// A number for these labels that is the same in every run and version.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = Fnv::default();
        hash.text(self.name().unwrap_or_default());
        for (name, value) in self.iter() {
            hash.text(name);
            hash.text(value);
        }
        hash.finish()
    }

    fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self { name: None, pairs: self.pairs.iter().filter(|(name, _)| keep(name)).cloned().collect() }
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As a selector is written: `name{a="b", c="d"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or_default())?;
        if self.pairs.is_empty() && self.name.is_some() {
            return Ok(());
        }
        f.write_str("{")?;
        for (index, (name, value)) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={}", quote(value))?;
        }
        f.write_str("}")
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.name().map(|name| (NAME, name)).into_iter().chain(self.iter()))
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<String, String>::deserialize(deserializer).map(Self::new)
    }
}

/// 128 bits that stand for some text: equal in every run, and for different text different in practice. It is no
/// defence against somebody who wants two texts to collide.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u128);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no [`Fingerprint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id has 32 hexadecimal digits")]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| digits);
        number.map(Self).ok_or(FingerprintError)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// FNV-1a of 128 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>), over texts with their lengths.
pub(crate) struct Fnv(u128);

impl Default for Fnv {
    fn default() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Fnv {
    /// Takes a text; `"ab", "c"` and `"a", "bc"` differ.
    pub(crate) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    /// Takes a number.
    pub(crate) fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// What was taken so far.
    pub(crate) fn finish(&self) -> Fingerprint {
        Fingerprint(self.0)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fnv, Labels};

    #[test]
    fn order_and_empty_values_make_no_difference() {
        let a = Labels::new([("b", "2"), ("__name__", "m"), ("a", "1"), ("c", "")]);
        let b = Labels::new([("__name__", "m"), ("a", "1"), ("b", "2")]);
        assert_eq!(a, b);
        assert_eq!(a.fingerprint(), b.fingerprint());
        assert_eq!(a.to_string(), r#"m{a="1", b="2"}"#);
        assert_eq!((a.get("c"), a.get("__name__"), a.get("b")), ("", "m", "2"));
        assert_eq!(a.with("a", "").to_string(), r#"m{b="2"}"#);
    }

    #[test]
    fn fingerprints_keep_what_was_published() {
        // FNV-1a of 128 bits of "a", from the algorithm's own test vectors.
        let mut hash = Fnv::default();
        hash.bytes(b"a");
        assert_eq!(hash.finish().to_string(), "d228cb696f1a8caf78912b704e4a8964");
        let one = Labels::new([("ab", "c")]).fingerprint();
        assert_ne!(one, Labels::new([("a", "bc")]).fingerprint());
    }

    #[test]
    fn labels_survive_json() {
        let labels = Labels::new([("__name__", "m"), ("a", "\"\n")]);
        let text = serde_json::to_string(&labels).unwrap();
        assert_eq!(serde_json::from_str::<Labels>(&text).unwrap(), labels);
    }
}

//! A value of the configuration file that may be one text or a list of them.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use serde_saphyr::{Location, Spanned};

/// One text or a list of them.
#[derive(Debug)]
pub(super) struct Texts(Vec<Spanned<String>>);

impl Texts {
    /// Each text with its place; one that stands alone is where `whole` is.
    pub(super) fn into_items(whole: Spanned<Self>) -> impl Iterator<Item = Spanned<String>> {
        let place = whole.referenced;
        whole.value.0.into_iter().map(move |mut item| {
            if item.referenced == Location::UNKNOWN {
                item.referenced = place;
            }
            item
        })
    }

    fn one(text: String) -> Self {
        Self(vec![Spanned::new(text, Location::UNKNOWN, Location::UNKNOWN)])
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> de::Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value or a list of values")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Texts, E> {
        Ok(Texts::one(text.to_owned()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Texts, E> {
        Ok(Texts::one(number.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Texts, E> {
        Ok(Texts::one(number.to_string()))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Texts, E> {
        Ok(Texts::one(value.to_string()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Texts, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Texts(items))
    }
}

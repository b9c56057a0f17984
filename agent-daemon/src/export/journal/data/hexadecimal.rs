//! Numbers of which all bits count, as hexadecimal text: many readers of JSON cannot hold them.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// So many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::export::journal) struct Hex<const N: usize>(pub(in crate::export::journal) [u8; N]);

impl From<u64> for Hex<8> {
    fn from(number: u64) -> Self {
        Self(number.to_be_bytes())
    }
}

impl From<Hex<8>> for u64 {
    fn from(Hex(bytes): Hex<8>) -> Self {
        Self::from_be_bytes(bytes)
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| D::Error::custom(format_args!("{} hexadecimal digits are wanted", 2 * N)))
    }
}

fn parse<const N: usize>(text: &str) -> Option<Hex<N>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    bytes?.try_into().ok().filter(|_| rest.is_empty()).map(Hex)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn every_number_comes_back(number in any::<u64>()) {
            let text = serde_json::to_string(&Hex::from(number)).unwrap();
            prop_assert_eq!(u64::from(serde_json::from_str::<Hex<8>>(&text).unwrap()), number);
        }
    }

    #[test]
    fn what_is_no_such_number_is_refused() {
        for wrong in ["", "1", "123", "+1ab", "12345", "gg00", "é00"] {
            assert_eq!(parse::<2>(wrong), None, "{wrong}");
        }
        assert_eq!(parse("00Ff"), Some(Hex([0, 255])));
    }
}

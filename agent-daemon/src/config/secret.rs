//! Secrets of the configuration: they come from a file or from the environment, and are shown by nothing.

use std::{fmt, io::Read, path::Path};

/// The most bytes of a secret.
const MAX_BYTES: u64 = 512;

/// A secret. Its `Debug` does not show it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text whose blanks at either end do not count.
    ///
    /// # Errors
    /// It is too short or too long to be one, or has a blank inside: the end of a sentence.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let length = 16..=MAX_BYTES as usize;
        if !length.contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!(
                "must hold a secret of 16 to {MAX_BYTES} printable characters without blanks"
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// Reads one from a file.
    ///
    /// # Errors
    /// The file cannot be read, or holds none: the end of a sentence.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let mut text = String::new();
        let read =
            std::fs::File::open(path).and_then(|file| file.take(MAX_BYTES + 3).read_to_string(&mut text));
        read.map_err(|error| format!("cannot be read ({}): {error}", path.display()))?;
        Self::new(&text)
    }

    /// The secret itself, for whoever checks or sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nowhere() {
        let secret = Secret::new(" planted-0123456789 \n").unwrap();
        assert_eq!((secret.expose(), format!("{secret:?}").as_str()), ("planted-0123456789", "[secret]"));
        for wrong in ["", "short", "two words of a secret", &"x".repeat(513)] {
            assert!(!Secret::new(wrong).unwrap_err().contains("two words"));
        }
    }
}

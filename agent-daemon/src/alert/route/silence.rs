//! Silences: somebody has seen it and does not want to hear of it until a time.

use serde::{Deserialize, Serialize};

use crate::alert::{
    eval::Millis,
    labels::{Fingerprint, Fnv, Labels},
    matcher::{Matcher, all_match},
};

/// The longest name or comment, bytes.
const MAX_TEXT_BYTES: usize = 4 << 10;
/// The most conditions.
const MAX_MATCHERS: usize = 32;

/// A silence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// Stands for everything else but the end.
    pub id: Fingerprint,
    /// Which alerts.
    pub matchers: Vec<Matcher>,
    /// From when on.
    pub starts_at: Millis,
    /// Until when.
    pub ends_at: Millis,
    /// Who wants it.
    pub author: String,
    /// Why.
    pub comment: String,
}

/// Why there is no such silence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    /// It has no author.
    #[error("a silence needs an author")]
    NoAuthor,
    /// It would silence everything.
    #[error("a silence needs a condition that not every alert fulfils")]
    Everything,
    /// It ends before it starts, or has ended already.
    #[error("a silence ends after it starts, and not in the past")]
    Over,
    /// A text is too long, or there are too many conditions.
    #[error("author and comment may have 4 KiB, and 32 conditions may be given")]
    TooLong,
    /// There are too many.
    #[error("there are {0} silences already, which is the most")]
    TooMany(usize),
    /// There is none of that id.
    #[error("there is no silence of this id")]
    Unknown,
}

impl Silence {
    /// A silence.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(
        matchers: Vec<Matcher>,
        (starts_at, ends_at): (Millis, Millis),
        author: impl Into<String>,
        comment: impl Into<String>,
    ) -> Result<Self, SilenceError> {
        let (author, comment) = (author.into(), comment.into());
        if author.trim().is_empty() {
            return Err(SilenceError::NoAuthor);
        }
        if all_match(&matchers, &Labels::default()) {
            return Err(SilenceError::Everything);
        }
        if ends_at <= starts_at {
            return Err(SilenceError::Over);
        }
        if author.len().max(comment.len()) > MAX_TEXT_BYTES || matchers.len() > MAX_MATCHERS {
            return Err(SilenceError::TooLong);
        }
        let mut hash = Fnv::default();
        matchers.iter().for_each(|matcher| hash.text(&matcher.to_string()));
        hash.number(starts_at.cast_unsigned());
        hash.text(&author);
        hash.text(&comment);
        Ok(Self { id: hash.finish(), matchers, starts_at, ends_at, author, comment })
    }

    /// Whether it silences this alert at this time.
    #[must_use]
    pub fn covers(&self, labels: &Labels, now: Millis) -> bool {
        self.starts_at <= now && now < self.ends_at && all_match(&self.matchers, labels)
    }
}

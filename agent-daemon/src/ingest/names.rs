//! How many different names there may be: beyond a bound, new names are `other`, so that a client that puts ids where
//! they do not belong makes no endless list. Which parts of a name are ids is `model/route`'s to say.

use std::sync::{Mutex, PoisonError};

use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use std::hash::{Hash, Hasher};

/// What stands in place of one too many.
const OTHER: &str = "other";

/// What a name is of; each has a bound of its own for each project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Field {
    Kind,
    Name,
    Model,
    Label,
}

impl Field {
    /// Different values that are kept apart.
    const fn most(self) -> usize {
        match self {
            Self::Kind => 32,
            Self::Name => 500,
            Self::Model => 50,
            Self::Label => 1000,
        }
    }
}

/// The names that came so far, as hashes.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<FxHashMap<(String, Field), FxHashSet<u64>>>);

impl Known {
    /// Leaves the value as it is, or makes it `other`, if it is new and there are too many; whether it was left.
    pub(super) fn bound(&self, project: &str, field: Field, value: &mut String) -> bool {
        let mut hasher = FxHasher::default();
        value.hash(&mut hasher);
        let hash = hasher.finish();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let values = known.entry((project.to_owned(), field)).or_default();
        if values.contains(&hash) || values.len() < field.most() && values.insert(hash) || value == OTHER {
            return true;
        }
        *value = OTHER.to_owned();
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_too_many_is_other() {
        let known = Known::default();
        let mut left = 0;
        for n in 0..10_000 {
            let mut value = format!("name {n}");
            left += usize::from(known.bound("shop", Field::Name, &mut value));
        }
        assert_eq!(left, Field::Name.most());
        let mut first = "name 0".to_owned();
        assert!(known.bound("shop", Field::Name, &mut first) && first == "name 0");
        let mut elsewhere = "name 9999".to_owned();
        assert!(known.bound("other shop", Field::Name, &mut elsewhere));
    }
}

//! The dictionary of unwind rules: one for all files, so that a row needs only 16 bits for its rule. It never
//! shrinks, as rows of any table may name any rule; what bounds it is that a file may add only so many, and that
//! hundreds of real libraries share a few thousand.

use std::collections::hash_map::Entry;

use agent_common::unwind::{MAX_RULES, Rule, cfa, fp};
use rustc_hash::FxHashMap;

/// All different rules, each with its number: its place.
pub struct Rules {
    rules: Vec<Rule>,
    numbers: FxHashMap<Rule, u16>,
}

/// A rule that needs no offsets.
pub(super) fn plain(cfa: u8) -> Rule {
    Rule { cfa, fp: fp::UNDEFINED, fp_offset: 0, cfa_offset: 0 }
}

impl Rules {
    /// The number of the rule [`cfa::INVALID`]: also what a rule gets for which there is no room.
    pub const INVALID: u16 = 0;
    /// The number of the rule [`cfa::GAP`].
    pub const GAP: u16 = 1;
    /// The number of the rule [`cfa::END`].
    pub const END: u16 = 2;

    /// A dictionary of the rules that have fixed numbers.
    pub fn new() -> Self {
        let mut rules = Self { rules: Vec::new(), numbers: FxHashMap::default() };
        for kind in [cfa::INVALID, cfa::GAP, cfa::END] {
            rules.intern(plain(kind), MAX_RULES);
        }
        rules
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Never: some rules have fixed numbers.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rule of a number.
    pub fn get(&self, number: u16) -> Option<Rule> {
        self.rules.get(usize::from(number)).copied()
    }

    /// The rules from number `n` on: those that are new to whoever has seen `n`.
    pub fn new_since(&self, n: usize) -> &[Rule] {
        self.rules.get(n..).unwrap_or_default()
    }

    /// The number of a rule; [`Self::INVALID`] for a new one where there are `max` already.
    pub(super) fn intern(&mut self, rule: Rule, max: usize) -> u16 {
        match self.numbers.entry(rule) {
            Entry::Occupied(number) => *number.get(),
            Entry::Vacant(slot) => match u16::try_from(self.rules.len()) {
                Ok(number) if self.rules.len() < max => {
                    self.rules.push(rule);
                    *slot.insert(number)
                }
                _ => Self::INVALID,
            },
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use agent_common::unwind::{MAX_RULES, Rule, cfa, fp};

    use super::Rules;

    fn rule(n: usize) -> Rule {
        Rule { cfa: cfa::SP, fp: fp::SAME, fp_offset: 0, cfa_offset: i32::try_from(n).unwrap() }
    }

    #[test]
    fn numbers_are_places() {
        let mut rules = Rules::new();
        assert_eq!(rules.get(Rules::INVALID).unwrap().cfa, cfa::INVALID);
        assert_eq!(rules.get(Rules::GAP).unwrap().cfa, cfa::GAP);
        assert_eq!(rules.get(Rules::END).unwrap().cfa, cfa::END);
        let before = rules.len();
        let number = rules.intern(rule(8), MAX_RULES);
        assert_eq!((rules.get(number), rules.intern(rule(8), MAX_RULES)), (Some(rule(8)), number));
        assert_eq!(rules.new_since(before), [rule(8)]);
        assert!(rules.new_since(before + 1).is_empty() && rules.new_since(usize::MAX).is_empty());
    }

    #[test]
    fn a_full_dictionary_gives_invalid() {
        let mut rules = Rules::new();
        for n in 0..MAX_RULES + 10 {
            rules.intern(rule(n), MAX_RULES + 10);
        }
        assert_eq!(rules.len(), MAX_RULES);
        assert_eq!(rules.intern(rule(MAX_RULES), MAX_RULES), Rules::INVALID);
        let number = rules.intern(rule(7), MAX_RULES);
        assert_eq!(rules.get(number), Some(rule(7)));
    }
}

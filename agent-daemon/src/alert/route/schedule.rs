//! Maintenance windows: times of the week at which alerts are expected.
//!
//! Times are at a fixed distance from UTC; they do not follow summer time.

use serde::{Deserialize, Deserializer, de::Error};

use crate::alert::{
    eval::Millis,
    labels::Labels,
    matcher::{Matcher, all_match},
};

const DAY: Millis = 86_400_000;
const MINUTE: Millis = 60_000;

/// A time of the week.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// What it is called where it mutes something.
    pub name: String,
    /// Days on which it begins; none: every day.
    #[serde(default)]
    pub days: Vec<Weekday>,
    /// When it begins.
    pub from: TimeOfDay,
    /// When it ends; on the next day if that is not after the beginning.
    pub to: TimeOfDay,
    /// How far local time is ahead of UTC: `+02:00`.
    #[serde(default)]
    pub utc_offset: UtcOffset,
    /// Which alerts; none: all.
    #[serde(default)]
    pub matchers: Vec<Matcher>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// The day of 1970-01-01 first.
const WEEK: [Weekday; 7] = [
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
];

/// A time of the day, minutes since midnight; up to 24:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(i64);

/// Minutes ahead of UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UtcOffset(i64);

impl Maintenance {
    /// Whether it mutes this alert at this time.
    #[must_use]
    pub fn covers(&self, labels: &Labels, now: Millis) -> bool {
        self.is_on(now) && all_match(&self.matchers, labels)
    }

    /// Whether this time is within.
    #[must_use]
    pub fn is_on(&self, now: Millis) -> bool {
        let local = now.saturating_add(self.utc_offset.0 * MINUTE);
        let (day, minute) = (local.div_euclid(DAY), local.rem_euclid(DAY) / MINUTE);
        let (from, to) = (self.from.0, self.to.0);
        if from < to {
            return self.begins_on(day) && (from..to).contains(&minute);
        }
        (self.begins_on(day) && minute >= from) || (self.begins_on(day - 1) && minute < to)
    }

    fn begins_on(&self, day: i64) -> bool {
        let weekday = usize::try_from(day.rem_euclid(7)).ok().and_then(|index| WEEK.get(index));
        self.days.is_empty() || weekday.is_some_and(|weekday| self.days.contains(weekday))
    }
}

/// `HH:MM` to minutes.
fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| (digits.len() == 2).then(|| digits.parse::<u8>().ok())?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60 && i64::from(hours) * 60 + i64::from(minutes) <= 24 * 60)
        .then(|| i64::from(hours) * 60 + i64::from(minutes))
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || D::Error::custom(format!("{text:?} is no time of day such as \"22:00\""));
        minutes(&text).map(Self).ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for UtcOffset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let ahead = text.strip_prefix('+').and_then(minutes);
        let behind = || text.strip_prefix('-').and_then(minutes).map(|minutes| -minutes);
        let wrong = || D::Error::custom(format!("{text:?} is no distance from UTC such as \"+02:00\""));
        ahead.or_else(behind).map(Self).ok_or_else(wrong)
    }
}

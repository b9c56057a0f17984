//! Which rule does what, as a file says it. It stands apart from the rules, whose files stay Prometheus's: each entry
//! names a rule, may narrow its alerts by matchers as routes do, and has a key for each action.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_saphyr::Spanned;

use super::{
    action::{Pace, React},
    capture::Capture,
    limit::Limit,
    pause::Pause,
    recorder::FlightRecorder,
};
use crate::{
    alert::{
        error::FileError,
        matcher::{Matcher, all_match},
        rule::{self, RuleSet, error_at},
        state::Alert,
    },
    config::{parse_bytes, parse_duration},
};

/// The most entries.
const MAX_ENTRIES: usize = 1000;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    reactions: Vec<Spanned<RawEntry>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    rule: Spanned<String>,
    #[serde(default)]
    matchers: Vec<Matcher>,
    capture_profile: Option<Spanned<RawCapture>>,
    flight_recorder: Option<Spanned<RawRecorder>>,
    limit: Option<Spanned<RawLimit>>,
    pause: Option<Spanned<RawPause>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawCapture {
    before: Option<Length>,
    after: Option<Length>,
    min_interval: Option<Length>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawRecorder {
    last: Option<Length>,
    after: Option<Length>,
    min_interval: Option<Length>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLimit {
    cpu_max: Option<String>,
    memory_high: Option<String>,
    max_duration: Option<Length>,
    min_interval: Option<Length>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawPause {
    max_duration: Option<Length>,
    min_interval: Option<Length>,
}

/// A duration as people write it.
#[derive(Clone, Copy, Debug)]
struct Length(Duration);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || D::Error::custom(format!("{text:?} is no duration such as 30s or 5m"));
        parse_duration(&text).map(Self).ok_or_else(wrong)
    }
}

/// Which rule does what.
#[derive(Clone, Debug, Default)]
pub struct Config {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    rule: String,
    matchers: Vec<Matcher>,
    actions: Vec<Arc<dyn React>>,
}

impl Config {
    /// Reads a file's text. The rules that it names must be among these.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the file; of what is no such YAML, the first thing.
    pub fn parse(text: &str, rules: &RuleSet) -> Result<Self, Vec<FileError>> {
        let raw: RawFile = rule::read(text).map_err(|error| vec![error])?;
        if raw.reactions.len() > MAX_ENTRIES {
            let message = format!("there may be {MAX_ENTRIES} entries at most");
            return Err(vec![FileError { line: 0, column: 0, message }]);
        }
        let (mut entries, mut errors) = (Vec::new(), Vec::new());
        for raw in raw.reactions {
            let name = &raw.value.rule;
            if !rules.rules().any(|rule| rule.name == name.value) {
                errors.push(error_at(name.referenced, format!("there is no rule {}", name.value)));
            }
            match raw.value.check() {
                Ok(entry) => entries.push(entry),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(Self { entries }) } else { Err(errors) }
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is to be done where this alert of this rule begins to fire; of each kind what is asked for first.
    pub(super) fn actions(&self, rule: &str, alert: &Alert) -> Vec<Arc<dyn React>> {
        let wanted = |entry: &&Entry| entry.rule == rule && all_match(&entry.matchers, &alert.labels);
        let mut actions: Vec<Arc<dyn React>> = Vec::new();
        for action in self.entries.iter().filter(wanted).flat_map(|entry| &entry.actions) {
            if actions.iter().all(|known| known.kind() != action.kind()) {
                actions.push(Arc::clone(action));
            }
        }
        actions
    }
}

impl RawEntry {
    fn check(self) -> Result<Entry, FileError> {
        let mut actions: Vec<Arc<dyn React>> = Vec::new();
        if let Some(raw) = self.capture_profile {
            actions.push(Arc::new(raw.value.check().map_err(|why| error_at(raw.referenced, why))?));
        }
        if let Some(raw) = self.flight_recorder {
            actions.push(Arc::new(raw.value.check().map_err(|why| error_at(raw.referenced, why))?));
        }
        if let Some(raw) = self.limit {
            actions.push(Arc::new(raw.value.check().map_err(|why| error_at(raw.referenced, why))?));
        }
        if let Some(raw) = self.pause {
            actions.push(Arc::new(raw.value.check().map_err(|why| error_at(raw.referenced, why))?));
        }
        if actions.is_empty() {
            let message = "an entry has capture_profile, flight_recorder, limit or pause";
            return Err(error_at(self.rule.referenced, message));
        }
        Ok(Entry { rule: self.rule.value, matchers: self.matchers, actions })
    }
}

impl RawCapture {
    fn check(&self) -> Result<Capture, String> {
        let before = length("before", self.before, MINUTE, (SECOND, HOUR))?;
        let after = length("after", self.after, 10 * SECOND, (Duration::ZERO, HOUR))?;
        Ok(Capture { before, pace: pace(after, None, self.min_interval)? })
    }
}

impl RawRecorder {
    fn check(&self) -> Result<FlightRecorder, String> {
        let last = length("last", self.last, 5 * MINUTE, (SECOND, 24 * HOUR))?;
        let after = length("after", self.after, 10 * SECOND, (Duration::ZERO, HOUR))?;
        Ok(FlightRecorder { last, pace: pace(after, None, self.min_interval)? })
    }
}

impl RawLimit {
    fn check(&self) -> Result<Limit, String> {
        let percent = |text: &String| {
            let number: Option<u64> = text.strip_suffix('%').and_then(|number| number.parse().ok());
            let wrong = || format!("cpu_max is {text:?} but must be percent of one CPU, 1% to 100000%");
            number.filter(|percent| (1..=100_000).contains(percent)).ok_or_else(wrong)
        };
        let bytes = |text: &String| {
            let wrong = || format!("memory_high is {text:?} but must be a size of 16MB or more, such as 2GB");
            parse_bytes(text).filter(|bytes| *bytes >= 16_000_000).ok_or_else(wrong)
        };
        let cpu_percent = self.cpu_max.as_ref().map(percent).transpose()?;
        let memory_high = self.memory_high.as_ref().map(bytes).transpose()?;
        if cpu_percent.is_none() && memory_high.is_none() {
            return Err("limit has cpu_max, memory_high or both".to_owned());
        }
        let max = length("max_duration", self.max_duration, 10 * MINUTE, (SECOND, 24 * HOUR))?;
        Ok(Limit { cpu_percent, memory_high, pace: pace(Duration::ZERO, Some(max), self.min_interval)? })
    }
}

impl RawPause {
    fn check(&self) -> Result<Pause, String> {
        let max = length("max_duration", self.max_duration, MINUTE, (SECOND, HOUR))?;
        Ok(Pause { pace: pace(Duration::ZERO, Some(max), self.min_interval)? })
    }
}

fn pace(
    after: Duration,
    max_duration: Option<Duration>,
    min_interval: Option<Length>,
) -> Result<Pace, String> {
    let min_interval = length("min_interval", min_interval, 5 * MINUTE, (SECOND, 24 * HOUR))?;
    Ok(Pace { after, max_duration, min_interval })
}

fn length(
    key: &str,
    given: Option<Length>,
    default: Duration,
    (least, most): (Duration, Duration),
) -> Result<Duration, String> {
    let length = given.map_or(default, |length| length.0);
    let wrong = || format!("{key} must be from {} s to {} s", least.as_secs(), most.as_secs());
    Some(length).filter(|length| (least..=most).contains(length)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::{Config, Duration, RuleSet};
    use crate::alert::reaction::{action::Kind, tests::alert};

    const RULES: &str = "groups:\n- {name: g, rules: [{alert: Hog, expr: g > 0}]}\n";

    fn parse(text: &str) -> Result<Config, Vec<String>> {
        let read = Config::parse(text, &RuleSet::parse(RULES).unwrap());
        read.map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_documented_example_fits_the_default_rules() {
        let text = include_str!("../../../../docs/alerts.md");
        let example = text.split("```yaml\n").find(|part| part.starts_with("reactions:")).unwrap();
        let example = example.split("```").next().unwrap();
        let read = Config::parse(example, &RuleSet::parse(crate::alert::rule::DEFAULT_RULES).unwrap());
        assert_eq!(read.unwrap().actions("AgentIdleBurnsCpu", &alert("1-1"))[0].kind(), Kind::Pause);
    }

    #[test]
    fn each_action_has_defaults_and_is_chosen_by_rule_and_matchers() {
        let all = "reactions:\n- {rule: Hog, capture_profile: {}, flight_recorder: {}, limit: {cpu_max: 50%}, pause: {}}\n";
        let actions = parse(all).unwrap().actions("Hog", &alert("1-1"));
        assert_eq!(actions.iter().map(|action| action.kind()).collect::<Vec<_>>(), Kind::ALL);
        assert_eq!(actions[3].pace().max_duration, Some(Duration::from_secs(60)));
        assert!(parse(all).unwrap().actions("Other", &alert("1-1")).is_empty());
        let narrow = "reactions:\n- {rule: Hog, matchers: ['agent_id=\"2-2\"'], pause: {max_duration: 2s}}\n- {rule: Hog, pause: {}}\n";
        let narrow = parse(narrow).unwrap();
        assert_eq!(
            narrow.actions("Hog", &alert("1-1"))[0].pace().max_duration,
            Some(Duration::from_secs(60))
        );
        let first = narrow.actions("Hog", &alert("2-2"));
        assert_eq!((first.len(), first[0].pace().max_duration), (1, Some(Duration::from_secs(2))));
    }

    #[test]
    fn mistakes_are_told_with_their_line_and_all_at_once() {
        let wrong = parse("reactions:\n- rule: Hgo\n  pause: {}\n- rule: Hog\n- rule: Hog\n  limit: {}\n")
            .unwrap_err();
        assert_eq!(
            wrong,
            [
                "2:9: there is no rule Hgo",
                "4:9: an entry has capture_profile, flight_recorder, limit or pause",
                "6:10: limit has cpu_max, memory_high or both",
            ]
        );
        for (what, why) in [
            ("pause: {max_duration: soon}", "is no duration"),
            ("pause: {max_duration: 2h}", "max_duration must be from 1 s to 3600 s"),
            ("pause: {min_interval: 0s}", "min_interval must be from 1 s"),
            ("pause: {kill: yes}", "unknown field `kill`"),
            ("limit: {cpu_max: 0.5}", "percent of one CPU"),
            ("limit: {memory_high: 1KB}", "a size of 16MB or more"),
            ("kill: {}", "unknown field `kill`"),
            ("matchers: ['=']", "3:"),
        ] {
            let errors = parse(&format!("reactions:\n- rule: Hog\n  {what}\n")).unwrap_err();
            assert!(errors[0].contains(why), "{what}: {errors:?}");
        }
        assert!(parse("reactions: []\n").unwrap().is_empty());
        assert!(parse("").is_err());
    }
}

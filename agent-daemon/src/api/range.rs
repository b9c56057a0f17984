//! Ranges of time, as a query writes them: `since=5m`, or `from` and `to` in RFC 3339.

use std::time::Duration;

use super::error::Problem;
use crate::{
    config::parse_duration,
    model::{
        agent::Agent,
        time::{TimeRange, Timestamp},
    },
};

/// How far ahead of ours a client's clock may be.
const SKEW: Duration = Duration::from_secs(60);

/// The longest duration that is understood: 30 days.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// The part of a query that chooses a range.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RangeQuery<'a> {
    /// How far back from now.
    pub(super) since: Option<&'a str>,
    /// First instant.
    pub(super) from: Option<&'a str>,
    /// First instant after.
    pub(super) to: Option<&'a str>,
}

impl RangeQuery<'_> {
    /// The range as of `now`. Where the query says nothing, it is the last hour.
    pub(super) fn resolve_recent(self, now: Timestamp) -> Result<TimeRange, Problem> {
        let said = self.since.is_some() || self.from.is_some() || self.to.is_some();
        if said { self.chosen(now) } else { RangeQuery { since: Some("1h"), ..self }.chosen(now) }
    }

    /// The range as of `now`. Where the query says nothing, it is the agent's present watch, or its last: a
    /// process that is watched a second time is the same agent, and what came before is asked for by a range.
    pub(super) fn resolve(self, agent: &Agent, now: Timestamp) -> Result<TimeRange, Problem> {
        if self.since.is_none() && self.from.is_none() && self.to.is_none() {
            return Ok(TimeRange { from: agent.attached, ..TimeRange::ALL });
        }
        self.chosen(now)
    }

    fn chosen(self, now: Timestamp) -> Result<TimeRange, Problem> {
        if let Some(since) = self.since {
            if self.from.is_some() || self.to.is_some() {
                return Err(Problem::bad_request("give either `since`, or `from` and `to`, not both"));
            }
            let from = now.checked_sub(duration("since", since)?).unwrap_or(Timestamp::MIN);
            return Ok(TimeRange { from, to: now });
        }
        let from = self.from.map(|text| instant("from", text, now)).transpose()?;
        let to = self.to.map(|text| instant("to", text, now)).transpose()?;
        let range =
            TimeRange { from: from.unwrap_or(TimeRange::ALL.from), to: to.unwrap_or(TimeRange::ALL.to) };
        if range.from >= range.to {
            return Err(Problem::bad_request("`from` must be earlier than `to`"));
        }
        Ok(range)
    }
}

/// A positive duration such as `90s`, `5m` or `1h30m`, at most 30 days.
pub(super) fn duration(name: &str, text: &str) -> Result<Duration, Problem> {
    match parse_duration(text) {
        None => {
            Err(Problem::bad_request(format_args!("`{name}` must be a duration such as 30s, 5m or 1h30m")))
        }
        Some(Duration::ZERO) => {
            Err(Problem::bad_request(format_args!("`{name}` must be longer than nothing")))
        }
        Some(d) if d > LONGEST => Err(Problem::bad_request(format_args!("`{name}` may be 30d at most"))),
        Some(d) => Ok(d),
    }
}

fn instant(name: &str, text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    let instant: Timestamp = text.parse().map_err(|_| not_an_instant(name, text))?;
    if now.checked_add(SKEW).is_ok_and(|latest| instant > latest) {
        return Err(Problem::bad_request(format_args!("`{name}` lies in the future; it is {now} here")));
    }
    Ok(instant)
}

/// Why a text is no instant: of those that RFC 3339 writes, the last hours of the year 9999 have no number here.
fn not_an_instant(name: &str, text: &str) -> Problem {
    // A day and a time of it that are right by themselves are wrong together only there.
    let (date, time) = text.split_at_checked(10).unwrap_or_default();
    let is_date = date.parse::<jiff::civil::Date>().is_ok();
    if is_date && format!("2000-01-01{time}").parse::<Timestamp>().is_ok() {
        let (first, last) = (Timestamp::MIN, Timestamp::MAX);
        return Problem::bad_request(format_args!("`{name}` must lie between {first} and {last}"));
    }
    let example = "must be an RFC 3339 time such as 2026-11-21T15:04:05Z (in a URL, + is written %2B)";
    Problem::bad_request(format_args!("`{name}` {example}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::agent_at;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn range(since: Option<&str>, from: Option<&str>, to: Option<&str>) -> Option<(String, String)> {
        let range = RangeQuery { since, from, to }.resolve(&agent_at(now()), now()).ok()?;
        Some((range.from.to_string(), range.to.to_string()))
    }

    #[test]
    fn since_counts_back_from_now() {
        for (since, from) in [
            ("60s", "11:59:00"),
            ("5m", "11:55:00"),
            ("2h", "10:00:00"),
            ("1h30m", "10:30:00"),
            ("1.5s", "11:59:58.5"),
        ] {
            let expected = (format!("2026-11-21T{from}Z"), now().to_string());
            assert_eq!(range(Some(since), None, None), Some(expected), "{since}");
        }
    }

    #[test]
    fn from_and_to_stand_alone_or_together() {
        let (a, b) = ("2026-11-21T10:00:00Z", "2026-11-21T11:00:00.5+00:00");
        assert_eq!(range(None, Some(a), Some(b)), Some((a.into(), "2026-11-21T11:00:00.5Z".into())));
        assert_eq!(range(None, Some(a), None).map(|r| r.0), Some(a.into()));
        assert_eq!(range(None, None, Some(a)).map(|r| r.0), Some(TimeRange::ALL.from.to_string()));
    }

    #[test]
    fn nothing_said_means_the_present_watch() {
        let agent = agent_at(now());
        let range = RangeQuery::default().resolve(&agent, now()).unwrap();
        assert_eq!(range, TimeRange { from: agent.attached, to: TimeRange::ALL.to });
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let early = "2026-11-21T10:00:00Z";
        let wrong = [
            (Some("60s"), Some(early), None),
            (Some("60s"), None, Some(early)),
            (None, Some("2026-11-21T11:00:00Z"), Some(early)),
            (None, Some(early), Some(early)),
            (None, Some("2026-11-21T12:05:00Z"), None),
            (None, None, Some("2099-01-01T00:00:00Z")),
            (None, Some("yesterday"), None),
            (None, Some("2026-11-21"), None),
            (None, Some("1763726400"), None),
        ];
        for (since, from, to) in wrong {
            assert_eq!(range(since, from, to), None, "{since:?} {from:?} {to:?}");
        }
        for since in
            ["", "60", "s", "-5s", "0s", "5 parsecs", "99999999999999999999h", "31d", "721h", "NaNs", "\u{0}"]
        {
            assert_eq!(range(Some(since), None, None), None, "{since:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_is_wrong() {
        let told = |from| {
            let range = RangeQuery { from: Some(from), ..RangeQuery::default() };
            format!("{:?}", range.resolve(&agent_at(now()), now()).unwrap_err())
        };
        for from in ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.5+01:00", "9999-12-31T12:00:00-23:59"] {
            assert!(told(from).contains("must lie between -009999-01-02"), "{from}: {}", told(from));
        }
        for from in ["yesterday", "9999-12-31", "9999-12-31T25:00:00Z", "9999-13-31T23:59:59Z", "999\u{e9}-1"]
        {
            assert!(told(from).contains("RFC 3339"), "{from}: {}", told(from));
        }
        assert!(told("9999-12-30T00:00:00Z").contains("future"));
    }
}

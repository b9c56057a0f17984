//! How a try to deliver went, and what an HTTP answer means.

use std::time::Duration;

use hyper::{HeaderMap, StatusCode, header};

use crate::alert::route::Delivery;

/// The longest pause that a receiver may ask for.
pub(super) const MAX_ASKED: Duration = Duration::from_secs(600);

/// How a try to deliver went. The texts are shown to people, and hold no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it, and said this.
    Taken(String),
    /// It will never take this message.
    Refused(String),
    /// It may take it later.
    Later(Later),
}

/// Why, and when at the earliest, a message is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Later {
    /// A pause that the receiver asks for; it holds for all its messages.
    pub asked: Option<Duration>,
    /// Why.
    pub why: String,
    /// Nobody answered: it is not about this message.
    pub unreached: bool,
}

impl Outcome {
    /// Nobody answered.
    pub(super) fn unreached(why: impl Into<String>) -> Self {
        Self::Later(Later { asked: None, why: why.into(), unreached: true })
    }

    /// Somebody answered that it is to be tried again.
    pub(super) fn later(why: impl Into<String>) -> Self {
        Self::Later(Later { asked: None, why: why.into(), unreached: false })
    }

    /// What an answer means whose cleaned text is `said`.
    pub(super) fn of(status: StatusCode, headers: &HeaderMap, said: &str) -> Self {
        let why = format!("{status}: {said}").trim_end_matches([':', ' ']).to_owned();
        if status.is_success() {
            Self::Taken(why)
        } else if is_temporary(status) {
            Self::Later(Later { asked: retry_after(headers), why, unreached: false })
        } else if status.is_redirection() {
            // Who asks to be told elsewhere might be anybody, and what is sent has secrets in it.
            Self::Refused(format!("{status}: redirects are not followed"))
        } else {
            Self::Refused(why)
        }
    }

    /// What the router is told of it.
    pub(super) fn delivery(&self) -> Delivery {
        match self {
            Self::Taken(_) => Delivery::Delivered,
            Self::Refused(_) => Delivery::Refused,
            Self::Later(_) => Delivery::Retry,
        }
    }

    /// What was said.
    #[must_use]
    pub fn said(&self) -> &str {
        match self {
            Self::Taken(said) | Self::Refused(said) => said,
            Self::Later(later) => &later.why,
        }
    }
}

fn is_temporary(status: StatusCode) -> bool {
    let asks = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    status.is_server_error() || status.is_informational() || asks.contains(&status)
}

/// The pause that the receiver asks for: seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = text.parse().ok().or_else(|| {
        let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        Some(u64::try_from(at.duration_since(jiff::Timestamp::now()).as_secs()).unwrap_or(0))
    })?;
    Some(Duration::from_secs(seconds).min(MAX_ASKED))
}

#[cfg(test)]
mod tests {
    use super::{Duration, HeaderMap, Later, MAX_ASKED, Outcome, StatusCode, header};

    fn outcome(status: u16, retry_after: Option<&str>) -> Outcome {
        let mut headers = HeaderMap::new();
        headers.extend(retry_after.map(|text| (header::RETRY_AFTER, text.parse().unwrap())));
        Outcome::of(StatusCode::from_u16(status).unwrap(), &headers, "why")
    }

    #[test]
    fn each_status_means_one_thing() {
        assert_eq!(outcome(202, None), Outcome::Taken("202 Accepted: why".to_owned()));
        for status in [301, 307, 400, 401, 404, 413] {
            assert!(matches!(outcome(status, None), Outcome::Refused(_)), "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert!(matches!(outcome(status, None), Outcome::Later(_)), "{status}");
        }
    }

    #[test]
    fn a_receiver_may_ask_for_a_pause_but_not_for_ever() {
        let asked = |after| match outcome(503, Some(after)) {
            Outcome::Later(Later { asked, .. }) => asked,
            other => panic!("{other:?}"),
        };
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("99999999"), Some(MAX_ASKED));
        assert_eq!(asked("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-1"), None);
    }
}

//! What to make of an answer, and when to try again.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use hyper::{HeaderMap, StatusCode, header};

use super::{Answer, Credentials};

/// The first pause, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// The longest pause that a receiver may ask for.
pub(super) const MAX_ASKED: Duration = Duration::from_secs(600);

/// How an attempt to send went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::export) enum Outcome {
    /// It was taken, but for so many items, and why.
    Taken(Option<(u64, String)>),
    /// It will never be taken.
    Refused(String),
    /// It may be taken later, not before a pause that the receiver may have asked for.
    Later(Option<Duration>, String),
}

impl Outcome {
    /// What an HTTP answer to a request with these headers means.
    pub(in crate::export) fn of(answer: Result<&Answer, &String>, sent: &HeaderMap) -> Self {
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => return Self::Later(None, Credentials::clean(sent, why)),
        };
        let status = answer.status;
        if status.is_success() {
            return Self::Taken(None);
        }
        let body = String::from_utf8_lossy(&answer.body);
        let why = format!("{status}: {}", Credentials::clean(sent, body.trim()));
        let again = status.is_server_error()
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
        if again { Self::Later(retry_after(&answer.headers), why) } else { Self::Refused(why) }
    }
}

/// The pause that the receiver asks for, where it says so in seconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds: u64 = match text.parse() {
        Ok(seconds) => seconds,
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            u64::try_from(at.duration_since(jiff::Timestamp::now()).as_secs()).unwrap_or(0)
        }
    };
    Some(Duration::from_secs(seconds).min(MAX_ASKED))
}

/// Pauses that double, each shortened by up to a half at random, so that many daemons do not come back as one.
#[derive(Debug)]
pub(in crate::export) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: PAUSES.0 }
    }
}

impl Backoff {
    /// How long to wait now; at least as long as was asked for.
    pub(in crate::export) fn pause(&mut self, asked: Option<Duration>) -> Duration {
        let pause = self.next.mul_f64(0.5 + random() / 2.0);
        self.next = (self.next * 2).min(PAUSES.1);
        pause.max(asked.unwrap_or_default())
    }

    /// It worked: the next failure begins anew.
    pub(in crate::export) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// From 0 to 1. The standard library's keys for hashing are random, and good enough here.
fn random() -> f64 {
    (RandomState::new().hash_one(()) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16, retry_after: Option<&str>) -> Answer {
        let mut headers = HeaderMap::new();
        headers.extend(retry_after.map(|text| (header::RETRY_AFTER, text.parse().unwrap())));
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers, trailers: HeaderMap::new(), body: Bytes::from_static(b"why\nnot") }
    }

    #[test]
    fn each_status_means_one_thing() {
        let outcome = |status, after| Outcome::of(Ok(&answer(status, after)), &HeaderMap::new());
        assert_eq!(outcome(204, None), Outcome::Taken(None));
        assert_eq!(outcome(400, None), Outcome::Refused("400 Bad Request: why not".to_owned()));
        for status in [301, 401, 404, 413] {
            assert!(matches!(outcome(status, None), Outcome::Refused(_)), "{status}");
        }
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(matches!(outcome(status, None), Outcome::Later(None, _)), "{status}");
        }
        let asked = |after| match outcome(503, Some(after)) {
            Outcome::Later(asked, _) => asked,
            other => panic!("{other:?}"),
        };
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("99999999"), Some(MAX_ASKED));
        assert_eq!(asked("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
        let unreached = Outcome::of(Err(&"refused".to_owned()), &HeaderMap::new());
        assert_eq!(unreached, Outcome::Later(None, "refused".to_owned()));
    }

    #[test]
    fn pauses_grow_to_a_limit_and_begin_anew() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..20).map(|_| backoff.pause(None)).collect();
        assert!(pauses[0] >= PAUSES.0 / 2 && pauses[0] <= PAUSES.0);
        assert!(pauses.iter().all(|pause| *pause <= PAUSES.1));
        assert!(pauses[19] >= PAUSES.1 / 2);
        assert_eq!(backoff.pause(Some(MAX_ASKED)), MAX_ASKED);
        backoff.reset();
        assert!(backoff.pause(None) <= PAUSES.0);
    }
}

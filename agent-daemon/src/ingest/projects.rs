//! Who may send, and how much: keys, compared in constant time, and a bucket of tokens for each project.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use ring::hmac;

use super::IngestError;
use crate::config::Project;

/// Seconds' worth of operations that may come at once.
const BURST_SECONDS: f64 = 10.0;

/// All projects.
#[derive(Debug, Default)]
pub(super) struct Projects(Vec<State>);

struct State {
    project: Project,
    name: Arc<str>,
    /// Keyed by the project's key: a key is right if it signs as this one does.
    proof: hmac::Key,
    bucket: Mutex<Bucket>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.project.fmt(f)
    }
}

/// A project whose key was shown.
#[derive(Clone, Copy, Debug)]
pub struct Admitted<'a>(&'a State);

impl Projects {
    pub(super) fn new(projects: &[Project]) -> Self {
        let state = |project: &Project| State {
            name: project.name.as_str().into(),
            proof: hmac::Key::new(hmac::HMAC_SHA256, project.key.expose().as_bytes()),
            bucket: Mutex::new(Bucket::full(project.rate, Instant::now())),
            project: project.clone(),
        };
        Self(projects.iter().map(state).collect())
    }

    pub(super) fn admit(&self, key: Option<&str>) -> Result<Admitted<'_>, IngestError> {
        if self.0.is_empty() {
            return Err(IngestError::Closed);
        }
        let key = key.filter(|key| !key.is_empty()).ok_or(IngestError::NoKey)?;
        // What is compared are signatures, in constant time, and every project's, whichever matches.
        let shown = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), b"key");
        let mut found = None;
        for state in &self.0 {
            if hmac::verify(&state.proof, b"key", shown.as_ref()).is_ok() {
                found = Some(Admitted(state));
            }
        }
        found.ok_or(IngestError::WrongKey)
    }

    pub(super) fn knows_origin(&self, origin: &str) -> bool {
        self.0.iter().any(|state| state.project.origins.iter().any(|known| known == origin))
    }
}

impl Admitted<'_> {
    /// The project's name.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        Arc::clone(&self.0.name)
    }

    /// What is configured of it.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.0.project
    }

    /// Whether pages of this origin may send.
    #[must_use]
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.0.project.origins.iter().any(|known| known == origin)
    }

    /// Takes the right to send so many operations now.
    pub(super) fn spend(&self, count: usize, now: Instant) -> Result<(), IngestError> {
        let rate = self.0.project.rate;
        let mut bucket = self.0.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = bucket.spend(count.max(1) as f64, rate, now);
        spent.map_err(|seconds| IngestError::Rate { project: self.0.project.name.clone(), rate, seconds })
    }
}

/// Tokens that fill up with time.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn full(rate: u32, at: Instant) -> Self {
        Self { tokens: Self::capacity(rate), at }
    }

    /// Never less than one request may hold, so that each fits at some time.
    fn capacity(rate: u32) -> f64 {
        (f64::from(rate) * BURST_SECONDS).max(super::MAX_RECORDS as f64)
    }

    /// Spends tokens, or says in how many seconds there are enough.
    fn spend(&mut self, count: f64, rate: u32, now: Instant) -> Result<(), u64> {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * f64::from(rate);
        (self.tokens, self.at) = ((self.tokens + gained).min(Self::capacity(rate)), now.max(self.at));
        if self.tokens < count {
            return Err(((count - self.tokens) / f64::from(rate)).ceil().max(1.0) as u64);
        }
        self.tokens -= count;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Secret;

    fn project(name: &str, key: &str) -> Project {
        Project {
            name: name.to_owned(),
            key: Secret::new(key).unwrap(),
            origins: vec!["https://shop.example".to_owned()],
            rate: 100,
            sample: 1.0,
            labels: Vec::new(),
            plain_users: false,
        }
    }

    #[test]
    fn a_key_opens_its_own_project_and_no_other() {
        let projects = Projects::new(&[project("a", "0123456789abcdef"), project("b", "fedcba9876543210")]);
        assert_eq!(&*projects.admit(Some("fedcba9876543210")).unwrap().name(), "b");
        for wrong in ["fedcba987654321", "fedcba98765432100", "FEDCBA9876543210", "x"] {
            assert_eq!(projects.admit(Some(wrong)).unwrap_err(), IngestError::WrongKey);
        }
        assert_eq!(projects.admit(None).unwrap_err(), IngestError::NoKey);
        assert_eq!(Projects::default().admit(Some("x")).unwrap_err(), IngestError::Closed);
        assert!(
            projects.knows_origin("https://shop.example") && !projects.knows_origin("https://shop.exampl")
        );
    }

    #[test]
    fn a_bucket_is_emptied_and_fills_up() {
        let start = Instant::now();
        let mut bucket = Bucket::full(100, start);
        assert_eq!(bucket.spend(1000.0, 100, start), Ok(()));
        assert_eq!(bucket.spend(50.0, 100, start), Err(1));
        assert_eq!(bucket.spend(1000.0, 100, start), Err(10));
        let later = start + Duration::from_secs(2);
        assert_eq!(bucket.spend(200.0, 100, later), Ok(()));
        assert_eq!(bucket.spend(1.0, 100, start), Err(1), "a clock that goes back gives nothing");
    }
}

//! A client of the daemon's HTTP API, as a user would write one: paths, JSON, no types of agentperf's own.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// Longer than any answer takes, pprof's collecting included.
const TIMEOUT: Duration = Duration::from_secs(60);

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("no JSON ({e}): {}", self.text()))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Asserts the status, and that a failure explains itself as RFC 9457 says.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        if status >= 400 {
            assert_eq!(self.content_type, "application/problem+json", "{}", self.text());
            let problem = self.json();
            assert_eq!(problem["status"], status, "{problem}");
            let told = problem["detail"].as_str().or(problem["title"].as_str()).unwrap_or_default();
            assert!(told.len() > 10, "no sentence says what is wrong: {problem}");
        }
        self
    }
}

/// A client of one daemon.
pub(crate) struct Api {
    base: String,
    http: ureq::Agent,
}

impl Api {
    /// A client of the daemon on this port of the loopback.
    pub(crate) fn new(port: u16) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT));
        Self { base: format!("http://127.0.0.1:{port}"), http: config.build().into() }
    }

    /// Where the daemon answers, as `http://HOST:PORT`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Whether the daemon says it is ready.
    pub(crate) fn is_ready(&self) -> bool {
        self.http.get(format!("{}/readyz", self.base)).call().is_ok_and(|r| r.status() == 200)
    }

    /// Whether the daemon says that it is not ready, as against saying nothing.
    pub(crate) fn says_not_ready(&self) -> bool {
        self.http.get(format!("{}/readyz", self.base)).call().is_ok_and(|r| r.status() == 503)
    }

    /// `GET`.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        read(self.http.get(format!("{}{path}", self.base)).call(), path)
    }

    /// `GET` with a header.
    #[track_caller]
    pub(crate) fn get_with(&self, path: &str, name: &str, value: &str) -> Answer {
        read(self.http.get(format!("{}{path}", self.base)).header(name, value).call(), path)
    }

    /// `POST` of JSON.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        read(self.http.post(format!("{}{path}", self.base)).send_json(body), path)
    }

    /// `POST` of bytes that call themselves JSON.
    #[track_caller]
    pub(crate) fn post_raw(&self, path: &str, body: &str) -> Answer {
        let request = self.http.post(format!("{}{path}", self.base)).content_type("application/json");
        read(request.send(body), path)
    }

    /// `DELETE`.
    #[track_caller]
    pub(crate) fn delete(&self, path: &str) -> Answer {
        read(self.http.delete(format!("{}{path}", self.base)).call(), path)
    }

    /// Attaches to a process with every probe, and returns the agent's id.
    #[track_caller]
    pub(crate) fn attach(&self, pid: u32) -> String {
        self.attach_with(&json!({ "pid": pid }))
    }

    /// Attaches as `request` says, and returns the agent's id.
    #[track_caller]
    pub(crate) fn attach_with(&self, request: &Value) -> String {
        let agent = self.post("/api/v1/agents", request).expect(201).json();
        agent["id"].as_str().unwrap_or_else(|| panic!("an agent without an id: {agent}")).to_owned()
    }

    /// Detaches; all that happened before can be read afterwards.
    #[track_caller]
    pub(crate) fn detach(&self, agent: &str) {
        let answer = self.delete(&format!("/api/v1/agents/{agent}"));
        assert!(matches!(answer.status, 200 | 204), "{}: {}", answer.status, answer.text());
    }

    /// One agent.
    #[track_caller]
    pub(crate) fn agent(&self, agent: &str) -> Value {
        self.get(&format!("/api/v1/agents/{agent}")).expect(200).json()
    }

    /// All agents, live and ended.
    #[track_caller]
    pub(crate) fn agents(&self) -> Vec<Value> {
        rows(&self.get("/api/v1/agents").expect(200).json(), "agents")
    }

    /// What the status page says.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        self.get("/api/v1/status").expect(200).json()
    }

    /// The programs and features that the status page calls unavailable, with the reason.
    #[track_caller]
    pub(crate) fn unavailable(&self) -> BTreeMap<String, String> {
        let status = self.status();
        let probes = status["probes"].as_array().unwrap_or_else(|| panic!("no probes in {status}"));
        assert!(!probes.is_empty());
        let refused = probes.iter().filter(|probe| probe["state"] == "unavailable");
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        refused.map(|probe| (word(&probe["name"]), word(&probe["reason"]))).collect()
    }

    /// A counter of losses, 0 if it does not show.
    #[track_caller]
    pub(crate) fn loss(&self, name: &str) -> u64 {
        self.status()["losses"][name].as_u64().unwrap_or(0)
    }

    /// Every counter of losses that is not 0.
    #[track_caller]
    pub(crate) fn losses(&self) -> Vec<(String, u64)> {
        let status = self.status();
        let losses = status["losses"].as_object().unwrap_or_else(|| panic!("no losses in {status}"));
        losses
            .iter()
            .map(|(name, n)| (name.clone(), n.as_u64().unwrap_or(0)))
            .filter(|(_, n)| *n > 0)
            .collect()
    }

    /// Reads one of an agent's lists, from all time.
    #[track_caller]
    pub(crate) fn rows_of(&self, agent: &str, page: &str, list: &str) -> Vec<Value> {
        rows(&self.get(&format!("/api/v1/agents/{agent}/{page}")).expect(200).json(), list)
    }
}

/// Asks again and again until there is an answer; for what happens by itself, such as an exit seen.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited for 20 s: {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

#[track_caller]
fn rows(page: &Value, list: &str) -> Vec<Value> {
    let rows = page.as_array().or_else(|| page[list].as_array());
    rows.unwrap_or_else(|| panic!("no list {list:?} in {page}")).clone()
}

#[track_caller]
fn read(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>, path: &str) -> Answer {
    let mut response = response.unwrap_or_else(|e| panic!("{path}: {e}"));
    let header = response.headers().get("content-type").and_then(|h| h.to_str().ok()).unwrap_or_default();
    let content_type = header.to_owned();
    let body = response
        .body_mut()
        .with_config()
        .limit(256 << 20)
        .read_to_vec()
        .unwrap_or_else(|e| panic!("{path}: {e}"));
    Answer { status: response.status().as_u16(), content_type, body }
}

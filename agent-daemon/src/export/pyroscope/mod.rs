//! Profiles pushed as pprof to servers that take them as Pyroscope does: `POST /ingest?name=…&from=…&until=…&format=pprof`,
//! one for each agent and kind, once per interval. The store is the buffer: while the server is away, profiles grow
//! longer, to ten minutes at most.

use std::sync::Arc;

use hyper::{StatusCode, Uri, header::HeaderValue};
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{Duration, Instant, MissedTickBehavior, interval},
};

use super::{
    account::Account,
    due::{Due, KINDS, Schedule},
    http::{Answer, Client, Credentials, Outcome, Version, shown},
};
use crate::{
    config,
    model::{agent::Agent, time::Timestamp},
    profile::pprof,
    store::{Store, query::ProfileKind},
    telemetry::Telemetry,
    tls::TlsError,
};

/// Pushes to one server.
#[derive(Debug)]
pub struct Pyroscope {
    interval: Duration,
    base: String,
    client: Client,
    credentials: Credentials,
    account: Account,
}

impl Pyroscope {
    /// `None` where no server is configured.
    ///
    /// # Errors
    /// The CA file cannot be read.
    pub fn open(config: &config::Pyroscope, telemetry: &Arc<Telemetry>) -> Result<Option<Self>, TlsError> {
        let url = config.receiver.url.as_deref();
        let Some((base, uri)) =
            url.and_then(|url| Some((url.trim_end_matches('/'), url.parse::<Uri>().ok()?)))
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            interval: config.interval,
            base: base.to_owned(),
            client: Client::new(&config.receiver, Version::Http1)?,
            credentials: Credentials::of(&config.receiver),
            account: Account::open("pyroscope", shown(&uri), telemetry),
        }))
    }

    /// Pushes what is due at each interval, until told to stop, and then once more.
    pub async fn run(self, store: Arc<dyn Store>, mut stop: watch::Receiver<bool>) {
        let mut schedule = Schedule::new(store);
        let mut beat = interval(self.interval);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut not_before = Instant::now();
        loop {
            let stopped = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => true,
                _ = beat.tick() => false,
            };
            if stopped || Instant::now() >= not_before {
                let (back, asked) = self.push_all(schedule).await;
                not_before = Instant::now() + asked;
                match back {
                    Some(back) => schedule = back,
                    None => return,
                }
            }
            if stopped {
                return;
            }
        }
    }

    /// Pushes all that is due; how long the server asks to be left alone.
    async fn push_all(&self, mut schedule: Schedule) -> (Option<Schedule>, Duration) {
        let now = Timestamp::now();
        let mut pause = Duration::ZERO;
        for agent in schedule.agents(now) {
            for kind in 0..KINDS.len() {
                let whose = agent.clone();
                let blocking = spawn_blocking(move || {
                    let due = schedule.due(&whose, kind, now);
                    let due = due.map(|(due, late)| (due.and_then(encoded), late));
                    (schedule, due)
                });
                let Ok((back, due)) = blocking.await else { return (None, Duration::ZERO) };
                schedule = back;
                let (due, late) = match due {
                    Ok(due) => due,
                    Err(error) => {
                        self.account.failed(&format!("reading the store: {error}"));
                        continue;
                    }
                };
                self.account.dropped(late);
                let Some((due, bytes)) = due else { continue };
                let (outcome, meets_all) = self.push(&agent, &due, bytes).await;
                match outcome {
                    Outcome::Taken(_) => self.account.sent(1),
                    Outcome::Refused(why) => self.account.refused(1, &why),
                    Outcome::Later(asked, why) => {
                        self.account.failed(&why);
                        pause = pause.max(asked.unwrap_or_default());
                        if meets_all {
                            return (Some(schedule), pause);
                        }
                        continue;
                    }
                }
                schedule.sent(&agent, kind, due.range);
            }
        }
        (Some(schedule), pause)
    }

    /// Pushes one profile; how that went, and whether the other profiles would fare no better.
    async fn push(&self, agent: &Agent, due: &Due, bytes: Vec<u8>) -> (Outcome, bool) {
        let secrets = match self.credentials.read() {
            Ok(secrets) => secrets,
            Err(error) => return (Outcome::Later(None, error.to_string()), true),
        };
        let query = query(agent, due);
        let Ok(to) = format!("{}/ingest?{query}", self.base).parse() else {
            return (Outcome::Refused("the address is none".to_owned()), false);
        };
        let mut headers = secrets.clone();
        headers.insert("content-type", HeaderValue::from_static("application/octet-stream"));
        let answer = self.client.post(&to, headers, bytes.into()).await;
        (Outcome::of(answer.as_ref(), &secrets), meets_all(&answer))
    }
}

/// Whether what happened lies with the server, or the way to it, and not with the one profile: a profile that the
/// server chokes on must not keep it from those behind.
fn meets_all(answer: &Result<Answer, String>) -> bool {
    let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    answer.as_ref().map_or(true, |answer| busy.contains(&answer.status))
}

fn encoded(due: Due) -> Option<(Due, Vec<u8>)> {
    let bytes = pprof::gzipped(&due.profile, &due.subject).ok()?;
    Some((due, bytes))
}

/// Name, labels and times, as the server wants them.
fn query(agent: &Agent, due: &Due) -> String {
    let kind = match due.profile.kind {
        ProfileKind::Cpu => "cpu",
        ProfileKind::OffCpu => "off_cpu",
    };
    let name = format!(
        "agentperf.{kind}{{service_name={},agent_id={}}}",
        label(&agent.name),
        label(agent.id.as_str())
    );
    let (from, until) = (due.range.from.as_second(), due.range.to.as_second());
    let samples: u64 = due.profile.stacks.iter().map(|stack| stack.count).sum();
    let ns: u64 = due.profile.stacks.iter().map(|stack| stack.ns).sum();
    let rate = samples.saturating_mul(1_000_000_000).checked_div(ns).unwrap_or(0).max(1);
    let name = percent(&name);
    format!("name={name}&from={from}&until={until}&format=pprof&spyName=agentperf&sampleRate={rate}")
}

/// A label's value without what would end it.
fn label(value: &str) -> String {
    let plain = |c: char| if c.is_control() || matches!(c, '{' | '}' | ',' | '=' | '"') { '_' } else { c };
    value.chars().map(plain).collect()
}

fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::time::TimeRange,
        profile::Subject,
        store::{
            fixture::{agent_at, at, cpu, process_at, window_at},
            query::profile,
        },
    };

    #[test]
    fn one_profile_that_the_server_chokes_on_does_not_end_the_round() {
        let answer = |status| {
            let (headers, trailers) = Default::default();
            Ok(Answer { status, headers, trailers, body: Default::default() })
        };
        assert!(meets_all(&Err("connection refused".to_owned())));
        for (status, all) in [(500, false), (502, false), (413, false), (429, true), (503, true)] {
            assert_eq!(meets_all(&answer(StatusCode::from_u16(status).unwrap())), all, "{status}");
        }
    }

    #[test]
    fn names_that_agents_choose_stay_one_label() {
        let mut agent = agent_at(at(0));
        agent.name = "a,b={c}&d \"é".to_owned();
        let mut window = window_at(&agent.id, at(0), 0);
        window.cpu = vec![cpu(100, &["main"], 50)];
        let due = Due {
            subject: Subject::new(agent.clone(), vec![process_at(100, at(0))]),
            profile: profile(&[Arc::new(window)], ProfileKind::Cpu, None),
            range: TimeRange { from: at(0), to: at(5) },
        };
        let query = query(&agent, &due);
        assert!(
            query.starts_with("name=agentperf.cpu%7Bservice_name%3Da_b__c_%26d%20_%C3%A9%2Cagent_id%3D100-"),
            "{query}"
        );
        assert!(
            query.ends_with(
                "%7D&from=1763738400&until=1763738405&format=pprof&spyName=agentperf&sampleRate=100"
            ),
            "{query}"
        );
    }
}

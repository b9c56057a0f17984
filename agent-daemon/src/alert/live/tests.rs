//! The owner over made-up samples, with real files and a real folder for its state; then the task around it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::watch;

use super::{Alerts, AlertsError, Parts, Receiver, Receivers, Telling, Wake, owner::Owner};
use crate::{
    alert::{
        matcher::Matcher,
        reaction::Reactions,
        route::{Delivery, Notification, Silence, SilenceError, Status},
        state::Phase,
    },
    config::{self, RuleSource},
    model::{
        exposition::{Samples, ShowSample},
        time::Timestamp,
    },
    store::{Limits, Memory},
    telemetry::Telemetry,
};

const RULES: &str = "\
groups:
- name: mine
  rules:
  - alert: Hot
    expr: heat > 10
    for: 10s
    annotations: {summary: 'at {{ $value }}'}
";
const ROUTES: &str = "route: {receiver: test, group_wait: 0s, group_interval: 5s}\n";

/// One gauge without labels.
#[derive(Debug, Default)]
struct Heat(Mutex<f64>);

impl Heat {
    fn set(&self, value: f64) {
        *self.0.lock().unwrap() = value;
    }
}

impl Samples for Heat {
    fn samples(&self, _: Timestamp, wanted: &dyn Fn(&str) -> bool, show: &mut ShowSample<'_>) {
        if wanted("heat") {
            show("heat", &[], *self.0.lock().unwrap());
        }
    }
}

/// Remembers what it was told.
#[derive(Debug, Default)]
struct Ear(Mutex<Vec<Notification>>);

impl Receiver for Ear {
    fn tell<'t>(&'t self, message: &'t Notification) -> Telling<'t> {
        self.0.lock().unwrap().push(message.clone());
        Box::pin(async { Delivery::Delivered })
    }
}

struct World {
    folder: tempfile::TempDir,
    heat: Arc<Heat>,
    ear: Arc<Ear>,
    telemetry: Arc<Telemetry>,
    now: i64,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rules.yaml"), RULES).unwrap();
        std::fs::write(folder.path().join("routes.yaml"), ROUTES).unwrap();
        let (heat, ear, telemetry) = Default::default();
        Self { folder, heat, ear, telemetry, now: 0 }
    }

    fn rules(&self) -> PathBuf {
        self.folder.path().join("rules.yaml")
    }

    fn parts(&self, window: Duration) -> Parts {
        let rules = vec![RuleSource::Path(self.rules())];
        let ear: Arc<dyn Receiver> = Arc::<Ear>::clone(&self.ear);
        Parts {
            config: config::Alerts {
                rules,
                routes: Some(self.folder.path().join("routes.yaml")),
                ..config::Alerts::default()
            },
            window,
            folder: Some(self.folder.path().to_owned()),
            samples: Arc::<Heat>::clone(&self.heat),
            store: Arc::new(Memory::new(Limits::default(), Arc::default())),
            replay: Arc::new(|_, _, _| ()),
            receivers: Receivers::new([("test".to_owned(), ear)]),
            reactions: Reactions::off(),
            host: "here".to_owned(),
            api: "http://127.0.0.1:1".to_owned(),
            telemetry: Arc::clone(&self.telemetry),
        }
    }

    fn at(&self) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + self.now).unwrap()
    }

    fn open(&self) -> Owner {
        Owner::open(self.parts(Duration::from_secs(5)), self.at()).unwrap()
    }

    /// Rounds of five seconds at this heat; what was to be told, and was taken.
    fn rounds(&mut self, owner: &mut Owner, heat: f64, rounds: usize) -> Vec<(Status, Vec<Phase>)> {
        self.heat.set(heat);
        let mut told = Vec::new();
        for _ in 0..rounds {
            self.now += 5;
            for message in owner.round(self.at()) {
                owner.report(message.id, Delivery::Delivered, self.at());
                told.push((message.status, message.alerts.iter().map(|alert| alert.phase).collect()));
            }
        }
        told
    }
}

#[test]
fn a_fact_fires_once_and_resolves_once() {
    let mut world = World::new();
    let mut owner = world.open();
    assert_eq!(world.rounds(&mut owner, 1.0, 5), []);
    assert_eq!(world.rounds(&mut owner, 20.0, 20), [(Status::Firing, vec![Phase::Firing])]);
    let view = owner.view(world.at());
    assert_eq!(view.alerts[0].alert.annotations["summary"], "at 20");
    assert_eq!(view.rules[0].alerts, (0, 1));
    assert_eq!(world.rounds(&mut owner, 1.0, 20), [(Status::Resolved, vec![Phase::Resolved])]);
    let view = owner.view(world.at());
    assert_eq!(view.past.len(), 1);
    assert_eq!(view.past[0].phase, Phase::Resolved);
    let now = world.telemetry.alerts.now();
    assert_eq!((now.rules, now.firing, now.series), (1, 0, 1));
}

#[test]
fn a_restart_in_the_middle_tells_nothing_twice() {
    let mut world = World::new();
    let mut owner = world.open();
    let before = world.rounds(&mut owner, 20.0, 10);
    assert_eq!(before.len(), 1, "{before:?}");
    // As after a crash: nothing is said to it.
    drop(owner);
    world.now += 60;
    let mut owner = world.open();
    assert_eq!(owner.view(world.at()).alerts[0].alert.phase, Phase::Firing, "known before the first round");
    assert!(owner.due(world.at()).is_empty(), "and nothing is told before it");
    assert_eq!(world.rounds(&mut owner, 20.0, 20), []);
    assert_eq!(world.rounds(&mut owner, 1.0, 20), [(Status::Resolved, vec![Phase::Resolved])]);
}

#[test]
fn a_message_that_was_on_its_way_comes_again_with_its_id() {
    let mut world = World::new();
    let mut owner = world.open();
    world.heat.set(20.0);
    let mut first = Vec::new();
    while first.is_empty() {
        world.now += 5;
        first = owner.round(world.at());
    }
    drop(owner);
    let mut owner = world.open();
    world.now += 5;
    let again = owner.round(world.at());
    assert_eq!(again.iter().map(|m| m.id).collect::<Vec<_>>(), [first[0].id]);
    assert_eq!(again[0].attempt, 2);
}

#[test]
fn a_silence_mutes_outlasts_a_restart_and_can_be_ended() {
    let mut world = World::new();
    let mut owner = world.open();
    let silence = |at: Timestamp| {
        let begin = at.as_millisecond();
        let matcher = Matcher::parse("alertname=\"Hot\"").unwrap();
        Silence::new(vec![matcher], (begin, begin + 3_600_000), "me", "a test").unwrap()
    };
    let id = owner.silence(silence(world.at()), world.at()).unwrap();
    assert_eq!(world.rounds(&mut owner, 20.0, 10), []);
    drop(owner);
    let mut owner = world.open();
    assert_eq!(world.rounds(&mut owner, 20.0, 10), []);
    assert!(owner.view(world.at()).alerts[0].muted.is_some());
    assert_eq!(world.telemetry.alerts.now().muted, 1);
    owner.unsilence(id, world.at()).unwrap();
    assert_eq!(world.rounds(&mut owner, 20.0, 5).len(), 1);
    assert_eq!(
        owner.unsilence(crate::alert::labels::Labels::default().fingerprint(), world.at()),
        Err(SilenceError::Unknown)
    );
}

fn change(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[test]
fn files_that_change_are_read_and_wrong_ones_are_refused_with_their_line() {
    let mut world = World::new();
    let mut owner = world.open();
    world.rounds(&mut owner, 20.0, 10);
    change(&world.rules(), &RULES.replace("heat > 10", "heat > > 10"));
    assert_eq!(world.rounds(&mut owner, 20.0, 3), [], "what fires goes on");
    let view = owner.view(world.at());
    let why = view.refused.unwrap();
    assert!(why.starts_with(&format!("{}:5:18: ", world.rules().display())), "{why}");
    assert_eq!(world.telemetry.alerts.now().refused, Some(why));
    assert_eq!(view.rules[0].expr, "heat > 10");
    // A rule that stays is the same rule, and its alert goes on.
    change(&world.rules(), &RULES.replace("heat > 10", "heat > 15 + 0"));
    assert_eq!(world.rounds(&mut owner, 20.0, 5), []);
    let view = owner.view(world.at());
    assert_eq!((view.refused, view.rules[0].expr.as_str()), (None, "heat > 15 + 0"));
    change(&world.rules(), "groups: []\n");
    assert_eq!(world.rounds(&mut owner, 20.0, 5), [(Status::Resolved, vec![Phase::Resolved])]);
}

#[test]
fn rules_that_are_wrong_at_the_start_are_refused() {
    let world = World::new();
    change(&world.rules(), "groups:\n- name: g\n  rules:\n  - alert: A\n");
    let error = Owner::open(world.parts(Duration::from_secs(5)), world.at()).err().unwrap();
    assert!(error.to_string().contains("rules.yaml:4:"), "{error}");
}

#[test]
fn a_rule_whose_metric_is_missing_says_so() {
    let mut world = World::new();
    change(&world.rules(), &RULES.replace("heat > 10", "cold < 1 or heat > 10"));
    let mut owner = world.open();
    world.rounds(&mut owner, 20.0, 3);
    let view = owner.view(world.at());
    assert_eq!(view.rules[0].missing.iter().map(String::as_str).collect::<Vec<_>>(), ["cold"]);
}

#[tokio::test]
async fn the_task_tells_within_seconds_and_answers() {
    let world = World::new();
    change(&world.rules(), &RULES.replace("for: 10s", "for: 0s"));
    world.heat.set(20.0);
    let parts = world.parts(Duration::from_millis(100));
    let (alerts, running) = Alerts::open(parts, Arc::new(Wake::default())).unwrap();
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(running.run(stopped));
    let told = async {
        while world.ear.0.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told).await.unwrap();
    assert_eq!(alerts.view().alerts.len(), 1);
    let matcher = Matcher::parse("alertname=\"Hot\"").unwrap();
    let now = Timestamp::now().as_millisecond();
    let silence = Silence::new(vec![matcher], (now, now + 60_000), "me", "").unwrap();
    let id = alerts.silence(silence).await.unwrap();
    assert_eq!(alerts.view().silences.len(), 1, "seen once it is answered");
    alerts.unsilence(id).await.unwrap();
    stop.send_replace(true);
    task.await.unwrap();
    assert_eq!(world.ear.0.lock().unwrap().len(), 1, "told once");
    assert!(world.folder.path().join("alerts.json").exists());
    assert_eq!(alerts.unsilence(id).await, Err(AlertsError::Off));
}

/// How long a round of a thousand rules over a hundred agents takes, and what it holds in memory: run by name, in a
/// release build, with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn a_thousand_rules_over_a_hundred_agents() {
    struct Many(Mutex<f64>);
    impl Samples for Many {
        fn samples(&self, _: Timestamp, wanted: &dyn Fn(&str) -> bool, show: &mut ShowSample<'_>) {
            let mut time = self.0.lock().unwrap();
            *time += 1.0;
            for metric in (0..20).map(|n| format!("agentperf_metric_{n}_total")).filter(|name| wanted(name)) {
                for agent in 0..100 {
                    let id = format!("{agent}-1763738400123");
                    show(&metric, &[("agent", "worker"), ("agent_id", &id)], *time * f64::from(agent));
                }
            }
        }
    }
    let mut text = "groups:\n- name: g\n  rules:\n".to_owned();
    for n in 0..1000 {
        let metric = n % 20;
        text += &format!(
            "  - alert: Rule{n}\n    expr: sum by (agent, agent_id) (rate(agentperf_metric_{metric}_total[5m])) > {}\n    for: 5m\n    annotations: {{summary: '{{{{ $labels.agent }}}} {{{{ $value }}}}'}}\n",
            1_000_000 + n
        );
    }
    let mut world = World::new();
    change(&world.rules(), &text);
    let before = crate::telemetry::own_usage().rss_bytes;
    let parts = Parts { samples: Arc::new(Many(Mutex::new(0.0))), ..world.parts(Duration::from_secs(5)) };
    let mut owner = Owner::open(parts, world.at()).unwrap();
    let mut took = Vec::new();
    for _ in 0..80 {
        world.now += 5;
        let begin = std::time::Instant::now();
        owner.round(world.at());
        drop(owner.view(world.at()));
        took.push(begin.elapsed());
    }
    took.drain(..60);
    took.sort_unstable();
    let after = crate::telemetry::own_usage().rss_bytes;
    let now = world.telemetry.alerts.now();
    eprintln!(
        "rules {} failing {} series {} samples {}: median {:?}, longest {:?}; {} MB more resident",
        now.rules,
        now.failing,
        now.series,
        now.samples,
        took[10],
        took[19],
        after.saturating_sub(before) >> 20,
    );
    assert_eq!((now.rules, now.failing, now.series), (1000, 0, 2000));
}

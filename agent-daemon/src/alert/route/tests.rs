//! Who is told what: once, in order, and not when it is muted.

use proptest::prelude::{ProptestConfig, prop, prop_assert, prop_assert_eq, proptest};

use super::{Config, Delivery, Muted, Notification, Router, Silence, Status};
use crate::alert::{
    eval::Millis,
    labels::Labels,
    matcher::Matcher,
    rule::Severity,
    state::{Alert, Phase},
};

const CONFIG: &str = "
route:
  receiver: all
  group_by: [alertname]
  group_wait: 5s
  group_interval: 1m
  repeat_interval: 1h
  routes:
    - receiver: pager
      matchers: ['severity=\"critical\"']
      continue: true
    - receiver: team
      matchers: ['team=~\".+\"']
      group_by: ['...']
inhibit_rules:
  - source_matchers: ['scope=\"host\"']
    target_matchers: ['scope=\"agent\"']
    equal: [host]
maintenance:
  - name: backup
    days: [sunday]
    from: \"23:00\"
    to: \"01:00\"
    utc_offset: \"+01:00\"
    matchers: ['alertname=\"Disk\"']
rates:
  team: { messages: 2, per: 10m }
";

const SECOND: Millis = 1000;
const MINUTE: Millis = 60_000;

fn router() -> Router {
    Router::new(Config::parse(CONFIG).unwrap())
}

fn alert(labels: &[(&str, &str)], phase: Phase) -> Alert {
    let labels = Labels::new(labels.iter().copied());
    let rules = "groups: [{name: g, rules: [{alert: A, expr: x}]}]";
    let rule = crate::alert::RuleSet::parse(rules).unwrap().rules().next().unwrap().id;
    Alert {
        id: labels.fingerprint(),
        rule,
        severity: Severity::find(labels.get("severity")).unwrap_or_default(),
        labels,
        annotations: std::collections::BTreeMap::new(),
        value: 1.0,
        phase,
        active_at: 0,
        fired_at: Some(0),
        resolved_at: (phase == Phase::Resolved).then_some(0),
        flapping: false,
        dedup: None,
        action: None,
    }
}

fn firing(labels: &[(&str, &str)]) -> Alert {
    alert(labels, Phase::Firing)
}

/// One round: what is sent, all of it delivered.
fn round(router: &mut Router, alerts: &[Alert], now: Millis) -> Vec<Notification> {
    router.update(alerts.iter(), now);
    let due = router.due(now);
    for message in &due {
        router.report(message.id, Delivery::Delivered, now);
    }
    due
}

fn told(messages: &[Notification]) -> Vec<(&str, Status, usize)> {
    messages.iter().map(|m| (m.receiver.as_str(), m.status, m.alerts.len())).collect()
}

#[test]
fn a_group_gathers_tells_once_repeats_and_resolves() {
    let mut router = router();
    let one = firing(&[("alertname", "Cpu"), ("agent", "a")]);
    let two = firing(&[("alertname", "Cpu"), ("agent", "b")]);
    assert!(round(&mut router, std::slice::from_ref(&one), 0).is_empty(), "it waits for others");
    let both = [one.clone(), two.clone()];
    assert_eq!(told(&round(&mut router, &both, 5 * SECOND)), [("all", Status::Firing, 2)]);
    for now in [6 * SECOND, 10 * MINUTE, 59 * MINUTE] {
        assert!(round(&mut router, &both, now).is_empty());
    }
    assert_eq!(told(&round(&mut router, &both, 61 * MINUTE)), [("all", Status::Firing, 2)]);
    let gone = [Alert { phase: Phase::Resolved, resolved_at: Some(7), value: 2.0, ..one }, two];
    assert!(round(&mut router, &gone, 61 * MINUTE + SECOND).is_empty(), "not before the interval");
    let resolved = round(&mut router, &gone, 62 * MINUTE);
    assert_eq!(told(&resolved), [("all", Status::Firing, 2)]);
    assert_eq!(resolved[0].alerts[1].resolved_at, Some(7));
    assert_eq!(resolved[0].alerts[1].value.to_bits(), 2.0_f64.to_bits(), "its last one");
    // The other vanishes without a word: it is resolved too.
    assert_eq!(told(&round(&mut router, &[], 64 * MINUTE)), [("all", Status::Resolved, 1)]);
    assert!(round(&mut router, &[], 200 * MINUTE).is_empty());
    let saved = serde_json::to_value(router.save()).unwrap();
    assert_eq!(saved["groups"], serde_json::json!([]), "nothing is left of it");
}

#[test]
fn routes_take_what_they_match() {
    let mut router = router();
    let alerts = [
        firing(&[("alertname", "A"), ("severity", "critical"), ("team", "x")]),
        firing(&[("alertname", "B")]),
    ];
    round(&mut router, &alerts, 0);
    let messages = round(&mut router, &alerts, 5 * SECOND);
    let mut receivers: Vec<&str> = messages.iter().map(|m| m.receiver.as_str()).collect();
    assert_eq!(messages[0].severity, Severity::Critical, "the worst first");
    receivers.sort_unstable();
    assert_eq!(receivers, ["all", "pager", "team"]);
}

#[test]
fn what_fails_is_tried_again_under_the_same_id_and_nothing_is_lost() {
    let mut router = router();
    let one = [firing(&[("alertname", "A")])];
    router.update(one.iter(), 0);
    assert!(router.due(0).is_empty());
    let first = router.due(5 * SECOND).remove(0);
    assert!(router.due(6 * SECOND).is_empty(), "somebody is at it");
    router.report(first.id, Delivery::Retry, 6 * SECOND);
    assert!(router.due(7 * SECOND).is_empty());
    let second = router.due(8 * SECOND).remove(0);
    assert_eq!((second.id, second.attempt), (first.id, 2));
    // The daemon dies while it is on its way; meanwhile the alert resolves.
    let text = serde_json::to_string(&router.save()).unwrap();
    let mut router = self::router();
    router.restore(serde_json::from_str(&text).unwrap());
    router.update(std::iter::empty(), 9 * SECOND);
    let third = router.due(9 * SECOND).remove(0);
    assert_eq!((third.id, third.status), (first.id, Status::Firing), "in order, and known by its id");
    router.report(third.id, Delivery::Delivered, 9 * SECOND);
    router.update(std::iter::empty(), 2 * MINUTE);
    let last = router.due(2 * MINUTE).remove(0);
    assert_eq!(last.status, Status::Resolved);
    assert_ne!(last.id, first.id);
}

#[test]
fn who_refuses_is_not_flooded() {
    let mut router = router();
    let one = [firing(&[("alertname", "A")])];
    let mut tries = 0;
    for step in 0..1200 {
        let now = step * SECOND;
        router.update(one.iter(), now);
        for message in router.due(now) {
            tries += 1;
            router.report(message.id, Delivery::Refused, now);
        }
    }
    // Twenty minutes.
    assert_eq!((tries, router.given_up()), (4, 4));
}

#[test]
fn a_restart_tells_nothing_again() {
    let mut router = router();
    let one = [firing(&[("alertname", "A")])];
    round(&mut router, &one, 0);
    assert_eq!(round(&mut router, &one, 5 * SECOND).len(), 1);
    let saved = router.save();
    let mut after = self::router();
    after.restore(saved);
    assert!(round(&mut after, &one, 20 * MINUTE).is_empty());
}

#[test]
fn a_cause_of_the_host_mutes_those_of_its_agents() {
    let mut router = router();
    let agent = firing(&[("alertname", "AgentSlow"), ("scope", "agent"), ("host", "h")]);
    let elsewhere = firing(&[("alertname", "AgentSlow"), ("scope", "agent"), ("host", "other")]);
    let host = firing(&[("alertname", "HostSlow"), ("scope", "host"), ("host", "h")]);
    let all = [agent.clone(), elsewhere.clone(), host.clone()];
    round(&mut router, &all, 0);
    let messages = round(&mut router, &all, 5 * SECOND);
    assert_eq!(messages.iter().map(|m| m.alerts.len()).sum::<usize>(), 2);
    assert_eq!(router.muted(&agent, 0), Some(Muted::Inhibited(0)));
    assert_eq!(router.muted(&elsewhere, 0), None);
    assert_eq!(router.muted(&host, 0), None);
    // The cause goes, the effect stays: now it is told.
    let messages = round(&mut router, &all[..2], 2 * MINUTE);
    assert!(messages.iter().any(|m| m.alerts.iter().any(|a| a.id == agent.id)));
}

#[test]
fn silences_end_and_have_an_author() {
    let mut router = router();
    let one = [firing(&[("alertname", "A"), ("agent", "x")])];
    let matchers = || vec![Matcher::parse("agent=~\"x|y\"").unwrap()];
    assert!(Silence::new(matchers(), (0, 10), " ", "").is_err());
    assert!(Silence::new(vec![Matcher::parse("a=~\".*\"").unwrap()], (0, 10), "me", "").is_err());
    assert!(Silence::new(Vec::new(), (0, 10), "me", "").is_err());
    assert!(Silence::new(matchers(), (10, 10), "me", "").is_err());
    let silence = Silence::new(matchers(), (0, 10 * MINUTE), "me", "known").unwrap();
    let id = router.silence(silence.clone(), 0).unwrap();
    assert_eq!(router.silence(silence, 0), Ok(id), "twice is once");
    for now in [0, 5 * SECOND, 9 * MINUTE] {
        assert!(round(&mut router, &one, now).is_empty());
    }
    assert_eq!(router.muted(&one[0], MINUTE), Some(Muted::Silence(id)));
    router.unsilence(id, 9 * MINUTE).unwrap();
    round(&mut router, &one, 9 * MINUTE);
    assert_eq!(round(&mut router, &one, 10 * MINUTE).len(), 1);
    assert_eq!(router.silences().count(), 1);
}

#[test]
fn maintenance_is_a_time_of_the_week() {
    let disk = firing(&[("alertname", "Disk")]);
    let other = firing(&[("alertname", "Other")]);
    let router = router();
    // 1970-01-04 was a Sunday; 23:00 of UTC+1 is 22:00 UTC.
    let hour = 60 * MINUTE;
    let sunday = 3 * 24 * hour;
    for (at, on) in [
        (sunday + 21 * hour, false),
        (sunday + 22 * hour, true),
        (sunday + 24 * hour - 1, true),
        (sunday + 24 * hour, false),
        (sunday - 2 * hour, false),
        (sunday + 22 * hour - 7 * 24 * hour, true),
        (i64::MIN, false),
    ] {
        assert_eq!(router.muted(&disk, at).is_some(), on, "{at}");
        assert_eq!(router.muted(&other, at), None);
    }
}

#[test]
fn a_receiver_is_told_no_more_than_it_takes() {
    let mut router = router();
    let many: Vec<Alert> =
        (0..9).map(|n| firing(&[("alertname", "A"), ("team", "t"), ("n", &n.to_string())])).collect();
    round(&mut router, &many, 0);
    assert_eq!(round(&mut router, &many, 5 * SECOND).len(), 2);
    assert_eq!(round(&mut router, &many, 10 * SECOND).len(), 0);
    // Nothing is lost: two each ten minutes, until all are told.
    let later: usize = (1..50).map(|n| round(&mut router, &many, n * MINUTE).len()).sum();
    assert_eq!(later, 7);
}

#[test]
fn the_default_routes_are_routes() {
    let config = Config::parse(super::DEFAULT_ROUTES).unwrap();
    assert_eq!(config.receivers().into_iter().collect::<Vec<_>>(), ["default"]);
    let rules = crate::alert::RuleSet::parse(crate::alert::rule::DEFAULT_RULES).unwrap();
    for inhibition in &config.inhibitions {
        let named = |name: &str| Labels::new([("alertname", name), ("severity", "critical")]);
        let source = |rule: &crate::alert::rule::Rule| {
            inhibition.source_matchers.iter().all(|matcher| matcher.matches(&named(&rule.name)))
        };
        assert!(rules.rules().any(source), "{inhibition:?} names no rule");
    }
}

#[test]
fn wrong_files_are_refused_with_a_place() {
    for (text, part) in [
        ("route: {}", "needs a receiver"),
        ("route: {receiver: a, matchers: ['x=1']}", "in quotes"),
        ("route: {receiver: a, group_wait: 5}", "no duration"),
        ("route: {receiver: a, reciever: b}", "reciever"),
        ("route: {receiver: a}\nrates: {b: {messages: 1, per: 1m}}", "no route names"),
        ("route: {receiver: a}\nmaintenance: [{name: m, from: \"25:00\", to: \"01:00\"}]", "no time of day"),
        ("route: {receiver: a}\ninhibit_rules: [{source_matchers: [], target_matchers: []}]", "needs source"),
    ] {
        let error = Config::parse(text).expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

proptest! {
    // Each case is 400 rounds with all that is saved in between.
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever fails and whenever it restarts: in the end every alert was told to fire once, and to resolve once.
    #[test]
    fn nothing_is_lost_and_nothing_doubled(
        faults in prop::collection::vec(0..4u8, 0..40),
        count in 1..6usize,
    ) {
        let mut router = router();
        let alerts: Vec<Alert> =
            (0..count).map(|n| firing(&[("alertname", "A"), ("n", &n.to_string())])).collect();
        let mut received: Vec<Notification> = Vec::new();
        let mut faults = faults.into_iter();
        for step in 0..400 {
            let now = step * 30 * SECOND;
            let present: &[Alert] = if (5..100).contains(&step) { &alerts } else { &[] };
            router.update(present.iter(), now);
            let saved = serde_json::to_string(&router.save()).unwrap();
            for message in router.due(now) {
                let fault = faults.next().unwrap_or(0);
                // 0: well; 1: not delivered; 2: delivered, but nobody knows; 3: the daemon dies before it hears.
                if fault != 1 && !received.iter().any(|known| known.id == message.id) {
                    received.push(message.clone());
                }
                match fault {
                    0 => router.report(message.id, Delivery::Delivered, now),
                    1 | 2 => router.report(message.id, Delivery::Retry, now),
                    _ => {
                        router = self::router();
                        router.restore(serde_json::from_str(&saved).unwrap());
                        break;
                    }
                }
            }
        }
        prop_assert!(!received.is_empty());
        for alert in &alerts {
            let states = received.iter().flat_map(|m| &m.alerts).filter(|a| a.id == alert.id).map(|a| a.phase);
            prop_assert_eq!(states.collect::<Vec<_>>(), vec![Phase::Firing, Phase::Resolved]);
        }
    }

    #[test]
    fn no_clock_breaks_it(times in prop::collection::vec(proptest::num::i64::ANY, 0..40)) {
        let mut router = router();
        let one = [firing(&[("alertname", "Disk"), ("team", "t")])];
        for now in times {
            router.update(one.iter(), now);
            for message in router.due(now) {
                router.report(message.id, Delivery::Retry, now);
            }
        }
    }
}

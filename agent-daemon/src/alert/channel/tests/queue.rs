//! The queue by itself, at times of our choosing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::notification;
use crate::alert::{
    channel::{
        About, Later, Message, Outcome,
        queue::{MAX_WAITING, Next, Queue, Saved},
    },
    eval::Millis,
    labels::Fingerprint,
    route::{Delivery, Rate},
};

/// When all of this happens.
const T0: Millis = 1_700_000_000_000;

fn message(number: usize, severity: &str) -> Message {
    let mut notification = notification("a", number, "firing", severity);
    notification.made_at = T0;
    Message { notification, diagnoses: BTreeMap::new(), about: Arc::new(About::default()) }
}

fn queue(messages: u32, per: Millis) -> Queue {
    Queue::new(Rate { messages, per }, Saved::default())
}

fn later(asked: Option<u64>, unreached: bool) -> Outcome {
    Outcome::Later(Later { asked: asked.map(Duration::from_secs), why: String::new(), unreached })
}

fn taken() -> Outcome {
    Outcome::Taken(String::new())
}

#[track_caller]
fn sent(queue: &mut Queue, now: Millis) -> Fingerprint {
    match queue.next(now) {
        Next::Send(message, _) => message.notification.id,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn at(queue: &mut Queue, now: Millis) -> Millis {
    match queue.next(now) {
        Next::At(at) => at,
        other => panic!("{other:?}"),
    }
}

#[test]
fn pauses_double_up_to_five_minutes_and_are_shortened_at_random() {
    for (random, part) in [(0.0, 2), (1.0, 1)] {
        let (mut queue, mut now) = (queue(1000, 1000), T0);
        queue.push(message(1, "warning"), now);
        for expected in [1000, 2000, 4000, 8000, 16000, 32000, 64000, 128_000, 256_000, 300_000, 300_000] {
            let id = sent(&mut queue, now);
            assert_eq!(queue.done(id, &later(None, false), now, random), None);
            assert_eq!(at(&mut queue, now), now + expected / part);
            now += expected / part;
        }
    }
}

#[test]
fn the_worst_is_first_and_one_that_fails_holds_up_no_other() {
    let mut queue = queue(1000, 1000);
    for (number, severity) in [(1, "info"), (2, "critical"), (3, "warning")] {
        queue.push(message(number, severity), T0);
    }
    let worst = sent(&mut queue, T0);
    assert_eq!(worst, message(2, "critical").notification.id);
    queue.done(worst, &later(None, false), T0, 1.0);
    for (number, severity) in [(3, "warning"), (1, "info")] {
        let id = sent(&mut queue, T0);
        assert_eq!(id, message(number, severity).notification.id);
        assert_eq!(queue.done(id, &taken(), T0, 1.0).unwrap().delivery, Delivery::Delivered);
    }
    assert_eq!(at(&mut queue, T0), T0 + 1000, "a failure of its own is no matter of others that were taken");
}

#[test]
fn what_failed_since_nobody_was_there_is_due_when_somebody_is() {
    let mut queue = queue(1000, 1000);
    queue.push(message(1, "warning"), T0);
    for now in [T0, T0 + 1000] {
        let id = sent(&mut queue, now);
        queue.done(id, &later(None, true), now, 1.0);
    }
    assert_eq!(at(&mut queue, T0 + 1000), T0 + 3000);
    queue.push(message(2, "critical"), T0 + 1500);
    let id = sent(&mut queue, T0 + 1500);
    queue.done(id, &taken(), T0 + 1500, 1.0);
    assert_eq!(sent(&mut queue, T0 + 1500), message(1, "warning").notification.id);
}

#[test]
fn the_same_message_again_is_no_other_one() {
    let mut queue = queue(1000, 1000);
    queue.push(message(1, "warning"), T0);
    sent(&mut queue, T0);
    assert_eq!(queue.push(message(1, "warning"), T0), None);
    assert!(matches!(queue.next(T0 + 1000), Next::Nothing), "it is being sent");
}

#[test]
fn no_more_than_the_rate_goes_and_tries_count() {
    let mut queue = queue(3, 60_000);
    for number in 0..10 {
        queue.push(message(number, "warning"), T0);
    }
    for _ in 0..3 {
        let id = sent(&mut queue, T0);
        queue.done(id, &later(None, false), T0, 0.0);
    }
    assert_eq!(at(&mut queue, T0), T0 + 20_000);
    let mut now = T0;
    let mut times = 3;
    while now < T0 + 600_000 {
        now += 500;
        if let Next::Send(message, _) = queue.next(now) {
            times += 1;
            queue.done(message.notification.id, &later(None, false), now, 0.0);
        }
    }
    assert!((30..=33).contains(&times), "{times}");
}

#[test]
fn an_asked_pause_holds_for_all() {
    let mut queue = queue(1000, 1000);
    queue.push(message(1, "warning"), T0);
    let id = sent(&mut queue, T0);
    queue.done(id, &later(Some(90), false), T0, 0.0);
    queue.push(message(2, "critical"), T0);
    assert_eq!(at(&mut queue, T0), T0 + 90_000);
    let saved = queue.save();
    let mut again = Queue::new(Rate { messages: 1000, per: 1000 }, saved);
    again.push(message(2, "critical"), T0);
    assert_eq!(at(&mut again, T0), T0 + 90_000);
}

#[test]
fn where_there_is_no_room_the_least_urgent_goes_back() {
    let mut queue = queue(1000, 1000);
    for number in 0..MAX_WAITING {
        assert_eq!(queue.push(message(number, "warning"), T0), None);
    }
    let info = message(MAX_WAITING, "info");
    let back = queue.push(info.clone(), T0).unwrap();
    assert_eq!((back.id, back.delivery), (info.notification.id, Delivery::Retry));
    let critical = message(MAX_WAITING + 1, "critical");
    let back = queue.push(critical.clone(), T0).unwrap();
    assert_ne!(back.id, critical.notification.id);
    assert_eq!((queue.len(), sent(&mut queue, T0)), (MAX_WAITING, critical.notification.id));
    assert_eq!(queue.counts.returned, 2);
}

#[test]
fn after_a_day_the_router_is_told_that_it_does_not_go() {
    let mut queue = queue(1000, 1000);
    queue.push(message(1, "warning"), T0);
    let (mut now, mut last) = (T0, None);
    while last.is_none() {
        match queue.next(now) {
            Next::Send(message, _) => {
                last = queue.done(message.notification.id, &later(None, true), now, 1.0);
            }
            Next::At(at) => now = at,
            Next::Nothing => panic!("it is lost"),
        }
    }
    assert_eq!(last.unwrap().delivery, Delivery::Retry);
    assert!((86_400_000..86_400_000 + 300_000).contains(&(now - T0)), "{}", now - T0);
    assert_eq!(queue.len(), 0);
}

#[test]
fn clocks_that_jump_neither_lose_nor_hurry_anything() {
    let mut queue = queue(2, 60_000);
    queue.push(message(1, "warning"), T0);
    let id = sent(&mut queue, T0);
    queue.done(id, &later(Some(600), false), T0, 1.0);
    let past = T0 - 365 * 86_400_000;
    let at = at(&mut queue, past);
    assert!(at <= past + 600_000, "{}", at - past);
    assert_eq!(sent(&mut queue, at), id);
    queue.done(id, &later(None, false), at, 1.0);
    assert_eq!(sent(&mut queue, T0), id, "forth again");
}

#[test]
fn what_is_remembered_of_a_message_ends_with_it() {
    let mut queue = queue(1000, 1000);
    queue.push(message(1, "warning"), T0);
    let id = sent(&mut queue, T0);
    queue.done(id, &later(None, false), T0, 1.0);
    let saved = queue.save();
    let mut again = Queue::new(Rate { messages: 1000, per: 1000 }, saved.clone());
    assert_eq!(again.save(), saved);
    again.push(message(1, "warning"), T0);
    assert_eq!(again.save(), saved, "taken up where it was");
    assert_eq!(at(&mut again, T0), T0 + 1000);
    let mut never = Queue::new(Rate { messages: 1000, per: 1000 }, saved);
    assert!(matches!(never.next(T0 + 2 * 86_400_000), Next::Nothing));
    assert!(!serde_json::to_string(&never.save()).unwrap().contains(&id.to_string()));
}

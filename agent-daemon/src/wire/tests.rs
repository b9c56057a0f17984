//! Recordings of real clients, replayed: whole, cut otherwise, and with holes. What the clients saw is the truth.

mod holes;
mod made;
mod recording;
mod said;
mod truth;

use recording::{NAMES, Recording};
use truth::check;

#[test]
fn every_call_of_every_recording_is_told_as_its_client_saw_it() {
    for name in NAMES {
        let recording = Recording::read(name);
        check(name, &recording.truths, &recording.replay());
    }
}

#[test]
fn nothing_of_what_was_said_is_told() {
    for name in NAMES {
        let recording = Recording::read(name);
        let shown = format!("{:?}", recording.replay());
        for secret in ["PLANTED", "planted", "4711", "long long"] {
            assert!(!shown.contains(secret), "{name} tells {secret}");
        }
        assert!(recording.says("PLANTED"), "{name} has no secret");
    }
}

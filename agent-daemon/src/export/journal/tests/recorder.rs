//! What the flight recorder dumps is a journal: a store made of it answers as the one whose records it saw.

use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

use super::{Follower as _, Recorder, Telemetry, Timestamp, all_answers, history, imported, open, put};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn a_dump_has_all_that_the_ring_has_room_for(records in history()) {
        let [original, by_dump] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let first = open(original.path());
        let telemetry = std::sync::Arc::new(Telemetry::default());
        let (recorder, journal, thread) = Recorder::start(64_000_000, &telemetry).unwrap();
        for record in &records {
            put(&first, record);
            journal.follow(record);
        }
        thread.finish();
        let mut dump = Vec::new();
        recorder.dump(Timestamp::MIN, &mut dump).unwrap();
        let second = open(by_dump.path());
        let done = imported(&second, [dump.as_slice()].into_iter());
        prop_assert_eq!((done.broken, telemetry.losses.all()["recorder_dropped"]), (0, 0));
        prop_assert_eq!(&all_answers(&second), &all_answers(&first));
    }
}

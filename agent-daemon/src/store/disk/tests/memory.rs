//! The same is put into both stores; both say the same, also after restarts and sealing.

use std::{sync::Arc, time::Duration};

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest};

use super::{
    QUICK, answers, open,
    operations::{arrived, told},
    overview,
};
use crate::{
    model::{agent::AgentEnd, id::AgentId, process::Exit, time::TimeRange},
    store::{
        Limits, Memory, Store,
        fixture::{at, busy_window, numbered_agent, operation_at, process_at, process_id},
    },
    telemetry::Telemetry,
};

/// One thing that can be done to a store.
#[derive(Clone, Debug)]
enum Step {
    Agent { pid: u32, watch: i64, ended: bool },
    Process { agent: u32, pid: u32, ended: Option<i64> },
    Window { agent: u32, start: i64, seed: u32 },
    Operation { start: i64, id: u64 },
    Maintain,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let ended = prop_oneof![Just(None), (0i64..9000).prop_map(Some)];
    prop_oneof![
        3 => (0..3u32, 0..3i64, any::<bool>())
            .prop_map(|(pid, watch, ended)| Step::Agent { pid, watch, ended }),
        4 => (0..3u32, 0..6u32, ended).prop_map(|(agent, pid, ended)| Step::Process { agent, pid, ended }),
        6 => (0..3u32, 0..9000i64, any::<u32>())
            .prop_map(|(agent, start, seed)| Step::Window { agent, start, seed }),
        3 => (0..9000i64, 1..1000u64).prop_map(|(start, id)| Step::Operation { start, id }),
        2 => Just(Step::Maintain),
        1 => Just(Step::Restart),
    ]
}

fn id(pid: u32) -> AgentId {
    numbered_agent(pid, at(0)).id
}

fn apply(store: &dyn Store, step: &Step) {
    match *step {
        Step::Agent { pid, watch, ended } => {
            let mut agent = numbered_agent(pid, at(0));
            agent.attached = at(watch * 100);
            agent.ended = ended.then_some((at(watch * 100 + 50), AgentEnd::Exited));
            store.put_agent(agent);
        }
        Step::Process { agent, pid, ended } => {
            let mut process = process_at(pid, at(i64::from(pid)));
            process.ended = ended.map(at);
            process.exit = ended.map(|_| Exit::Code(1));
            store.put_process(&id(agent), process);
        }
        Step::Window { agent, start, seed } => store.append(busy_window(&id(agent), at(start), seed)),
        Step::Operation { start, id } => store.put_operations(arrived(vec![operation_at(at(start), id)])),
        Step::Maintain => store.maintain(at(9000)),
        Step::Restart => store.sync().unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn both_stores_say_the_same(
        steps in proptest::collection::vec(step(), 1..60), from in 0..9000i64, length in 1..9000i64
    ) {
        let keep = Duration::from_secs(1 << 20);
        let memory = Memory::new(Limits { keep, ..Limits::default() }, Arc::new(Telemetry::default()));
        let folder = tempfile::tempdir().unwrap();
        let (mut disk, mut telemetry) = open(folder.path(), QUICK);
        for step in steps {
            apply(&memory, &step);
            apply(&disk, &step);
            if matches!(step, Step::Restart) {
                drop(disk);
                (disk, telemetry) = open(folder.path(), QUICK);
            }
        }
        let some = TimeRange { from: at(from), to: at(from + length) };
        for range in [TimeRange::ALL, some] {
            for agent in (0..3).map(id) {
                prop_assert_eq!(answers(&disk, &agent, range), answers(&memory, &agent, range));
            }
        }
        for range in [TimeRange::ALL, some] {
            prop_assert_eq!(overview(&disk, range), overview(&memory, range));
            prop_assert_eq!(told(&disk, range), told(&memory, range));
        }
        for (agent, pid) in (0..3).flat_map(|agent| (0..6).map(move |pid| (agent, pid))) {
            let of = |store: &dyn Store| format!("{:?}", store.process(&id(agent), process_id(pid)).unwrap());
            prop_assert_eq!(of(&disk), of(&memory));
        }
        prop_assert_eq!(format!("{:?}", disk.agents()), format!("{:?}", memory.agents()));
        for loss in ["store_tail_cut", "store_record_unread", "store_write_failed"] {
            prop_assert_eq!(telemetry.losses.all()[loss], 0, "{}", loss);
        }
        super::close(disk);
    }
}

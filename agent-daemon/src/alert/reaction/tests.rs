//! What the tests of this folder share, and tests of the worker as a whole: on processes of their own, and a hierarchy of
//! files that stands for cgroups.

use std::{
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};

use tokio::sync::{oneshot, watch};

use super::{
    ReactionError,
    action::{Kind, Subject, Tools},
    audit::{Cause, Entry, State},
    config::Config,
    folder::Folder,
    process::Proc,
    saved::Keep,
    switch::Switch,
    worker::{Asked, Message, Round, Worker},
};
use crate::{
    alert::{
        Engine, RuleSet,
        diagnosis::AGENT_ID,
        eval,
        labels::Labels,
        state::{self, Alert},
    },
    model::id::{AgentId, ProcessId},
    store::{
        Limits, Memory, Store,
        fixture::{at, numbered_agent, process_at},
    },
    telemetry::Telemetry,
};

/// Tools over an empty store, with files in a folder below this one.
pub(super) fn tools(path: &Path) -> Tools {
    let limits = Limits { keep: Duration::from_secs(u32::MAX.into()), ..Limits::default() };
    Tools {
        store: Arc::new(Memory::new(limits, Arc::default())),
        proc: Proc::default(),
        cgroups: None,
        folder: Folder::new(path.join("files"), 1_000_000),
        dump: None,
        window: Duration::from_millis(10),
        boot_id: "this boot".to_owned(),
    }
}

/// A process that ends with the test.
pub(super) struct Child(pub(super) std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An agent in the store, whose only known process is this one.
pub(super) fn agent_of(pid: u32, store: &dyn Store) -> AgentId {
    let tick = 1_000_000_000 / procfs::ticks_per_second();
    let id = ProcessId::new(pid, Proc::default().stat(pid).unwrap().start_ticks * tick);
    let agent = crate::model::agent::Agent { root: id, ..numbered_agent(pid, at(0)) };
    store.put_agent(agent.clone());
    store.put_process(&agent.id, crate::model::process::Process { id, ..process_at(pid, at(0)) });
    agent.id
}

pub(super) fn subject(agent: &AgentId) -> Subject {
    Subject { reaction: 1, agent: agent.clone(), fired: at(5) }
}

pub(super) fn entry(state: State) -> Entry {
    Entry { state, ..Entry::new(Kind::Pause, at(0)) }
}

/// An alert of the rule `Hog` with this agent.
pub(super) fn alert(agent: &str) -> Alert {
    let rules = "groups:\n- name: g\n  rules:\n  - alert: Hog\n    expr: g > 0\n";
    let mut engine = Engine::new(RuleSet::parse(rules).unwrap(), state::Options::default());
    let mut series = eval::Memory::default();
    let labels = Labels::new([("__name__", "g"), (AGENT_ID, agent)]);
    series.push(labels, [eval::Sample { at: 1000, value: 1.0 }]);
    engine.evaluate(1000, &series);
    engine.alerts().next().unwrap().clone()
}

/// What a worker is made of, and what it shows.
struct World {
    directory: tempfile::TempDir,
    agent: AgentId,
    child: Child,
    store: Arc<dyn Store>,
    view: watch::Receiver<Arc<Vec<Entry>>>,
    telemetry: Arc<Telemetry>,
    messages: mpsc::SyncSender<Message>,
    switch: Arc<Switch>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tools = tools(directory.path());
        let store = Arc::clone(&tools.store);
        let child = Child(std::process::Command::new("sleep").arg("600").spawn().unwrap());
        let agent = agent_of(child.0.id(), store.as_ref());
        let (view, telemetry) = (watch::channel(Arc::default()).1, Arc::default());
        let (messages, _) = mpsc::sync_channel(1);
        let (switch, thread) = (Arc::default(), None);
        let mut world = Self { directory, agent, child, store, view, telemetry, messages, switch, thread };
        world.start("this boot");
        world
    }

    /// Starts another worker, as after a crash.
    fn start(&mut self, boot_id: &str) {
        let mut tools = tools(self.directory.path());
        (tools.store, tools.boot_id) = (Arc::clone(&self.store), boot_id.to_owned());
        tools.dump = Some(Arc::new(|_, to| to.write_all(b"lines").map(|()| 5)));
        let (view, shown) = watch::channel(Arc::default());
        let keep = Keep::new(Some(self.directory.path()));
        self.switch = Arc::new(Switch::new(true));
        let switch = Arc::clone(&self.switch);
        let worker = Worker::open(tools, keep, (switch, view), Arc::clone(&self.telemetry));
        let (to, messages) = mpsc::sync_channel(16);
        (self.view, self.messages) = (shown, to);
        self.thread = Some(std::thread::spawn(move || worker.run(&messages)));
    }

    fn stop(&mut self) {
        self.switch.stop();
        self.messages.send(Message::Look).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }

    fn turn(&self, on: bool) {
        self.switch.turn(on);
        self.messages.send(Message::Look).unwrap();
    }

    /// A round in which the alert fires, and begins where something is asked for.
    fn round(&self, begun: Vec<Asked>, fires: bool) {
        let firing = fires.then(|| (alert(self.agent.as_str()).id, 1000)).into_iter().collect();
        self.messages.send(Message::Round(Round { begun, firing })).unwrap();
    }

    fn ask(&self, file: &str) -> Vec<Asked> {
        let rules = RuleSet::parse("groups:\n- {name: g, rules: [{alert: Hog, expr: g > 0}]}\n").unwrap();
        let config = Config::parse(&format!("reactions:\n- {{rule: Hog, {file}}}\n"), &rules).unwrap();
        let alert = alert(self.agent.as_str());
        let ask = |action| Asked {
            rule: "Hog".to_owned(),
            alert: alert.id,
            fired_at: 1000,
            agent: self.agent.to_string(),
            action,
            dry_run: false,
            objection: None,
        };
        config.actions("Hog", &alert).into_iter().map(ask).collect()
    }

    fn wait(&self, id: u64, state: State) -> Entry {
        let begin = std::time::Instant::now();
        loop {
            let entries = Arc::clone(&self.view.borrow());
            if let Some(entry) = entries.iter().find(|entry| entry.id == id && entry.state == state) {
                return entry.clone();
            }
            assert!(begin.elapsed() < Duration::from_secs(10), "{id} is not {state:?}: {entries:#?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn is_stopped(&self) -> bool {
        Proc::default().stat(self.child.0.id()).unwrap().is_stopped()
    }

    fn count(&self, action: &str, result: &str) -> u64 {
        let all = self.telemetry.alerts.reactions();
        all.into_iter().find(|(a, r, _)| (*a, *r) == (action, result)).unwrap().2
    }
}

#[test]
fn a_pause_ends_with_its_alert_and_does_not_flap() {
    let mut world = World::new();
    world.round(world.ask("pause: {}"), true);
    let entry = world.wait(1, State::InForce);
    assert!(world.is_stopped() && entry.until.is_some(), "{entry:?}");
    world.round(Vec::new(), true);
    world.round(world.ask("pause: {}"), true);
    assert!(world.wait(2, State::Refused).detail.contains("is not over"));
    assert!(world.is_stopped());
    world.round(Vec::new(), false);
    assert_eq!(world.wait(1, State::Undone).cause, Some(Cause::Resolved));
    assert!(!world.is_stopped());
    world.round(world.ask("pause: {}"), true);
    assert!(world.wait(3, State::Refused).detail.contains("min_interval"));
    assert!(!world.is_stopped());
    let counts = ["done", "undone", "refused", "failed"].map(|result| world.count("pause", result));
    assert_eq!(counts, [1, 1, 2, 0]);
    world.stop();
}

#[test]
fn a_pause_ends_in_time_at_a_request_at_a_stop_and_where_reactions_are_turned_off() {
    let mut world = World::new();
    let file = "pause: {max_duration: 1s, min_interval: 1s}";
    world.round(world.ask(file), true);
    world.wait(1, State::InForce);
    assert_eq!(world.wait(1, State::Undone).cause, Some(Cause::MaxDuration));
    let file = "pause: {min_interval: 1s}";
    let again = |world: &World, id| {
        std::thread::sleep(Duration::from_millis(1100));
        world.round(world.ask(file), true);
        world.wait(id, State::InForce);
        assert!(world.is_stopped());
    };
    again(&world, 2);
    let undo = |id| {
        let (reply, answer) = oneshot::channel();
        world.messages.send(Message::Undo(id, reply)).unwrap();
        answer.blocking_recv().unwrap()
    };
    assert_eq!(undo(2).unwrap().cause, Some(Cause::Request));
    assert_eq!(undo(2), Err(ReactionError::NotInForce(2)));
    assert_eq!(undo(7), Err(ReactionError::Unknown(7)));
    again(&world, 3);
    world.turn(false);
    assert_eq!(world.wait(3, State::Undone).cause, Some(Cause::TurnedOff));
    world.round(world.ask("pause: {}"), true);
    assert!(world.wait(4, State::Refused).detail.contains("turned off"));
    world.turn(true);
    again(&world, 5);
    world.stop();
    assert_eq!(world.wait(5, State::Undone).cause, Some(Cause::Stop));
    assert!(!world.is_stopped());
}

#[test]
fn what_a_killed_daemon_held_is_taken_back_at_the_next_start() {
    let mut world = World::new();
    world.round(world.ask("pause: {}, capture_profile: {}"), true);
    world.wait(2, State::InForce);
    // A crash: nobody tells it to stop, and the thread lives on without its files.
    let kept = std::fs::read(world.directory.path().join("reactions.json")).unwrap();
    let (first, old, switch) =
        (world.thread.take().unwrap(), world.messages.clone(), Arc::clone(&world.switch));
    world.start("this boot");
    let entry = world.wait(2, State::Undone);
    assert_eq!((entry.cause, entry.detail.as_str()), (Some(Cause::Restart), "1 continued"));
    assert!(!world.is_stopped());
    assert!(world.wait(1, State::Failed).detail.contains("ended before it was time"));
    world.stop();
    // Of another boot nothing is left that could be taken back.
    std::fs::write(world.directory.path().join("reactions.json"), kept).unwrap();
    world.start("another boot");
    assert!(world.wait(2, State::Undone).detail.contains("boot of the host"));
    world.stop();
    switch.stop();
    old.send(Message::Look).unwrap();
    first.join().unwrap();
}

#[test]
fn a_dry_run_changes_nothing_and_says_what_would_be_done() {
    let mut world = World::new();
    let mut asked = world.ask("pause: {}, flight_recorder: {}, capture_profile: {}");
    asked.iter_mut().for_each(|asked| asked.dry_run = true);
    world.round(asked, true);
    let what = [1, 2, 3].map(|id| world.wait(id, State::DryRun).what);
    assert!(what[2].starts_with("stopping 1 processes: "), "{what:?}");
    assert!(!world.is_stopped() && !world.directory.path().join("files").exists());
    assert_eq!(world.count("pause", "dry_run"), 1);
    world.stop();
}

#[test]
fn what_has_no_agent_or_is_muted_is_refused() {
    let mut world = World::new();
    let [mut nobody, mut muted] = [(); 2].map(|()| world.ask("pause: {}").remove(0));
    nobody.agent = String::new();
    muted.objection = Some("the alert is muted".to_owned());
    world.round(vec![nobody, muted], true);
    assert!(world.wait(1, State::Refused).detail.contains("no agent_id"));
    assert_eq!(world.wait(2, State::Refused).detail, "the alert is muted");
    assert!(!world.is_stopped());
    world.stop();
}

#[test]
fn a_dump_is_made_by_hand_but_not_all_the_time() {
    let mut world = World::new();
    let dump = || {
        let (reply, answer) = oneshot::channel();
        world.messages.send(Message::Dump(reply)).unwrap();
        answer.blocking_recv().unwrap()
    };
    let entry = dump();
    assert_eq!(
        (entry.state, entry.files.as_slice()),
        (State::Done, &["1-recorder.jsonl.zst".to_owned()][..])
    );
    assert_eq!(std::fs::read(world.directory.path().join("files/1-recorder.jsonl.zst")).unwrap(), b"lines");
    assert_eq!(dump().state, State::Refused);
    world.stop();
}

#[test]
fn where_nothing_can_be_kept_nothing_is_held() {
    let world = World::new();
    let (to, messages) = mpsc::sync_channel(16);
    let (view, shown) = watch::channel(Arc::default());
    let mut tools = tools(world.directory.path());
    tools.store = Arc::clone(&world.store);
    let switch = Arc::new(Switch::new(true));
    let worker = Worker::open(tools, Keep::new(None), (switch, view), Arc::default());
    let asked = world.ask("pause: {}");
    to.send(Message::Round(Round { begun: asked, firing: Default::default() })).unwrap();
    drop(to);
    worker.run(&messages);
    assert!(shown.borrow()[0].detail.contains("history.directory"), "{shown:?}");
    assert!(!world.is_stopped());
    world.switch.stop();
    world.messages.send(Message::Look).unwrap();
}

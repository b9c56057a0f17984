//! The one owner of what is going on: which agents there are, which processes belong to them, which window
//! is open. Observations come in, commands come in, records go out; everything else asks.

mod arrive;
mod calls;
mod channels;
mod checkpoints;
mod commands;
mod endpoints;
mod expiry;
mod fold;
mod roster;
mod seen;
mod signals;
mod target;
mod tools;
mod waits;
mod windows;

use std::sync::Arc;

use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, oneshot};

pub use channels::Channels;

use self::{
    calls::Calls,
    commands::Commands,
    roster::Roster,
    signals::Signals,
    tools::Tools,
    windows::{Closed, Windows},
};
use crate::{
    collect::Order,
    config,
    content::Contents,
    enrich::{resolver::Resolver, rules::Rules},
    model::{
        agent::{Agent, AgentEnd},
        control::{Command, DetachError},
        id::Slot,
        observation::Observation,
        record::Record,
        time::Timestamp,
    },
    telemetry::{Telemetry, boot_id},
};

/// What waits for a window to close.
enum Waiting {
    Flush(oneshot::Sender<()>),
    End { slot: Slot, end: AgentEnd, replies: Vec<DetachReply> },
}

/// Where the answer to a detach goes.
type DetachReply = oneshot::Sender<Result<Agent, DetachError>>;

/// The aggregator's state.
pub struct Aggregator {
    roster: Roster,
    rules: Rules,
    windows: Windows,
    tools: Tools,
    calls: Calls,
    commands: Commands,
    signals: Signals,
    waiting: FxHashMap<u64, Waiting>,
    next_token: u64,
    orders: mpsc::Sender<Order>,
    records: mpsc::Sender<Record>,
    telemetry: Arc<Telemetry>,
    boot_id: String,
}

impl Aggregator {
    /// An aggregator without agents.
    #[must_use]
    pub fn new(
        config: &config::Config,
        resolver: Resolver,
        channels: &Channels,
        contents: Arc<Contents>,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Self {
            roster: Roster::new(config.agents.max_agents),
            rules: Rules::new(&config.agents),
            windows: Windows::new(resolver, Arc::clone(&telemetry)),
            tools: Tools::new(Arc::clone(&telemetry)),
            calls: Calls::new(config.llm.clone(), contents, Arc::clone(&telemetry)),
            commands: Commands::new(&config.operations, Arc::clone(&telemetry)),
            signals: Signals::default(),
            waiting: FxHashMap::default(),
            next_token: 0,
            orders: channels.orders.clone(),
            records: channels.records.clone(),
            telemetry,
            boot_id: boot_id(),
        }
    }

    /// Aggregates until the daemon stops; the last window of every agent is stored when this returns.
    pub async fn run(mut self, mut channels: Channels) {
        self.match_running().await;
        loop {
            let expiry = self.roster.next_expiry();
            tokio::select! {
                observation = channels.observations.recv() => match observation {
                    Some(observation) => self.observe(observation).await,
                    None => break,
                },
                closed = self.windows.next_closed() => self.store(closed).await,
                Some(command) = channels.commands.recv() => self.command(command).await,
                () = expiry::wait_for(expiry), if expiry.is_some() => self.expire().await,
                Ok(()) = channels.rules.changed() => {
                    self.rules = Rules::new(&channels.rules.borrow_and_update());
                    self.match_running().await;
                }
                () = channels::until_true(&mut channels.stop) => break,
            }
        }
        self.finish(channels).await;
    }

    /// Lets every agent go and stores what is left.
    async fn finish(&mut self, mut channels: Channels) {
        for slot in self.roster.slots() {
            self.end(slot, AgentEnd::Detached, None).await;
        }
        channels.commands.close();
        while !self.waiting.is_empty() {
            tokio::select! {
                observation = channels.observations.recv() => match observation {
                    Some(observation) => self.observe(observation).await,
                    None => break,
                },
                closed = self.windows.next_closed() => self.store(closed).await,
            }
        }
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Attach(request, reply) => {
                let attached = self.attach(request).await;
                // Whoever asks for the agent next finds it.
                self.once_stored(move || drop(reply.send(attached))).await;
            }
            Command::Detach(id, reply) => match self.roster.find(&id) {
                Some(slot) => self.end(slot, AgentEnd::Detached, Some(reply)).await,
                None => {
                    let _ = reply.send(Err(self.roster.why_not(id)));
                }
            },
            Command::Waits(id, reply) => waits::tell(id, reply, &self.roster, &self.orders).await,
            Command::Flush(reply) => {
                let token = self.wait(Waiting::Flush(reply));
                self.order(Order::Close { token }).await;
            }
        }
    }

    async fn observe(&mut self, observation: Observation) {
        match observation {
            Observation::ForeignExec { pid } => {
                self.match_process(pid).await;
            }
            Observation::Counted(mut counted) => {
                for (agent, process) in self.roster.take_changed() {
                    self.record(Record::Process(agent, process)).await;
                }
                self.tools.used_files(&counted.files);
                self.tools.used_network(&counted.network);
                let saved = std::mem::take(&mut counted.checkpoints);
                let saved = checkpoints::record(saved, &self.roster, &self.telemetry.losses);
                let tools = self.tools.take_over(counted.end, &self.roster);
                let ended = [tools, self.calls.take(), self.commands.take(), saved, self.signals.take()];
                for calls in ended.into_iter().flatten() {
                    self.record(calls).await;
                }
                self.tools.tell_verdicts(&self.orders).await;
                counted.http = self.calls.take_http();
                let agents = self.roster.by_slot();
                self.windows.close(counted, agents).await;
            }
            Observation::Wire(observed) => self.calls.observe(*observed, &self.roster),
            Observation::Mapped { process, execs, mappings } => {
                self.windows.resolver().mapped(process, execs, mappings);
            }
            observation => self.observe_process(observation).await,
        }
    }

    async fn observe_process(&mut self, observation: Observation) {
        match &observation {
            Observation::ProcessStarted { process, parent: Some(parent), .. } => {
                self.windows.resolver().forked(*parent, *process);
            }
            Observation::ProcessExited { process, .. } | Observation::ProcessVanished { process, .. } => {
                self.windows.resolver().exited(*process);
            }
            _ => {}
        }
        self.signals.observe(&observation, &self.roster);
        self.tools.observe(&observation, &self.roster);
        self.commands.observe(&observation, &self.roster);
        self.tools.tell_verdicts(&self.orders).await;
        let change = self.roster.observe(observation);
        if let Some((agent, process)) = change.process {
            self.record(Record::Process(agent, process)).await;
        }
        if let Some(slot) = change.emptied {
            self.end(slot, AgentEnd::Exited, None).await;
        }
    }

    async fn expire(&mut self) {
        for slot in self.roster.expired(Timestamp::now()) {
            self.end(slot, AgentEnd::Expired, None).await;
        }
    }

    /// Begins to let the agent in `slot` go; it ends when its last window is stored. Whoever asks for an end
    /// that has begun waits for that one.
    async fn end(&mut self, slot: Slot, end: AgentEnd, reply: Option<DetachReply>) {
        if self.roster.begin_end(slot) {
            let replies = reply.into_iter().collect();
            let token = self.wait(Waiting::End { slot, end, replies });
            self.order(Order::Release { slot, token }).await;
            return;
        }
        for waiting in self.waiting.values_mut() {
            if let Waiting::End { slot: ending, replies, .. } = waiting
                && *ending == slot
            {
                replies.extend(reply);
                return;
            }
        }
    }

    /// Stores a closed window and answers who waited for it.
    async fn store(&mut self, closed: Closed) {
        for window in closed.windows {
            self.record(Record::Window(window)).await;
        }
        for token in closed.orders {
            match self.waiting.remove(&token) {
                Some(Waiting::Flush(reply)) => self.record(Record::Barrier(reply)).await,
                Some(Waiting::End { slot, end, replies }) => self.ended(slot, end, replies).await,
                None => {}
            }
        }
    }

    async fn ended(&mut self, slot: Slot, end: AgentEnd, replies: Vec<DetachReply>) {
        let now = Timestamp::now();
        self.commands.leave(slot);
        let commands = self.commands.take();
        let ended = [self.tools.leave(slot, now, &self.roster), self.calls.leave(slot), commands];
        for calls in ended.into_iter().flatten() {
            self.record(calls).await;
        }
        let Some((agent, processes)) = self.roster.leave(slot, end, now) else { return };
        tracing::info!(agent = %agent.id, name = agent.name, ?end, "no longer watching");
        for process in processes {
            self.record(Record::Process(agent.id.clone(), process)).await;
        }
        self.record(Record::Agent(agent.clone())).await;
        // Whoever asked may have gone.
        let tell = move |reply: DetachReply| drop(reply.send(Ok(agent.clone())));
        self.once_stored(move || replies.into_iter().for_each(tell)).await;
    }

    /// Answers when everything before is in the store. Nobody else waits for that.
    async fn once_stored(&self, answer: impl FnOnce() + Send + 'static) {
        let (stored, barrier) = oneshot::channel();
        self.record(Record::Barrier(stored)).await;
        tokio::spawn(async move {
            let _ = barrier.await;
            answer();
        });
    }

    fn wait(&mut self, waiting: Waiting) -> u64 {
        self.next_token += 1;
        self.waiting.insert(self.next_token, waiting);
        self.next_token
    }

    async fn order(&self, order: Order) {
        if self.orders.send(order).await.is_err() {
            tracing::error!("the collector is gone");
        }
    }

    async fn record(&self, record: Record) {
        if self.records.send(record).await.is_err() {
            tracing::error!("the store's writer is gone");
        }
    }
}

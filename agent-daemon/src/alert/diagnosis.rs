//! What an agent did when an alert began to fire: where its time went, and the largest stacks, processes and calls of the
//! last windows. Read from the store, bounded, and without command lines.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::{channel, eval::Millis, labels::Fingerprint, state::Alert};
use crate::{
    model::{
        id::{AgentId, ProcessId},
        process::{Process, Resources},
        shown::is_shown,
        stack::{FrameKind, Stack},
        syscall_names::syscall_name,
        time::{TimeRange, Timestamp},
    },
    store::{
        Store, StoreError,
        query::{self, By, LedgerFold, ProfileFold, ProfileKind, SyscallFold},
    },
};

/// The most stacks, processes and calls of each kind.
const MAX_LINES: usize = 5;
/// The longest stack that is written, bytes; its outer frames are left out.
const MAX_STACK_BYTES: usize = 600;
/// The label that names the agent.
pub const AGENT_ID: &str = "agent_id";

/// Diagnoses by alert.
pub type Diagnoses = BTreeMap<Fingerprint, Diagnosis>;

/// What an agent did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// When the alert began to fire.
    pub fired_at: Option<Millis>,
    /// Start of the time it speaks of.
    pub from: Timestamp,
    /// End of that time.
    pub to: Timestamp,
    /// Where its wall clock went, by cause of the ledger, with seconds.
    #[serde(default)]
    pub ledger: Vec<Line>,
    /// Stacks on the CPU, folded, with seconds.
    pub cpu: Vec<Line>,
    /// Stacks off the CPU, folded, with seconds.
    pub off_cpu: Vec<Line>,
    /// Processes by name and pid, with seconds on the CPU.
    pub processes: Vec<Line>,
    /// Live processes by resident set.
    #[serde(default)]
    pub memory: Vec<Held>,
    /// System calls, with seconds inside them.
    pub syscalls: Vec<Line>,
    /// Where the API shows more: the flame graph of what ran, or of what was waited for where little ran.
    pub link: String,
}

/// A line and its weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// What.
    pub what: String,
    /// How long, seconds.
    pub seconds: f64,
}

/// What a process holds of memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// Name and pid.
    pub what: String,
    /// Its resident set, bytes.
    pub rss_bytes: u64,
    /// How fast that grew in the last minutes, bytes per second; `None` before there is enough to tell.
    pub bytes_per_second: Option<i64>,
}

impl Diagnosis {
    /// What the agent of this alert did in the range; `None` where it has none, or the store knows nothing of it. `api`
    /// is where the API is reached, as in `http://127.0.0.1:7575`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn of(
        alert: &Alert,
        range: TimeRange,
        store: &dyn Store,
        api: &str,
    ) -> Result<Option<Self>, StoreError> {
        let Ok(id) = alert.labels.get(AGENT_ID).parse::<AgentId>() else { return Ok(None) };
        if store.agent(&id).is_none() {
            return Ok(None);
        }
        let of = |kind| ProfileFold::new(kind, None);
        let sums = (SyscallFold::new(By::Agent), LedgerFold::default());
        let folds = ((of(ProfileKind::Cpu), of(ProfileKind::OffCpu)), sums);
        let ((cpu, off_cpu), (calls, ledger)) = query::over(store, &id, range, folds)?;
        let all = store.processes(&id, range)?;
        let memory = held(&all);
        let comms: FxHashMap<ProcessId, String> =
            all.into_iter().map(|process| (process.id, process.comm)).collect();
        let comm = |process: ProcessId| comms.get(&process).map_or("[unknown]", String::as_str);
        let mut busiest: FxHashMap<ProcessId, u64> = FxHashMap::default();
        for row in &cpu.stacks {
            *busiest.entry(row.process).or_default() += row.ns;
        }
        let stacks = |rows: &[query::ProfileStack]| {
            largest(rows.iter().map(|row| (format!("{};{}", comm(row.process), folded(&row.stack)), row.ns)))
        };
        let processes = busiest.iter().map(|(id, ns)| (format!("{} ({})", comm(*id), id.pid()), *ns));
        let name = |number: u32| syscall_name(number).map_or_else(|| number.to_string(), str::to_owned);
        let causes = ledger.causes().into_iter().map(|(cause, ns)| (cause.name().to_owned(), ns));
        let kind = if is_busy(&cpu.stacks, range) { "cpu" } else { "off_cpu" };
        let (from, to) = (range.from, range.to);
        Ok(Some(Self {
            fired_at: alert.fired_at,
            from,
            to,
            ledger: largest(causes),
            cpu: stacks(&cpu.stacks),
            off_cpu: stacks(&off_cpu.stacks),
            processes: largest(processes),
            memory,
            syscalls: largest(calls.iter().map(|call| (name(call.number), call.total_ns))),
            link: format!("{api}/api/v1/agents/{id}/profile?type={kind}&format=svg&from={from}&to={to}"),
        }))
    }
}

impl From<&Diagnosis> for channel::Diagnosis {
    fn from(diagnosis: &Diagnosis) -> Self {
        let timed = |lines: &[Line]| -> Vec<String> {
            lines.iter().map(|line| format!("{:.3} s  {}", line.seconds, line.what)).collect()
        };
        let parts = [
            ("where its time went", timed(&diagnosis.ledger)),
            ("on the CPU", timed(&diagnosis.cpu)),
            ("off the CPU", timed(&diagnosis.off_cpu)),
            ("processes", timed(&diagnosis.processes)),
            ("memory", diagnosis.memory.iter().map(Held::told).collect()),
            ("system calls", timed(&diagnosis.syscalls)),
        ];
        let parts = parts.into_iter().filter(|(_, lines)| !lines.is_empty());
        let finding =
            |(title, lines): (&str, Vec<String>)| channel::Finding { title: title.to_owned(), lines };
        Self { findings: parts.map(finding).collect(), link: Some(diagnosis.link.clone()) }
    }
}

impl Held {
    fn told(&self) -> String {
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        let growth = self.bytes_per_second.map(|bytes| format!(", {:+.3} MiB/s", mib(bytes as f64)));
        format!("{:.1} MiB{}  {}", mib(self.rss_bytes as f64), growth.unwrap_or_default(), self.what)
    }
}

/// Whether it ran for half of the time or more.
fn is_busy(cpu: &[query::ProfileStack], range: TimeRange) -> bool {
    let ran = cpu.iter().fold(0u64, |sum, row| sum.saturating_add(row.ns));
    i128::from(ran) * 2 >= range.to.duration_since(range.from).as_nanos()
}

/// The live processes that hold most.
fn held(all: &[Process]) -> Vec<Held> {
    let live = all.iter().filter(|process| process.ended.is_none());
    let held = live.filter_map(|process| {
        let Resources { rss_bytes, rss_slope, .. } = process.resources?;
        let what = plain(&format!("{} ({})", process.comm, process.id.pid()));
        Some(Held { what, rss_bytes, bytes_per_second: rss_slope })
    });
    let mut held: Vec<Held> = held.collect();
    held.sort_by_key(|held| std::cmp::Reverse(held.rss_bytes));
    held.truncate(MAX_LINES);
    held
}

/// The largest of them; those of the same name are one.
fn largest(rows: impl Iterator<Item = (String, u64)>) -> Vec<Line> {
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for (what, ns) in rows {
        let sum = sums.entry(plain(&what)).or_default();
        *sum = sum.saturating_add(ns);
    }
    let mut sums: Vec<_> = sums.into_iter().filter(|(_, ns)| *ns > 0).collect();
    sums.sort_by_key(|(_, ns)| std::cmp::Reverse(*ns));
    sums.truncate(MAX_LINES);
    sums.into_iter().map(|(what, ns)| Line { what, seconds: ns as f64 / 1e9 }).collect()
}

/// A stack, outermost frame first, as others fold them.
fn folded(stack: &Stack) -> String {
    let mut frames = Vec::new();
    let mut bytes = 0;
    for frame in &stack.frames {
        let name = match frame.kind {
            FrameKind::Kernel => format!("{}_[k]", frame.function),
            FrameKind::Native | FrameKind::Python | FrameKind::Javascript => frame.function.clone(),
        };
        bytes += name.len() + 1;
        if bytes > MAX_STACK_BYTES {
            frames.push("…".to_owned());
            break;
        }
        frames.push(name.replace(';', ":"));
    }
    frames.reverse();
    frames.join(";")
}

/// Names come from programs, which may be hostile.
fn plain(text: &str) -> String {
    let cut = text.chars().take(2 * MAX_STACK_BYTES);
    cut.map(|c| if is_shown(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{AGENT_ID, Diagnosis, TimeRange, channel};
    use crate::{
        alert::{Engine, RuleSet, eval, labels::Labels, state::Options},
        model::off_cpu::WaitCause,
        store::{
            Limits, Memory, Store as _,
            fixture::{agent_at, at, cpu, ledger, off_cpu, process_at, syscall, window_at},
        },
    };

    fn alert(agent_id: &str) -> crate::alert::state::Alert {
        let rules = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: g > 0\n";
        let mut engine = Engine::new(RuleSet::parse(rules).unwrap(), Options::default());
        let mut series = eval::Memory::default();
        let labels = Labels::new([("__name__", "g"), (AGENT_ID, agent_id)]);
        series.push(labels, [eval::Sample { at: 1000, value: 1.0 }]);
        engine.evaluate(1000, &series);
        engine.alerts().next().unwrap().clone()
    }

    #[test]
    fn the_largest_of_each_kind_is_told() {
        let limits = Limits { keep: Duration::from_secs(u32::MAX.into()), ..Limits::default() };
        let store = Memory::new(limits, std::sync::Arc::default());
        let agent = agent_at(at(0));
        store.put_agent(agent.clone());
        store.put_process(&agent.id, process_at(100, at(0)));
        let mut window = window_at(&agent.id, at(0), 0);
        window.cpu = vec![cpu(100, &["hot", "main"], 90), cpu(100, &["cold;\n", "main"], 10)];
        window.off_cpu = vec![off_cpu(100, WaitCause::Disk, &["k_io", "main"], 1_500_000, 400)];
        window.syscalls = vec![syscall(100, 0, 7_000_000)];
        window.ledger = ledger(1);
        store.append(window);
        let range = TimeRange { from: at(0), to: at(5) };
        let found =
            Diagnosis::of(&alert(agent.id.as_str()), range, &store, "http://127.0.0.1:1").unwrap().unwrap();
        assert_eq!(found.cpu[0].what, "python3;main;hot");
        assert_eq!(found.cpu[1].what, "python3;main;cold:_");
        assert_eq!(found.off_cpu[0].what, "python3;main;k_io_[k]");
        assert_eq!(found.processes[0].what, "python3 (100)");
        assert_eq!(found.syscalls[0].what, "read");
        let link = format!("http://127.0.0.1:1/api/v1/agents/{}/profile?type=off_cpu&", agent.id);
        assert!(found.link.starts_with(&link), "it hardly ran: {}", found.link);
        assert!(!found.ledger.is_empty());
        let told = channel::Diagnosis::from(&found);
        let titles: Vec<_> = told.findings.iter().map(|finding| finding.title.as_str()).collect();
        assert_eq!(titles[..2], ["where its time went", "on the CPU"]);
        assert_eq!(titles[2..], ["off the CPU", "processes", "memory", "system calls"]);
        assert_eq!(told.findings[4].lines, ["0.5 MiB, -0.000 MiB/s  python3 (100)"]);
        assert!(told.findings[1].lines[0].ends_with("python3;main;hot"), "{told:?}");
        assert!(Diagnosis::of(&alert("1-1"), range, &store, "x").unwrap().is_none());
        assert!(Diagnosis::of(&alert("no id"), range, &store, "x").unwrap().is_none());
    }
}

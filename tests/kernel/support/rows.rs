//! Rows of the API's answers. Fields are read by the names that the issue and the OpenAPI document give
//! them, here and nowhere else in the tests.

use serde_json::Value;

use super::api::Api;

/// One process of an agent.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) parent: Option<u32>,
    pub(crate) executable: String,
    pub(crate) comm: String,
    pub(crate) argv: Vec<String>,
    pub(crate) start: String,
    pub(crate) end: Option<String>,
    pub(crate) exit_code: Option<u64>,
    pub(crate) signal: Option<u64>,
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_rss_bytes: u64,
}

impl Process {
    fn read(row: &Value) -> Self {
        Self {
            pid: u32::try_from(count(row, "pid")).expect("a pid"),
            parent: row["parent"].as_u64().and_then(|pid| pid.try_into().ok()),
            executable: row["executable"].as_str().unwrap_or_default().to_owned(),
            comm: row["comm"].as_str().unwrap_or_default().to_owned(),
            argv: strings(&row["argv"]),
            start: row["start"].as_str().expect("a start").to_owned(),
            end: row["end"].as_str().map(str::to_owned),
            exit_code: row["exit_code"].as_u64(),
            signal: row["signal"].as_u64(),
            cpu_seconds: seconds(row, "cpu_seconds"),
            peak_rss_bytes: count(row, "peak_rss_bytes"),
        }
    }

    /// The wait status that its end amounts to, as `waitpid` gives it; `None` while it lives.
    pub(crate) fn wait_status(&self) -> Option<u64> {
        match (self.exit_code, self.signal) {
            (Some(code), None) => Some(code << 8),
            (None, Some(signal)) => Some(signal),
            (None, None) => None,
            (Some(_), Some(_)) => panic!("a process ends by a code or a signal, not both: {self:?}"),
        }
    }
}

/// One syscall of an agent.
#[derive(Clone, Debug)]
pub(crate) struct Syscall {
    pub(crate) name: String,
    pub(crate) number: u64,
    pub(crate) count: u64,
    pub(crate) errors: Vec<(String, u64)>,
    pub(crate) total_seconds: f64,
    pub(crate) max_seconds: f64,
    pub(crate) p50_seconds: f64,
    pub(crate) p99_seconds: f64,
}

impl Syscall {
    fn read(row: &Value) -> Self {
        let errors = row["errors"].as_object().unwrap_or_else(|| panic!("no errors in {row}"));
        Self {
            name: row["name"].as_str().expect("a name").to_owned(),
            number: count(row, "number"),
            count: count(row, "count"),
            errors: errors.iter().map(|(name, n)| (name.clone(), n.as_u64().expect("a count"))).collect(),
            total_seconds: seconds(row, "total_seconds"),
            max_seconds: seconds(row, "max_seconds"),
            p50_seconds: seconds(row, "p50_seconds"),
            p99_seconds: seconds(row, "p99_seconds"),
        }
    }

    /// Calls that failed with this errno.
    pub(crate) fn failed(&self, errno: &str) -> u64 {
        self.errors.iter().find(|(name, _)| name == errno).map_or(0, |(_, n)| *n)
    }
}

/// Waits of one process that share cause and stack.
#[derive(Clone, Debug)]
pub(crate) struct Wait {
    pub(crate) cause: String,
    pub(crate) syscall: Option<String>,
    pub(crate) blocked_seconds: f64,
    pub(crate) run_queue_seconds: f64,
    pub(crate) count: u64,
    pub(crate) max_seconds: f64,
    /// How the walk of its user stack ended.
    pub(crate) end: String,
}

impl Wait {
    fn read(row: &Value) -> Self {
        Self {
            cause: row["cause"].as_str().expect("a cause").to_owned(),
            syscall: row["syscall"].as_str().map(str::to_owned),
            blocked_seconds: seconds(row, "blocked_seconds"),
            run_queue_seconds: seconds(row, "run_queue_seconds"),
            count: count(row, "count"),
            max_seconds: seconds(row, "max_seconds"),
            end: row["stack"]["end"].as_str().expect("an end").to_owned(),
        }
    }

    /// From the switch-out to the next run.
    pub(crate) fn seconds(&self) -> f64 {
        self.blocked_seconds + self.run_queue_seconds
    }
}

/// Off-CPU time of one process.
#[derive(Clone, Debug)]
pub(crate) struct OffCpu(Vec<Wait>);

impl OffCpu {
    /// Time with one of these causes, blocked and on the run queue.
    pub(crate) fn seconds_of(&self, causes: &[&str]) -> f64 {
        self.of(causes).map(Wait::seconds).sum()
    }

    /// Time with this cause in this syscall.
    pub(crate) fn seconds_in(&self, cause: &str, syscall: &str) -> f64 {
        self.of(&[cause]).filter(|w| w.syscall.as_deref() == Some(syscall)).map(Wait::seconds).sum()
    }

    /// Waits with one of these causes.
    pub(crate) fn count_of(&self, causes: &[&str]) -> u64 {
        self.of(causes).map(|c| c.count).sum()
    }

    /// The longest wait with one of these causes.
    pub(crate) fn longest_of(&self, causes: &[&str]) -> f64 {
        self.of(causes).map(|c| c.max_seconds).fold(0.0, f64::max)
    }

    /// The longest wait whose stack was not taken.
    pub(crate) fn longest_over_budget(&self) -> f64 {
        self.0.iter().filter(|c| c.end == "over_budget").map(|c| c.max_seconds).fold(0.0, f64::max)
    }

    /// All off-CPU time.
    pub(crate) fn seconds(&self) -> f64 {
        self.0.iter().map(Wait::seconds).sum()
    }

    /// All run-queue delay.
    pub(crate) fn run_queue_seconds(&self) -> f64 {
        self.0.iter().map(|c| c.run_queue_seconds).sum()
    }

    fn of(&self, causes: &[&str]) -> impl Iterator<Item = &Wait> {
        self.0.iter().filter(|c| causes.contains(&c.cause.as_str()))
    }
}

impl Api {
    /// An agent's processes.
    #[track_caller]
    pub(crate) fn processes(&self, agent: &str) -> Vec<Process> {
        self.rows_of(agent, "processes", "processes").iter().map(Process::read).collect()
    }

    /// When and why an agent ended; `None` while it is watched.
    #[track_caller]
    pub(crate) fn ended(&self, agent: &str) -> Option<Value> {
        let ended = self.agent(agent)["ended"].take();
        (!ended.is_null()).then_some(ended)
    }

    /// The only process of an agent with this pid.
    #[track_caller]
    pub(crate) fn process(&self, agent: &str, pid: u32) -> Process {
        let found: Vec<_> = self.processes(agent).into_iter().filter(|p| p.pid == pid).collect();
        assert_eq!(found.len(), 1, "one process {pid} was expected: {found:?}");
        found[0].clone()
    }

    /// An agent's syscalls, of all its processes together.
    #[track_caller]
    pub(crate) fn syscalls(&self, agent: &str) -> Vec<Syscall> {
        self.rows_of(agent, "syscalls", "syscalls").iter().map(Syscall::read).collect()
    }

    /// One syscall of an agent; `None` if it was never called.
    #[track_caller]
    pub(crate) fn syscall(&self, agent: &str, name: &str) -> Option<Syscall> {
        self.syscalls(agent).into_iter().find(|s| s.name == name)
    }

    /// How often an agent called a syscall.
    #[track_caller]
    pub(crate) fn calls(&self, agent: &str, name: &str) -> u64 {
        self.syscall(agent, name).map_or(0, |s| s.count)
    }

    /// Off-CPU time of one process of an agent.
    #[track_caller]
    pub(crate) fn off_cpu(&self, agent: &str, pid: u32) -> OffCpu {
        let report = self.get(&format!("/api/v1/agents/{agent}/off-cpu?limit=1000")).expect(200).json();
        let rows = report["stacks"].as_array().unwrap_or_else(|| panic!("no stacks in {report}"));
        assert_eq!(report["stacks_total"], rows.len(), "the answer is cut: this test makes too many stacks");
        OffCpu(rows.iter().filter(|row| row["pid"] == pid).map(Wait::read).collect())
    }

    /// A profile in the folded format: stacks, outermost frame first, and their weights.
    #[track_caller]
    pub(crate) fn folded(&self, agent: &str, kind: &str) -> Vec<(Vec<String>, f64)> {
        let path = format!("/api/v1/agents/{agent}/profile?type={kind}&format=folded");
        let text = self.get(&path).expect(200).text();
        text.lines().map(folded_line).collect()
    }
}

#[track_caller]
fn folded_line(line: &str) -> (Vec<String>, f64) {
    let (stack, weight) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no weight in {line:?}"));
    (
        stack.split(';').map(str::to_owned).collect(),
        weight.parse().unwrap_or_else(|_| panic!("no weight in {line:?}")),
    )
}

#[track_caller]
fn count(row: &Value, field: &str) -> u64 {
    row[field].as_u64().unwrap_or_else(|| panic!("no count {field:?} in {row}"))
}

#[track_caller]
fn seconds(row: &Value, field: &str) -> f64 {
    row[field].as_f64().unwrap_or_else(|| panic!("no seconds {field:?} in {row}"))
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|s| s.as_str().map(str::to_owned)).collect()
}

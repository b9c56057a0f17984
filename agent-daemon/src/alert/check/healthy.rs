//! A day of a busy, healthy host and its agents, with all that looks like trouble and is none: builds that take every
//! CPU for four minutes, memory that a collector frees now and then, build folders that come and go on a disk that is
//! two thirds full, a GPU under load, a call that fails here and there. The default rules have to stay silent.

use crate::alert::{
    eval::{Memory, Millis, Sample},
    labels::Labels,
    rule::{DEFAULT_RULES, RuleSet},
    state::{Engine, Options, Phase},
};

const SECOND: Millis = 1_000;
/// How far apart samples are.
const STEP: Millis = 30 * SECOND;
const DAY: Millis = 86_400 * SECOND;
const CPUS: f64 = 8.0;
const AGENTS: u32 = 4;

/// Noise that is the same in every run.
struct Noise(u64);

impl Noise {
    /// Between -1 and 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

/// Moments of the day, in seconds.
fn moments() -> impl Iterator<Item = f64> {
    (0..DAY / STEP).map(|n| (n * STEP / SECOND) as f64)
}

/// A build: every 50 minutes, four minutes of all CPUs.
fn builds(seconds: f64) -> bool {
    seconds % 3_000.0 < 240.0
}

/// What an agent uses of a CPU: turns of a minute or two with tools, then it waits for a model or for a person.
fn agent_cpus(agent: u32, seconds: f64) -> f64 {
    let turn = 180.0 + 40.0 * f64::from(agent);
    let works = seconds % turn < 0.4 * turn;
    match (works, agent == 0 && builds(seconds)) {
        (_, true) => 6.5,
        (true, false) => 0.6,
        (false, false) => 0.02,
    }
}

struct Day {
    memory: Memory,
    noise: Noise,
}

impl Day {
    fn push(&mut self, labels: &[(&str, &str)], values: impl Iterator<Item = f64>) {
        let samples = values.enumerate().map(|(n, value)| Sample { at: n as Millis * STEP, value });
        self.memory.push(Labels::new(labels.iter().copied()), samples);
    }

    fn gauge(&mut self, name: &str, labels: &[(&str, &str)], of: impl Fn(f64, f64) -> f64) {
        let values: Vec<f64> = moments().map(|at| of(at, self.noise.next())).collect();
        self.push(&[&[("__name__", name)], labels].concat(), values.into_iter());
    }

    /// A counter that grows at this rate.
    fn counter(&mut self, name: &str, labels: &[(&str, &str)], rate: impl Fn(f64, f64) -> f64) {
        let mut sum = 0.0;
        let step = STEP as f64 / SECOND as f64;
        let grow = |at| {
            sum += step * rate(at, self.noise.next()).max(0.0);
            sum
        };
        let values: Vec<f64> = moments().map(grow).collect();
        self.push(&[&[("__name__", name)], labels].concat(), values.into_iter());
    }

    fn host(&mut self) {
        let busy = |at: f64, noise: f64| if builds(at) { 0.97 } else { 0.25 + 0.1 * noise };
        self.gauge("agentperf_host_cpus", &[], |_, _| CPUS);
        self.counter("agentperf_host_cpu_seconds_total", &[("mode", "user")], move |at, n| {
            CPUS * busy(at, n)
        });
        self.counter("agentperf_host_cpu_seconds_total", &[("mode", "idle")], move |at, n| {
            CPUS * (1.0 - busy(at, n))
        });
        self.gauge("agentperf_host_memory_bytes", &[], |_, _| 32e9);
        self.gauge("agentperf_host_memory_available_bytes", &[], |at, noise| {
            if builds(at) { 5e9 } else { 12e9 + 2e9 * noise }
        });
        let root = [("mountpoint", "/")];
        self.gauge("agentperf_host_filesystem_size_bytes", &root, |_, _| 500e9);
        // Logs grow by 5 GB in a day; a build folder grows to 30 GB in two hours, and is removed.
        self.gauge("agentperf_host_filesystem_available_bytes", &root, |at, _| {
            170e9 - 5e9 * at / 86_400.0 - 30e9 * (at % 7_200.0) / 7_200.0
        });
        let gpu = [("gpu", "0")];
        self.gauge("agentperf_gpu_up", &gpu, |_, _| 1.0);
        self.gauge("agentperf_gpu_temperature_celsius", &gpu, |at, noise| {
            if at % 1_200.0 < 600.0 { 80.0 + 3.0 * noise } else { 45.0 }
        });
        self.gauge("agentperf_gpu_memory_total_bytes", &gpu, |_, _| 80e9);
        self.gauge("agentperf_gpu_memory_used_bytes", &gpu, |_, noise| 72e9 + 1e9 * noise);
        self.gauge("agentperf_gpu_xid_errors_total", &[("gpu", "0"), ("xid", "31")], |_, _| 0.0);
    }

    fn agent(&mut self, agent: u32) {
        let id = agent.to_string();
        let labels = [("agent", "claude"), ("agent_id", id.as_str())];
        self.counter("agentperf_agent_cpu_seconds_total", &labels, move |at, noise| {
            agent_cpus(agent, at) * (1.0 + 0.2 * noise)
        });
        self.counter("agentperf_agent_processes_started_total", &labels, move |at, _| {
            if agent_cpus(agent, at) > 0.5 { 0.5 } else { 0.0 }
        });
        // In a turn it works and its tools do, otherwise a model or a person thinks, and each fiftieth request fails.
        let ledger = |cause| [&labels[..], &[("cause", cause)]].concat();
        let share = |of: [f64; 2]| move |at, _| of[usize::from(agent_cpus(agent, at) > 0.5)];
        self.counter("agentperf_agent_ledger_seconds_total", &ledger("agent_cpu"), share([0.02, 0.2]));
        self.counter("agentperf_agent_ledger_seconds_total", &ledger("tool"), share([0.0, 0.8]));
        self.counter("agentperf_agent_ledger_seconds_total", &ledger("llm_first_token"), share([0.5, 0.0]));
        self.counter("agentperf_agent_ledger_seconds_total", &ledger("idle"), share([0.48, 0.0]));
        // Its tests fail for an hour, but between them it edits and builds.
        for (tool, fails) in [("npm test", 0.7), ("cargo build", 0.2), ("rg", 1.0)] {
            let of = [&labels[..], &[("tool", tool)]].concat();
            self.counter("agentperf_agent_tool_calls_total", &of, |_, _| 0.05);
            self.counter("agentperf_agent_tool_failures_total", &of, move |_, _| 0.05 * fails);
        }
        let model = [&labels[..], &[("provider", "anthropic"), ("model", "opus")]].concat();
        for (what, rate) in [
            ("calls", 0.05),
            ("failures", 0.001),
            ("provider_failures", 0.0005),
            ("streams", 0.04),
            ("first_token_seconds", 0.12),
        ] {
            let name = format!("agentperf_agent_llm_{what}_total");
            self.counter(&name, &model, move |_, noise| rate * (1.0 + 0.3 * noise));
        }
        // It warms up, keeps its conversation, and a collector frees what it can every 11 minutes.
        self.gauge("agentperf_agent_resident_memory_bytes", &labels, |at, noise| {
            let warm = 300e6 * (1.0 - (-at / 300.0).exp());
            200e6 + warm + 4e6 * at / 3_600.0 + 150e6 * (at % 660.0) / 660.0 + 5e6 * noise
        });
        self.gauge("agentperf_agent_cgroup_memory_limit_bytes", &labels, |_, _| 8e9);
        self.gauge("agentperf_agent_cgroup_memory_bytes", &labels, |_, noise| 5e9 + 2e9 * noise);
        self.counter("agentperf_agent_cgroup_cpu_throttled_seconds_total", &labels, |at, _| {
            if builds(at) { 1.5 } else { 0.05 }
        });
    }

    /// Most is spent in office hours, but never twice too fast.
    fn spent(&mut self) {
        self.gauge("agentperf_budget_usd_per_day", &[], |_, _| 100.0);
        self.counter("agentperf_llm_cost_usd_total", &[], |at, noise| {
            let busy = if at % 86_400.0 < 36_000.0 { 1.5 } else { 0.2 };
            100.0 / 86_400.0 * busy * (1.0 + 0.2 * noise)
        });
    }

    fn services(&mut self) {
        let labels = [("project", "shop"), ("kind", "http_server")];
        let outcome = |outcome| [labels[0], labels[1], ("outcome", outcome)];
        self.counter("agentperf_operations_total", &outcome("success"), |_, noise| 2.0 + noise);
        // Two in a hundred, and a deployment of half a minute in which many fail.
        self.counter("agentperf_operations_total", &outcome("error"), |at, _| {
            if at % 20_000.0 < 30.0 { 1.0 } else { 0.04 }
        });
        // A tenth of a second each; one report an hour takes 20 s.
        self.counter("agentperf_operation_duration_seconds_total", &labels, |at, _| {
            if at % 3_600.0 < 30.0 { 0.87 } else { 0.2 }
        });
    }

    fn own(&mut self) {
        self.counter("agentperf_own_cpu_seconds_total", &[], |at, _| if builds(at) { 0.05 } else { 0.01 });
        self.gauge("agentperf_own_resident_memory_bytes", &[], |_, noise| 70e6 + 5e6 * noise);
        // Builds start more than can be followed, for a moment.
        self.counter("agentperf_losses_total", &[("loss", "ring_full")], |at, _| {
            if at % 3_000.0 < 60.0 { 4.0 } else { 0.0 }
        });
    }
}

#[test]
fn a_day_of_a_busy_healthy_host_fires_nothing() {
    let mut day = Day { memory: Memory::default(), noise: Noise(1) };
    day.host();
    (0..AGENTS).for_each(|agent| day.agent(agent));
    day.services();
    day.spent();
    day.own();
    let rules = RuleSet::parse(DEFAULT_RULES).unwrap();
    let options = Options { interval: STEP, ..Options::default() };
    let mut engine = Engine::new(rules, options);
    for now in (0..DAY).step_by(usize::try_from(2 * STEP).unwrap()) {
        let report = engine.evaluate(now, &day.memory);
        assert_eq!(report.failed, 0, "at {now}");
        let firing: Vec<_> = engine.alerts().filter(|alert| alert.phase == Phase::Firing).collect();
        assert!(firing.is_empty(), "at {} min: {firing:#?}", now / 60 / SECOND);
    }
}

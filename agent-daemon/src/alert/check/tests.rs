//! Tests of rules: the runner itself, the default rules by it, and what many rules cost.

use std::time::Instant;

use super::{check_rules, rule_files, run_tests};
use crate::alert::{
    eval::{Memory, Sample},
    labels::Labels,
    rule::{DEFAULT_RULES, RuleSet},
    state::{Engine, Options},
};

const RULES: &str = "
groups:
  - name: g
    rules:
      - alert: Hot
        expr: temperature > 90
        for: 2m
        annotations: { summary: '{{ $labels.room }} {{ $value }}' }
";

const TESTS: &str = "
rule_files: [rules.yaml]
evaluation_interval: 1m
tests:
  - name: kitchen
    interval: 1m
    input_series:
      - series: 'temperature{room=\"kitchen\"}'
        values: '80+5x4 50x5'
    alert_rule_test:
      - eval_time: 4m
        alertname: Hot
      - eval_time: 5m
        alertname: Hot
      - eval_time: 3m
        alertname: Hot
        exp_alerts: [{ exp_labels: { room: cellar, severity: warning } }]
    promql_expr_test:
      - expr: max_over_time(temperature[3m])
        eval_time: 4m
        exp_samples: [{ labels: '{room=\"kitchen\"}', value: 100 }]
      - expr: temperature
        eval_time: 4m
";

#[test]
fn a_test_says_what_did_not_hold_and_where() {
    let rules = RuleSet::parse(RULES).unwrap();
    let report = run_tests(TESTS, &rules).unwrap();
    assert_eq!(report.checks, 5);
    let lines: Vec<u64> = report.failures.iter().map(|failure| failure.line).collect();
    assert_eq!(lines, [15, 22], "{:#?}", report.failures);
    assert!(report.failures[0].message.contains("cellar") && report.failures[0].test == "kitchen");
    assert_eq!(rule_files(TESTS).unwrap(), ["rules.yaml"]);
    let longer = TESTS.replace("'80+5x4 50x5'", "'95x20'");
    let report = run_tests(&longer, &rules).unwrap();
    let found = &report.failures.iter().find(|f| f.line == 11).unwrap().message;
    assert!(found.contains(r#"{alertname="Hot", room="kitchen", severity="warning"}"#), "{found}");
}

#[test]
fn wrong_tests_are_refused_with_their_place() {
    let rules = RuleSet::parse(RULES).unwrap();
    for (from, to, place) in [
        ("80+5x4 50x5", "80+", "9:17"),
        ("temperature{room=", "temperature{room!=", "8:17"),
        ("eval_time: 5m", "eval_time: never", "13:20"),
        ("interval: 1m\n    input", "interval: 0s\n    input", "6:15"),
        ("expr: temperature\n", "expr: temperature(\n", "22:15"),
        ("eval_time: 5m", "eval_time: 90y", "13:9"),
    ] {
        let error = run_tests(&TESTS.replace(from, to), &rules).expect_err(to).to_string();
        assert!(error.starts_with(&format!("{place}:")), "{to}: {error}");
    }
}

#[test]
fn a_summary_names_the_series() {
    let summary = check_rules(DEFAULT_RULES).unwrap();
    assert!(summary.series.contains("agentperf_agent_cpu_seconds_total"));
    println!("{} rules read {:#?}", summary.rules, summary.series);
}

/// Each fault fires its alert and no other; a healthy host fires nothing.
#[test]
fn the_default_rules_see_faults_and_are_silent_otherwise() {
    let rules = RuleSet::parse(DEFAULT_RULES).unwrap();
    let report = run_tests(include_str!("default_tests.yaml"), &rules).unwrap();
    assert!(report.checks > 20);
    assert!(report.failures.is_empty(), "{:#?}", report.failures);
}

/// 1,000 rules over 100 agents. Prints what a round takes; the work is asserted, the time is not.
#[test]
fn a_thousand_rules_over_a_hundred_agents() {
    let mut memory = Memory::default();
    for agent in 0..100 {
        for name in ["agentperf_agent_cpu_seconds_total", "agentperf_agent_resident_memory_bytes"] {
            let labels = [("__name__", name), ("agent", "a"), ("agent_id", &agent.to_string())];
            let sample = |n: i64| Sample { at: n * 5000, value: (n * (agent + 1)) as f64 / 1e3 };
            memory.push(Labels::new(labels), (0..720).map(sample));
        }
    }
    let conditions = [
        "sum by (agent, agent_id) (rate(agentperf_agent_cpu_seconds_total[1m])) > 0.9",
        "avg_over_time(agentperf_agent_resident_memory_bytes[5m]) > 1e12",
        "agentperf_agent_resident_memory_bytes > 1e12",
        "rate(agentperf_agent_cpu_seconds_total[5m]) > 16 and on (agent_id) agentperf_agent_resident_memory_bytes > 1",
    ];
    let mut text = "groups:\n- name: g\n  rules:\n".to_owned();
    for (n, condition) in (0..1000).zip(conditions.iter().cycle()) {
        text.push_str(&format!("  - {{ alert: A{n}, expr: '{condition}', for: 1m }}\n"));
    }
    let begin = Instant::now();
    let rules = RuleSet::parse(&text).unwrap();
    println!("loading 1,000 rules: {:?}", begin.elapsed());
    let mut engine = Engine::new(rules, Options::default());
    for round in 0..3 {
        let begin = Instant::now();
        let report = engine.evaluate(3_595_000 + round * 5000, &memory);
        println!("1,000 rules over 100 agents: {:?}, {} work units", begin.elapsed(), report.work);
        assert_eq!((report.evaluated, report.failed), (1000, 0));
        assert!(report.work < 20_000_000, "{}", report.work);
    }
}

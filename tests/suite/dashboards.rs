//! What lies in `dashboards/`: of the form that Grafana and Prometheus take, and of metrics that there are.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn boards() -> Vec<(String, Value)> {
    let folder = fs::read_dir(root().join("dashboards/grafana")).unwrap();
    let board = |entry: fs::DirEntry| {
        let text = fs::read_to_string(entry.path()).unwrap();
        (entry.file_name().into_string().unwrap(), serde_json::from_str(&text).unwrap())
    };
    folder.map(|entry| board(entry.unwrap())).collect()
}

/// Runs promtool on files of `dashboards/prometheus`.
fn promtool(arguments: &[&str]) {
    let mut command = Command::new("promtool");
    let output = command.args(arguments).current_dir(root().join("dashboards/prometheus")).output();
    let output = output.unwrap_or_else(|e| panic!("promtool is missing, cargo xtask setup installs it: {e}"));
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "promtool {arguments:?}: {}", String::from_utf8_lossy(&text));
}

#[test]
fn prometheus_takes_the_rules_and_the_example() {
    promtool(&["check", "rules", "recording.yaml", "alerts.yaml"]);
    promtool(&["check", "config", "prometheus.example.yaml"]);
}

#[test]
fn every_alert_fires_for_what_it_is_for_and_only_then() {
    promtool(&["test", "rules", "alerts.test.yaml"]);
    let (alerts, tests) =
        (read("dashboards/prometheus/alerts.yaml"), read("dashboards/prometheus/alerts.test.yaml"));
    let named = |line: &str| line.trim().strip_prefix("- alert: ").map(str::to_owned);
    let names: Vec<_> = alerts.lines().filter_map(named).collect();
    assert!(names.len() >= 20);
    for name in &names {
        for case in ["fires", "is silent"] {
            assert!(tests.contains(&format!("  - name: {name} {case}\n")), "{name} {case} has no test");
        }
    }
    let severities = ["info", "warning", "critical"];
    let given: Vec<_> = alerts.lines().filter_map(|line| line.trim().strip_prefix("severity: ")).collect();
    assert_eq!(given.len(), names.len(), "each has one");
    assert!(given.iter().all(|severity| severities.contains(severity)));
    assert_eq!(alerts.matches("          description: ").count(), names.len(), "each says what to do");
}

/// Names that begin as ours do, of metrics and of what is recorded.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_:".contains(c);
    let words = text.split(|c: char| !is_part(c));
    let ours = ["gen_ai_client_", "mcp_client_", "mcp_server_"];
    let is_ours = |word: &&str| word.contains("agentperf_") || ours.iter().any(|of| word.starts_with(of));
    words.filter(is_ours).map(str::to_owned).collect()
}

#[test]
fn nothing_is_asked_for_that_is_not_there() {
    let mut known = metrics(&read("docs/metrics.md"));
    // Of a histogram, what is asked for is one of its series.
    let of = |name: &String| ["bucket", "sum", "count"].map(|series| format!("{name}_{series}"));
    known.extend(
        known
            .clone()
            .iter()
            .filter(|name| name.ends_with("_seconds") || name.contains("_token_"))
            .flat_map(of),
    );
    let recorded = read("dashboards/prometheus/recording.yaml");
    let name = |line: &str| line.trim().strip_prefix("- record: ").map(str::to_owned);
    known.extend(recorded.lines().filter_map(name));
    // Metrics of the doors out, which have series only where one is configured.
    known.extend(
        ["agentperf_export_failures_total", "agentperf_export_dropped_total", "agentperf_export_spool_bytes"]
            .map(str::to_owned),
    );
    let mut asked = metrics(&recorded);
    asked.extend(metrics(&read("dashboards/prometheus/alerts.yaml")));
    for (_, board) in boards() {
        asked.extend(metrics(&board.to_string()));
    }
    let unknown: Vec<_> = asked.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_dashboards_have_the_form_that_grafana_documents() {
    let boards = boards();
    assert_eq!(boards.len(), 6);
    let uids: BTreeSet<_> = boards.iter().map(|(_, b)| b["uid"].as_str().unwrap().to_owned()).collect();
    assert_eq!(uids.len(), 6, "each has its own");
    for (name, board) in &boards {
        assert!(board["schemaVersion"].as_i64().unwrap() >= 36 && board.get("id").is_none(), "{name}");
        assert!(uids.iter().all(|uid| uid.len() <= 40) && !board["title"].as_str().unwrap().is_empty());
        let variables: BTreeSet<_> = board["templating"]["list"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v["name"].as_str().unwrap())
            .collect();
        let panels = board["panels"].as_array().unwrap();
        let ids: BTreeSet<_> = panels.iter().map(|p| p["id"].as_i64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len(), "{name}: ids are unique");
        let text = board.to_string();
        for variable in ["datasource", "instance", "agent_id", "api"] {
            let used = text.contains(&format!("${variable}")) || text.contains(&format!("${{{variable}}}"));
            assert!(!used || variables.contains(variable), "{name}: {variable} is not declared");
        }
        for panel in panels {
            let at = &panel["gridPos"];
            assert!(at["x"].as_i64().unwrap() + at["w"].as_i64().unwrap() <= 24, "{name}: {panel}");
            if panel["type"] != "text" {
                assert_eq!(panel["datasource"]["uid"], "${datasource}", "{name}: {panel}");
                let targets = panel["targets"].as_array().unwrap();
                let refs: BTreeSet<_> = targets.iter().map(|t| t["refId"].as_str().unwrap()).collect();
                assert_eq!(refs.len(), targets.len().max(1), "{name}: {panel}");
            }
        }
    }
}

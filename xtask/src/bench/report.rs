//! A bench's figures, as a table for people and as JSON for machines.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{claim::Claim, contest::Series, stats::Summary};

/// What a bench found.
pub(super) struct Report {
    pub(super) name: &'static str,
    /// What one sample is, with its unit.
    pub(super) measure: &'static str,
    /// The baseline first, if the bench has one.
    pub(super) series: Vec<Series>,
    /// Whether the first series is what the others are compared with.
    pub(super) has_baseline: bool,
    pub(super) claims: Vec<Claim>,
}

impl Report {
    /// Medians, quartiles and what each adds to the baseline, then the claims.
    pub(super) fn table(&self) -> String {
        let rounds = self.series.iter().map(|series| series.samples.len()).max().unwrap_or(0);
        let mut text =
            format!("\n{}: {}; medians and quartiles of {rounds} rounds\n", self.name, self.measure);
        let width = self.series.iter().map(|series| series.name.chars().count()).max().unwrap_or(0);
        for series in &self.series {
            let _ = writeln!(text, "  {:<width$}  {}", series.name, self.figures(series));
        }
        for claim in &self.claims {
            let verdict = match claim.holds {
                Some(true) => "holds ",
                Some(false) => "FAILS ",
                None => "open  ",
            };
            let _ = writeln!(text, "  {verdict} {}", claim.text);
        }
        text
    }

    fn figures(&self, series: &Series) -> String {
        let Some(absolute) = series.absolute() else {
            let reason = series.dropped.as_deref().and_then(|reason| reason.lines().next());
            return format!("-- {}", reason.unwrap_or("no samples"));
        };
        let mut text = format!("{:>10}  {:<19}", figure(absolute.median), quartiles(absolute));
        if let Some(added) = self.added(series) {
            let _ = write!(text, "  {:>9}  {}", signed(added.median), quartiles(added));
        }
        text.trim_end().to_owned()
    }

    fn added(&self, series: &Series) -> Option<Summary> {
        let base = self.series.first().filter(|base| self.has_baseline && base.name != series.name)?;
        series.above(base)
    }

    fn json(&self) -> Value {
        let series: Vec<Value> = self
            .series
            .iter()
            .map(|series| {
                json!({
                    "name": series.name,
                    "samples": series.samples,
                    "median": series.absolute().map(|summary| summary.median),
                    "added": self.added(series).map(|summary| summary.median),
                    "dropped": series.dropped,
                })
            })
            .collect();
        let claims: Vec<Value> =
            self.claims.iter().map(|claim| json!({ "text": claim.text, "holds": claim.holds })).collect();
        json!({ "name": self.name, "measure": self.measure, "series": series, "claims": claims })
    }
}

/// All reports with the machine they were made on.
pub(super) fn json(reports: &[Report]) -> Value {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    json!({
        "kernel": kernel.trim(),
        "cpus": std::thread::available_parallelism().map_or(0, usize::from),
        "benches": reports.iter().map(Report::json).collect::<Vec<_>>(),
    })
}

fn quartiles(summary: Summary) -> String {
    format!("[{} … {}]", figure(summary.low), figure(summary.high))
}

/// About four digits.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn signed(value: f64) -> String {
    if value < 0.0 { figure(value) } else { format!("+{}", figure(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let series = |name: &str, samples: &[f64], dropped: Option<&str>| Series {
            name: name.to_owned(),
            samples: samples.to_vec(),
            dropped: dropped.map(str::to_owned),
        };
        Report {
            name: "syscalls",
            measure: "ns per getppid",
            series: vec![
                series("untraced", &[100.0, 100.0, 101.0], None),
                series("agentperf", &[1300.0, 1310.0, 1311.0], None),
                series("peer", &[], Some("no tracefs")),
            ],
            has_baseline: true,
            claims: vec![
                Claim { text: "cheap".into(), holds: Some(false) },
                Claim { text: "kind".into(), holds: None },
            ],
        }
    }

    #[test]
    fn the_table_shows_figures_reasons_and_verdicts() {
        let table = report().table();
        for part in [
            "ns per getppid; medians and quartiles of 3 rounds",
            "  untraced        100.0  [100.0 … 100.5]\n",
            "  agentperf        1310  [1305 … 1310]            +1210",
            "  peer       -- no tracefs",
            "FAILS  cheap",
            "open   kind",
        ] {
            assert!(table.contains(part), "{part:?} is not in\n{table}");
        }
    }

    #[test]
    fn the_json_has_every_sample() {
        let json = json(&[report()]);
        assert_eq!(json.pointer("/benches/0/series/1/samples/2"), Some(&json!(1311.0)));
        assert_eq!(json.pointer("/benches/0/series/1/added"), Some(&json!(1210.0)));
        assert_eq!(json.pointer("/benches/0/series/2/dropped"), Some(&json!("no tracefs")));
        assert_eq!(json.pointer("/benches/0/claims/0/holds"), Some(&json!(false)));
    }
}

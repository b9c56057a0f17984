//! The samples as OpenMetrics, for `promtool tsdb create-blocks-from openmetrics`: counters that grow, as Prometheus
//! would scrape them; each series by itself, since that is how the format wants them.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    samples,
    world::{World, time},
};

/// A series' numbers, each with the number of its window.
type Points = Vec<(u32, u64)>;

/// Writes so many hours to a file.
pub(crate) fn run(file: &Path, agents: u64, hours: u64) -> Result<Value> {
    let mut world = World::new(agents);
    let ticks = hours * 3600 / crate::WINDOW;
    let mut series: BTreeMap<(&'static str, String), Points> = BTreeMap::new();
    let mut written = 0u64;
    for tick in 0..ticks {
        for window in (0..world.agents.len()).filter_map(|a| world.window(a, tick)).collect::<Vec<_>>() {
            for sample in samples::of(&window) {
                let points = series.entry((sample.metric, sample.labels)).or_default();
                let before = points.last().map_or(0, |(_, value)| *value);
                // The longest of a window is no sum.
                let is_sum = !sample.metric.ends_with("max_ns");
                let value = if is_sum { before + sample.value } else { sample.value };
                points.push((u32::try_from(tick)?, value));
                written += 1;
            }
        }
    }
    let mut to = BufWriter::new(File::create(file)?);
    let mut last = "";
    for ((metric, labels), points) in &series {
        if *metric != last {
            writeln!(to, "# TYPE agent_{metric} gauge")?;
            last = metric;
        }
        for (tick, value) in points {
            writeln!(to, "agent_{metric}{{{labels}}} {value} {}", time(u64::from(*tick)).as_second())?;
        }
    }
    writeln!(to, "# EOF")?;
    to.flush()?;
    Ok(json!({ "samples": written, "series": series.len(), "text_bytes": std::fs::metadata(file)?.len() }))
}

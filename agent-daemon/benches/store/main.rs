//! What the store takes and how fast it answers, on a replay of agents at speed; and the same samples in two other
//! designs. `cargo xtask bench store` runs it and puts the figures side by side. Each mode prints one JSON object.
//!
//! A sample is one number of one series in one window: a count, a time, one bucket of a histogram.

#![expect(clippy::print_stdout, reason = "the figures are the output")]

mod openmetrics;
mod process;
mod replay;
mod rows;
mod samples;
mod world;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// How long a window is, seconds.
const WINDOW: u64 = 5;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let mode = args.next().unwrap_or_default();
    let place = PathBuf::from(args.next().unwrap_or_default());
    let mut number = || args.next().context("a number is missing")?.parse::<u64>().context("no number");
    let figures = match mode.as_str() {
        "replay" => replay::run(&place, number()?, number()?)?,
        "rows" => rows::run(&place, number()?, number()?)?,
        "openmetrics" => openmetrics::run(&place, number()?, number()?)?,
        // `cargo test --benches` runs every bench without arguments.
        "" => return Ok(()),
        _ => bail!(
            "store replay FOLDER AGENTS HOURS | rows FOLDER AGENTS HOURS | openmetrics FILE AGENTS HOURS"
        ),
    };
    println!("{figures}");
    Ok(())
}

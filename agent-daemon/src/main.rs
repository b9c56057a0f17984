//! The binary: parses the command line, runs the verb, and turns what went wrong into one line and an exit
//! code.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use agentperf::cli::{self, Cli};
use clap::Parser;

fn main() -> ExitCode {
    match cli::run(&Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            // Not eprintln!, which panics where nobody reads it.
            let _ = writeln!(io::stderr(), "agentperf: {}", cli::plain_lines(&error.to_string()));
            error.exit_code()
        }
    }
}

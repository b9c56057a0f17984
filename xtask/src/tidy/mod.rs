//! `cargo xtask tidy`: house rules that no compiler knows, as messages with file and line.
//!
//! One rule per file: [`imports`] keeps the stages in order, [`header`] wants a first word on each file,
//! [`wildcards`] keeps the edges visible, [`length`] keeps files and functions readable. They work on tokens
//! ([`source`]), not on resolved names, so a re-export under another name can deceive them.
#![expect(clippy::indexing_slicing, reason = "indices come from the token list that they index")]

mod header;
mod imports;
mod length;
mod source;
mod wildcards;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use self::source::Source;
use crate::workspace;

/// Folders that hold our sources.
const FOLDERS: [&str; 5] = ["agent-common", "agent-ebpf", "agent-daemon", "xtask", "tests"];

/// Checks the house rules: import directions, file headers, wildcards, lengths
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask tidy

ARCHITECTURE.md says which stage may import which; the table is in xtask/src/tidy/imports.rs.")]
pub(crate) struct Args {}

pub(crate) fn main(_args: &Args) -> Result<()> {
    check()
}

/// Checks every source of the workspace.
///
/// # Errors
/// A rule is broken: all places are printed first.
pub(crate) fn check() -> Result<()> {
    let findings = workspace_findings()?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        bail!("tidy has {} complaints", findings.len());
    }
    Ok(())
}

/// A broken rule and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: PathBuf,
    line: usize,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)
    }
}

fn workspace_findings() -> Result<Vec<Finding>> {
    let root = workspace::root();
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect_sources(&root.join(folder), &mut files)?;
    }
    let mut findings = Vec::new();
    let mut sources = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)?;
        let path = file.strip_prefix(&root).unwrap_or(&file).to_path_buf();
        let source = Source::parse(path, text)?;
        findings.extend(header::check(&source));
        findings.extend(imports::check(&source));
        findings.extend(wildcards::check(&source));
        sources.push(source);
    }
    findings.extend(length::check(&sources));
    findings.sort();
    Ok(findings)
}

fn collect_sources(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("target") {
            collect_sources(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let findings: Vec<String> = workspace_findings().unwrap().iter().map(Finding::to_string).collect();
        assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    }

    #[test]
    fn a_finding_reads_as_a_place_to_click_on() {
        let finding = Finding { path: "a/b.rs".into(), line: 7, message: "why".into() };
        assert_eq!(finding.to_string(), "a/b.rs:7: why");
    }
}

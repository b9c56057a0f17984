//! `cargo xtask agents`: what agentperf sees of real agents, as npm ships them.
//!
//! Each does one task with a key that opens nothing, in a network with nothing but the loopback, against the tests' provider
//! of models; what agentperf tells of its calls is compared with what the provider answered. They are large, so that no
//! other verb runs them. A new agent is a row in [`catalogue`].

mod catalogue;
mod network;
mod package;
mod provider;
mod session;
mod table;
mod verdict;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};

use self::{
    catalogue::{AGENTS, Agent},
    package::Packages,
    provider::Provider,
    session::Lab,
    table::Row,
};
use crate::{
    build,
    daemon::Daemon,
    setup::{self, Purpose},
    test::take_back,
    workspace,
};

/// Lines of an agent's output that are shown when something is wrong.
const SHOWN: usize = 12;

/// Runs real agents from npm against a provider on this machine, and compares what agentperf sees with what they asked
///
/// Installs them below target/xtask (2 GB for all), and runs them as root in a network with nothing but the loopback.
/// Fails if an agent's calls are neither told as they were nor is it said why not.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask agents                     all of them
  cargo xtask agents claude-code codex
  cargo xtask agents --list              which there are, in which versions")]
pub(crate) struct Args {
    /// Which; all if none is named
    names: Vec<String>,
    /// Print the agents and their packages
    #[arg(long)]
    list: bool,
    /// Run this agentperf instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// The network has been left behind
    #[arg(long, hide = true)]
    apart: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let chosen = chosen(&args.names)?;
    if args.list {
        for agent in &AGENTS {
            println!("{:<16} {}@{}", agent.name, agent.package, agent.version);
        }
        return Ok(());
    }
    let folder = workspace::scratch().join("agents");
    let packages = Packages(folder.join("packages"));
    if args.apart {
        let agentperf = args.binary.as_ref().context("which agentperf is not said")?;
        network::enter()?;
        let provider = Provider::start(&folder.join("provider"))?;
        let hosts = format!("127.0.0.1:{}", provider.port);
        let config =
            format!("window: 1s\nagents:\n  builtin_rules: false\nledger:\n  model_hosts: {hosts}\n");
        let daemon = Daemon::start(agentperf, &folder.join("daemon"), &config)?;
        return judge(&Lab { packages, provider, daemon, folder: folder.join("runs") }, &chosen);
    }
    setup::ensure(Purpose::Agents)?;
    for agent in &chosen {
        packages.install_agent(agent)?;
    }
    let agentperf = match &args.binary {
        Some(binary) => fs::canonicalize(binary)?,
        None => build::daemon(false)?,
    };
    let names = chosen.iter().map(|agent| agent.name);
    let outcome = network::run_apart(&["--apart"].into_iter().chain(names).collect::<Vec<_>>(), &agentperf);
    take_back()?;
    outcome
}

fn chosen(names: &[String]) -> Result<Vec<&'static Agent>> {
    let find = |name: &String| {
        let all = || AGENTS.iter().map(|agent| agent.name).collect::<Vec<_>>().join(", ");
        AGENTS
            .iter()
            .find(|agent| agent.name == name)
            .with_context(|| format!("no such agent as {name}; there are {}", all()))
    };
    if names.is_empty() { Ok(AGENTS.iter().collect()) } else { names.iter().map(find).collect() }
}

/// Runs agents one after the other, and shows what was seen of each.
fn judge(lab: &Lab, chosen: &[&'static Agent]) -> Result<()> {
    let mut rows = Vec::new();
    for agent in chosen {
        eprintln!("=== {} {}", agent.name, agent.version);
        let evidence = lab.run(agent)?;
        let verdict = evidence.judge();
        eprintln!("    {}", verdict.text());
        if !verdict.is_right() {
            let output = fs::read_to_string(lab.output(agent)).unwrap_or_default();
            let lines: Vec<&str> = output.lines().collect();
            eprintln!(
                "    it said at last:\n{}",
                lines.get(lines.len().saturating_sub(SHOWN)..).unwrap_or_default().join("\n")
            );
        }
        rows.push(Row { agent, evidence, verdict });
    }
    println!("\n{}", table::text(&rows));
    println!("Lost meanwhile: {}", lab.losses()?);
    let wrong: Vec<&str> =
        rows.iter().filter(|row| !row.verdict.is_right()).map(|row| row.agent.name).collect();
    if !wrong.is_empty() {
        bail!("neither seen as it was nor explained: {}", wrong.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_chosen_by_name() {
        assert_eq!(chosen(&[]).unwrap().len(), AGENTS.len());
        assert_eq!(chosen(&["codex".to_owned()]).unwrap()[0].package, "@openai/codex");
        let error = chosen(&["nobody".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("nobody") && error.contains("claude-code"), "{error}");
    }
}

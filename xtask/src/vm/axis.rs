//! The machines of the matrix: which kernel runs in each, and what it takes away from agentperf.

use std::fmt;

use anyhow::{Context, Result};

use crate::workspace;

/// The kernel that the restricted machines run where nobody names another: the newest of the matrix.
const NEWEST: &str = "6.12";
/// The user that agentperf runs as on an unprivileged machine. The root image needs no name for it.
const USER_ID: u32 = 990;
/// What the unit asks an administrator to set for CPU samples; Debian's kernels start with 3.
const PARANOID: u32 = 2;

/// One kind of machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    /// The kernel's series, such as `6.12`.
    pub(super) series: String,
    /// Boots with `lockdown=confidentiality`.
    pub(super) lockdown: bool,
    /// agentperf runs as a user of its own, with the packaged unit's capabilities only.
    pub(super) unprivileged: bool,
}

impl Axis {
    fn new(series: &str, lockdown: bool, unprivileged: bool) -> Self {
        Self { series: series.to_owned(), lockdown, unprivileged }
    }

    /// The axes that a person chose; without any choice, the matrix.
    pub(super) fn chosen(series: Option<&str>, lockdown: bool, unprivileged: bool) -> Vec<Self> {
        if series.is_none() && !lockdown && !unprivileged {
            return vec![
                Self::new("6.1", false, false),
                Self::new("6.12", false, false),
                Self::new("6.12", true, false),
                Self::new("6.12", false, true),
            ];
        }
        vec![Self::new(series.unwrap_or(NEWEST), lockdown, unprivileged)]
    }

    /// The name of its files.
    pub(super) fn file_name(&self) -> String {
        self.to_string().replace(' ', "-")
    }

    /// What the kernel's command line says about it, to the kernel and to `xtask/vm/init`.
    ///
    /// # Errors
    /// The packaged unit names no capabilities.
    pub(super) fn kernel_arguments(&self) -> Result<String> {
        let mut line = format!("AXIS={}", self.file_name());
        if self.lockdown {
            line += " lockdown=confidentiality";
        }
        if self.unprivileged {
            let unit = workspace::root().join("systemd/agentperf.service");
            let unit = std::fs::read_to_string(&unit).with_context(|| unit.display().to_string())?;
            let capabilities = capabilities(&unit).context("the unit has no AmbientCapabilities=")?;
            line += &format!(" USER_ID={USER_ID} PARANOID={PARANOID} CAPABILITIES={capabilities}");
        }
        Ok(line)
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lockdown = if self.lockdown { " lockdown" } else { "" };
        let unprivileged = if self.unprivileged { " unprivileged" } else { "" };
        f.pad(&format!("{}{lockdown}{unprivileged}", self.series))
    }
}

/// The unit's ambient capabilities as setpriv wants them: `+bpf,+perfmon`.
fn capabilities(unit: &str) -> Option<String> {
    let line = unit.lines().find_map(|line| line.strip_prefix("AmbientCapabilities="))?;
    let names = line.split_whitespace().filter_map(|name| name.strip_prefix("CAP_"));
    let names: Vec<String> = names.map(|name| format!("+{}", name.to_lowercase())).collect();
    (!names.is_empty()).then(|| names.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_choice_it_is_the_matrix_and_else_one_machine() {
        let names = |axes: Vec<Axis>| axes.iter().map(Axis::to_string).collect::<Vec<_>>();
        let matrix = names(Axis::chosen(None, false, false));
        assert_eq!(matrix, ["6.1", "6.12", "6.12 lockdown", "6.12 unprivileged"]);
        assert_eq!(names(Axis::chosen(Some("6.1"), false, false)), ["6.1"]);
        assert_eq!(names(Axis::chosen(None, true, false)), ["6.12 lockdown"]);
    }

    #[test]
    fn an_unprivileged_machine_has_what_the_packaged_unit_gives() {
        let line = Axis::new("6.12", false, true).kernel_arguments().unwrap();
        assert!(line.starts_with("AXIS=6.12-unprivileged USER_ID=990"), "{line}");
        assert!(line.contains("CAPABILITIES=+bpf,+perfmon,") && !line.contains("sys_admin"), "{line}");
        assert_eq!(capabilities("# AmbientCapabilities=CAP_BPF\n"), None);
    }
}

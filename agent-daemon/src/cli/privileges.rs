//! Which capabilities this process has, which it lacks, and for what each is needed. Asked before anything
//! is tried, so that the answer is a sentence and not an errno.

use caps::{CapSet, Capability};

/// A capability that agentperf uses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    /// Which.
    pub(super) capability: Capability,
    /// Its name.
    pub(super) name: &'static str,
    /// What for.
    pub(super) purpose: &'static str,
    /// Whether nothing works without it.
    pub(super) required: bool,
}

/// Every capability that agentperf uses.
pub(super) const NEEDS: [Need; 5] = [
    Need {
        capability: Capability::CAP_BPF,
        name: "CAP_BPF",
        purpose: "load kernel programs",
        required: true,
    },
    Need {
        capability: Capability::CAP_PERFMON,
        name: "CAP_PERFMON",
        purpose: "attach them and sample the CPU",
        required: true,
    },
    Need {
        capability: Capability::CAP_SYS_PTRACE,
        name: "CAP_SYS_PTRACE",
        purpose: "read mappings and symbols of other users' processes",
        required: false,
    },
    Need {
        capability: Capability::CAP_DAC_READ_SEARCH,
        name: "CAP_DAC_READ_SEARCH",
        purpose: "read other users' executables",
        required: false,
    },
    Need {
        capability: Capability::CAP_SYSLOG,
        name: "CAP_SYSLOG",
        purpose: "name kernel functions",
        required: false,
    },
];

impl Need {
    /// Whether this process has it: by name, or all of them as CAP_SYS_ADMIN.
    pub(super) fn is_met(&self) -> bool {
        let admin =
            matches!(self.capability, Capability::CAP_BPF | Capability::CAP_PERFMON | Capability::CAP_SYSLOG);
        has(self.capability) || (admin && has(Capability::CAP_SYS_ADMIN))
    }
}

/// What is missing to trace at all, as a sentence; `None` if nothing is.
pub(super) fn missing() -> Option<String> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|n| n.required && !n.is_met()).collect();
    if missing.is_empty() {
        return None;
    }
    let list: Vec<String> = missing.iter().map(|n| format!("{} (to {})", n.name, n.purpose)).collect();
    let names: Vec<String> = NEEDS.iter().map(|n| n.name.to_ascii_lowercase()).collect();
    let own = std::env::current_exe().map_or_else(|_| "agentperf".to_owned(), |p| p.display().to_string());
    Some(format!(
        "tracing needs {}, which this process does not have: run it with sudo, or once `sudo setcap {}+ep {own}`",
        list.join(" and "),
        names.join(","),
    ))
}

fn has(capability: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false)
}

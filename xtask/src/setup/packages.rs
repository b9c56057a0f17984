//! What comes from the distribution's package manager, as one table.
//!
//! Presence is judged by files, not by the package manager: that takes microseconds, and whoever installed a
//! tool in another way is left alone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{Purpose, Unsupported};
use crate::command::{as_root, find, is_root, read, run};

/// One thing the machine should have.
struct Tool {
    /// What it is for, in words that end a sentence.
    why: &'static str,
    /// The least that needs it.
    purpose: Purpose,
    present: fn() -> bool,
    /// Package names on Debian and Ubuntu, Fedora, Arch.
    apt: &'static str,
    dnf: &'static str,
    pacman: &'static str,
}

const TOOLS: [Tool; 24] = [
    Tool {
        why: "links Rust programs and builds the C workloads",
        purpose: Purpose::Build,
        present: || find("cc").is_some() && Path::new("/usr/include/stdlib.h").exists(),
        apt: "gcc libc6-dev",
        dnf: "gcc glibc-devel",
        pacman: "gcc",
    },
    Tool {
        why: "agents of the tests are Python programs",
        purpose: Purpose::Test,
        present: || find("python3").is_some() && python_can_make_environments(),
        apt: "python3 python3-venv",
        dnf: "python3",
        pacman: "python",
    },
    Tool {
        why: "agents of tests and benches are Node programs, too, with packages of npm",
        purpose: Purpose::Test,
        present: || find("node").is_some() && find("npm").is_some(),
        apt: "nodejs npm",
        dnf: "nodejs npm",
        pacman: "nodejs npm",
    },
    Tool {
        why: "asks models in tests, as a client that lives for a moment",
        purpose: Purpose::Test,
        present: || find("curl").is_some(),
        apt: "curl",
        dnf: "curl",
        pacman: "curl",
    },
    Tool {
        why: "makes the certificate of a provider of models that tests call",
        purpose: Purpose::Test,
        present: || find("openssl").is_some(),
        apt: "openssl",
        dnf: "openssl",
        pacman: "openssl",
    },
    Tool {
        why: "an agent of the tests is a Go program",
        purpose: Purpose::Test,
        present: || find("go").is_some(),
        apt: "golang-go",
        dnf: "golang-bin",
        pacman: "go",
    },
    Tool {
        why: "an agent of the tests has OpenSSL linked in",
        purpose: Purpose::Test,
        present: || Path::new("/usr/include/openssl/ssl.h").exists(),
        apt: "libssl-dev",
        dnf: "openssl-devel",
        pacman: "openssl",
    },
    Tool {
        why: "a test boots systemd in a container",
        purpose: Purpose::Test,
        present: || find("systemd-nspawn").is_some(),
        apt: "systemd-container",
        dnf: "systemd-container",
        pacman: "systemd",
    },
    Tool {
        why: "makes that container's root file system",
        purpose: Purpose::Test,
        present: || find("mmdebstrap").is_some(),
        apt: "mmdebstrap",
        dnf: "mmdebstrap",
        pacman: "mmdebstrap",
    },
    Tool {
        why: "builds the C++ programs whose stacks are known",
        purpose: Purpose::Test,
        present: || find("g++").is_some(),
        apt: "g++",
        dnf: "gcc-c++",
        pacman: "gcc",
    },
    Tool {
        why: "builds programs whose stacks are known as another compiler does",
        purpose: Purpose::Test,
        present: || find("clang").is_some(),
        apt: "clang",
        dnf: "clang",
        pacman: "clang",
    },
    Tool {
        why: "links such programs to another C library",
        purpose: Purpose::Test,
        present: || find("musl-gcc").is_some(),
        apt: "musl-tools",
        dnf: "musl-gcc",
        pacman: "musl",
    },
    Tool {
        why: "finds the stacks of blocked processes, to compare with",
        purpose: Purpose::Test,
        present: || find("gdb").is_some(),
        apt: "gdb",
        dnf: "gdb",
        pacman: "gdb",
    },
    Tool {
        why: "judges the metrics, takes them by remote write, and runs the rules and the dashboards' queries",
        purpose: Purpose::Test,
        present: || find("prometheus").is_some() && find("promtool").is_some(),
        apt: "prometheus",
        dnf: "prometheus",
        pacman: "prometheus",
    },
    Tool {
        why: "takes metrics by remote write, in tests",
        purpose: Purpose::Test,
        present: || find("victoria-metrics").is_some(),
        apt: "victoria-metrics",
        dnf: "victoria-metrics",
        pacman: "victoriametrics",
    },
    Tool {
        why: "takes alerts, in tests",
        purpose: Purpose::Test,
        present: || find("prometheus-alertmanager").is_some(),
        apt: "prometheus-alertmanager",
        dnf: "alertmanager",
        pacman: "alertmanager",
    },
    Tool {
        why: "takes mail about alerts, in tests",
        purpose: Purpose::Test,
        present: || {
            Path::new("/usr/lib/python3/dist-packages/aiosmtpd").exists() || find("aiosmtpd").is_some()
        },
        apt: "python3-aiosmtpd",
        dnf: "python3-aiosmtpd",
        pacman: "python-aiosmtpd",
    },
    Tool {
        why: "shows a page that tells how long it took",
        purpose: Purpose::Test,
        present: || find("chromium").is_some(),
        apt: "chromium",
        dnf: "chromium",
        pacman: "chromium",
    },
    Tool {
        why: "syscount and offcputime, to measure against",
        purpose: Purpose::Bench,
        present: || libbpf_tool("syscount").is_some() && libbpf_tool("offcputime").is_some(),
        apt: "libbpf-tools",
        dnf: "libbpf-tools",
        pacman: "libbpf-tools",
    },
    Tool {
        why: "to measure against",
        purpose: Purpose::Bench,
        present: || find("bpftrace").is_some(),
        apt: "bpftrace",
        dnf: "bpftrace",
        pacman: "bpftrace",
    },
    Tool {
        why: "to measure against",
        purpose: Purpose::Bench,
        present: || find("perf").is_some(),
        apt: "linux-perf",
        dnf: "perf",
        pacman: "perf",
    },
    Tool {
        why: "boots other kernels in virtual machines",
        purpose: Purpose::Machines,
        present: || find("qemu-system-x86_64").is_some(),
        apt: "qemu-system-x86",
        dnf: "qemu-system-x86-core",
        pacman: "qemu-system-x86",
    },
    Tool {
        why: "makes the disks of virtual machines",
        purpose: Purpose::Machines,
        present: || find("mke2fs").is_some(),
        apt: "e2fsprogs",
        dnf: "e2fsprogs",
        pacman: "e2fsprogs",
    },
    Tool {
        why: "brings up the loopback of the network that agents run in",
        purpose: Purpose::Agents,
        present: || find("ip").is_some(),
        apt: "iproute2",
        dnf: "iproute",
        pacman: "iproute2",
    },
];

/// One of libbpf-tools, which Fedora installs with a prefix to tell them from bcc's own.
pub(crate) fn libbpf_tool(name: &str) -> Option<PathBuf> {
    find(name).or_else(|| find(&format!("bpf-{name}")))
}

/// Debian's python3 comes without what `python3 -m venv` needs.
fn python_can_make_environments() -> bool {
    let versions = fs::read_dir("/usr/lib").into_iter().flatten().filter_map(Result::ok);
    let debian = versions.filter(|entry| entry.file_name().to_string_lossy().starts_with("python3."));
    debian.map(|entry| entry.path()).any(|lib| lib.join("ensurepip/__init__.py").exists())
        || Path::new("/usr/lib64/python3/ensurepip").exists()
}

/// Installs the packages that `purpose` needs and the machine lacks.
///
/// # Errors
/// [`Unsupported`] on a distribution without apt, with the packages to install; or apt failed.
pub(super) fn ensure(purpose: Purpose) -> Result<()> {
    let missing: Vec<&Tool> =
        TOOLS.iter().filter(|tool| purpose.includes(tool.purpose) && !(tool.present)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if find("apt-get").is_none() {
        return Err(Unsupported(instructions(&missing)).into());
    }
    if !is_root() && find("sudo").is_none() {
        let packages = names(&missing, |tool| tool.apt);
        let text =
            format!("missing packages, and no sudo to install them. As root: apt-get install {packages}");
        return Err(Unsupported(text).into());
    }
    for tool in &missing {
        super::announce(tool.apt, tool.why);
    }
    let packages: Vec<&str> = missing.iter().flat_map(|tool| tool.apt.split(' ')).collect();
    apt_install(&packages)
}

/// Installs by apt; fetches the package lists first only if they lack a package, or turn out to be stale.
fn apt_install(packages: &[&str]) -> Result<()> {
    let known = packages.iter().all(|package| is_listed(package));
    if known && install(packages).is_ok() {
        return Ok(());
    }
    run(as_root("apt-get")?.arg("update"))?;
    install(packages).with_context(|| format!("apt cannot install {}", packages.join(" ")))
}

fn install(packages: &[&str]) -> Result<()> {
    // `env`, because sudo passes no variables on.
    let args = ["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends"];
    run(as_root("env")?.args(args).args(packages))
}

/// Whether apt's lists know a package.
fn is_listed(package: &str) -> bool {
    let mut show = Command::new("apt-cache");
    read(show.args(["show", "--no-all-versions", package])).is_ok()
}

fn names(tools: &[&Tool], of: fn(&Tool) -> &'static str) -> String {
    tools.iter().map(|tool| of(tool)).collect::<Vec<_>>().join(" ")
}

/// What a person on another distribution has to do.
fn instructions(missing: &[&Tool]) -> String {
    let mut text = String::from("these are missing, and xtask installs packages only by apt:\n");
    for tool in missing {
        text += &format!("  {:<28} {}\n", tool.apt, tool.why);
    }
    text += "Install them and run this again. By name, which may differ by release:\n";
    text += &format!("  Fedora:  sudo dnf install {}\n", names(missing, |tool| tool.dnf));
    text += &format!("  Arch:    sudo pacman -S {}", names(missing, |tool| tool.pacman));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_distribution_is_told_every_missing_package() {
        let missing: Vec<&Tool> = TOOLS.iter().collect();
        let text = instructions(&missing);
        for tool in &TOOLS {
            for packages in [tool.apt, tool.dnf, tool.pacman] {
                assert!(text.contains(packages), "{packages} is not in:\n{text}");
            }
            assert!(text.contains(tool.why), "{} is not in:\n{text}", tool.why);
        }
    }
}

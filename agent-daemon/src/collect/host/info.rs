//! What kind of host this is: what does not change while the daemon runs. What cannot be read is absent.

use std::fs;

use procfs::{CpuInfo, Current as _, CurrentSI as _, KernelStats, Meminfo};

use crate::model::{
    host::{Platform, SystemInfo},
    time::Timestamp,
};

/// Reads what kind of host this is.
#[must_use]
pub fn read() -> SystemInfo {
    let cpu = CpuInfo::current().ok();
    let memory = Meminfo::current().ok();
    let release =
        fs::read_to_string("/etc/os-release").or_else(|_| fs::read_to_string("/usr/lib/os-release"));
    SystemInfo {
        operating_system: release.ok().and_then(|text| pretty_name(&text)),
        architecture: std::env::consts::ARCH,
        cpu_model: cpu.as_ref().and_then(|cpu| cpu.model_name(0)).map(str::to_owned),
        cpus: cpu.as_ref().map_or(0, CpuInfo::num_cores),
        memory: memory.as_ref().map_or(0, |memory| memory.mem_total),
        swap: memory.as_ref().map_or(0, |memory| memory.swap_total),
        booted: KernelStats::current().ok().and_then(|stat| booted(stat.btime)),
        platform: platform(cpu.as_ref()),
    }
}

fn booted(seconds: u64) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

/// `PRETTY_NAME` of an os-release file, without its quotes.
fn pretty_name(release: &str) -> Option<String> {
    let value = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    let value = value.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}

/// A container says so by files that its runtime makes; a virtual machine by its firmware and a flag of its CPUs.
fn platform(cpu: Option<&CpuInfo>) -> Platform {
    if let Some(runtime) = container() {
        return Platform::Container { runtime };
    }
    let is_guest = cpu.and_then(|cpu| cpu.flags(0)).is_some_and(|flags| flags.contains(&"hypervisor"));
    if is_guest { Platform::VirtualMachine { hypervisor: hypervisor() } } else { Platform::Physical }
}

fn container() -> Option<String> {
    let said = fs::read_to_string("/run/systemd/container").ok().map(|text| text.trim().to_owned());
    said.filter(|text| !text.is_empty()).or_else(|| {
        let marks = [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")];
        let mark = marks.into_iter().find(|(path, _)| fs::exists(path).unwrap_or(false))?;
        Some(mark.1.to_owned())
    })
}

fn hypervisor() -> Option<String> {
    ["/sys/hypervisor/type", "/sys/class/dmi/id/sys_vendor"].into_iter().find_map(|path| {
        let text = fs::read_to_string(path).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_named_without_quotes() {
        let named = |text| pretty_name(text);
        assert_eq!(
            named("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"),
            Some("Debian GNU/Linux 12".to_owned())
        );
        assert_eq!(named("PRETTY_NAME=\n"), None);
    }

    #[test]
    fn this_host_is_known() {
        let info = read();
        assert!(
            info.cpus > 0 && info.memory > 0 && info.booted.is_some_and(|at| at < Timestamp::now()),
            "{info:?}"
        );
    }
}

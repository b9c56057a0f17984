//! A network with nothing in it but the loopback: whom an agent may want to reach, it reaches nobody.

use std::{env, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::{
    command::{as_root, find, run},
    workspace,
};

/// Runs this program again in such a network, as root, with these words.
///
/// # Errors
/// It failed there.
pub(super) fn run_apart(words: &[&str], agentperf: &Path) -> Result<()> {
    let mut command = as_root("unshare")?;
    command.args(["--net", "--", "env"]);
    command.arg(format!("CARGO_MANIFEST_DIR={}", workspace::root().join("xtask").display()));
    command.arg(env::current_exe()?).arg("agents").args(words).arg("--binary").arg(agentperf);
    run(&mut command)
}

/// Brings its loopback up.
///
/// # Errors
/// There is more than a loopback.
pub(super) fn enter() -> Result<()> {
    // `/sys` shows the network that it was mounted in.
    let table = fs::read_to_string("/proc/net/dev").context("cannot read /proc/net/dev")?;
    let others = others(&table);
    if !others.is_empty() {
        bail!("agents run only where there is nothing but the loopback; here is {}", others.join(", "));
    }
    let ip = find("ip").context("there is no `ip`")?;
    run(Command::new(ip).args(["link", "set", "lo", "up"]))
}

/// The interfaces of `/proc/net/dev` beside the loopback.
fn others(table: &str) -> Vec<&str> {
    let names = table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim()));
    names.filter(|name| *name != "lo").collect()
}

#[cfg(test)]
mod tests {
    use super::others;

    #[test]
    fn any_interface_but_the_loopback_is_one_too_many() {
        let head = "Inter-|   Receive  |  Transmit\n face |bytes    packets|bytes    packets\n";
        assert!(others(&format!("{head}    lo:   0    0 0 0\n")).is_empty());
        assert_eq!(others(&format!("{head}    lo: 0 0\n  eth0: 1 2\n")), ["eth0"]);
    }
}

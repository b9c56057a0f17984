//! Asks gdb for the stacks of a process's threads, as offsets in files.

use std::{collections::BTreeSet, process::Command};

/// Prints each thread's frames, innermost first, as one line of hexadecimal addresses. Inlined frames have none of
/// their own, and those of tail calls, which gdb infers from debug information, are not on the stack.
const SCRIPT: &str = "
import gdb
for thread in gdb.selected_inferior().threads():
    thread.switch()
    frame, addresses = gdb.newest_frame(), []
    while frame is not None:
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            addresses.append('%x' % frame.pc())
        try:
            frame = frame.older()
        except gdb.error:
            break
    print('STACK', *addresses)
";

/// One native frame: a file, and the offset in it.
pub(super) type Place = (String, u64);

/// The stacks of a process's threads; each ends before the first frame that is in no file. gdb stops the process for
/// as long as it looks.
///
/// # Panics
/// Where gdb cannot be asked.
pub(super) fn stacks(pid: u32) -> BTreeSet<Vec<Place>> {
    let script = tempfile::Builder::new().suffix(".py").tempfile().expect("a temporary file");
    std::fs::write(script.path(), SCRIPT).expect("the script is written");
    let settings =
        ["debuginfod enabled off", "auto-load off", "backtrace past-main on", "backtrace past-entry on"];
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch"]);
    for setting in settings {
        gdb.args(["-iex", &format!("set {setting}")]);
    }
    gdb.args(["-p", &pid.to_string(), "-x"]).arg(script.path());
    let output = gdb.output().expect("gdb runs: run the tests by `cargo xtask test`");
    let text = String::from_utf8_lossy(&output.stdout);
    let mappings = agentperf::collect::mappings::read(pid).expect("the process lives");
    let place = |address: u64| {
        let mapping = mappings.iter().find(|m| (m.start..m.end).contains(&address))?;
        let is_file = mapping.inode != 0 || mapping.path == "[vdso]";
        is_file.then(|| (mapping.path.clone(), address - mapping.start + mapping.offset))
    };
    let stack = |line: &str| {
        let addresses = line.split_whitespace().map(|a| u64::from_str_radix(a, 16).expect("an address"));
        addresses.map_while(place).collect::<Vec<_>>()
    };
    let found: BTreeSet<_> = text.lines().filter_map(|l| l.strip_prefix("STACK ")).map(stack).collect();
    assert!(!found.is_empty(), "gdb tells nothing: {text}{}", String::from_utf8_lossy(&output.stderr));
    found
}

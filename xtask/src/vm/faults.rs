//! `cargo xtask vm --self-test`: machines that are broken on purpose, to see that each fault gets the verdict
//! it deserves. A harness that calls everything a success would pass every other test there is.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Result, bail};

use super::{
    machine::Machine,
    payload::{Job, Payload},
    report::{Ending, Report, Verdict},
    table::word,
};
use crate::workspace;

/// Seconds that each faulty test is given.
const LIMIT: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(15);

/// A machine's faults (see `xtask/vm/fault`), and what they should be called.
struct Case {
    name: &'static str,
    faults: &'static [(&'static str, Verdict)],
    ending: fn(&Ending) -> bool,
}

const CASES: [Case; 3] = [
    Case {
        name: "content",
        faults: &[("none", Verdict::Passed)],
        ending: |ending| *ending == Ending::Done { complaints: 0 },
    },
    Case {
        name: "dying",
        faults: &[
            ("fails", Verdict::Failed),
            ("crashes", Verdict::Crashed(11)),
            ("hangs", Verdict::Hung),
            ("ignores-term", Verdict::Hung),
            ("leaves-a-child", Verdict::Passed),
            ("none", Verdict::Passed),
            ("panics", Verdict::Panicked),
            ("missed", Verdict::NotRun),
        ],
        ending: |ending| matches!(ending, Ending::Panicked(_)),
    },
    Case {
        name: "stuck",
        faults: &[("freezes-init", Verdict::Stuck), ("missed", Verdict::NotRun)],
        ending: |ending| matches!(ending, Ending::Stuck(_)),
    },
];

/// Breaks machines and checks what is said of them.
///
/// # Errors
/// A fault got another verdict than it deserves.
pub(super) fn check(kernel: PathBuf, root: PathBuf, folder: &std::path::Path) -> Result<()> {
    let payload = Payload::new(folder.join("faults"))?;
    payload.add(&workspace::root().join("xtask/vm/fault"), "fault")?;
    for case in &CASES {
        payload.add_jobs(case.name, &case.faults.iter().map(|(fault, _)| job(fault)).collect::<Vec<_>>())?;
    }
    let disk = folder.join("faults.img");
    payload.write(&disk)?;
    let mut wrong = Vec::new();
    for case in &CASES {
        let report = machine(&kernel, &root, &disk, folder, case.name).run(&names(case), |_| {})?;
        wrong.extend(complaints(case, &report));
    }
    let nowhere = machine(&folder.join("no-kernel"), &root, &disk, folder, "nothing");
    let report = nowhere.run(&["none".to_owned()], |_| {})?;
    if !matches!(report.ending, Ending::Broken(_)) {
        wrong.push(format!("a machine without a kernel is called {:?}", report.ending));
    }
    fs::remove_file(disk)?;
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

fn job(fault: &str) -> Job {
    Job { name: fault.to_owned(), limit: LIMIT, command: format!("/payload/fault {fault}") }
}

fn names(case: &Case) -> Vec<String> {
    case.faults.iter().map(|(fault, _)| (*fault).to_owned()).collect()
}

fn machine(
    kernel: &std::path::Path,
    root: &std::path::Path,
    disk: &std::path::Path,
    folder: &std::path::Path,
    name: &str,
) -> Machine {
    Machine {
        kernel: kernel.to_owned(),
        root: root.to_owned(),
        payload: disk.to_owned(),
        arguments: format!("AXIS={name}"),
        output: folder.join("results").join(format!("fault-{name}")),
        patience: PATIENCE,
    }
}

/// What is wrong with what is said of a machine.
fn complaints(case: &Case, report: &Report) -> Vec<String> {
    let mut wrong = Vec::new();
    if !(case.ending)(&report.ending) {
        wrong.push(format!("the machine `{}` ended as {:?}", case.name, report.ending));
    }
    for ((fault, expected), row) in case.faults.iter().zip(&report.rows) {
        eprintln!("{:<10} {:<18} {}", case.name, fault, word(row.verdict));
        if row.verdict != *expected {
            wrong.push(format!("a test that `{fault}` is called {:?}, not {expected:?}", row.verdict));
        }
    }
    wrong
}

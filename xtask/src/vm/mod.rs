//! `cargo xtask vm`: the kernel tests on other kernels than this machine's own, in virtual machines.
//!
//! Kernels differ in what they offer and in what they refuse, and that shows only on them. The machines need
//! no hardware help, so they run in any container, but slowly: counts, causes and names are tested there, and
//! times only coarsely. [`axis`] says which machines there are, [`omissions`] what they leave out and why,
//! [`report`] what becomes of each test, [`faults`] tests the harness itself.
#![expect(clippy::indexing_slicing, reason = "tables are as wide as they were made")]

mod axis;
mod faults;
mod image;
mod kernel;
mod machine;
mod omissions;
mod payload;
mod report;
mod table;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Result, bail};

use self::{
    axis::Axis,
    machine::{Machine, PATIENCE},
    payload::{Job, Payload},
    report::{Report, Verdict},
    table::{Column, word},
};
use crate::{
    build,
    command::line,
    setup::{self, Purpose},
    workspace,
};

/// Seconds that a test is given in a machine: ten times what the longest takes on a quiet host.
const LIMIT: u32 = 120;
/// Lines of a failed test's output that are shown.
const SHOWN: usize = 20;

/// Runs the kernel tests in virtual machines with other kernels
///
/// Without a choice: 6.1; 6.12; 6.12 under lockdown; 6.12 with agentperf as the packaged unit's user.
/// Leaves what each machine said, and what `agentperf check` finds in it, in target/vm/results.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask vm                       the whole matrix
  cargo xtask vm --kernel 6.1
  cargo xtask vm --lockdown --filter syscalls
  cargo xtask vm --self-test           whether faults are told apart

The machines run Debian's cloud kernels, which apt downloads; nothing of them is installed.")]
pub(crate) struct Args {
    /// One kernel, by its series
    #[arg(long, value_name = "SERIES")]
    kernel: Option<String>,
    /// One machine, whose kernel hides its memory: lockdown=confidentiality
    #[arg(long)]
    lockdown: bool,
    /// One machine, on which agentperf is not root
    #[arg(long)]
    unprivileged: bool,
    /// Only tests whose names contain this
    #[arg(long, value_name = "TEST")]
    filter: Option<String>,
    /// Keep the disk of this run, and say how to boot each machine from it
    #[arg(long)]
    keep: bool,
    /// How many machines run at a time; each takes one CPU and 1 GB
    #[arg(long, value_name = "N", default_value_t = processors())]
    jobs: usize,
    /// Ship this agentperf instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Break machines on purpose and see whether each fault gets its verdict
    #[arg(long)]
    self_test: bool,
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

pub(crate) fn main(args: &Args) -> Result<()> {
    setup::ensure(Purpose::Machines)?;
    let folder = workspace::target().join("vm");
    fs::create_dir_all(folder.join("kernels"))?;
    let axes = Axis::chosen(args.kernel.as_deref(), args.lockdown, args.unprivileged);
    let kernels = kernels(&axes, &folder.join("kernels"))?;
    let root = image::root(&folder)?;
    if args.self_test {
        let kernel = kernels.into_values().next_back().unwrap_or_default();
        return faults::check(kernel, root, &folder);
    }
    let (payload, plans) = ship(args, &folder, axes)?;
    let disk = folder.join("payload.img");
    payload.write(&disk)?;
    let machine = |axis: &Axis| -> Result<Machine> {
        Ok(Machine {
            kernel: kernels[&axis.series].clone(),
            root: root.clone(),
            payload: disk.clone(),
            arguments: axis.kernel_arguments()?,
            output: folder.join("results").join(axis.file_name()),
            patience: PATIENCE,
        })
    };
    let machines = plans.iter().map(|plan| machine(&plan.axis)).collect::<Result<Vec<_>>>()?;
    let reports = run_all(&machines, &plans, args.jobs)?;
    finish(args, plans, &machines, reports, &disk)
}

fn kernels(axes: &[Axis], folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut kernels = BTreeMap::new();
    for Axis { series, .. } in axes {
        if !kernels.contains_key(series) {
            kernels.insert(series.clone(), kernel::fetch(series, folder)?);
        }
    }
    Ok(kernels)
}

/// What one machine is to do.
struct Plan {
    axis: Axis,
    tests: Vec<String>,
    left_out: Vec<(String, &'static str)>,
}

/// Builds everything, and lists each machine's tests.
fn ship(args: &Args, folder: &Path, axes: Vec<Axis>) -> Result<(Payload, Vec<Plan>)> {
    let tests = build::kernel_tests()?;
    let agentperf = match &args.binary {
        Some(binary) => binary.clone(),
        // A debug build takes three times as long to start, and each test starts one.
        None => build::daemon(true)?,
    };
    let names = payload::names(&tests)?;
    let stale = omissions::stale(&names);
    if !stale.is_empty() {
        bail!("xtask/src/vm/omissions.rs lists tests that are gone: {}", stale.join(", "));
    }
    let payload = Payload::new(folder.join("payload"))?;
    payload.add_tests(&agentperf, &tests)?;
    let plans: Vec<Plan> =
        axes.into_iter().map(|axis| plan(axis, &names, args.filter.as_deref().unwrap_or_default())).collect();
    for Plan { axis, tests, .. } in &plans {
        let jobs: Vec<Job> = tests.iter().map(|test| Job::test(test, LIMIT)).collect();
        payload.add_jobs(&axis.file_name(), &jobs)?;
    }
    Ok((payload, plans))
}

fn plan(axis: Axis, names: &[String], filter: &str) -> Plan {
    let mut plan = Plan { axis, tests: Vec::new(), left_out: Vec::new() };
    for name in names.iter().filter(|name| name.contains(filter)) {
        match omissions::reason(name, &plan.axis) {
            Some(reason) => plan.left_out.push((name.clone(), reason)),
            None => plan.tests.push(name.clone()),
        }
    }
    plan
}

/// Runs machines, so many at a time.
fn run_all(machines: &[Machine], plans: &[Plan], jobs: usize) -> Result<Vec<Report>> {
    let waiting = Arc::new(Mutex::new((0..machines.len()).collect::<Vec<_>>().into_iter()));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || -> Result<Vec<(usize, Report)>> {
        let mut reports = Vec::new();
        while let Some(index) = next() {
            reports.push((index, watch(&machines[index], &plans[index])?));
        }
        Ok(reports)
    };
    let mut reports = thread::scope(|scope| -> Result<Vec<(usize, Report)>> {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for worker in workers {
            match worker.join() {
                Ok(reports) => all.extend(reports?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(all)
    })?;
    reports.sort_by_key(|(index, _)| *index);
    Ok(reports.into_iter().map(|(_, report)| report).collect())
}

/// Runs a machine, and says what becomes of each test as it does.
fn watch(machine: &Machine, plan: &Plan) -> Result<Report> {
    let mut told = 0;
    machine.run(&plan.tests, |report| {
        let ended: Vec<_> = report.rows.iter().filter(|row| row.seconds.is_some()).collect();
        for row in &ended[told..] {
            let seconds = row.seconds.unwrap_or_default();
            eprintln!("{:<18} {:>5.1} s  {:<8} {}", plan.axis, seconds, word(row.verdict), row.test);
        }
        told = ended.len();
    })
}

/// Prints what failed and the table.
fn finish(
    args: &Args,
    plans: Vec<Plan>,
    machines: &[Machine],
    reports: Vec<Report>,
    disk: &Path,
) -> Result<()> {
    let columns: Vec<Column> = plans
        .into_iter()
        .zip(reports)
        .map(|(Plan { axis, left_out, .. }, report)| Column { axis, report, left_out })
        .collect();
    for (column, machine) in columns.iter().zip(machines) {
        show_failures(column, &machine.output);
        if args.keep {
            println!("To boot {} again:\n  {}", column.axis, line(&machine.command()));
        }
    }
    println!("{}", table::text(&columns));
    if !args.keep {
        fs::remove_file(disk)?;
    }
    let failed: Vec<String> =
        columns.iter().filter(|c| !c.report.passed()).map(|c| c.axis.to_string()).collect();
    if !failed.is_empty() {
        bail!("failed on {}; all that was said is in {}", failed.join(", "), results().display());
    }
    Ok(())
}

fn results() -> PathBuf {
    workspace::target().join("vm/results")
}

/// The last words of each test that did not pass.
fn show_failures(column: &Column, output: &Path) {
    let said = String::from_utf8_lossy(&fs::read(output.join("said")).unwrap_or_default()).into_owned();
    for row in &column.report.rows {
        if matches!(row.verdict, Verdict::Passed | Verdict::NotRun) {
            continue;
        }
        println!("--- {}: {} {}", column.axis, row.test, word(row.verdict));
        let lines: Vec<&str> = said_by(&said, &row.test).collect();
        for line in &lines[lines.len().saturating_sub(SHOWN)..] {
            println!("{line}");
        }
    }
}

/// What a test said: the lines from its heading to the next.
fn said_by<'a>(said: &'a str, test: &str) -> impl Iterator<Item = &'a str> {
    let heading = format!("=== {test}");
    let lines = said.lines().skip_while(move |line| *line != heading).skip(1);
    lines.take_while(|line| !line.starts_with("=== "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_has_its_own_words() {
        let said = "=== a\none\ntwo\n=== b\nthree\n";
        assert_eq!(said_by(said, "a").collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(said_by(said, "b").collect::<Vec<_>>(), ["three"]);
        assert_eq!(said_by(said, "c").count(), 0);
    }

    #[test]
    fn every_test_is_planned_or_left_out_with_a_reason() {
        let names = ["attach::a", "systemd::b", "attach::c"].map(str::to_owned);
        let axis = Axis::chosen(Some("6.1"), false, false).remove(0);
        let all = plan(axis.clone(), &names, "");
        assert_eq!((all.tests.len(), all.left_out.len()), (2, 1));
        assert_eq!(plan(axis, &names, "::c").tests, ["attach::c"]);
    }
}

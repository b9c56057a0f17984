//! What became of a machine and of each of its tests, read from what it wrote until it ended.
//!
//! The machine may have ended anywhere, so nothing is taken for granted: a test without an end was running
//! when the machine died, and one without a beginning was never run. Only a machine that says it is done
//! counts as whole.

use std::time::Duration;

use serde_json::Value;

/// How a machine stopped, as seen from outside.
#[derive(Debug)]
pub(super) enum Stop {
    /// It has not.
    Running,
    /// It switched itself off.
    Off,
    /// It said nothing for so long that it was switched off.
    Silent(Duration),
    /// QEMU failed: what it said.
    Broken(String),
}

/// What became of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    Failed,
    /// A signal ended it: which.
    Crashed(i64),
    /// It was killed when its time was over.
    Hung,
    /// The kernel died under it.
    Panicked,
    /// The machine stood still under it.
    Stuck,
    /// The machine ended before its turn.
    NotRun,
}

/// What became of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is still at work.
    Running,
    /// It ran all its tests. The kernel complained so often of itself.
    Done { complaints: u64 },
    /// The kernel died: its words.
    Panicked(String),
    /// It said nothing for so long.
    Stuck(Duration),
    /// It switched itself off before it was done.
    Vanished,
    /// There was no machine: what QEMU said.
    Broken(String),
}

/// One test's row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) test: String,
    pub(super) verdict: Verdict,
    /// How long it took in the machine's time, if it ended.
    pub(super) seconds: Option<f64>,
}

/// All about a machine.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Report {
    /// The kernel's release, once it has booted.
    pub(super) release: Option<String>,
    /// When it was done, seconds after the boot.
    pub(super) seconds: Option<f64>,
    /// Every planned test, in order.
    pub(super) rows: Vec<Row>,
    pub(super) ending: Ending,
    running: Option<Begun>,
}

/// A test that has begun.
#[derive(Clone, Debug, PartialEq)]
struct Begun {
    test: String,
    /// Seconds that it is given.
    limit: f64,
    up: f64,
}

impl Report {
    /// Whether everything planned was run and passed, and the kernel is content.
    pub(super) fn passed(&self) -> bool {
        self.ending == Ending::Done { complaints: 0 }
            && self.rows.iter().all(|row| row.verdict == Verdict::Passed)
    }

    /// The time that the running test is given.
    pub(super) fn running_limit(&self) -> Duration {
        self.running.as_ref().map_or(Duration::ZERO, |begun| Duration::from_secs_f64(begun.limit))
    }
}

/// Reads the lines of the results' port; of the console only whether the kernel died.
pub(super) fn read(results: &str, console: &str, planned: &[String], stop: &Stop) -> Report {
    let (mut release, mut done, mut running) = (None, None, None::<Begun>);
    let mut ended: Vec<Row> = Vec::new();
    for event in results.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let up = event["up"].as_f64().unwrap_or_default();
        let text = |key: &str| event[key].as_str().map(str::to_owned);
        if let Some(test) = text("begin") {
            running = Some(Begun { test, limit: event["limit"].as_f64().unwrap_or_default(), up });
        } else if let (Some(test), Some(code)) = (text("end"), event["code"].as_i64()) {
            let begun = running.take().filter(|begun| begun.test == test);
            let seconds = begun.as_ref().map(|begun| up - begun.up);
            let late = begun.is_some_and(|begun| up - begun.up >= begun.limit);
            ended.push(Row { test, verdict: verdict(code, late), seconds });
        } else if let Some(complaints) = event["complaints"].as_u64() {
            done = Some((complaints, up));
        } else {
            release = release.or(text("boot"));
        }
    }
    let ending = ending(done.map(|(complaints, _)| complaints), console, stop);
    let rows = planned.iter().map(|test| row(test, &ended, running.as_ref(), &ending)).collect();
    Report { release, seconds: done.map(|(_, up)| up), rows, ending, running }
}

/// What the exit status of a test means; `late` if its time was over.
fn verdict(code: i64, late: bool) -> Verdict {
    match code {
        0 => Verdict::Passed,
        // timeout(1) says 124; and dies of the KILL itself where a TERM did not do.
        124 => Verdict::Hung,
        137 if late => Verdict::Hung,
        129..=192 => Verdict::Crashed(code - 128),
        _ => Verdict::Failed,
    }
}

fn ending(complaints: Option<u64>, console: &str, stop: &Stop) -> Ending {
    let died = |line: &&str| line.contains("Kernel panic") || line.contains("Oops:");
    let last_words = console.lines().find(died).map(|line| line.trim().to_owned());
    match (complaints, last_words, stop) {
        (_, _, Stop::Broken(said)) => Ending::Broken(said.clone()),
        (_, Some(words), _) => Ending::Panicked(words),
        (Some(complaints), None, _) => Ending::Done { complaints },
        (None, None, Stop::Running) => Ending::Running,
        (None, None, Stop::Off) => Ending::Vanished,
        (None, None, Stop::Silent(time)) => Ending::Stuck(*time),
    }
}

fn row(test: &str, ended: &[Row], running: Option<&Begun>, ending: &Ending) -> Row {
    if let Some(row) = ended.iter().find(|row| row.test == test) {
        return row.clone();
    }
    let verdict = match ending {
        Ending::Panicked(_) | Ending::Vanished if is(running, test) => Verdict::Panicked,
        Ending::Stuck(_) if is(running, test) => Verdict::Stuck,
        _ => Verdict::NotRun,
    };
    Row { test: test.to_owned(), verdict, seconds: None }
}

fn is(running: Option<&Begun>, test: &str) -> bool {
    running.is_some_and(|begun| begun.test == test)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = r#"{"boot":"6.1.0-9-cloud-amd64","up":3.02}"#;

    fn test(name: &str, code: i64, seconds: f64) -> String {
        let begin = format!(r#"{{"begin":"{name}","limit":60,"up":10.00}}"#);
        format!("{begin}\n{{\"end\":\"{name}\",\"code\":{code},\"up\":{}}}\n", 10.0 + seconds)
    }

    fn planned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn verdicts(report: &Report) -> Vec<Verdict> {
        report.rows.iter().map(|row| row.verdict).collect()
    }

    #[test]
    fn a_whole_run_is_told_apart_from_a_good_one() {
        let good = format!("{BOOT}\n{}{{\"done\":true,\"complaints\":0,\"up\":20.5}}\n", test("a", 0, 2.5));
        let report = read(&good, "", &planned(&["a"]), &Stop::Off);
        assert!(report.passed());
        assert_eq!(report.release.as_deref(), Some("6.1.0-9-cloud-amd64"));
        assert_eq!((report.seconds, report.rows[0].seconds), (Some(20.5), Some(2.5)));
        assert!(!read(&good, "", &planned(&["a", "b"]), &Stop::Off).passed(), "b was not run");
        let complained = good.replace("\"complaints\":0", "\"complaints\":2");
        assert!(!read(&complained, "", &planned(&["a"]), &Stop::Off).passed());
        assert!(
            !read(&good.replace("\"code\":0", "\"code\":101"), "", &planned(&["a"]), &Stop::Off).passed()
        );
    }

    #[test]
    fn each_end_of_a_test_has_its_verdict() {
        let cases = [
            (0, 1.0, Verdict::Passed),
            (101, 1.0, Verdict::Failed),
            (127, 1.0, Verdict::Failed),
            (134, 1.0, Verdict::Crashed(6)),
            (139, 1.0, Verdict::Crashed(11)),
            (137, 1.0, Verdict::Crashed(9)),
            (137, 62.0, Verdict::Hung),
            (124, 60.0, Verdict::Hung),
        ];
        for (code, seconds, verdict) in cases {
            let report = read(&test("a", code, seconds), "", &planned(&["a"]), &Stop::Off);
            assert_eq!(verdicts(&report), [verdict], "{code} after {seconds} s");
        }
    }

    #[test]
    fn a_machine_that_dies_takes_the_running_test_with_it() {
        let results = format!("{BOOT}\n{}{{\"begin\":\"b\",\"limit\":60,\"up\":13}}\n", test("a", 0, 1.0));
        let names = planned(&["a", "b", "c"]);
        let console = "[ 9.1] Kernel panic - not syncing: sysrq triggered crash\n[ 9.2] CPU: 0\n";
        let panicked = read(&results, console, &names, &Stop::Off);
        assert_eq!(verdicts(&panicked), [Verdict::Passed, Verdict::Panicked, Verdict::NotRun]);
        assert!(matches!(&panicked.ending, Ending::Panicked(words) if words.contains("sysrq")));

        let silence = Duration::from_secs(7);
        let stuck = read(&results, "", &names, &Stop::Silent(silence));
        assert_eq!(verdicts(&stuck), [Verdict::Passed, Verdict::Stuck, Verdict::NotRun]);
        assert_eq!(stuck.ending, Ending::Stuck(silence));
        assert_eq!(stuck.running_limit(), Duration::from_secs(60));

        assert_eq!(read(&results, "", &names, &Stop::Off).ending, Ending::Vanished);
    }

    #[test]
    fn no_machine_and_half_a_line_are_no_success() {
        let broken = read("", "", &planned(&["a"]), &Stop::Broken("no such file".to_owned()));
        assert_eq!((verdicts(&broken), broken.passed()), (vec![Verdict::NotRun], false));
        let cut = read(r#"{"done":true,"compl"#, "", &[], &Stop::Off);
        assert_eq!(cut.ending, Ending::Vanished);
    }
}

//! A process on strings: it does what a test tells it, when it tells it, so that a test can attach first.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use super::workload::{Truth, program};

/// A running `tests/workloads/puppet.c`; ends when dropped.
pub(crate) struct Puppet {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// What a command that a puppet ran printed, and how it ended.
pub(crate) struct Run {
    /// Its pid.
    pub(crate) pid: u32,
    /// Its wait status.
    pub(crate) status: u64,
    /// From before the fork to after the wait, by the puppet's clock.
    pub(crate) seconds: f64,
    /// The lines it printed.
    pub(crate) lines: Vec<String>,
}

impl Run {
    /// The lines as truth.
    pub(crate) fn truths(&self) -> Vec<Truth> {
        self.lines.iter().map(|line| Truth::parse(line)).collect()
    }

    /// The only line as truth.
    pub(crate) fn truth(&self) -> Truth {
        assert_eq!(self.lines.len(), 1, "one line of truth was expected: {:?}", self.lines);
        Truth::parse(&self.lines[0])
    }
}

impl Puppet {
    /// Starts one.
    pub(crate) fn start() -> Self {
        Self::start_as(&program("puppet"))
    }

    /// Starts one from a copy of the program elsewhere.
    pub(crate) fn start_as(program: &Path) -> Self {
        Self::spawn(Command::new(program))
    }

    /// Starts one by a command that ends up executing the program.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the puppet starts");
        let commands = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("its output is piped"));
        let mut puppet = Self { child, commands, answers };
        // It answers once it has executed: from now on it is what it shall be.
        puppet.tell("getppid 0");
        puppet
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives a command that prints nothing of its own, and waits for the answer.
    pub(crate) fn tell(&mut self, command: &str) -> Truth {
        let (lines, answer) = self.ask(command);
        assert!(lines.is_empty(), "{command:?} printed {lines:?}");
        answer
    }

    /// Runs a workload as a child of the puppet, to its end.
    pub(crate) fn run(&mut self, name: &str, arguments: &[&str]) -> Run {
        self.run_path(program(name), arguments)
    }

    /// Runs a program as a child of the puppet, to its end.
    pub(crate) fn run_path(&mut self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Run {
        let program = program.as_ref().to_str().expect("a path in UTF-8");
        let words: Vec<&str> = [program].iter().chain(arguments).copied().collect();
        assert!(words.iter().all(|w| !w.contains([' ', '\n'])), "a puppet knows no quoting: {words:?}");
        let (lines, answer) = self.ask(&format!("run {}", words.join(" ")));
        let (pid, status) = (answer.pid(), answer.count("status"));
        assert_ne!(status, 99 << 8, "the workload could not do what it is for: {words:?}");
        Run { pid, status, seconds: answer.seconds("seconds"), lines }
    }

    /// Ends it, and reaps it.
    pub(crate) fn end(mut self) {
        self.commands = None;
        self.child.wait().expect("the puppet is ours to wait for");
    }

    fn ask(&mut self, command: &str) -> (Vec<String>, Truth) {
        self.say(command);
        let mut lines = Vec::new();
        loop {
            let line = self.hear();
            if line.starts_with(r#"{"did":"#) {
                return (lines, Truth::parse(&line));
            }
            lines.push(line);
        }
    }

    /// Gives a command, and does not wait.
    pub(crate) fn say(&mut self, command: &str) {
        let commands = self.commands.as_mut().expect("the puppet listens until its end");
        writeln!(commands, "{command}").expect("the puppet listens");
    }

    /// The next line of the puppet, or of what it runs.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line).expect("the puppet prints text");
        assert!(read > 0, "the puppet ended in the middle of a command");
        line.trim_end().to_owned()
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        self.commands = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

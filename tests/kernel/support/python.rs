//! A Python program that is given as text, and says when it is ready.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

/// It runs until it is dropped, and its children with it.
pub(crate) struct Python(Child);

impl Python {
    /// Starts it, and waits for its first line.
    pub(crate) fn start(text: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", text]).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        Self(child)
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // Its children first: they are its own and nobody else's.
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid()));
        for child in children.unwrap_or_default().split_whitespace() {
            let _ = Command::new("kill").args(["-9", child]).status();
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

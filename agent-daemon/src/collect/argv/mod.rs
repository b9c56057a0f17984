//! Command lines made fit to store: no secret, no prompt, printable, bounded.
//!
//! Every argument is judged by its place, then by its looks:
//! 1. A value that belongs to the name of a secret (`--token X`, `--token=X`, `TOKEN=X`, `X-Api-Key: X`),
//!    to a short option known to take one (`mysql -pX`), to a user (`--user U:X`) or to a header becomes
//!    `[redacted]`.
//! 2. A value that belongs to the name of a text (`--prompt`, `--data`), code given to an interpreter
//!    (`python -c`, `node -e`, `psql -c`, `awk`) and every operand of a known agent that is no subcommand becomes its length,
//!    `[N bytes]`. Agents are judged the other way round: what is not known to be harmless is a prompt.
//! 3. Code given to a shell stays readable, since it is what a tool call was: each simple command in it is
//!    judged as a command line of its own (`shell.rs`), nested shells too, three deep.
//! 4. In all that is left, whatever looks like a key, a credential in a URL or a long random string is
//!    hidden (`secrets.rs`), and whatever reads like text becomes its length (`prose.rs`).
//!
//! Hidden values keep their flag and text keeps its length, so that command lines can be told apart.
//! What this cannot do: know a secret that is an ordinary word in an ordinary place (`echo hunter2`).

mod escape;
pub(super) mod names;
pub(super) mod programs;
mod prose;
pub(super) mod secrets;
mod shell;
pub(super) mod walk;

use std::borrow::Cow;

/// Bytes of a command line that are looked at; the rest counts as cut.
pub const MAX_INPUT_BYTES: usize = 32 * 1024;
/// Most arguments kept.
pub const MAX_ARGUMENTS: usize = 64;
/// Longest argument kept, bytes.
pub const MAX_ARGUMENT_BYTES: usize = 256;
/// Longest command line kept, bytes over all arguments.
pub const MAX_TOTAL_BYTES: usize = 4096;

/// Hides what looks like a secret in a word that is no command line.
#[must_use]
pub fn redact(word: &str) -> Cow<'_, str> {
    secrets::redact(word)
}

/// A path fit to store, of at most `limit` bytes: known keys in it hidden, what is not UTF-8 replaced, control characters
/// escaped. Long random strings stay: files are named by what is in them.
#[must_use]
pub fn fit_path(path: &[u8], limit: usize) -> String {
    let text = String::from_utf8_lossy(path);
    let mut shown = String::with_capacity(text.len());
    escape::escape(&secrets::redact_known(&text), &mut shown);
    escape::cap(&mut shown, limit);
    shown
}

/// A command line fit to store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The arguments, the program's name first; at most [`MAX_ARGUMENTS`] and [`MAX_TOTAL_BYTES`].
    pub args: Vec<String>,
    /// Whether these are all arguments, none cut short: `false` where the kernel's copy ended early or a
    /// limit here was met. The last argument then ends with, or is, `…`.
    pub complete: bool,
}

/// Makes a command line fit to store. `bytes` holds NUL-terminated arguments, as in /proc/PID/cmdline; one
/// that does not end with NUL was cut.
#[must_use]
pub fn sanitise(bytes: &[u8]) -> CommandLine {
    let cut = bytes.len() > MAX_INPUT_BYTES || !(bytes.is_empty() || bytes.ends_with(&[0]));
    let bytes = bytes.get(..MAX_INPUT_BYTES).unwrap_or(bytes);
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if bytes.is_empty() {
        return CommandLine { args: Vec::new(), complete: !cut };
    }
    let args: Vec<String> =
        bytes.split(|b| *b == 0).map(|a| String::from_utf8_lossy(a).into_owned()).collect();
    bound(&walk::redact_line(&untitled(args)), cut)
}

/// The words of the title that npm writes over its arguments: all in the first, and nothing in the others. Of other programs
/// the first may be anything, a secret with blanks in it too.
fn untitled(args: Vec<String>) -> Vec<String> {
    let is_title = |title: &String| title.starts_with("npm ") || title.starts_with("npx ");
    match args.split_first() {
        Some((title, rest)) if is_title(title) && rest.iter().all(String::is_empty) => {
            title.split_ascii_whitespace().map(str::to_owned).collect()
        }
        _ => args,
    }
}

/// Escapes and bounds redacted arguments.
fn bound(args: &[String], cut: bool) -> CommandLine {
    let mut line = CommandLine { args: Vec::new(), complete: !cut };
    let mut total = 0;
    for arg in args {
        let mut shown = String::new();
        escape::escape(arg, &mut shown);
        line.complete &= shown.len() <= MAX_ARGUMENT_BYTES;
        escape::cap(&mut shown, MAX_ARGUMENT_BYTES);
        total += shown.len();
        if line.args.len() + 1 >= MAX_ARGUMENTS || total > MAX_TOTAL_BYTES - '…'.len_utf8() {
            line.complete = false;
            line.args.push("…".to_owned());
            return line;
        }
        line.args.push(shown);
    }
    if cut {
        line.args.push("…".to_owned());
    }
    line
}

#[cfg(test)]
mod tests;

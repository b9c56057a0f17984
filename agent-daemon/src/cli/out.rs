//! Standard output: a reader that goes away (`| head`) is no error, and nothing that was traced can write
//! escape sequences to the terminal.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use super::error::CliError;
use crate::model::shown::is_shown;
/// Text without characters that do not show as themselves.
pub(super) use crate::model::shown::shown as plain;

/// Lines without characters that do not show as themselves.
pub fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// Writes text to standard output.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    write(text.as_bytes())
}

/// Writes text to standard error. Where nobody reads it, nothing is lost but the text.
pub(super) fn tell(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes bytes to standard output.
pub(super) fn write(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::failed("cannot write to standard output", error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a value to standard output as JSON.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), CliError> {
    print(&json(value)?)
}

/// A value as JSON for people and programs.
pub(super) fn json(value: &impl Serialize) -> Result<String, CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|e| CliError::failed("cannot write JSON", e))?;
    let mut shown = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if is_shown(c) || c == '\n' {
            shown.push(c);
        } else {
            // JSON's own writer escapes only what it must.
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| shown.push_str(&format!("\\u{unit:04x}")));
        }
    }
    Ok(shown + "\n")
}

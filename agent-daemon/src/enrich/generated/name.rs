//! What the names say that runtimes write for their code: a function, mostly also its file and line, each runtime in
//! a form of its own.

use crate::{enrich::demangle::cut, model::stack::FrameKind};

/// Generated code, named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedName {
    /// Which world.
    pub kind: FrameKind,
    /// The function.
    pub function: String,
    /// Source file.
    pub file: Option<String>,
    /// Source line: of the address, where that is known; else the one on which the function begins.
    pub line: Option<u32>,
}

/// What the writers' forms say: `py::NAME:FILE` (CPython), `JS:*NAME FILE:LINE:COLUMN` (V8, also as
/// `LazyCompile:`, `Function:`, `Script:` and `Eval:`, with a mark of the compiler's tier), or just a name.
pub(super) fn describe(text: &str) -> GeneratedName {
    if let Some((function, file)) = text.strip_prefix("py::").and_then(|t| t.split_once(':')) {
        return named(FrameKind::Python, function, Some(file), None);
    }
    let script = ["JS:", "LazyCompile:", "Function:", "Script:", "Eval:"]
        .into_iter()
        .find_map(|prefix| text.strip_prefix(prefix));
    let Some(script) = script else {
        return named(FrameKind::Native, text, None, None);
    };
    let script = script.trim_start_matches(['*', '~', '^', '+']);
    // The name of a script may be its source, blanks and all.
    if let Some((function, source)) = script.split_once(" data:") {
        let (source, line) = without_place(source);
        let place = format!("data:[{} characters]", source.chars().count());
        return named(FrameKind::Javascript, or_anonymous(function), Some(&place), line);
    }
    let (function, place) = script.rsplit_once(' ').unwrap_or((script, ""));
    let mut parts = place.rsplitn(3, ':').collect::<Vec<_>>();
    parts.reverse();
    let (file, line) = match parts.as_slice() {
        [file, line, _column] => (Some(*file), line.parse().ok()),
        [file, line] if line.parse::<u32>().is_ok() => (Some(*file), line.parse().ok()),
        _ => (Some(place), None),
    };
    named(FrameKind::Javascript, or_anonymous(function), file, line)
}

/// A source without the `:LINE:COLUMN` behind it, and the line.
fn without_place(source: &str) -> (&str, Option<u32>) {
    let mut parts = source.rsplitn(3, ':');
    let mut number = || parts.next()?.parse::<u32>().ok();
    let (column, line) = (number(), number());
    match (column, line, parts.next()) {
        (Some(_), Some(line), Some(source)) => (source, Some(line)),
        _ => (source, None),
    }
}

fn or_anonymous(function: &str) -> &str {
    if function.is_empty() { "(anonymous)" } else { function }
}

fn named(kind: FrameKind, function: &str, file: Option<&str>, line: Option<u32>) -> GeneratedName {
    let file = file.filter(|f| !f.is_empty()).map(cut);
    GeneratedName { kind, function: cut(function), line: line.filter(|_| file.is_some()), file }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_are_understood() {
        let cases = [
            ("py::run:/app/main.py", named(FrameKind::Python, "run", Some("/app/main.py"), None)),
            ("JS:*spin /app/x.js:12:3", named(FrameKind::Javascript, "spin", Some("/app/x.js"), Some(12))),
            (
                "LazyCompile:~ node:fs:7:1",
                named(FrameKind::Javascript, "(anonymous)", Some("node:fs"), Some(7)),
            ),
            ("Script:~ /app/x.js", named(FrameKind::Javascript, "(anonymous)", Some("/app/x.js"), None)),
            ("JS:* :1:3", named(FrameKind::Javascript, "(anonymous)", None, None)),
            (
                "JS:~spin data:text/javascript,let key = 'hunter2':1:5",
                named(FrameKind::Javascript, "spin", Some("data:[35 characters]"), Some(1)),
            ),
            ("JS:~ data:,1", named(FrameKind::Javascript, "(anonymous)", Some("data:[2 characters]"), None)),
            ("Builtin:ArrayMap", named(FrameKind::Native, "Builtin:ArrayMap", None, None)),
        ];
        for (text, expected) in cases {
            assert_eq!(describe(text), expected, "{text}");
        }
    }
}

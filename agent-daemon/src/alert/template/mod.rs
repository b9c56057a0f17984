//! Texts with values in them, for annotations and labels: `{{ $labels.agent }} uses {{ $value | humanize1024 }}B`.
//!
//! The form is Prometheus's, of which this is a small part: `$labels.name`, `$value` and one chain of the functions
//! below. There are no conditions, loops, queries or calls, so the time and the length of a result are bounded by
//! those of the template. What is not known is refused when rules are loaded.

mod humanize;

use super::{error::At, expr::LabelSet, labels::Labels};

/// The longest template, bytes.
pub const MAX_BYTES: usize = 8 << 10;
/// The longest result, bytes; more is cut off.
pub const MAX_RESULT_BYTES: usize = 16 << 10;
/// The most of one label's value that a result takes, bytes.
const MAX_VALUE_BYTES: usize = 1 << 10;

/// A number to a text.
type Format = fn(f64) -> String;

/// Functions that may stand after `|`.
const FORMATS: [(&str, Format); 4] = [
    ("humanize", humanize::humanize),
    ("humanize1024", humanize::humanize1024),
    ("humanizeDuration", humanize::duration),
    ("humanizePercentage", humanize::percentage),
];

/// A text with places for values.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Label(String),
    /// The value, by the function at this place in [`FORMATS`] if any.
    Value(Option<usize>),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong, at which byte.
    pub fn parse(text: &str) -> Result<Self, At<String>> {
        if text.len() > MAX_BYTES {
            return Err(At::new(0, format!("a template may have {MAX_BYTES} bytes at most")));
        }
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(begin) = rest.find("{{") else {
                parts.push(Part::Text(rest.to_owned()));
                break;
            };
            let (before, action) = rest.split_at(begin);
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let Some(end) = action.find("}}") else {
                return Err(At::new(at + begin, "{{ has no }}".to_owned()));
            };
            let inner = action.get(2..end).unwrap_or_default();
            parts.push(part(inner).map_err(|what| At::new(at + begin, what))?);
            at += begin + end + 2;
        }
        Ok(Self { source: text.to_owned(), parts })
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// A label that it names and that no alert of such labels can have.
    #[must_use]
    pub fn unknown_label(&self, known: &LabelSet) -> Option<&str> {
        let named = self.parts.iter().filter_map(|part| match part {
            Part::Label(name) => Some(name.as_str()),
            Part::Text(_) | Part::Value(_) => None,
        });
        named.into_iter().find(|name| !known.may_have(name))
    }

    /// The text with these labels and this value. A label that is missing is an empty text.
    #[must_use]
    pub fn expand(&self, labels: &Labels, value: f64) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Label(name) => out.push_str(cut(labels.get(name), MAX_VALUE_BYTES)),
                Part::Value(format) => {
                    let format = format.and_then(|index| FORMATS.get(index));
                    out.push_str(&format.map_or_else(|| humanize::plain(value), |(_, format)| format(value)));
                }
            }
            if out.len() > MAX_RESULT_BYTES {
                return format!("{}…", cut(&out, MAX_RESULT_BYTES - 3));
            }
        }
        out
    }
}

/// What stands between `{{` and `}}`.
fn part(inner: &str) -> Result<Part, String> {
    let inner = inner.trim_matches(|c: char| c == '-' || c.is_whitespace());
    let mut steps = inner.split('|').map(str::trim);
    let subject = steps.next().unwrap_or_default();
    let formats: Vec<&str> = steps.collect();
    // `humanize $value` is the same as `$value | humanize`.
    let (subject, formats) = match subject.split_once(char::is_whitespace) {
        Some((function, argument)) if formats.is_empty() => (argument.trim(), vec![function]),
        Some(_) => return Err(format!("{inner} is not understood: write $value | function")),
        None => (subject, formats),
    };
    if let Some(name) = subject.strip_prefix("$labels.") {
        let valid = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty();
        return match (valid, formats.first()) {
            (true, None) => Ok(Part::Label(name.to_owned())),
            (true, Some(function)) => Err(format!("{function} is for $value: a label is a text")),
            (false, _) => Err(format!("{subject} names no label")),
        };
    }
    if subject != "$value" {
        return Err(format!("{subject:?} is not known: there are $value and $labels.name"));
    }
    match formats.as_slice() {
        [] => Ok(Part::Value(None)),
        [function] => {
            let index = FORMATS.iter().position(|(name, _)| name == function);
            index.map(|index| Part::Value(Some(index))).ok_or_else(|| unknown(function))
        }
        _ => Err("only one function may follow $value".to_owned()),
    }
}

fn unknown(function: &str) -> String {
    let known: Vec<&str> = FORMATS.iter().map(|(name, _)| *name).collect();
    format!("there is no function {function:?}: known are {}", known.join(", "))
}

/// The beginning of a text, no more than that many bytes, whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{LabelSet, Labels, MAX_RESULT_BYTES, Template};
    use proptest::prelude::{prop_assert, proptest};

    fn expand(text: &str, value: f64) -> String {
        Template::parse(text).unwrap().expand(&Labels::new([("agent", "claude"), ("x", "1")]), value)
    }

    #[test]
    fn values_stand_in_their_places() {
        for (text, value, expected) in [
            ("plain", 1.0, "plain"),
            ("{{ $labels.agent }}: {{ $value }}", 1.5, "claude: 1.5"),
            ("{{$labels.missing}}|", 0.0, "|"),
            ("{{ $value | humanize }}", 1_234_567.0, "1.235M"),
            ("{{ humanize $value }}", 0.001_5, "1.5m"),
            ("{{ $value | humanize1024 }}B", 1536.0, "1.5kiB"),
            ("{{ $value | humanizePercentage }}", 0.9731, "97.31%"),
            ("{{ $value | humanizeDuration }}", 93_784.0, "1d 2h 3m 4s"),
            ("{{- $value -}}", f64::NAN, "NaN"),
            ("} {{ $value }} }}", 1.0, "} 1 }}"),
        ] {
            assert_eq!(expand(text, value), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (text, at, part) in [
            ("a {{ $label.x }}", 2, "not known"),
            ("{{ $value", 0, "no }}"),
            ("{{ }}", 0, "not known"),
            ("{{ $value | shout }}", 0, "no function \"shout\""),
            ("{{ $value | humanize | humanize }}", 0, "only one"),
            ("{{ $labels.x | humanize }}", 0, "for $value"),
            ("{{ $labels. }}", 0, "names no label"),
            ("{{ range .x }}{{ end }}", 0, "not known"),
            ("{{ query \"up\" }}", 0, "not known"),
            ("{{ if $value }}", 0, "no function \"if\""),
        ] {
            let error = Template::parse(text).expect_err(text);
            assert!(error.what.contains(part), "{text}: {error}");
            assert_eq!(error.at, at, "{text}");
        }
    }

    #[test]
    fn labels_that_cannot_be_are_found() {
        let template = Template::parse("{{ $labels.a }}{{ $labels.b }}").unwrap();
        assert_eq!(template.unknown_label(&LabelSet::Closed(vec!["a".to_owned()])), Some("b"));
        assert_eq!(template.unknown_label(&LabelSet::Open), None);
    }

    #[test]
    fn results_are_bounded() {
        let long = "ä".repeat(100_000);
        let text = "{{ $labels.x }}".repeat(500);
        let out = Template::parse(&text).unwrap().expand(&Labels::new([("x", long)]), 0.0);
        assert!(out.len() <= MAX_RESULT_BYTES, "{}", out.len());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[{}$a-z. |ä-]{0,40}", value: f64) {
            if let Ok(template) = Template::parse(&text) {
                prop_assert!(template.expand(&Labels::default(), value).len() <= MAX_RESULT_BYTES);
            }
        }
    }
}

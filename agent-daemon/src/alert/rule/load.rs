//! A file's text to rules. Every mistake is found at once, each with its place.

use std::collections::BTreeSet;

use serde_saphyr::{Location, Spanned};

use super::{
    Group, Rule, RuleSet, Severity,
    place::{error, error_within},
    raw::{RawFile, RawGroup, RawRule, RawTexts, Text, read},
    rule_id,
};
use crate::alert::{
    error::{At, FileError},
    eval::Millis,
    expr::{self, Expr, LabelSet, Type, duration::parse_millis},
    labels::{ALERT_NAME, NAME, SEVERITY},
    template::Template,
};

/// The most rules of a file.
const MAX_RULES: usize = 10_000;
/// The most mistakes that are told.
const MAX_ERRORS: usize = 100;
/// The most labels or annotations of a rule.
const MAX_TEXTS: usize = 64;

impl RuleSet {
    /// Reads a file's text.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the file.
    pub fn parse(text: &str) -> Result<Self, Vec<FileError>> {
        let raw: RawFile = read(text).map_err(|error| vec![error])?;
        let mut loader =
            Loader { file: text, errors: Vec::new(), names: BTreeSet::new(), ids: BTreeSet::new() };
        if raw.groups.is_empty() && !text.contains("groups") {
            // More likely half written than meant.
            let message = "the file has no groups: write groups: [] if none are meant".to_owned();
            return Err(vec![FileError { line: 0, column: 0, message }]);
        }
        let rules: usize = raw.groups.iter().map(|group| group.value.rules.len()).sum();
        if rules > MAX_RULES {
            let message = format!("there are {rules} rules: {MAX_RULES} at most");
            return Err(vec![FileError { line: 0, column: 0, message }]);
        }
        let groups = raw.groups.into_iter().filter_map(|group| loader.group(group)).collect();
        loader.errors.sort_by_key(|error| (error.line, error.column));
        if loader.errors.is_empty() { Ok(Self { groups }) } else { Err(loader.errors) }
    }
}

struct Loader<'a> {
    file: &'a str,
    errors: Vec<FileError>,
    names: BTreeSet<String>,
    ids: BTreeSet<super::RuleId>,
}

impl Loader<'_> {
    fn wrong(&mut self, place: Location, message: impl Into<String>) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error(place, message));
        }
    }

    fn wrong_within(&mut self, value: &Spanned<String>, found: At<String>) {
        let place = value.referenced;
        if self.errors.len() >= MAX_ERRORS {
            return;
        }
        self.errors.push(error_within(self.file, place, &value.value, found.at, found.what));
    }

    fn group(&mut self, raw: Spanned<RawGroup>) -> Option<Group> {
        let place = raw.referenced;
        let raw = raw.value;
        let interval = self.duration(raw.interval.as_ref(), "interval");
        let limit = raw.limit.and_then(|limit| {
            let number = limit.value.parse().ok();
            if number.is_none() {
                self.wrong(limit.referenced, "limit is a whole number");
            }
            number.filter(|limit| *limit > 0)
        });
        let Some(name) = raw.name.filter(|name| !name.value.is_empty()) else {
            self.wrong(place, "a group needs a name");
            return None;
        };
        if !self.names.insert(name.value.clone()) {
            self.wrong(name.referenced, format!("there is another group {}", name.value));
        }
        let name = name.value;
        let rules = raw.rules.into_iter().filter_map(|rule| self.rule(&name, rule)).collect();
        Some(Group { name, interval: interval.filter(|interval| *interval > 0), limit, rules })
    }

    fn rule(&mut self, group: &str, raw: Spanned<RawRule>) -> Option<Rule> {
        let place = raw.referenced;
        let raw = raw.value;
        if let Some(record) = raw.record {
            self.wrong(
                record.referenced,
                "recording rules are not supported: write the expression into the alert",
            );
            return None;
        }
        let hold = self.duration(raw.r#for.as_ref(), "for").unwrap_or_default();
        let keep_firing = self.duration(raw.keep_firing_for.as_ref(), "keep_firing_for").unwrap_or_default();
        let expr = self.expr(place, raw.expr);
        let known = expr.as_ref().map_or(LabelSet::Open, |(expr, _)| expr.labels());
        let mut labels = self.texts(raw.labels, "label", &known);
        let annotations = self.texts(raw.annotations, "annotation", &known);
        let severity = severity(&mut labels);
        let dedup = raw.dedup.and_then(|text| self.template(&text, &known));
        let Some(name) = raw.alert.filter(|name| !name.value.trim().is_empty()) else {
            self.wrong(place, "a rule needs a name: alert");
            return None;
        };
        let id = rule_id(group, &name.value, &labels);
        if !self.ids.insert(id) {
            self.wrong(
                name.referenced,
                format!("{group} has another rule {} with the same labels", name.value),
            );
        }
        let (expr, expr_text) = expr?;
        let (name, action) = (name.value, raw.action.map(|action| action.value));
        let line = place.line();
        Some(Rule {
            id,
            name,
            expr,
            expr_text,
            hold,
            keep_firing,
            severity,
            labels,
            annotations,
            dedup,
            action,
            line,
        })
    }

    fn expr(&mut self, rule: Location, text: Text) -> Option<(Expr, String)> {
        let Some(text) = text.filter(|text| !text.value.trim().is_empty()) else {
            self.wrong(rule, "a rule needs an expression: expr");
            return None;
        };
        match expr::parse(&text.value) {
            Ok(expr) if expr.result() == Type::Matrix => {
                self.wrong(text.referenced, "a range vector is no condition: apply a function to it");
                None
            }
            Ok(expr) => Some((expr, text.value)),
            Err(found) => {
                self.wrong_within(&text, found);
                None
            }
        }
    }

    fn duration(&mut self, text: Option<&Spanned<String>>, key: &str) -> Option<Millis> {
        let text = text?;
        let millis = parse_millis(&text.value);
        if millis.is_none() {
            self.wrong(text.referenced, format!("{key} is a duration such as 30s, 5m or 1h30m"));
        }
        millis
    }

    fn texts(&mut self, raw: Option<RawTexts>, what: &str, known: &LabelSet) -> Vec<(String, Template)> {
        let mut texts = Vec::new();
        for (index, (name, text)) in raw.unwrap_or_default().0.into_iter().enumerate() {
            if index == MAX_TEXTS {
                self.wrong(text.referenced, format!("a rule may have {MAX_TEXTS} {what}s at most"));
                break;
            }
            if !is_label_name(&name) || (what == "label" && (name == NAME || name == ALERT_NAME)) {
                self.wrong(text.referenced, format!("{name:?} cannot be the name of a {what}"));
            }
            if what == "label" && name == SEVERITY && Severity::find(&text.value).is_none() {
                let message = format!("severity is info, warning or critical, not {:?}", text.value);
                self.wrong(text.referenced, message);
            }
            texts.extend(self.template(&text, known).map(|template| (name, template)));
        }
        texts
    }

    fn template(&mut self, text: &Spanned<String>, known: &LabelSet) -> Option<Template> {
        match Template::parse(&text.value) {
            Ok(template) => {
                if let Some(label) = template.unknown_label(known) {
                    let what = format!("the expression gives no label {label}: keep it with by ({label})");
                    let at = text.value.find(&format!("$labels.{label}")).unwrap_or_default();
                    self.wrong_within(text, At::new(at, what));
                }
                Some(template)
            }
            Err(found) => {
                self.wrong_within(text, found);
                None
            }
        }
    }
}

/// What the label says; it is added where it is missing.
fn severity(labels: &mut Vec<(String, Template)>) -> Severity {
    if let Some((_, template)) = labels.iter().find(|(name, _)| name == SEVERITY) {
        return Severity::find(template.source()).unwrap_or_default();
    }
    let severity = Severity::default();
    labels.extend(Template::parse(severity.name()).ok().map(|text| (SEVERITY.to_owned(), text)));
    labels.sort_by(|a, b| a.0.cmp(&b.0));
    severity
}

fn is_label_name(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && name.len() <= 128 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

//! Files of rules: what is taken, and that every mistake is found with its place.

use super::{DEFAULT_RULES, RuleSet, Severity};
use proptest::prelude::proptest;

fn errors(text: &str) -> Vec<String> {
    RuleSet::parse(text).map(|_| ()).expect_err(text).iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_is_read() {
    let rules = RuleSet::parse(
        "groups:\n- name: g\n  interval: 30s\n  limit: 5\n  rules:\n  - alert: A\n    expr: sum by (a) (x) > 1\n    \
         for: 1m\n    keep_firing_for: 2m\n    labels: {severity: critical, team: '{{ $labels.a }}'}\n    \
         annotations: {summary: '{{ $value }}'}\n    dedup: '{{ $labels.a }}'\n    action: capture\n  \
         - alert: B\n    expr: y\n",
    )
    .unwrap();
    let group = &rules.groups[0];
    assert_eq!((group.interval, group.limit, rules.len()), (Some(30_000), Some(5), 2));
    let [a, b] = &group.rules[..] else { panic!("two rules") };
    assert_eq!((a.hold, a.keep_firing, a.severity, a.line), (60_000, 120_000, Severity::Critical, 6));
    assert_eq!((b.severity, b.labels.len(), b.action.is_none()), (Severity::Warning, 1, true));
    assert!(RuleSet::parse("groups: []").unwrap().is_empty());
}

#[test]
fn every_mistake_is_found_with_its_place() {
    let text = "groups:
  - name: g
    rules:
      - alert: A
        expr: rate(x)
        for: soon
      - alert: B
        expr: |
          sum by (a) (x)
            > nosuch(y)
        labels: { severity: high, __name__: x }
        annotations:
          summary: 'is {{ $valu }}'
      - alert: C
        expr: \"x > 1 +\"
      - record: D
        expr: x
      - alert: E
        expr: sum by (a) (x)
        annotations: { summary: '{{ $labels.b }}' }
      - alert: E
        expr: y
      - expr: x
      - alert: F
        expr: x[5m]
  - name: g
    rules: []
";
    let found = errors(text);
    for (index, (place, part)) in [
        ("5:20", "[5m]"),
        ("6:14", "for is a duration"),
        ("10:15", "no function nosuch"),
        ("11:29", "info, warning or critical"),
        ("11:45", "cannot be the name"),
        ("13:24", "$value and $labels.name"),
        ("15:23", "found the end"),
        ("16:17", "recording rules"),
        ("20:37", "keep it with by (b)"),
        ("21:16", "another rule E"),
        ("23:9", "needs a name"),
        ("25:15", "range vector"),
        ("26:11", "another group g"),
    ]
    .into_iter()
    .enumerate()
    {
        let error = found.get(index).map(String::as_str).unwrap_or("nothing");
        assert!(
            error.contains(part) && error.starts_with(&format!("{place}:")),
            "{place} {part}: {error}\n{found:#?}"
        );
    }
}

#[test]
fn what_is_no_file_of_rules_is_refused() {
    for (text, place) in [
        ("groups:\n- name: g\n  ruls: []\n", "3:3"),
        ("groups:\n- name: g\n  rules:\n  - alert: [a]\n    expr: x\n", "4:12"),
        ("groups: {\n", "1:9"),
        ("groups:\n- name: g\n  name: h\n", "3:3"),
    ] {
        let found = errors(text);
        assert!(found[0].starts_with(&format!("{place}:")), "{found:?}");
    }
    assert!(RuleSet::parse(&"#".repeat(5 << 20)).is_err());
}

#[test]
fn the_default_rules_are_rules_and_say_what_to_do() {
    let rules = RuleSet::parse(DEFAULT_RULES).unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert!(rules.len() >= 15);
    for rule in rules.rules() {
        for name in ["summary", "description"] {
            assert!(rule.annotations.iter().any(|(n, _)| n == name), "{} has no {name}", rule.name);
        }
        assert!(rule.labels.iter().any(|(name, _)| name == "scope"), "{}", rule.name);
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "(groups:|  |- |name: g|\n|rules:|alert: A|expr: |x > 1|[{}|>'\":]){0,30}") {
        let _ = RuleSet::parse(&text);
    }
}

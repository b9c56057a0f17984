//! What may be written of receivers, and what is said of the rest.

use super::{data, secret_file};
use crate::alert::{
    channel::{Config, way::KINDS},
    route,
};

/// What is documented.
const DOCUMENTATION: &str = include_str!("../../../../../docs/alerts.md");

#[test]
fn the_documented_example_has_every_kind_and_is_taken() {
    let begin = DOCUMENTATION.find("```yaml\nreceivers:").expect("an example");
    let example = DOCUMENTATION[begin..].trim_start_matches("```yaml\n");
    let example = &example[..example.find("```").unwrap()];
    let config = Config::parse(example).unwrap_or_else(|errors| panic!("{errors:?}"));
    for kind in KINDS {
        assert!(config.receivers.values().any(|receiver| receiver.kind == *kind), "{kind}");
    }
    assert_eq!(config.names().count(), KINDS.len());
}

#[test]
fn what_does_not_go_together_with_routes_is_said() {
    let config = Config::parse(
        "receivers: [{ name: a, via: { journald: {} } }, \
         { name: am, via: { alertmanager: { url: 'http://h', valid_for: 6h } } }]",
    )
    .unwrap();
    let check = |routes: &str| config.check(&route::Config::parse(routes).unwrap(), &|_| false);
    assert!(check("route: { receiver: am, routes: [{ receiver: a, repeat_interval: 1d }] }").is_empty());
    assert_eq!(check("route: { receiver: b }"), ["there is no receiver b"]);
    let long = "route: { receiver: a, repeat_interval: 6h, routes: [{ receiver: am }] }";
    assert_eq!(check(long), ["valid_for of am must be longer than repeat_interval"]);
}

#[test]
fn mistakes_are_told_with_their_places_all_at_once() {
    let (no_ca, ca) = (secret_file("no certificate"), data("ca.pem"));
    let text = format!(
        "receivers:\n\
         - {{ name: a, via: {{ webhook: {{}} }} }}\n\
         - {{ name: b, via: {{ slack: {{}} }} }}\n\
         - {{ name: b2, via: {{ journald: {{}} }}, auth: {{ bearer_token_file: /x }} }}\n\
         - {{ name: c, via: {{ command: {{ argv: [date] }} }} }}\n\
         - {{ name: d, via: {{ email: {{ host: h, from: a@b, to: [] }} }} }}\n\
         - {{ name: e, via: {{ email: {{ host: h, tls: none, from: a@b, to: [c@d] }} }}, auth: {{ username: u, password_env: P }} }}\n\
         - {{ name: f, via: {{ journald: {{}} }} }}\n\
         - {{ name: f, via: {{ journald: {{}} }} }}\n\
         - {{ name: g, via: {{ webhook: {{ url: 'http://h', url_env: X }} }} }}\n\
         - {{ name: h, via: {{ journald: {{}} }}, auth: {{ username: u }} }}\n\
         - {{ name: i, via: {{ webhook: {{ url: 'http://h' }} }}, ca_file: {} }}\n\
         - {{ name: j, via: {{ webhook: {{ url: 'http://h' }} }}, ca_file: {} }}\n\
         - {{ name: k, via: {{ sms: {{ url: 'http://h', fields: {{ a: b }}, secret_fields: {{ a_file: /x }} }} }} }}\n",
        no_ca.path().display(),
        ca.display(),
    );
    let errors = Config::parse(&text).unwrap_err();
    let expected = [
        (2, "webhook: it needs a url"),
        (3, "slack: it needs url_file or url_env"),
        (4, "journald: this kind of channel takes no auth"),
        (5, "whole path"),
        (6, "needs recipients"),
        (7, "without TLS no password"),
        (9, "two receivers f"),
        (10, "more than one url"),
        (11, "a username with a password"),
        (12, "holds no certificate"),
        (14, "two fields a"),
    ];
    let got: Vec<(u64, &str)> = errors.iter().map(|error| (error.line, error.message.as_str())).collect();
    assert_eq!(got.len(), expected.len(), "{got:#?}");
    for ((line, message), (expected_line, part)) in got.iter().zip(expected) {
        assert!(*line == expected_line && message.contains(part), "{line}: {message}, not {part}");
    }
}

#[test]
fn what_is_no_such_file_is_refused_at_its_place_and_never_with_a_secret() {
    for (line, text, part) in [
        ("name: a, via: { fax: {} }", "fax", "fax"),
        ("name: a, via: { webhook: { url: 'ftp://h' } }", "url", "http://"),
        ("name: a, via: { webhook: { url: 'https://u:s3cr3t@h/' } }", "url", "url_file"),
        ("name: a, via: { slack: { url: 'https://h/s3cr3t' } }", "url", "url"),
        ("name: a, via: { pagerduty: { routing_key: s3cr3t } }", "key", "routing_key"),
        ("name: a, via: { journald: {} }, timeout: 0s", "timeout", "at most"),
        ("name: a, via: { journald: {} }, timeout: 10", "timeout", "no duration"),
        ("name: a, via: { journald: {} }, title: '{{ $x }}'", "title", "not known"),
        ("name: a", "via", "via"),
        ("name: a, via: { webhook: {}, slack: {} }", "via", ""),
        ("name: '', via: { journald: {} }", "name", "1 to 64"),
    ] {
        let errors = Config::parse(&format!("receivers:\n  # here\n  - {{ {line} }}\n")).expect_err(line);
        assert_eq!(errors[0].line, 3, "{text}: {errors:?}");
        assert!(errors[0].message.contains(part), "{line}: {errors:?}");
        assert!(!format!("{errors:?}").contains("s3cr3t"), "{errors:?}");
    }
}

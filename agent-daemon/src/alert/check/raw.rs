//! A test file as written.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTests {
    pub(super) rule_files: Vec<String>,
    pub(super) evaluation_interval: Option<Spanned<String>>,
    pub(super) tests: Vec<Spanned<RawTest>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTest {
    pub(super) name: Option<String>,
    pub(super) interval: Option<Spanned<String>>,
    pub(super) input_series: Vec<RawSeries>,
    pub(super) alert_rule_test: Vec<Spanned<RawAlertTest>>,
    pub(super) promql_expr_test: Vec<Spanned<RawExprTest>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSeries {
    pub(super) series: Spanned<String>,
    pub(super) values: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAlertTest {
    pub(super) eval_time: Spanned<String>,
    pub(super) alertname: String,
    #[serde(default)]
    pub(super) exp_alerts: Vec<RawAlert>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAlert {
    pub(super) exp_labels: BTreeMap<String, String>,
    pub(super) exp_annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExprTest {
    pub(super) expr: Spanned<String>,
    pub(super) eval_time: Spanned<String>,
    #[serde(default)]
    pub(super) exp_samples: Vec<RawSample>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSample {
    pub(super) labels: Spanned<String>,
    pub(super) value: Spanned<String>,
}

//! Hands what a round has found to the reactions, and what became of those to messages.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    alert::{
        channel::{self, Finding},
        eval::Millis,
        labels::Fingerprint,
        reaction::{Begun, Config, Entry, Reactions, State},
        route::{Muted, Router},
        rule::RuleSet,
        state::{Alert, Engine, Phase},
    },
    config,
};

/// Reactions, and which rule asks for which.
#[derive(Debug)]
pub(super) struct Reacting {
    reactions: Reactions,
    config: Config,
}

impl Reacting {
    pub(super) fn new(reactions: Reactions, config: Config) -> Self {
        Self { reactions, config }
    }

    /// Other files.
    pub(super) fn reload(&mut self, config: Config) {
        self.config = config;
    }

    /// Other options. They hold whether or not the files that come with them are in order.
    pub(super) fn turn(&self, options: &config::Reactions) {
        self.reactions.turn(options.enabled);
    }

    /// Hands on what began, and what fires.
    pub(super) fn round(
        &self,
        options: &config::Reactions,
        begun: &[Alert],
        (engine, router): (&Engine, &Router),
        now: Millis,
    ) {
        if !options.enabled {
            return;
        }
        let muted = router.muted_of(begun.iter(), now);
        let begun = begun.iter().zip(muted).filter_map(|(alert, muted)| {
            let rule = rule_name(engine.rules(), alert)?;
            Some(Begun { alert, rule, muted: muted.map(|muted| why(&muted)) })
        });
        let firing = engine.alerts().filter(|alert| alert.phase == Phase::Firing);
        let firing: BTreeSet<(Fingerprint, Millis)> =
            firing.map(|alert| (alert.id, alert.fired_at.unwrap_or(alert.active_at))).collect();
        self.reactions.round(&self.config, options.dry_run, begun, firing);
    }

    /// What a message says of an alert besides: what was done about it.
    pub(super) fn tell(
        &self,
        alert: &Alert,
        api: &str,
        message: Option<channel::Diagnosis>,
    ) -> Option<channel::Diagnosis> {
        let entries: Arc<Vec<Entry>> = self.reactions.entries();
        let of_alert = |entry: &&Entry| entry.alert == Some(alert.id) && entry.fired_at == alert.fired_at;
        let lines: Vec<String> = entries.iter().filter(of_alert).map(|entry| line(entry, api)).collect();
        if lines.is_empty() {
            return message;
        }
        let mut message = message.unwrap_or_default();
        message.findings.push(Finding { title: "reactions".to_owned(), lines });
        Some(message)
    }
}

fn rule_name<'r>(rules: &'r RuleSet, alert: &Alert) -> Option<&'r str> {
    rules.rules().find(|rule| rule.id == alert.rule).map(|rule| rule.name.as_str())
}

/// Why nothing is done: what nobody is to hear of, nobody is to be stopped for.
fn why(muted: &Muted) -> String {
    match muted {
        Muted::Silence(id) => format!("the alert is muted by silence {id}"),
        Muted::Maintenance(name) => format!("the alert is muted by maintenance {name}"),
        Muted::Inhibited(_) => "the alert is muted by another".to_owned(),
    }
}

fn line(entry: &Entry, api: &str) -> String {
    let Entry { id, what, detail, .. } = entry;
    let kind = entry.kind.name();
    match entry.state {
        State::Waiting => format!("{kind}: under way, {api}/api/v1/alerts/reactions"),
        State::InForce => {
            let until = entry.until.map(|until| format!(" until {until}")).unwrap_or_default();
            format!("{kind}: {what}{until} (agentperf alerts reactions --undo {id})")
        }
        State::Done => {
            let links =
                entry.files.iter().map(|file| format!("{api}/api/v1/alerts/reactions/{id}/files/{file}"));
            format!("{kind}: {}", links.collect::<Vec<_>>().join(" "))
        }
        State::Undone => format!("{kind}: taken back, {detail}"),
        State::Refused => format!("{kind}: refused, {detail}"),
        State::Failed => format!("{kind}: failed, {detail}"),
        State::DryRun => format!("{kind}: dry run, would be {what}"),
    }
}

//! `agentperf alerts reactions`: what alerts did by themselves, and the ways to take one back or to dump the flight
//! recorder.

use crate::{
    api::dto::reaction::{ReactionDto, ReactionListDto, ReactionStateDto},
    cli::{
        backend::DaemonArgs,
        error::CliError,
        out,
        table::{Align, Table},
    },
};

#[derive(clap::Args, Debug)]
pub(super) struct ReactionsArgs {
    /// Take this one back
    #[arg(long, value_name = "ID", conflicts_with = "dump")]
    undo: Option<u64>,
    /// Write down all that the flight recorder has
    #[arg(long)]
    dump: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// Lists them, takes one back, or dumps.
pub(super) fn run(args: &ReactionsArgs, json: bool) -> Result<(), CliError> {
    let client = args.daemon.client()?;
    let one = match args.undo {
        Some(id) => Some(client.undo_reaction(id)?),
        None if args.dump => Some(client.dump_recorder()?),
        None => None,
    };
    if let Some(one) = one {
        return if json { out::print_json(&one) } else { out::print(&said(&one)) };
    }
    let list = client.reactions()?;
    if json { out::print_json(&list) } else { out::print(&render(&list)) }
}

fn said(one: &ReactionDto) -> String {
    let files: String = one.files.iter().map(|file| format!("{file}\n")).collect();
    let line = format!("{} {}: {}", one.id, state(one.state), text(one));
    format!("{}\n{files}", out::plain(line.trim_end_matches([':', ' '])))
}

fn render(list: &ReactionListDto) -> String {
    let mut head = String::new();
    if !list.enabled {
        head.push_str("reactions are off (alerts.reactions.enabled)\n");
    } else if list.dry_run {
        head.push_str("dry run: nothing is done (alerts.reactions.dry_run)\n");
    }
    if list.reactions.is_empty() {
        return head + "no reactions\n";
    }
    let columns = [
        ("ID", Align::Right),
        ("ASKED", Align::Left),
        ("STATE", Align::Left),
        ("ACTION", Align::Left),
        ("RULE", Align::Left),
        ("AGENT", Align::Left),
        ("WHAT", Align::Left),
    ];
    let mut table = Table::new(&columns).uncut();
    list.reactions.iter().for_each(|one| table.row(row(one)));
    head + &table.render("")
}

fn row(one: &ReactionDto) -> Vec<String> {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    vec![
        one.id.to_string(),
        one.asked.strftime("%F %T").to_string(),
        state(one.state).to_owned(),
        one.action.name().to_owned(),
        or_dash(&one.rule),
        or_dash(&one.agent),
        text(one),
    ]
}

/// What was done, and how it ended.
fn text(one: &ReactionDto) -> String {
    let until = one.until.filter(|_| one.state == ReactionStateDto::InForce);
    let until = until.map(|until| format!("until {}", until.strftime("%T UTC"))).unwrap_or_default();
    let parts = [one.what.as_str(), until.as_str(), one.detail.as_str()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

fn state(state: ReactionStateDto) -> &'static str {
    match state {
        ReactionStateDto::Waiting => "waiting",
        ReactionStateDto::InForce => "in force",
        ReactionStateDto::Done => "done",
        ReactionStateDto::Undone => "undone",
        ReactionStateDto::Refused => "refused",
        ReactionStateDto::Failed => "failed",
        ReactionStateDto::DryRun => "dry run",
    }
}

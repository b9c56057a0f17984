//! `agentperf alerts silence` and its kin.

use crate::{
    api::dto::alert::{SilenceDto, SilenceListDto, SilenceRequestDto},
    cli::{
        backend::DaemonArgs,
        error::CliError,
        out,
        table::{Align, Table},
    },
};

#[derive(clap::Args, Debug)]
pub(super) struct SilenceArgs {
    /// Which alerts: conditions on labels, all of which hold, as in alertname="X" or agent=~"claude.*"
    #[arg(required = true, value_name = "CONDITION")]
    matchers: Vec<String>,
    /// For how long
    #[arg(long = "for", value_name = "DURATION", default_value = "1h")]
    duration: String,
    /// Who wants it [default: who runs this]
    #[arg(long)]
    author: Option<String>,
    /// Why
    #[arg(long, default_value = "")]
    comment: String,
    #[command(flatten)]
    daemon: DaemonArgs,
}

#[derive(clap::Args, Debug)]
pub(super) struct UnsilenceArgs {
    /// The silence's id
    id: String,
    #[command(flatten)]
    daemon: DaemonArgs,
}

pub(super) fn list(daemon: &DaemonArgs, json: bool) -> Result<(), CliError> {
    let list = daemon.client()?.silences()?;
    if json { out::print_json(&list) } else { out::print(&render(&list)) }
}

pub(super) fn silence(args: &SilenceArgs, json: bool) -> Result<(), CliError> {
    let request = SilenceRequestDto {
        matchers: args.matchers.clone(),
        duration: args.duration.clone(),
        starts: None,
        author: args.author.clone().unwrap_or_else(user),
        comment: args.comment.clone(),
    };
    let silence = args.daemon.client()?.silence(&request)?;
    if json {
        return out::print_json(&silence);
    }
    out::print(&format!("{} until {}\n", silence.id, silence.ends.strftime("%F %T UTC")))
}

pub(super) fn unsilence(args: &UnsilenceArgs, json: bool) -> Result<(), CliError> {
    let silence = args.daemon.client()?.unsilence(&args.id)?;
    if json { out::print_json(&silence) } else { out::print(&format!("{} has ended\n", silence.id)) }
}

/// Who runs this.
fn user() -> String {
    let name = |variable| std::env::var(variable).ok().filter(|name: &String| !name.is_empty());
    name("SUDO_USER").or_else(|| name("USER")).unwrap_or_else(|| "unknown".to_owned())
}

fn render(list: &SilenceListDto) -> String {
    if list.silences.is_empty() {
        return "no silences\n".to_owned();
    }
    let columns = [
        ("ID", Align::Left),
        ("STATE", Align::Left),
        ("ENDS", Align::Left),
        ("AUTHOR", Align::Left),
        ("CONDITIONS", Align::Left),
    ];
    let mut table = Table::new(&columns).uncut();
    list.silences.iter().for_each(|silence| table.row(row(silence)));
    table.render("")
}

fn row(silence: &SilenceDto) -> Vec<String> {
    let comment = if silence.comment.is_empty() { String::new() } else { format!("  ({})", silence.comment) };
    vec![
        silence.id.clone(),
        if silence.active { "active" } else { "inactive" }.to_owned(),
        silence.ends.strftime("%F %T").to_string(),
        silence.author.clone(),
        format!("{}{comment}", silence.matchers.join(" ")),
    ]
}

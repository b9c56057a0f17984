//! `agentperf alerts receivers`: who is told of alerts, and whether they can be.

use crate::{
    api::dto::receiver::{ReceiverDto, ReceiverListDto, ReceiverTestDto, TellingDto},
    cli::{
        backend::DaemonArgs,
        error::CliError,
        out,
        table::{Align, Table},
    },
};

#[derive(clap::Args, Debug)]
pub(super) struct ReceiversArgs {
    /// Send this one a message that does no harm, and say what came back
    #[arg(long, value_name = "NAME")]
    test: Option<String>,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// Lists them, or tests one.
pub(super) fn run(args: &ReceiversArgs, json: bool) -> Result<(), CliError> {
    let client = args.daemon.client()?;
    match &args.test {
        Some(name) => tested(name, &client.test_receiver(name)?, json),
        None => {
            let list = client.receivers()?;
            if json { out::print_json(&list) } else { out::print(&render(&list)) }
        }
    }
}

fn tested(name: &str, test: &ReceiverTestDto, json: bool) -> Result<(), CliError> {
    if json {
        out::print_json(test)?;
    } else {
        let line =
            format!("{name}: {} after {:.3} s: {}", word(test.result), test.duration_seconds, test.answer);
        out::print(&format!("{}\n", out::plain(&line)))?;
    }
    match test.result {
        TellingDto::Taken => Ok(()),
        TellingDto::Refused | TellingDto::Later => Err(CliError::Failed(format!("{name} did not take it"))),
    }
}

fn render(list: &ReceiverListDto) -> String {
    if list.receivers.is_empty() {
        return "no receivers but the log: alerts.receivers names a file of them (docs/alerts.md)\n"
            .to_owned();
    }
    let columns = [
        ("RECEIVER", Align::Left),
        ("VIA", Align::Left),
        ("WAITING", Align::Right),
        ("DELIVERED", Align::Right),
        ("FAILED", Align::Right),
        ("REFUSED", Align::Right),
        ("LAST", Align::Left),
        ("TARGET", Align::Left),
    ];
    let mut table = Table::new(&columns);
    list.receivers.iter().for_each(|receiver| table.row(row(receiver)));
    table.render("")
}

fn row(receiver: &ReceiverDto) -> Vec<String> {
    let answer = receiver.last_answer.as_deref().unwrap_or_default();
    let last = receiver.last_result.map_or_else(
        || "-".to_owned(),
        |result| match result {
            TellingDto::Taken => word(result).to_owned(),
            TellingDto::Refused | TellingDto::Later => format!("{}: {answer}", word(result)),
        },
    );
    vec![
        receiver.name.clone(),
        receiver.via.clone(),
        receiver.waiting.to_string(),
        receiver.delivered.to_string(),
        receiver.failed.to_string(),
        receiver.refused.to_string(),
        last,
        receiver.target.clone(),
    ]
}

fn word(result: TellingDto) -> &'static str {
    match result {
        TellingDto::Taken => "taken",
        TellingDto::Refused => "refused",
        TellingDto::Later => "not taken now",
    }
}

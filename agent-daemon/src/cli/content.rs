//! `agentperf content`: what an agent said, where the configuration has it kept.

use std::fmt::Write as _;

use super::{backend::DaemonArgs, error::CliError, out, report::find};
use crate::api::dto::content::{ContentDto, ContentListDto, TextDto};

/// Show what an agent said to models and tools, where the configuration has it kept.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Nothing is kept of any agent unless content.agents in the configuration says so; `agentperf config example` shows how.
Secrets that are known by their looks are masked. What is kept is in the daemon's memory, and gone with it.

Examples:
  agentperf content claude
  agentperf content 4711-1763738400123 --call 00a1b2c3d4e5f607
  agentperf content claude --json | jq -r '.calls[].texts[] | select(.part == \"completions\") | .text'

Exit codes: 0 shown; 1 no daemon answers; 2 bad usage, or there is no such agent, or more than one.")]
pub(super) struct ContentArgs {
    /// The agent: its id, the pid of its root process, or its name
    #[arg(value_name = "AGENT")]
    agent: String,
    /// Only of this call, by its id
    #[arg(long, value_name = "ID")]
    call: Option<String>,
    /// How many calls, the newest first
    #[arg(long, value_name = "N", default_value_t = 5)]
    limit: usize,
    /// Show as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// Shows.
pub(super) fn run(args: &ContentArgs) -> Result<(), CliError> {
    let client = args.daemon.client()?;
    let agent = find(&client, &args.agent)?.id;
    let page = |limit: usize, offset: usize| {
        let mut query = vec![("limit", limit.to_string()), ("offset", offset.to_string())];
        query.extend(args.call.clone().map(|call| ("call", call)));
        client.content(&agent, &query)
    };
    let mut list = page(args.limit, 0)?;
    // A page may hold fewer, where much is said.
    while let Some(offset) = list.next_offset.filter(|_| list.calls.len() < args.limit) {
        let next = page(args.limit - list.calls.len(), offset)?;
        list.next_offset = next.next_offset;
        list.calls.extend(next.calls);
    }
    if args.json { out::print_json(&list) } else { out::print(&render(&list)) }
}

fn render(list: &ContentListDto) -> String {
    if list.calls.is_empty() {
        return match list.keeps.is_empty() {
            true => "nothing that this agent says is kept: no rule of content.agents in the configuration names it\n",
            false => "no call of this agent has been kept yet\n",
        }
        .to_owned();
    }
    let mut text: String = list.calls.iter().map(call).collect();
    if list.calls.len() < list.total {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} of {} calls; --limit shows more", list.calls.len(), list.total);
    }
    text
}

fn call(call: &ContentDto) -> String {
    let mut text = format!("{} {} {}\n", call.start.strftime("%F %T"), call.kind, call.call);
    if call.left_out_bytes > 0 {
        let _ = writeln!(text, "  ({} bytes said before are left out)", call.left_out_bytes);
    }
    text.extend(call.texts.iter().map(said));
    text + "\n"
}

fn said(text: &TextDto) -> String {
    let who = match (&text.role, &text.tool) {
        (Some(role), _) => role.clone(),
        (None, Some(tool)) => format!("calls {tool}"),
        (None, None) => text.part.name().to_owned(),
    };
    let mut notes = Vec::new();
    if text.left_out_bytes > 0 {
        notes.push(format!("{} bytes before are left out", text.left_out_bytes));
    }
    if text.masked > 0 {
        notes.push(format!("{} masked", text.masked));
    }
    if text.partial {
        notes.push("not seen whole".to_owned());
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
    let lines: String = text.text.lines().map(|line| format!("    {}\n", printable(line))).collect();
    format!("  {}{notes}:\n{lines}", printable(&who))
}

/// A line that says nothing to the terminal: it comes from outside.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::dto::content::PartDto, store::fixture::at};

    #[test]
    fn what_was_said_is_shown_and_says_nothing_to_the_terminal() {
        let text = TextDto {
            part: PartDto::Prompts,
            role: Some("user".to_owned()),
            tool: None,
            text: "one\u{1b}[2J\ntwo [masked]".to_owned(),
            left_out_bytes: 7,
            masked: 1,
            partial: false,
        };
        let (call, kind) = ("00a1b2c3d4e5f607".to_owned(), "llm".to_owned());
        let calls = vec![ContentDto { call, kind, start: at(0), left_out_bytes: 9, texts: vec![text] }];
        let list = ContentListDto {
            keeps: vec![PartDto::Prompts],
            max_bytes: 9,
            total: 2,
            next_offset: None,
            calls,
        };
        let shown = render(&list);
        assert!(shown.contains("llm 00a1b2c3d4e5f607\n  (9 bytes said before are left out)\n"), "{shown}");
        assert!(shown.contains(
            "  user (7 bytes before are left out, 1 masked):\n    one\u{fffd}[2J\n    two [masked]\n"
        ));
        assert!(shown.ends_with("1 of 2 calls; --limit shows more\n"), "{shown}");
        let none = ContentListDto { keeps: Vec::new(), calls: Vec::new(), total: 0, ..list };
        assert!(render(&none).contains("content.agents"));
    }
}

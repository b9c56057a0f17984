//! `agentperf blocked-on`: who an agent waits for at this moment, link by link, or whom its longest waits were for.

pub(super) mod longest;

use std::fmt::Write as _;

use super::{
    backend::DaemonArgs,
    error::CliError,
    out::{self, plain},
    report::{find, word},
    units,
};
use crate::api::dto::{
    blocked::{BlockedOnDto, ChainDto, LinkDto, TargetDto},
    blocked_names::ChainEndDto,
};

/// Things that are named of what one thread waits for, and frames that are shown.
const TARGETS: usize = 3;
const FRAMES: usize = 12;

/// Show who an agent waits for at this moment, from its own threads through children, pipes, sockets and locks; or whom its
/// longest waits of late were for.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  agentperf blocked-on 4711
  agentperf blocked-on claude --stacks
  agentperf blocked-on claude --since 10m
  agentperf blocked-on claude --json | jq '.chains[0].links[-1]'

Exit codes: 0 shown; 1 no daemon answers; 2 bad usage, or there is no such agent, or more than one.")]
pub(super) struct BlockedOnArgs {
    /// The agent: its id, the pid of its root process, or its name
    agent: String,
    /// Show the longest waits of this time instead, such as 10m
    #[arg(long, value_name = "DURATION")]
    since: Option<String>,
    /// Show where each thread waits, too
    #[arg(long)]
    stacks: bool,
    /// Show as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// Shows.
pub(super) fn run(args: &BlockedOnArgs) -> Result<(), CliError> {
    let client = args.daemon.client()?;
    let agent = find(&client, &args.agent)?;
    if let Some(since) = &args.since {
        let waits = client.longest_waits(&agent.id, since)?;
        return if args.json {
            out::print_json(&waits)
        } else {
            out::print(&longest::render(&agent.name, &waits, args.stacks))
        };
    }
    let blocked = client.blocked_on(&agent.id)?;
    if args.json {
        out::print_json(&blocked)
    } else {
        out::print(&render(&agent.name, &blocked, args.stacks))
    }
}

fn render(name: &str, blocked: &BlockedOnDto, stacks: bool) -> String {
    let state = if blocked.blocked { "waits" } else { "runs" };
    let threads = match blocked.own_threads {
        1 => "1 thread".to_owned(),
        many => format!("{many} threads"),
    };
    let mut text = format!("{} ({}) {state}, {threads} of its own\n", plain(name), blocked.agent);
    for chain in &blocked.chains {
        text += &render_chain(chain, stacks);
    }
    if !blocked.complete {
        text += "\nnot everything could be looked at: an end may be wrong\n";
    }
    text
}

/// A chain, one line for each link and one for its end, after an empty one.
pub(super) fn render_chain(chain: &ChainDto, stacks: bool) -> String {
    let mut text = "\n".to_owned();
    let mut before = None;
    for (depth, link) in chain.links.iter().enumerate() {
        let indent = "  ".repeat(depth);
        let by = before.map_or_else(String::new, |by| format!("<- {} ", word(&by)));
        let _ = writeln!(text, "{indent}{by}{}", line(link));
        if stacks {
            text += &frames(link, &indent);
        }
        before = link.by;
    }
    let _ = writeln!(text, "{}= {}", "  ".repeat(chain.links.len()), end(chain.end));
    text
}

/// `cat [4711] ipc read pipe:[12], 3.20 s`
fn line(link: &LinkDto) -> String {
    let thread = if link.tid == link.pid { String::new() } else { format!("/{}", link.tid) };
    let words = [link.state.as_deref(), link.syscall.as_deref()];
    let named: Vec<String> = link.waits_for.iter().take(TARGETS).map(target).collect();
    let words = words.into_iter().flatten().chain(named.iter().map(String::as_str));
    let what = words.collect::<Vec<_>>().join(" ");
    let more = match link.waits_for.len().saturating_sub(TARGETS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let long = link.seconds.map_or_else(String::new, |seconds| format!(", {}", units::seconds(seconds)));
    format!("{} [{}{thread}] {what}{more}{long}", plain(&link.comm), link.pid)
}

fn target(target: &TargetDto) -> String {
    match &target.name {
        Some(name) => plain(name).into_owned(),
        None => word(&target.kind),
    }
}

fn frames(link: &LinkDto, indent: &str) -> String {
    let mut text = String::new();
    for frame in link.stack.iter().flat_map(|stack| &stack.frames).take(FRAMES) {
        let _ = writeln!(text, "{indent}      {}", plain(&frame.function));
    }
    text
}

fn end(end: ChainEndDto) -> &'static str {
    match end {
        ChainEndDto::Running => "it runs",
        ChainEndDto::RunQueue => "it could run, but no CPU is free",
        ChainEndDto::Disk => "it waits for a file",
        ChainEndDto::PageFault => "it waits for a page",
        ChainEndDto::Gpu => "it waits for a GPU driver",
        ChainEndDto::Timer => "it sleeps",
        ChainEndDto::Terminal => "it waits at a terminal",
        ChainEndDto::Remote => "it waits for a socket that leads away",
        ChainEndDto::Outside => "it waits for somebody who is not watched",
        ChainEndDto::Idle => "it waits to be asked",
        ChainEndDto::Parked => "it waits for another thread, which could not be told",
        ChainEndDto::Deadlock => "the owner of its lock waits for it: a deadlock",
        ChainEndDto::Unknown => "what it waits for could not be told",
        ChainEndDto::TooLong => "and so on",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::dto::blocked_names::{EvidenceDto, TargetKindDto};

    fn link(pid: u32, state: &str, name: &str, by: Option<EvidenceDto>) -> LinkDto {
        LinkDto {
            pid,
            tid: pid,
            comm: format!("p{pid}\u{1b}"),
            agent: None,
            role: "own".to_owned(),
            state: Some(state.to_owned()),
            since: None,
            seconds: Some(1.5),
            syscall: Some("read".to_owned()),
            waits_for: vec![TargetDto {
                descriptor: Some(3),
                kind: TargetKindDto::Pipe,
                name: Some(name.to_owned()),
            }],
            by,
            stack: None,
        }
    }

    #[test]
    fn a_chain_is_one_line_for_each_link_and_its_end() {
        let links =
            vec![link(1, "ipc", "pipe:[1]", Some(EvidenceDto::Pipe)), link(2, "disk", "/srv/data", None)];
        let chain = ChainDto { links, end: ChainEndDto::Disk };
        let at = crate::store::fixture::at(0);
        let blocked = BlockedOnDto {
            agent: "1-1".to_owned(),
            at,
            blocked: true,
            own_threads: 1,
            chains: vec![chain],
            complete: false,
        };
        let text = render("coder", &blocked, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "coder (1-1) waits, 1 thread of its own");
        assert_eq!(lines[2], "p1\u{fffd} [1] ipc read pipe:[1], 1.50 s");
        assert_eq!(lines[3], "  <- pipe p2\u{fffd} [2] disk read /srv/data, 1.50 s");
        assert_eq!(lines[4], "    = it waits for a file");
        assert!(lines[6].contains("not everything"), "{text}");
    }
}

//! The longest waits of a range, each with whom it was for.

use std::fmt::Write as _;

use super::{
    super::{out::plain, report::word, units},
    FRAMES,
};
use crate::api::dto::off_cpu::{LongWaitDto, LongestWaitsDto};

/// The waits as text, with their stacks where these are wanted.
pub(super) fn render(name: &str, waits: &LongestWaitsDto, stacks: bool) -> String {
    let mut text = format!("{} ({}), its longest waits\n", plain(name), waits.agent);
    if !waits.watched {
        text += "\nit is not watched by the probe off_cpu: nothing is known of its waits\n";
    } else if waits.chains.is_empty() {
        text += "\nnone of 1 ms or more that was for somebody\n";
    }
    for chain in &waits.chains {
        text.push('\n');
        for (depth, wait) in chain.iter().enumerate() {
            let indent = "  ".repeat(depth);
            let by = if depth == 0 { "" } else { "<- which likely waited for: " };
            let _ = writeln!(text, "{indent}{by}{}", line(wait));
            if stacks {
                text += &frames(wait, &indent);
            }
        }
        if let Some(last) = chain.last() {
            let _ = writeln!(text, "{}= {}", "  ".repeat(chain.len()), end(last));
        }
    }
    text
}

/// The waits, in one line each: who waited, whose waiting that likely was, and who ended it.
pub(in crate::cli) fn lines(waits: &LongestWaitsDto) -> Vec<String> {
    let who = |wait: &LongWaitDto| {
        let comm = wait.comm.as_deref().map_or_else(|| "?".into(), plain);
        format!(" <- {comm} [{}] {}", wait.pid, word(&wait.cause))
    };
    let chain = |chain: &Vec<LongWaitDto>| {
        let (first, behind) = chain.split_first()?;
        let behind: String = behind.iter().map(who).collect();
        Some(format!("{}{behind}; {}", line(first), end(chain.last()?)))
    };
    waits.chains.iter().filter_map(chain).collect()
}

/// `3.20 s  python3 [4711] ipc read pipe, 14:02:05 to 14:02:10`
fn line(wait: &LongWaitDto) -> String {
    let descriptor = wait.descriptor.as_ref().map(word);
    let words = [Some(word(&wait.cause)), wait.syscall.clone(), descriptor];
    let what = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let comm = wait.comm.as_deref().map_or_else(|| "?".into(), plain);
    let (from, to) = (wait.from.strftime("%T"), wait.to.strftime("%T"));
    format!("{}  {comm} [{}] {what}, {from} to {to}", units::seconds(wait.seconds), wait.pid)
}

fn end(wait: &LongWaitDto) -> String {
    match (wait.waker_pid, wait.waker_comm.as_deref()) {
        (Some(pid), Some(comm)) => format!("ended by {} [{pid}]", plain(comm)),
        (Some(pid), None) => format!("ended by process {pid}, which is none of the agent's"),
        (None, _) => "ended by no process: by a device, a timer or the kernel, or not yet".to_owned(),
    }
}

fn frames(wait: &LongWaitDto, indent: &str) -> String {
    let mut text = String::new();
    for frame in wait.stack.frames.iter().take(FRAMES) {
        let _ = writeln!(text, "{indent}      {}", plain(&frame.function));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::{
        api::dto::off_cpu::{LongWaitDto, LongestWaitsDto},
        model::off_cpu::WaitCause,
        store::{
            fixture::{agent_at, at, off_cpu, window_at},
            query::{LongWaitsFold, of},
        },
    };

    #[test]
    fn each_wait_is_a_line_under_the_one_it_held_up() {
        let mut window = window_at(&agent_at(at(0)).id, at(0), 0);
        window.off_cpu = vec![off_cpu(100, WaitCause::Child, &["k_wait", "main"], 3_200_000_000, 0)];
        window.off_cpu[0].waker = Some(7);
        let waits = of([&window.into()], LongWaitsFold::default());
        let wait = |comm: &str| LongWaitDto::new(&waits[0], Some(comm.to_owned()), None);
        let chains = vec![vec![wait("sh\u{1b}"), wait("npm")]];
        let waits = LongestWaitsDto { agent: "1-1".to_owned(), covered: None, watched: true, chains };
        let text = render("coder", &waits, true);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[2].starts_with("3.20 s  sh\u{fffd} [100] child read, "), "{text}");
        assert_eq!(lines[3], "      k_wait");
        let [one] = <[String; 1]>::try_from(super::lines(&waits)).unwrap();
        assert!(one.starts_with("3.20 s  sh\u{fffd} [100] child read, "), "{one}");
        assert!(
            one.ends_with(" <- npm [100] child; ended by process 7, which is none of the agent's"),
            "{one}"
        );
        assert!(lines[5].starts_with("  <- which likely waited for: 3.20 s  npm"), "{text}");
        assert!(
            lines.last().unwrap().ends_with("= ended by process 7, which is none of the agent's"),
            "{text}"
        );
    }
}

//! What was seen of each agent as a table, which is Markdown and reads well on a terminal too.

use super::{
    catalogue::Agent,
    verdict::{Evidence, Verdict},
};

/// What came out of one agent.
pub(super) struct Row {
    pub(super) agent: &'static Agent,
    pub(super) evidence: Evidence,
    pub(super) verdict: Verdict,
}

const HEAD: [&str; 8] =
    ["agent", "version", "TLS library", "calls told/made", "model", "tokens in/out told", "sent", "verdict"];

/// The table.
pub(super) fn text(rows: &[Row]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned), HEAD.map(|_| "-".to_owned())];
    lines.extend(rows.iter().map(cells));
    let widths: [usize; HEAD.len()] = std::array::from_fn(|column| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    });
    let row = |(n, cells): (usize, &[String; HEAD.len()])| {
        let fill = if n == 1 { '-' } else { ' ' };
        let padded = cells.iter().zip(widths).map(|(cell, width)| {
            let rest = width.saturating_sub(cell.chars().count());
            cell.chars().chain(std::iter::repeat_n(fill, rest)).collect::<String>()
        });
        format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
    };
    lines.iter().enumerate().map(row).collect()
}

fn cells(row: &Row) -> [String; HEAD.len()] {
    let Row { agent, evidence, verdict } = row;
    let [told, sent] = evidence.tokens();
    let calls = format!("{}/{}", evidence.calls.len(), evidence.truths.len());
    let (name, version) = (agent.name.to_owned(), agent.version.to_owned());
    [name, version, evidence.libraries(), calls, evidence.models(), told, sent, verdict.text()]
}

#[cfg(test)]
mod tests {
    use super::{super::catalogue::AGENTS, *};

    #[test]
    fn the_table_is_markdown() {
        let verdict = Verdict::Explained("it is blind".to_owned());
        let rows = [Row { agent: &AGENTS[1], evidence: Evidence::default(), verdict }];
        let text = text(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].starts_with("| ----- | ---") && lines[2].starts_with("| codex | "), "{text}");
        assert!(lines.iter().all(|line| line.chars().count() == lines[0].chars().count()), "{text}");
        assert!(lines[2].ends_with("| not seen: it is blind |"), "{text}");
    }
}

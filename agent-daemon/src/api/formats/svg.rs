//! Flame graphs. Self-contained: their script and style are inside.

use std::io;

use inferno::flamegraph::{
    Options,
    color::{BasicPalette, MultiPalette, Palette},
    from_lines,
};

use super::{Subject, folded};
use crate::{
    api::html::escape,
    store::query::{Profile, ProfileKind},
};

/// The profile as a flame graph; a note in the same format where it is empty.
pub(in crate::api) fn flame_graph(profile: &Profile, subject: &Subject) -> io::Result<Vec<u8>> {
    let lines = folded::lines(profile, subject);
    if lines.is_empty() {
        return Ok(empty(&subject.title(profile.kind)).into_bytes());
    }
    let mut options = Options::default();
    options.title = subject.title(profile.kind);
    options.subtitle = profile.covered.map(|range| format!("{} to {}", range.from, range.to));
    options.deterministic = true;
    (options.colors, options.count_name) = match profile.kind {
        ProfileKind::Cpu => (Palette::Multi(MultiPalette::Java), "samples".to_owned()),
        ProfileKind::OffCpu => (Palette::Basic(BasicPalette::Blue), "µs".to_owned()),
    };
    let mut svg = Vec::new();
    from_lines(&mut options, lines.iter().map(String::as_str), &mut svg)?;
    Ok(svg)
}

fn empty(title: &str) -> String {
    let title = escape(title);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="1200" height="80" font-family="monospace">
<rect width="100%" height="100%" fill="#f8f8f8"/>
<text x="600" y="30" text-anchor="middle" font-size="17">{title}</text>
<text x="600" y="56" text-anchor="middle" font-size="12">nothing was recorded in this range</text>
</svg>
"##
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        fixture::{agent_at, at, cpu, process_at, window_at},
        query::profile,
    };

    #[test]
    fn names_cannot_escape_into_the_document() {
        let mut agent = agent_at(at(0));
        agent.name = "</text><script>alert(1)</script>".to_owned();
        let mut window = window_at(&agent.id, at(0), 0);
        window.cpu = vec![cpu(100, &["<script>alert(2)</script>", "\u{0}\u{b}main"], 3)];
        let subject = Subject::new(agent, vec![process_at(100, at(0))]);
        for windows in [vec![window.into()], vec![]] {
            let svg = flame_graph(&profile(&windows, ProfileKind::Cpu, None), &subject).unwrap();
            let svg = String::from_utf8(svg).unwrap();
            assert!(svg.contains("<svg") && !svg.contains("<script>alert"), "{svg}");
            assert!(!svg.contains(['\u{0}', '\u{b}']));
        }
    }
}

//! What the screen shows: a pure function of a view, and what keys do to the view. Narrow screens get fewer columns, since a
//! figure that is cut reads as another one; text of agents is cleaned of control characters before it is drawn.

use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Cell, Paragraph, Row as Cells, Table, TableState},
};

use super::row::{Row, Snapshot, Sort};
use crate::{
    api::dto::names::LedgerCauseDto,
    cli::{
        blocked_on::render_chain,
        ledger_bar::{cells, letter},
        out::plain,
        report::word,
        units,
    },
};

/// The columns from left to right, with the least that each needs. Names and tools may be cut, and get what is left.
const COLUMNS: [(&str, u16); 8] = [
    ("NAME", 10),
    ("PID", 7),
    ("CPU", 6),
    ("RSS", 7),
    ("PROCS", 6),
    ("LEDGER", BAR),
    ("MOST TIME", 23),
    ("TOOL", 8),
];
/// Which of them a narrow screen has, as far as there is room for one after the other.
const PRIORITY: [&str; 8] = ["NAME", "CPU", "PID", "RSS", "MOST TIME", "PROCS", "LEDGER", "TOOL"];
/// Cells of the ledger's bar.
const BAR: u16 = 24;
/// Lines of a screen from which on the selected agent is shown in detail, and the most lines that this takes.
const DETAIL_FROM: u16 = 18;
const DETAIL: u16 = 14;

/// What is shown.
#[derive(Debug)]
pub(super) struct View {
    /// The last look; `None` before the first.
    pub(super) snapshot: Option<Snapshot>,
    /// Why the last look failed, if it did: what is shown is older then.
    pub(super) failure: Option<String>,
    /// No new look is taken.
    pub(super) paused: bool,
    sort: Sort,
    reverse: bool,
    selected: TableState,
    coloured: bool,
}

/// What a key asks for beyond the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing.
    Stay,
    /// To end.
    Quit,
}

impl View {
    /// An empty view.
    pub(super) fn new(sort: Sort, coloured: bool) -> Self {
        let selected = TableState::default();
        Self { snapshot: None, failure: None, paused: false, sort, reverse: false, selected, coloured }
    }

    /// Shows another look. The selected agent stays selected, wherever it stands now.
    pub(super) fn show(&mut self, look: Result<Snapshot, String>) {
        match look {
            Ok(snapshot) => {
                let chosen = self.selected();
                self.snapshot = Some(snapshot);
                self.failure = None;
                self.sort_keeping(chosen);
            }
            Err(failure) => self.failure = Some(failure),
        }
    }

    /// Does what a key says.
    pub(super) fn key(&mut self, key: KeyEvent) -> Wish {
        if key.kind == KeyEventKind::Release {
            return Wish::Stay;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'd') if control => return Wish::Quit,
            KeyCode::Char('q') | KeyCode::Esc => return Wish::Quit,
            KeyCode::Char('s') | KeyCode::Right => self.resort(self.sort.turned(true), self.reverse),
            KeyCode::Char('S') | KeyCode::Left => self.resort(self.sort.turned(false), self.reverse),
            KeyCode::Char('r') => self.resort(self.sort, !self.reverse),
            KeyCode::Char(' ' | 'p') => self.paused = !self.paused,
            KeyCode::Down | KeyCode::Char('j') => self.select(true),
            KeyCode::Up | KeyCode::Char('k') => self.select(false),
            _ => {}
        }
        Wish::Stay
    }

    fn resort(&mut self, sort: Sort, reverse: bool) {
        let chosen = self.selected();
        (self.sort, self.reverse) = (sort, reverse);
        self.sort_keeping(chosen);
    }

    fn sort_keeping(&mut self, chosen: Option<String>) {
        let Some(snapshot) = &mut self.snapshot else { return };
        self.sort.apply(&mut snapshot.agents, self.reverse);
        let position = chosen.and_then(|id| snapshot.agents.iter().position(|row| row.id == id));
        self.selected.select(position);
    }

    fn select(&mut self, down: bool) {
        let rows = self.rows().len();
        let next = match (self.selected.selected(), down) {
            (None, true) => 0,
            (None, false) => rows.saturating_sub(1),
            (Some(at), true) => (at + 1).min(rows.saturating_sub(1)),
            (Some(at), false) => at.saturating_sub(1),
        };
        self.selected.select((rows > 0).then_some(next));
    }

    fn rows(&self) -> &[Row] {
        self.snapshot.as_ref().map_or(&[], |snapshot| &snapshot.agents)
    }

    /// The selected agent's id.
    pub(super) fn selected(&self) -> Option<String> {
        self.chosen().map(|row| row.id.clone())
    }

    /// The selected agent.
    fn chosen(&self) -> Option<&Row> {
        self.rows().get(self.selected.selected()?)
    }

    /// Draws all of it.
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let is_detailed = area.height >= DETAIL_FROM && self.chosen().is_some();
        let detail = if is_detailed { DETAIL.min(area.height / 2) } else { 0 };
        let layout = Layout::vertical([
            Constraint::Length(1),
            Constraint::Min(1),
            Constraint::Length(detail),
            Constraint::Length(1),
        ]);
        let [head, table, below, foot] = layout.areas(area);
        frame.render_widget(Paragraph::new(self.head(head.width)), head);
        self.draw_table(frame, table);
        if let Some(row) = self.chosen().filter(|_| detail > 0) {
            frame.render_widget(Paragraph::new(self.detail(row, below.width)), below);
        }
        frame.render_widget(Paragraph::new(self.foot()), foot);
    }

    /// As much as fits as a whole of what all agents do together, and what is to be said of the look.
    fn head(&self, width: u16) -> Line<'static> {
        let Some(snapshot) = &self.snapshot else {
            return Line::raw(format!("agentperf top  {}", self.failure.as_deref().unwrap_or("looking …")));
        };
        let cpus: f64 = snapshot.agents.iter().filter_map(|row| row.cpus).sum();
        let rss = snapshot.agents.iter().fold(0, |sum: u64, row| sum.saturating_add(row.rss_bytes));
        let mut parts = vec![
            snapshot.at.strftime("%H:%M:%SZ").to_string(),
            format!("{} agents", snapshot.agents.len() + snapshot.left_out),
            // A sum over nothing is -0.
            format!("CPU {:.0} %", 100.0 * cpus + 0.0),
            format!("RSS {}", units::bytes(rss)),
        ];
        if snapshot.left_out > 0 {
            parts.push(format!("({} not shown)", snapshot.left_out));
        }
        let state = match (&self.failure, self.paused) {
            (Some(failure), _) => format!("  {}", plain(failure)),
            (None, true) => "  paused".to_owned(),
            (None, false) => String::new(),
        };
        let room = usize::from(width).saturating_sub(state.chars().count());
        let mut text = "agentperf top".to_owned();
        for part in parts {
            if text.chars().count() + 2 + part.chars().count() > room {
                break;
            }
            text += &format!("  {part}");
        }
        Line::from(vec![Span::styled(text, Modifier::BOLD), Span::styled(state, self.colour(Color::Red))])
    }

    fn draw_table(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let columns = self.columns(area.width);
        let heads = columns.iter().map(|(head, _)| Cell::from(self.title(head)));
        let rows: Vec<Cells<'_>> = self
            .rows()
            .iter()
            .map(|row| Cells::new(columns.iter().map(|(head, _)| self.cell(row, head))))
            .collect();
        let table = Table::new(rows, columns.iter().map(|(_, width)| *width))
            .header(Cells::new(heads).style(Modifier::UNDERLINED))
            .column_spacing(1)
            .row_highlight_style(Modifier::REVERSED);
        frame.render_stateful_widget(table, area, &mut self.selected);
    }

    /// A column's head; that which is sorted by is marked.
    fn title(&self, head: &str) -> String {
        let of = match self.sort {
            Sort::Cpu => "CPU",
            Sort::Rss => "RSS",
            Sort::Processes => "PROCS",
            Sort::Name => "NAME",
            Sort::Age | Sort::Tool | Sort::Llm | Sort::Idle => "",
        };
        let mark = if self.reverse { "^" } else { "v" };
        if of == head { format!("{head}{mark}") } else { head.to_owned() }
    }

    fn cell(&self, row: &Row, head: &str) -> Cell<'static> {
        let right = |text: String| Cell::from(Line::raw(text).right_aligned());
        match head {
            "NAME" => Cell::from(plain(&row.name).into_owned()),
            "PID" => right(row.pid.to_string()),
            "CPU" => right(row.cpu_text()),
            "RSS" => right(units::bytes(row.rss_bytes)),
            "PROCS" => right(row.processes.to_string()),
            "LEDGER" => Cell::from(Line::from(self.bar(row, usize::from(BAR)))),
            "MOST TIME" => Cell::from(row.heaviest_text()),
            _ => Cell::from(plain(&row.tool_text()).into_owned()),
        }
    }

    /// The columns that a screen of this width has room for.
    fn columns(&self, width: u16) -> Vec<(&'static str, Constraint)> {
        let mut left = width;
        let mut chosen: Vec<&str> = Vec::new();
        for head in PRIORITY {
            let gap = u16::from(!chosen.is_empty());
            let needed = gap + self.needed(head);
            if chosen.is_empty() || needed <= left {
                left = left.saturating_sub(needed);
                chosen.push(head);
            }
        }
        let constraint = |head: &str| match head {
            "NAME" => Constraint::Min(self.needed(head)),
            "TOOL" => Constraint::Fill(2),
            _ => Constraint::Length(self.needed(head)),
        };
        let columns = COLUMNS.iter().filter(|(head, _)| chosen.contains(head));
        columns.map(|(head, _)| (*head, constraint(head))).collect()
    }

    /// How wide a column has to be that no figure in it is cut.
    fn needed(&self, head: &str) -> u16 {
        let text: fn(&Row) -> String = match head {
            "PID" => |row| row.pid.to_string(),
            "CPU" => Row::cpu_text,
            "RSS" => |row| units::bytes(row.rss_bytes),
            "PROCS" => |row| row.processes.to_string(),
            "MOST TIME" => Row::heaviest_text,
            _ => |_| String::new(),
        };
        let widest = self.rows().iter().map(|row| text(row).chars().count()).max().unwrap_or(0);
        let least = COLUMNS.iter().find(|(column, _)| *column == head).map_or(0, |(_, least)| *least);
        least.max(u16::try_from(widest).unwrap_or(u16::MAX))
    }

    /// The ledger's bar: causes by letter and colour.
    fn bar(&self, row: &Row, width: usize) -> Vec<Span<'static>> {
        let cells = cells(&row.causes, width);
        let span = |run: &[LedgerCauseDto]| {
            let cause = run.first().copied().unwrap_or(LedgerCauseDto::Unknown);
            Span::styled(letter(cause).to_string().repeat(run.len()), self.colour(colour(cause)))
        };
        cells.chunk_by(|a, b| a == b).map(span).collect()
    }

    /// The selected agent's causes.
    fn detail(&self, row: &Row, width: u16) -> Vec<Line<'static>> {
        let estimate = if row.estimated { "  (llm_* are an estimate)" } else { "" };
        let title = format!(
            "{}  {}  {} of wall clock{estimate}",
            plain(&row.name),
            row.id,
            units::seconds(row.wall_seconds)
        );
        let share = |share: &crate::api::dto::ledger::LedgerShareDto| {
            let text = format!(
                "{}={} {}",
                letter(share.cause),
                word(&share.cause),
                units::percent(share.share, 1.0)
            );
            Span::styled(format!("{text}   "), self.colour(colour(share.cause)))
        };
        let mut lines = vec![Line::styled(title, Modifier::BOLD)];
        lines.push(Line::from(self.bar(row, usize::from(width))));
        lines.extend(row.causes.chunks(3).map(|some| Line::from(some.iter().map(share).collect::<Vec<_>>())));
        lines.extend(self.chain(row));
        lines
    }

    /// Who the selected agent waits for, if that is known by now.
    fn chain(&self, row: &Row) -> Vec<Line<'static>> {
        let blocked_on = self.snapshot.as_ref().and_then(|snapshot| snapshot.blocked_on.as_ref());
        let chain = blocked_on.filter(|blocked| blocked.agent == row.id).and_then(|b| b.chains.first());
        let text = chain.map(|chain| render_chain(chain, false)).unwrap_or_default();
        // The first line is empty: it has a place only on paper.
        text.lines().skip(1).map(|line| Line::raw(line.to_owned())).collect()
    }

    fn foot(&self) -> Line<'static> {
        let by = format!("by {}{}", self.sort.name(), if self.reverse { " reversed" } else { "" });
        Line::raw(format!("q quit  s sort ({by})  r reverse  up/down select  space pause"))
    }

    fn colour(&self, colour: Color) -> Style {
        if self.coloured { Style::new().fg(colour) } else { Style::new() }
    }
}

/// One of the sixteen colours that every terminal has.
fn colour(cause: LedgerCauseDto) -> Color {
    match cause {
        LedgerCauseDto::AgentCpu => Color::Green,
        LedgerCauseDto::Tool => Color::Yellow,
        LedgerCauseDto::LlmConnect | LedgerCauseDto::LlmFirstToken => Color::Magenta,
        LedgerCauseDto::LlmStream => Color::LightMagenta,
        LedgerCauseDto::RunQueue | LedgerCauseDto::Lock => Color::Red,
        LedgerCauseDto::Disk | LedgerCauseDto::PageFault => Color::Blue,
        LedgerCauseDto::Network => Color::Cyan,
        LedgerCauseDto::Gpu => Color::LightGreen,
        LedgerCauseDto::Idle => Color::DarkGray,
        LedgerCauseDto::Unknown => Color::LightRed,
    }
}

#[cfg(test)]
mod tests;

//! Screens of all sizes, drawn without a terminal.

use ratatui::{Terminal, backend::TestBackend};

use super::{super::row::tests::snapshot, *};
use crate::api::dto::{
    blocked::{BlockedOnDto, ChainDto},
    blocked_names::ChainEndDto,
};

fn drawn(view: &mut View, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view.draw(frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let symbols: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
    symbols.chunks(usize::from(width)).map(|line| line.concat().trim_end().to_owned()).collect()
}

fn view() -> View {
    let mut view = View::new(Sort::Cpu, true);
    view.show(Ok(snapshot()));
    view
}

fn press(view: &mut View, code: KeyCode) -> Wish {
    view.key(KeyEvent::new(code, KeyModifiers::NONE))
}

#[test]
fn each_agent_has_a_line_with_its_ledger() {
    let lines = drawn(&mut view(), 140, 10);
    assert!(lines[0].contains("2 agents  CPU 150 %"), "{lines:#?}");
    assert!(lines[1].contains("CPUv") && lines[1].contains("LEDGER"), "{lines:#?}");
    assert!(lines[2].starts_with("coder") && lines[2].contains("150 %"), "{lines:#?}");
    let bar = format!("{}{}", "f".repeat(14), "T".repeat(10));
    assert!(lines[2].contains(&bar) && lines[2].contains("> cargo 12.0 s"), "{lines:#?}");
    assert!(lines[3].starts_with("bot\u{fffd}[31m"), "no escape reaches the terminal: {lines:#?}");
    assert!(lines[9].contains("q quit"), "{lines:#?}");
}

#[test]
fn keys_sort_select_pause_and_quit() {
    let mut view = view();
    assert_eq!(press(&mut view, KeyCode::Char('s')), Wish::Stay);
    assert!(drawn(&mut view, 140, 10)[2].starts_with("bot"), "by memory");
    press(&mut view, KeyCode::Char('r'));
    let lines = drawn(&mut view, 140, 10);
    assert!(lines[2].starts_with("coder") && lines[1].contains("RSS^"), "{lines:#?}");
    press(&mut view, KeyCode::Down);
    press(&mut view, KeyCode::Char('r'));
    view.show(Ok(snapshot()));
    assert_eq!(view.chosen().unwrap().name, "coder", "it stays selected");
    let lines = drawn(&mut view, 140, 24).join("\n");
    assert!(lines.contains("f=llm_first_token 60.0 %") && lines.contains("estimate"), "{lines}");
    let waits = BlockedOnDto {
        agent: view.selected().unwrap(),
        at: snapshot().at,
        blocked: true,
        own_threads: 1,
        chains: vec![ChainDto { links: Vec::new(), end: ChainEndDto::Timer }],
        complete: true,
    };
    view.show(Ok(Snapshot { blocked_on: Some(waits.clone()), ..snapshot() }));
    assert!(drawn(&mut view, 140, 24).join("\n").contains("= it sleeps"));
    view.show(Ok(Snapshot {
        blocked_on: Some(BlockedOnDto { agent: "9-9".to_owned(), ..waits }),
        ..snapshot()
    }));
    assert!(!drawn(&mut view, 140, 24).join("\n").contains("= it sleeps"), "that is of another one");
    press(&mut view, KeyCode::Char(' '));
    assert!(view.paused);
    for code in [KeyCode::Char('q'), KeyCode::Esc] {
        assert_eq!(press(&mut view, code), Wish::Quit);
    }
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(view.key(interrupt), Wish::Quit);
}

#[test]
fn any_size_is_drawn() {
    for (width, height) in [(1, 1), (2, 3), (20, 5), (60, 18), (89, 40), (300, 100)] {
        let mut view = view();
        press(&mut view, KeyCode::Down);
        drawn(&mut view, width, height);
    }
    let narrow = drawn(&mut view(), 80, 10);
    assert!(!narrow[1].contains("LEDGER") && narrow[1].contains("MOST TIME"), "{narrow:#?}");
}

#[test]
fn a_narrow_screen_has_fewer_columns_and_no_figure_is_cut() {
    let mut view = view();
    let mut wide = snapshot();
    wide.agents[0].rss_bytes = 22_700_000;
    wide.agents[0].pid = 4_194_303;
    wide.agents[0].cpus = Some(127.5);
    view.show(Ok(wide));
    let all = ["coder", "4194303", "12750 %", "22.7 MB", " 3", "llm_first_token 60.0 %", "> cargo"];
    for (width, shown) in [
        (20, &["coder", "12750 %"][..]),
        (30, &["coder", "4194303", "12750 %"]),
        (40, &["coder", "4194303", "12750 %", "22.7 MB"]),
        (60, &["coder", "4194303", "12750 %", "22.7 MB", "llm_first_token 60.0 %"]),
        (80, &all),
    ] {
        let lines = drawn(&mut view, width, 10);
        let row = &lines[2];
        for part in all {
            assert_eq!(row.contains(part), shown.contains(&part), "{width}: {part}: {lines:#?}");
        }
        let figures = row.split_whitespace().filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let whole = all.iter().flat_map(|part| part.split(' ')).collect::<Vec<_>>();
        assert!(width > 60 || figures.clone().all(|figure| whole.contains(&figure)), "{width}: {row}");
    }
    let head = |width| drawn(&mut self::view(), width, 10).swap_remove(0);
    assert_eq!(head(30), "agentperf top  15:23:20Z");
    assert!(head(40).ends_with("2 agents") && head(60).contains("CPU 150 %  RSS 1.14 GB"), "{}", head(60));
}

#[test]
fn a_failed_look_is_said_and_what_was_seen_stays() {
    let mut view = View::new(Sort::Cpu, false);
    assert!(drawn(&mut view, 100, 5)[0].contains("looking"));
    view.show(Err("no agentperf answers".to_owned()));
    assert!(drawn(&mut view, 100, 5)[0].contains("no agentperf answers"));
    view.show(Ok(snapshot()));
    view.show(Err("no agentperf answers".to_owned()));
    let lines = drawn(&mut view, 100, 5);
    assert!(lines[0].contains("no agentperf answers") && lines[2].starts_with("coder"), "{lines:#?}");
    press(&mut view, KeyCode::Down);
    view.show(Ok(Snapshot { agents: Vec::new(), ..snapshot() }));
    press(&mut view, KeyCode::Up);
    assert!(view.chosen().is_none() && view.failure.is_none());
}

//! The terminal: taken over while `top` shows, given back as it was at the end, at a signal and at a panic. Looks are taken on a
//! thread of their own, so that keys are answered while the daemon is slow.

use std::{
    sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event},
};

use super::{
    gather::Gatherer,
    row::{Snapshot, Sort},
    screen::{View, Wish},
};
use crate::cli::{error::CliError, interrupt::Interrupt};

/// How soon a signal and a new look are noticed.
const TICK: Duration = Duration::from_millis(100);

/// How long a signal may take to end it, before it is ended all the same.
const PATIENCE: Duration = Duration::from_secs(1);

/// A look, or why there is none.
type Look = Result<Snapshot, String>;

/// Gives the terminal back, however `run` ends. A panic does so by itself, before its message.
struct Taken;

impl Drop for Taken {
    fn drop(&mut self) {
        // Where the terminal is gone there is nothing to give back.
        let _ = ratatui::try_restore();
    }
}

/// Shows until a key or a signal ends it.
pub(super) fn run(gatherer: Gatherer, interval: Duration, sort: Sort) -> Result<(), CliError> {
    // Before the terminal is taken: where nobody answers, the sentence stands on the screen as it was.
    let first = gatherer.look(None)?;
    let interrupt = Interrupt::install().map_err(|e| CliError::failed("cannot handle signals", e))?;
    end_in_time(interrupt.clone()).map_err(|e| CliError::failed("cannot start a thread", e))?;
    let mut view = View::new(sort, std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()));
    view.show(Ok(first));
    let looks = looks(gatherer).map_err(|e| CliError::failed("cannot start a thread", e))?;
    let taken = Taken;
    let mut terminal =
        ratatui::try_init().map_err(|e| CliError::failed("cannot take over the terminal", e))?;
    let ended = show(&mut terminal, &mut view, &looks, &Clock { interval, interrupt: &interrupt });
    drop(taken);
    match ended {
        // Whoever hung up took the terminal away.
        Err(_) if interrupt.wait(TICK) => Ok(()),
        ended => ended.map_err(|e| CliError::failed("the terminal cannot be used", e)),
    }
}

/// Ends the process a while after a signal: where the terminal has hung up, waiting for its keys may never end.
fn end_in_time(interrupt: Interrupt) -> std::io::Result<()> {
    let end = move || {
        while !interrupt.wait(Duration::from_secs(3600)) {}
        thread::sleep(PATIENCE);
        let _ = ratatui::try_restore();
        std::process::exit(0);
    };
    thread::Builder::new().name("end".to_owned()).spawn(end).map(drop)
}

/// What ends or paces the showing.
struct Clock<'a> {
    interval: Duration,
    interrupt: &'a Interrupt,
}

/// Where looks are asked for, and where they come.
struct Looks {
    ask: SyncSender<Option<String>>,
    come: Receiver<Look>,
}

/// Starts the thread that looks when it is asked to.
fn looks(gatherer: Gatherer) -> std::io::Result<Looks> {
    let (ask, asked) = sync_channel(1);
    let (told, come) = sync_channel(1);
    thread::Builder::new().name("looks".to_owned()).spawn(move || {
        while let Ok(selected) = asked.recv() {
            let selected: Option<String> = selected;
            let look = gatherer.look(selected.as_deref()).map_err(|error| error.to_string());
            if told.send(look).is_err() {
                return;
            }
        }
    })?;
    Ok(Looks { ask, come })
}

fn show(
    terminal: &mut DefaultTerminal,
    view: &mut View,
    looks: &Looks,
    clock: &Clock<'_>,
) -> std::io::Result<()> {
    let mut due = Instant::now() + clock.interval;
    terminal.draw(|frame| view.draw(frame))?;
    while !clock.interrupt.wait(Duration::ZERO) {
        let (mut changed, selected) = (false, view.selected());
        if event::poll(TICK)? {
            match event::read()? {
                Event::Key(key) if view.key(key) == Wish::Quit => return Ok(()),
                // Drawing finds out the new size.
                _ => changed = true,
            }
        }
        match looks.come.try_recv() {
            Ok(look) => {
                view.show(look);
                changed = true;
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Err(std::io::Error::other("its other thread is gone")),
        }
        let is_other = view.selected() != selected;
        if (Instant::now() >= due || is_other) && !view.paused {
            // Where one is still being taken, it will do.
            let _ = looks.ask.try_send(view.selected());
            due = Instant::now() + clock.interval;
        }
        if changed {
            terminal.draw(|frame| view.draw(frame))?;
        }
    }
    Ok(())
}

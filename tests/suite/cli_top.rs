//! `agentperf top`, the real binary: on a pseudo-terminal as a person would see it, and into a pipe.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::{Child, ExitStatus},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::{
    api_world::World,
    cli_binary::{agentperf, run},
};

/// What takes the whole screen, and what gives it back.
const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

/// A terminal with the command in it.
struct Pty {
    child: Child,
    keyboard: File,
    /// Kept open, so that its settings can be read after the command.
    terminal: OwnedFd,
    before: libc::termios,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Pty {
    fn start(args: &[&str]) -> Self {
        let (mut main, mut terminal) = (-1, -1);
        let mut size = libc::winsize { ws_row: 24, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: both descriptors are valid for the write, the size for the read; no name is asked for.
        let opened = unsafe {
            libc::openpty(
                &raw mut main,
                &raw mut terminal,
                std::ptr::null_mut(),
                std::ptr::null(),
                &raw mut size,
            )
        };
        assert_eq!(opened, 0, "a pseudo-terminal");
        // SAFETY: both were just opened, and are nobody else's.
        let (main, terminal) = unsafe { (File::from_raw_fd(main), OwnedFd::from_raw_fd(terminal)) };
        let before = settings(&terminal);
        let mut command = agentperf(args);
        command.env("TERM", "xterm").env_remove("COLUMNS");
        command.stdin(terminal.try_clone().unwrap());
        command.stdout(terminal.try_clone().unwrap()).stderr(terminal.try_clone().unwrap());
        // SAFETY: both calls are async-signal-safe: the terminal becomes the one that controls the child.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        drop(command);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut screen, seen) = (main.try_clone().unwrap(), Arc::clone(&shown));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut bytes) {
                seen.lock().unwrap().extend_from_slice(&bytes[..n]);
            }
        });
        Self { child, keyboard: main, terminal, before, shown }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Waits until the screen has been told this word (spaces are jumped over), after what it had been told at `from`; returns how much by then.
    fn until(&self, from: usize, what: &str) -> usize {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let text = self.text();
            if text.get(from..).is_some_and(|new| new.contains(what)) {
                return text.len();
            }
            assert!(Instant::now() < deadline, "{what:?} is not shown: {:?}", text.get(from..));
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    fn resize(&self, ws_row: u16, ws_col: u16) {
        let size = libc::winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the size is valid for the read.
        assert_eq!(unsafe { libc::ioctl(self.keyboard.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }, 0);
    }

    /// Its end: by then the terminal is as it was.
    fn end(mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(20);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.text());
            thread::sleep(Duration::from_millis(10));
        };
        self.until(0, LEAVE);
        let (after, before) = (settings(&self.terminal), self.before);
        assert_eq!(
            (after.c_lflag, after.c_iflag, after.c_oflag),
            (before.c_lflag, before.c_iflag, before.c_oflag)
        );
        status
    }
}

impl Drop for Pty {
    /// A test that fails leaves nothing behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn settings(terminal: &OwnedFd) -> libc::termios {
    // SAFETY: all-zero is a valid value of the plain struct.
    let mut settings: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: valid for the write.
    assert_eq!(unsafe { libc::tcgetattr(terminal.as_raw_fd(), &raw mut settings) }, 0);
    settings
}

#[test]
fn a_person_sees_agents_sorts_resizes_and_quits() {
    let world = World::new();
    let mut pty = Pty::start(&["top", "--interval", "200ms", "--over", "30m", "--url", &world.url("")]);
    pty.until(0, ENTER);
    let seen = pty.until(0, "coder");
    assert!(pty.text().contains("agentperf top") && pty.text().contains("LEDGER"), "{:?}", pty.text());
    pty.press("s");
    let seen = pty.until(seen, "rss");
    pty.resize(40, 60);
    let seen = pty.until(seen, "coder");
    pty.press("\u{1b}[B");
    pty.until(seen, "clock");
    // Who it waits for comes with the next look.
    pty.until(seen, "sleeps");
    pty.press("q");
    assert_eq!(pty.end().code(), Some(0));
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let world = World::new();
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT] {
        let pty = Pty::start(&["top", "--url", &world.url("")]);
        pty.until(0, "coder");
        // SAFETY: the pid is a child's that is not waited for yet.
        unsafe { libc::kill(pty.child.id().cast_signed(), signal) };
        assert_eq!(pty.end().code(), Some(0), "signal {signal}");
    }
}

#[test]
fn a_pipe_gets_one_look() {
    let world = World::new();
    let url = world.url("");
    let text = run(&["top", "--url", &url]);
    assert_eq!(text.code, Some(0), "{text:?}");
    assert!(text.out.contains("coder <1>") && text.out.contains("MOST TIME"), "{text:?}");
    assert!(!text.out.contains('\u{1b}'), "{text:?}");
    let json = run(&["top", "--json", "--over", "30m", "--sort", "rss", "--url", &url]).json();
    let agent = &json["agents"][0];
    assert_eq!((&agent["id"], &agent["pid"]), (&world.live.as_str().into(), &100.into()));
    let ledger = world.get(&world.of_live("/ledger")).json();
    assert_eq!(agent["wall_seconds"], ledger["wall_seconds"]);
    let sum: f64 = agent["causes"].as_array().unwrap().iter().map(|c| c["share"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{agent}");
    // Two live processes of 32 MiB.
    assert_eq!((&agent["processes"], &agent["rss_bytes"]), (&2.into(), &(64 << 20).into()));
    assert_eq!(
        (&agent["last_tool"]["name"], &agent["last_tool"]["end"]),
        (&"git status".into(), &"ok".into())
    );
}

#[test]
fn bad_usage_and_no_daemon_are_said() {
    for args in [&["top", "--sort", "x"][..], &["top", "--interval", "0s"], &["top", "--over", "soon"]] {
        assert_eq!(run(args).code, Some(2), "{args:?}");
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = run(&["top", "--once", "--url", &format!("http://{free}")]);
    assert!(ran.failed(1).contains("no agentperf answers"), "{ran:?}");
}

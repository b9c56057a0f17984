//! What /proc says of descriptors: links, and the words of fdinfo.

use super::host::{Opened, Watched};
use crate::model::blocked::TargetKind;

/// Descriptors of one set that are looked at.
pub(super) const MAX_SET: usize = 256;
/// POLLIN and EPOLLIN, with what comes with them: priority data and hang-ups.
const INPUT: u32 = 0x1 | 0x2 | 0x40 | 0x80 | 0x2000;

/// What a link of /proc/PID/fd says.
pub(super) fn opened(link: &str) -> Opened {
    let inode = link.strip_prefix("anon_inode:").map(|name| name.trim_matches(['[', ']']));
    let kind = match inode {
        Some("eventpoll") => TargetKind::Epoll,
        Some("timerfd") => TargetKind::Timer,
        Some("eventfd" | "signalfd" | "inotify" | "fanotify") => TargetKind::Event,
        Some("pidfd") => TargetKind::Child,
        Some(_) => TargetKind::Other,
        None => named(link),
    };
    Opened { kind, name: link.to_owned(), pid: None }
}

fn named(link: &str) -> TargetKind {
    let terminals = ["/dev/pts/", "/dev/tty", "/dev/console"];
    if link.starts_with("pipe:[") {
        TargetKind::Pipe
    } else if link.starts_with("pidfd:[") {
        TargetKind::Child
    } else if link.starts_with("socket:[") {
        TargetKind::Other
    } else if terminals.iter().any(|terminal| link.starts_with(terminal)) {
        TargetKind::Terminal
    } else if link.starts_with("/dev/") && !link.starts_with("/dev/shm/") {
        TargetKind::Device
    } else if link.starts_with('/') {
        TargetKind::File
    } else {
        TargetKind::Other
    }
}

/// The pid that fdinfo says of a pidfd.
pub(super) fn pid(info: &str) -> Option<u32> {
    // -1 once the process is gone.
    info.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()
}

/// What fdinfo says that an epoll set watches.
pub(super) fn epoll(info: &str) -> Vec<Watched> {
    let watched = info.lines().filter_map(|line| {
        let mut words = line.strip_prefix("tfd:")?.split_ascii_whitespace();
        let descriptor = words.next()?.parse().ok()?;
        let events = words.find(|word| *word == "events:").and_then(|_| words.next());
        let events = events.and_then(|events| u32::from_str_radix(events, 16).ok());
        Some(Watched { descriptor, input: events.is_none_or(|events| events & INPUT != 0) })
    });
    watched.take(MAX_SET).collect()
}

/// What an array of `struct pollfd` asks for.
pub(super) fn poll(array: &[u8]) -> Vec<Watched> {
    let entries = array.chunks_exact(8).filter_map(|entry| {
        let descriptor = u32::from_ne_bytes(*entry.first_chunk()?);
        let events = u16::from_ne_bytes(*entry.get(4..)?.first_chunk()?);
        // Negative ones are left out.
        (descriptor <= i32::MAX.cast_unsigned())
            .then(|| Watched { descriptor, input: u32::from(events) & INPUT != 0 })
    });
    entries.take(MAX_SET).collect()
}

/// What an `fd_set` of select(2) has set.
pub(super) fn select(set: &[u8], input: bool) -> Vec<Watched> {
    let bits = (0..set.len().saturating_mul(8))
        .filter(|bit| set.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 != 0));
    bits.filter_map(|bit| Some(Watched { descriptor: u32::try_from(bit).ok()?, input }))
        .take(MAX_SET)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::*;

    #[test]
    fn links_say_what_is_open() {
        for (link, kind) in [
            ("pipe:[12]", TargetKind::Pipe),
            ("socket:[12]", TargetKind::Other),
            ("anon_inode:[eventpoll]", TargetKind::Epoll),
            ("anon_inode:[timerfd]", TargetKind::Timer),
            ("anon_inode:inotify", TargetKind::Event),
            ("anon_inode:[pidfd]", TargetKind::Child),
            ("pidfd:[4711]", TargetKind::Child),
            ("anon_inode:[io_uring]", TargetKind::Other),
            ("/dev/pts/3", TargetKind::Terminal),
            ("/dev/nvidia0", TargetKind::Device),
            ("/dev/shm/x", TargetKind::File),
            ("/srv/a (deleted)", TargetKind::File),
            ("", TargetKind::Other),
        ] {
            assert_eq!(opened(link).kind, kind, "{link}");
        }
        assert_eq!(opened("socket:[12]").socket(), Some(12));
        assert_eq!(opened("socket:[x]").socket(), None);
    }

    #[test]
    fn sets_say_what_they_watch() {
        let info = "pos:\t0\nflags:\t02\nmnt_id:\t15\ntfd:        5 events:       19 data:  5  pos:0 ino:1 sdev:f\ntfd: 9 events: 4 data: 0\n";
        let watched = |descriptor, input| Watched { descriptor, input };
        assert_eq!(epoll(info), [watched(5, true), watched(9, false)]);
        let array: Vec<u8> = [(3i32, 1i16), (-1, 1), (7, 4)]
            .iter()
            .flat_map(|(fd, events)| [&fd.to_ne_bytes()[..], &events.to_ne_bytes(), &[0, 0]].concat())
            .collect();
        assert_eq!(poll(&array), [watched(3, true), watched(7, false)]);
        assert_eq!(select(&[0b1000, 0b1], true), [watched(3, true), watched(8, true)]);
        assert_eq!(pid("Pid:\t4711\nNSpid:\t4711\n"), Some(4711));
        assert_eq!(pid("Pid:\t-1\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(text: String, bytes: Vec<u8>) {
            let _ = (opened(&text), pid(&text), epoll(&text), poll(&bytes), select(&bytes, true));
        }
    }
}

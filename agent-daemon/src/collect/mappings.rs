//! The executable mappings of a process, from /proc/PID/maps: what turns an address into a file and an
//! offset. Only executable mappings are kept, at most [`MAX`] of them; any bytes may stand in a path.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
};

use crate::model::observation::Mapping;

/// Mappings kept of one process. Those at higher addresses than the first so many are left out.
pub const MAX: usize = 4096;

/// What the kernel appends to the path of a file that has no name any more.
const DELETED: &str = " (deleted)";

/// The executable mappings of the process with this pid, by address; empty for kernel threads and zombies.
///
/// # Errors
/// The process is gone, or is not ours to look at.
pub fn read(pid: u32) -> io::Result<Vec<Mapping>> {
    parse(BufReader::with_capacity(16 << 10, File::open(format!("/proc/{pid}/maps"))?))
}

/// Reads the text of a maps file. Lines that are none are passed over.
fn parse(mut text: impl BufRead) -> io::Result<Vec<Mapping>> {
    let mut mappings = Vec::new();
    let mut line = Vec::with_capacity(256);
    while mappings.len() < MAX && text.read_until(b'\n', &mut line)? > 0 {
        mappings.extend(parse_line(line.strip_suffix(b"\n").unwrap_or(&line)));
        line.clear();
    }
    Ok(mappings)
}

/// Reads one line, `START-END PERMISSIONS OFFSET MAJOR:MINOR INODE PATH`; `None` if it is not executable.
fn parse_line(line: &[u8]) -> Option<Mapping> {
    let mut rest = line;
    let (start, end) = split(field(&mut rest)?, b'-')?;
    if field(&mut rest)?.get(2) != Some(&b'x') {
        return None;
    }
    let offset = hex(field(&mut rest)?)?;
    let (major, minor) = split(field(&mut rest)?, b':')?;
    let inode = std::str::from_utf8(field(&mut rest)?).ok()?.parse().ok()?;
    let device = libc::makedev(u32::try_from(major).ok()?, u32::try_from(minor).ok()?);
    Some(Mapping { start, end, offset, device, inode, path: path(rest.trim_ascii_start()) })
}

/// Takes the next field off a line.
fn field<'a>(line: &mut &'a [u8]) -> Option<&'a [u8]> {
    let trimmed = line.trim_ascii_start();
    let end = trimmed.iter().position(|&b| b == b' ').unwrap_or(trimmed.len());
    let (field, rest) = trimmed.split_at_checked(end)?;
    *line = rest;
    (!field.is_empty()).then_some(field)
}

/// Two hexadecimal numbers around a separator.
fn split(field: &[u8], separator: u8) -> Option<(u64, u64)> {
    let at = field.iter().position(|&b| b == separator)?;
    let (first, second) = field.split_at_checked(at)?;
    Some((hex(first)?, hex(second.get(1..)?)?))
}

/// A hexadecimal number, without a prefix or a sign.
fn hex(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The path as its owner knows it: the kernel's one escape undone, its mark of deletion cut off. Bytes that
/// are no UTF-8 are replaced: such a file can still be opened by its mapping, though not by its path.
fn path(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\\012", "\n");
    match text.strip_suffix(DELETED) {
        Some(named) => named.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop, prop_assert_eq, proptest};

    use super::*;

    fn one(line: &str) -> Option<Mapping> {
        parse(line.as_bytes()).unwrap().pop()
    }

    #[test]
    fn reads_what_the_kernel_writes() {
        let m =
            one("55d0c0a00000-55d0c0b3a000 r-xp 0002f000 fd:01 1835053                    /usr/bin/a b\n")
                .unwrap();
        let expected = Mapping {
            start: 0x55d0_c0a0_0000,
            end: 0x55d0_c0b3_a000,
            offset: 0x2f000,
            device: libc::makedev(0xfd, 1),
            inode: 1_835_053,
            path: "/usr/bin/a b".to_owned(),
        };
        assert_eq!(m, expected);
    }

    #[test]
    fn names_what_is_no_plain_file() {
        let path = |name: &str| {
            one(&format!("7f0000000000-7f0000001000 r-xp 00000000 00:00 0   {name}")).map(|m| m.path)
        };
        assert_eq!(path(""), Some(String::new()));
        assert_eq!(path("[vdso]").as_deref(), Some("[vdso]"));
        assert_eq!(path("[anon: v8 code]").as_deref(), Some("[anon: v8 code]"));
        assert_eq!(path("/tmp/x (deleted)").as_deref(), Some("/tmp/x"));
        assert_eq!(path("/tmp/a\\012b").as_deref(), Some("/tmp/a\nb"));
    }

    #[test]
    fn leaves_out_what_does_not_execute() {
        assert_eq!(one("7f0000000000-7f0000001000 rw-p 00000000 00:00 0"), None);
        assert_eq!(one("7f0000000000-7f0000001000"), None);
        assert_eq!(one("+7f0000000000-7f0000001000 r-xp 00000000 00:00 0"), None);
    }

    #[test]
    fn stops_at_the_cap() {
        let line = "7f0000000000-7f0000001000 r-xp 00000000 00:00 0\n";
        assert_eq!(parse(line.repeat(MAX + 10).as_bytes()).unwrap().len(), MAX);
    }

    #[test]
    fn reads_this_process() {
        let here = reads_this_process as *const () as u64;
        let mappings = read(std::process::id()).unwrap();
        let own = mappings.iter().find(|m| (m.start..m.end).contains(&here)).unwrap();
        assert_eq!(own.path, std::env::current_exe().unwrap().to_str().unwrap());
        assert!(mappings.is_sorted_by_key(|m| m.start));
        assert!(mappings.iter().any(|m| m.path == "[vdso]"));
    }

    /// Mappings whose path the kernel's form can carry: no end that reads as its mark of deletion, no text
    /// that reads as its escape.
    fn mapping() -> impl Strategy<Value = Mapping> {
        let path = "(|/[^\\x00\\\\]{0,40}[^\\x00\\\\) ]|\\[vdso\\])";
        let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>(), 0u32..1 << 20);
        (numbers, path).prop_map(|((start, end, offset, inode, major, minor), path)| Mapping {
            start,
            end,
            offset,
            device: libc::makedev(major & 0xfff, minor),
            inode,
            path,
        })
    }

    fn write(m: &Mapping) -> String {
        let (major, minor) = (libc::major(m.device), libc::minor(m.device));
        let Mapping { start, end, offset, inode, path, .. } = m;
        let path = path.replace('\n', "\\012");
        format!("{start:x}-{end:x} r-xp {offset:08x} {major:02x}:{minor:02x} {inode} {path}\n")
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
            parse(bytes.as_slice()).unwrap();
        }

        #[test]
        fn what_is_written_is_read(mappings in prop::collection::vec(mapping(), 0..20)) {
            let text: String = mappings.iter().map(write).collect();
            prop_assert_eq!(parse(text.as_bytes()).unwrap(), mappings);
        }
    }
}

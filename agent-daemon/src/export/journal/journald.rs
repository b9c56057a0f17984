//! The journal as entries of journald's, by its own protocol: a datagram of fields; where that is too large, a sealed
//! file in memory whose descriptor is sent.
//!
//! journald drops its oldest entries by itself, so a section is kept short: what is left begins with whole ones soon.

use std::{
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsRawFd, FromRawFd},
        unix::net::UnixDatagram,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use super::line::{Line, RECORD_FIELD};
use crate::{journald::field, model::time::Timestamp};

/// How long a journald that does not read is waited for, each time.
const PATIENCE: Duration = Duration::from_secs(2);
/// A section is this long at most.
const SECTION: Duration = Duration::from_secs(3600);
/// A section tells so many names at most.
const NAMES: usize = 1 << 16;

/// A connection to journald.
#[derive(Debug)]
pub(super) struct Journald {
    path: PathBuf,
    socket: UnixDatagram,
    began: Timestamp,
}

impl Journald {
    /// Sends to the journald that listens at `path`, whether or not it does so by now.
    pub(super) fn new(path: &Path, now: Timestamp) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { path: path.to_owned(), socket, began: now })
    }

    pub(super) fn is_due(&self, now: Timestamp, told: usize) -> bool {
        let age: Option<Duration> = now.duration_since(self.began).try_into().ok();
        told >= NAMES || age.is_some_and(|age| age >= SECTION)
    }

    pub(super) fn begin(&mut self, now: Timestamp) {
        self.began = now;
    }

    /// Sends a line as an entry.
    pub(super) fn send(&self, line: &Line) -> io::Result<()> {
        let entry = entry(line);
        match self.socket.send_to(&entry, &self.path) {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EMSGSIZE | libc::ENOBUFS)) => {
                self.send_file(&entry)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends what is too large for a datagram.
    fn send_file(&self, entry: &[u8]) -> io::Result<()> {
        let file = sealed(entry)?;
        let address = address(&self.path)?;
        let mut control = [0_u64; 4];
        // SAFETY: a header of zeros is a valid one; all its pointers are set below.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_name = std::ptr::from_ref(&address).cast_mut().cast();
        message.msg_namelen = size_of::<libc::sockaddr_un>() as libc::socklen_t;
        message.msg_control = control.as_mut_ptr().cast();
        // SAFETY: CMSG_SPACE and CMSG_LEN only calculate, and the buffer holds the space of one descriptor; the first
        // header lies at its beginning, aligned as a u64 is, and its data have room for an int.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(size_of::<libc::c_int>() as u32) as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size_of::<libc::c_int>() as u32) as _;
            libc::CMSG_DATA(header).cast::<libc::c_int>().write_unaligned(file.as_raw_fd());
        }
        // SAFETY: every pointer of the message is to something that lives until the call is over.
        let sent = unsafe { libc::sendmsg(self.socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// A file in memory with these bytes, which nobody can change any more.
fn sealed(bytes: &[u8]) -> io::Result<File> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is a text that ends in NUL.
    let descriptor = unsafe { libc::memfd_create(c"agentperf-journal".as_ptr(), flags) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made, and is nobody else's.
    let mut file = unsafe { File::from_raw_fd(descriptor) };
    file.write_all(bytes)?;
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE | libc::F_SEAL_SEAL;
    // SAFETY: F_ADD_SEALS takes an int and touches no memory.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(file) }
}

fn address(path: &Path) -> io::Result<libc::sockaddr_un> {
    // SAFETY: an address of zeros is a valid one.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
    if bytes.len() >= address.sun_path.len() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    address.sun_path.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from as libc::c_char);
    Ok(address)
}

/// The entry's fields.
fn entry(line: &Line) -> Vec<u8> {
    let mut entry = Vec::with_capacity(line.json.len() + 300);
    let priority = line.level.priority().to_string();
    field(&mut entry, "MESSAGE", &line.message);
    field(&mut entry, "PRIORITY", &priority);
    field(&mut entry, "SYSLOG_IDENTIFIER", "agentperf");
    field(&mut entry, "AGENTPERF_LOGGER", line.kind.logger());
    if !line.agent.is_empty() {
        field(&mut entry, "AGENTPERF_AGENT", &line.agent);
    }
    field(&mut entry, RECORD_FIELD, &line.json);
    entry
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::fd::OwnedFd};

    use super::*;
    use crate::export::journal::data::Kind;

    fn line(message: &str, data: &str) -> Line {
        Line::new(Kind::Agent, (Timestamp::UNIX_EPOCH, "1-2"), message.to_owned(), data).unwrap()
    }

    #[test]
    fn an_entry_is_fields_and_one_with_a_line_end_tells_its_length() {
        let entry = entry(&line("two\nlines", "data"));
        let start = b"MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\nPRIORITY=6\nSYSLOG_IDENTIFIER=agentperf\n\
                      AGENTPERF_LOGGER=agentperf.agent\nAGENTPERF_AGENT=1-2\nAGENTPERF_RECORD={\"timestamp\"";
        assert!(entry.starts_with(start), "{}", String::from_utf8_lossy(&entry));
        assert!(entry.ends_with(b"\"data\":\"data\"}\n"));
    }

    #[test]
    fn small_entries_are_datagrams_and_large_ones_sealed_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixDatagram::bind(&path).unwrap();
        let journald = Journald::new(&path, Timestamp::now()).unwrap();
        journald.send(&line("small", "x")).unwrap();
        let mut buffer = [0; 4096];
        let length = listener.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..length], entry(&line("small", "x")));

        let large = line("large", &"y".repeat(4 << 20));
        journald.send(&large).unwrap();
        let mut read = Vec::new();
        File::from(received(&listener)).read_to_end(&mut read).unwrap();
        assert!(read == entry(&large));
    }

    /// The descriptor that comes with the next datagram, which holds nothing else. The file was written to its end.
    fn received(listener: &UnixDatagram) -> OwnedFd {
        let mut control = [0_u64; 8];
        // SAFETY: as in `send_file`; the kernel writes at most the length of the buffer.
        unsafe {
            let mut message: libc::msghdr = std::mem::zeroed();
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = size_of_val(&control);
            assert_eq!(libc::recvmsg(listener.as_raw_fd(), &raw mut message, 0), 0);
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            assert!(!header.is_null());
            let descriptor = libc::CMSG_DATA(header).cast::<libc::c_int>().read_unaligned();
            let seals = libc::fcntl(descriptor, libc::F_GET_SEALS);
            assert!(seals & libc::F_SEAL_WRITE != 0);
            libc::lseek(descriptor, 0, libc::SEEK_SET);
            OwnedFd::from_raw_fd(descriptor)
        }
    }

    #[test]
    fn without_a_journald_sending_is_an_error_and_later_it_works() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let journald = Journald::new(&path, Timestamp::now()).unwrap();
        assert!(journald.send(&line("lost", "")).is_err());
        let _listener = UnixDatagram::bind(&path).unwrap();
        journald.send(&line("told", "")).unwrap();
    }
}

//! The other end of a unix socket, which /proc does not tell: asked of the kernel's socket diagnostics, by inode number and
//! one socket at a time. Only sockets of the daemon's own network namespace are there.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

/// `SOCK_DIAG_BY_FAMILY`
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST`
const REQUEST: u16 = 1;
/// `UDIAG_SHOW_PEER`
const SHOW_PEER: u32 = 4;
/// `UNIX_DIAG_PEER`
const PEER: u16 = 2;
/// `struct nlmsghdr`, and `struct unix_diag_msg` behind it.
const HEADER: usize = 16;
const MESSAGE: usize = 16;
/// Late answers to earlier questions that are passed over.
const MAX_LATE: usize = 16;
/// How long the kernel may take, ms: it answers before the request returns.
const PATIENCE_MS: libc::suseconds_t = 200;

/// A socket to ask by.
#[derive(Debug)]
pub(super) struct Diagnostics(OwnedFd);

impl Diagnostics {
    /// Opens it.
    pub(super) fn open() -> io::Result<Self> {
        let (family, kind) = (libc::AF_NETLINK, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC);
        // SAFETY: no memory is involved.
        let fd = unsafe { libc::socket(family, kind, libc::NETLINK_SOCK_DIAG) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just opened, and nobody else's.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        let patience = libc::timeval { tv_sec: 0, tv_usec: 1000 * PATIENCE_MS };
        let length = size_of::<libc::timeval>() as libc::socklen_t;
        // SAFETY: the value is valid for the read of its length.
        let set = unsafe {
            libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, (&raw const patience).cast(), length)
        };
        if set == 0 { Ok(socket) } else { Err(io::Error::last_os_error()) }
    }

    /// Whether there is a unix socket with this inode, and the inode of its other end.
    pub(super) fn peer(&self, inode: u64) -> Option<Option<u64>> {
        let request = request(u32::try_from(inode).ok()?);
        // SAFETY: the request is valid for the read of its length.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), request.as_ptr().cast(), request.len(), 0) };
        if usize::try_from(sent) != Ok(request.len()) {
            return None;
        }
        (0..MAX_LATE).find_map(|_| {
            let answer = match self.receive() {
                Some(answer) => answer,
                None => return Some(None),
            };
            // To a question before this one, which was given up: it came late.
            (sequence(&answer)? == u32::try_from(inode).ok()?).then(|| peer_in(&answer, inode))
        })?
    }

    /// The next answer, if it comes in time.
    fn receive(&self) -> Option<Vec<u8>> {
        let mut answer = vec![0u8; 4096];
        // SAFETY: the buffer is valid for the write of its length.
        let read = unsafe { libc::recv(self.0.as_raw_fd(), answer.as_mut_ptr().cast(), answer.len(), 0) };
        answer.truncate(usize::try_from(read).ok()?);
        Some(answer)
    }
}

/// To which question an answer is: they are numbered by what they ask for.
fn sequence(answer: &[u8]) -> Option<u32> {
    u32_at(answer, 8)
}

/// The header, then `struct unix_diag_req` with any state and no cookie.
fn request(inode: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40);
    bytes.extend(40u32.to_ne_bytes());
    bytes.extend([BY_FAMILY, REQUEST].map(u16::to_ne_bytes).concat());
    bytes.extend([inode, 0].map(u32::to_ne_bytes).concat());
    bytes.extend([libc::AF_UNIX as u8, 0, 0, 0]);
    bytes.extend([u32::MAX, inode, SHOW_PEER, u32::MAX, u32::MAX].map(u32::to_ne_bytes).concat());
    bytes
}

/// What an answer says of the socket with this inode.
fn peer_in(answer: &[u8], inode: u64) -> Option<Option<u64>> {
    let length = usize::try_from(u32_at(answer, 0)?).ok()?;
    let answer = answer.get(..length)?;
    let body = answer.get(HEADER..)?;
    if u16_at(answer, 4)? != BY_FAMILY || u64::from(u32_at(body, 4)?) != inode {
        return None;
    }
    let mut attributes = body.get(MESSAGE..)?;
    while let (Some(length), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        if kind == PEER {
            // Where the other end is gone, it is 0.
            return Some(u32_at(attributes, 4).map(u64::from).filter(|peer| *peer != 0));
        }
        let next = usize::from(length).next_multiple_of(4);
        if next < 4 || next > attributes.len() {
            break;
        }
        attributes = attributes.get(next..)?;
    }
    Some(None)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|word| u16::from_ne_bytes(*word))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_ne_bytes(*word))
}

#[cfg(test)]
mod tests {
    use std::os::{linux::fs::MetadataExt as _, unix::net::UnixStream};

    use proptest::prelude::{any, proptest};

    use super::*;

    fn inode(stream: &UnixStream) -> u64 {
        std::fs::metadata(format!("/proc/self/fd/{}", stream.as_raw_fd())).unwrap().st_ino()
    }

    #[test]
    fn both_ends_of_a_pair_name_each_other() {
        let (a, b) = UnixStream::pair().unwrap();
        let diagnostics = Diagnostics::open().unwrap();
        assert_eq!(diagnostics.peer(inode(&a)), Some(Some(inode(&b))));
        assert_eq!(diagnostics.peer(inode(&b)), Some(Some(inode(&a))));
        drop(b);
        assert_eq!(diagnostics.peer(inode(&a)), Some(None), "its other end is gone");
        for nobody in [0, 1, u64::MAX] {
            assert_eq!(diagnostics.peer(nobody), None);
        }
    }

    #[test]
    fn an_answer_that_came_late_is_none_to_the_next_question() {
        let ((a, b), (c, d)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        let diagnostics = Diagnostics::open().unwrap();
        for late in [&a, &c] {
            let request = request(u32::try_from(inode(late)).unwrap());
            // SAFETY: the request is valid for the read of its length.
            let sent =
                unsafe { libc::send(diagnostics.0.as_raw_fd(), request.as_ptr().cast(), request.len(), 0) };
            assert!(sent > 0);
        }
        assert_eq!(diagnostics.peer(inode(&b)), Some(Some(inode(&a))));
        assert_eq!(diagnostics.peer(inode(&d)), Some(Some(inode(&c))));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_panic(bytes: Vec<u8>, inode in any::<u64>()) {
            let _ = peer_in(&bytes, inode);
        }
    }
}

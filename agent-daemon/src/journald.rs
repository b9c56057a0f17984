//! journald's own protocol: an entry is a datagram of fields. Who sends what, and what becomes of entries that are too
//! large for a datagram, is the sender's.

/// Where journald listens.
pub(crate) const SOCKET: &str = "/run/systemd/journal/socket";

/// Adds a field to an entry; one whose value has a line's end tells its length.
pub(crate) fn field(to: &mut Vec<u8>, name: &str, value: &str) {
    to.extend(name.as_bytes());
    if value.contains('\n') {
        to.push(b'\n');
        to.extend((value.len() as u64).to_le_bytes());
    } else {
        to.push(b'=');
    }
    to.extend(value.as_bytes());
    to.push(b'\n');
}

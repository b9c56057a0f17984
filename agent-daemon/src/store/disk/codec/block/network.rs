//! The columns of traffic, since version 4. Peers stand once, and rows refer to their places; connections made are told
//! by the times counted, the longest by the sum.

use super::{
    super::{
        CodecError,
        bytes::{Decoder, Encoder},
        peer,
    },
    Numbered,
    columns::{Places, at, beside, column, decode_places, from_beside, next, read_columns},
    latencies,
    syscalls::decode_errors,
    total,
};
use crate::model::{
    id::ProcessId,
    network::{NetworkStat, Peer},
};

/// The windows' traffic.
pub(super) fn encode(to: &mut Encoder, windows: &[Numbered]) {
    let rows: Vec<&NetworkStat> = windows.iter().flat_map(|w| sorted(&w.network)).collect();
    let processes = Places::of(rows.iter().map(|row| row.process.0).collect());
    let mut peers: Vec<&Peer> = rows.iter().map(|row| &row.peer).collect();
    peers.sort_unstable();
    peers.dedup();
    processes.encode(to);
    encode_peers(to, &peers);
    windows.iter().for_each(|w| to.varint(w.network.len() as u64));
    column(to, &rows, |row| processes.place(row.process.0));
    column(to, &rows, |row| peers.binary_search(&&row.peer).map_or(0, |place| place as u64));
    column(to, &rows, |row| row.sent_bytes);
    column(to, &rows, |row| row.received_bytes);
    column(to, &rows, |row| beside(row.connects, latencies::timed(&row.connect_histogram)));
    column(to, &rows, |row| row.accepts);
    column(to, &rows, |row| row.retransmits);
    column(to, &rows, |row| row.connect_ns);
    column(to, &rows, |row| beside(row.connect_ns, row.connect_max_ns));
    column(to, &rows, |row| row.failures.len() as u64);
    for (errno, count) in rows.iter().flat_map(|row| &row.failures) {
        to.varint(u64::from(*errno));
        to.varint(*count);
    }
    latencies::encode(to, rows.iter().map(|row| &row.connect_histogram));
}

fn sorted(rows: &[NetworkStat]) -> Vec<&NetworkStat> {
    let mut rows: Vec<&NetworkStat> = rows.iter().collect();
    rows.sort_by(|a, b| (a.process, &a.peer).cmp(&(b.process, &b.peer)));
    rows
}

/// Reads it into the windows that it is of.
pub(super) fn decode(from: &mut Decoder<'_>, windows: &mut [Numbered]) -> Result<(), CodecError> {
    let processes = decode_places(from)?;
    let peers = decode_peers(from)?;
    let lengths = windows.iter().map(|_| from.count()).collect::<Result<Vec<_>, _>>()?;
    let rows = total(&lengths)?;
    let mut all = decode_rows(from, rows, &processes, &peers)?;
    latencies::decode(from, rows, all.iter_mut().map(|row| &mut row.connect_histogram))?;
    for row in &mut all {
        row.connects = from_beside(row.connects, latencies::timed(&row.connect_histogram));
    }
    let mut all = all.into_iter();
    for (window, length) in windows.iter_mut().zip(lengths) {
        window.network = all.by_ref().take(length).collect();
    }
    Ok(())
}

fn decode_rows(
    from: &mut Decoder<'_>,
    rows: usize,
    processes: &[u64],
    peers: &[Peer],
) -> Result<Vec<NetworkStat>, CodecError> {
    let [
        mut process,
        mut place,
        mut sent,
        mut received,
        mut connects,
        mut accepts,
        mut again,
        mut time,
        mut max,
        mut failures,
    ] = read_columns(from, rows)?;
    let row = |_| {
        let place = usize::try_from(next(&mut place)?).ok();
        let peer = place.and_then(|place| peers.get(place)).ok_or(CodecError::Range("a place"))?;
        let connect_ns = next(&mut time)?;
        Ok(NetworkStat {
            sent_bytes: next(&mut sent)?,
            received_bytes: next(&mut received)?,
            connects: next(&mut connects)?,
            accepts: next(&mut accepts)?,
            retransmits: next(&mut again)?,
            connect_ns,
            connect_max_ns: connect_ns.wrapping_sub(from_beside(next(&mut max)?, 0)),
            failures: decode_errors(from, next(&mut failures)?)?,
            ..NetworkStat::new(ProcessId(at(processes, next(&mut process)?)?), peer.clone())
        })
    };
    (0..rows).map(row).collect()
}

fn encode_peers(to: &mut Encoder, peers: &[&Peer]) {
    to.varint(peers.len() as u64);
    peers.iter().for_each(|peer| peer::encode(to, peer));
}

fn decode_peers(from: &mut Decoder<'_>) -> Result<Vec<Peer>, CodecError> {
    (0..from.count()?).map(|_| peer::decode(from)).collect()
}

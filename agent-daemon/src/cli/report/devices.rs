//! With whom an agent spoke over the network, what it had disks do, and where it waited for locks.

use std::fmt::Write;

use super::{
    super::{
        out::plain,
        table::{Align, Table, cut},
        units::{bytes, seconds},
    },
    render::word,
};
use crate::api::dto::{
    disk::DiskReportDto,
    locks::LockReportDto,
    network::{NetworkDto, NetworkReportDto, PlaceDto},
};

/// Peers, devices and places shown.
pub(super) const ROWS: usize = 10;

/// The peers of most bytes; nothing of an agent without traffic.
pub(super) fn network(report: &NetworkReportDto) -> String {
    if report.peers.is_empty() {
        return String::new();
    }
    let (all, outside) = (&report.total, &report.outside);
    let mut out = format!(
        "\nNETWORK  {} sent, {} received; with other hosts {} and {}\n",
        bytes(all.sent_bytes),
        bytes(all.received_bytes),
        bytes(outside.sent_bytes),
        bytes(outside.received_bytes)
    );
    let columns =
        ["SENT", "RECEIVED", "CONNECTED", "FAILED", "CONNECT MAX"].map(|title| (title, Align::Right));
    let columns: Vec<_> = columns.into_iter().chain([("PEER", Align::Left)]).collect();
    let mut table = Table::new(&columns);
    for peer in report.peers.iter().take(ROWS) {
        let amounts = &peer.amounts;
        let failed = amounts.connections_failed.values().fold(0, |sum: u64, n| sum.saturating_add(*n));
        table.row(vec![
            bytes(amounts.sent_bytes),
            bytes(amounts.received_bytes),
            amounts.connections_made.saturating_add(amounts.connections_accepted).to_string(),
            failed.to_string(),
            amounts.connect_max_seconds.map(seconds).unwrap_or_default(),
            peer_name(peer),
        ]);
    }
    out.push_str(&table.render("  "));
    more(&mut out, report.rows);
    out
}

/// The host's name, or its address, and the port.
fn peer_name(peer: &NetworkDto) -> String {
    let protocol = peer.protocol.as_ref().map(word).unwrap_or_default();
    let host = match (&peer.host, peer.address) {
        (Some(host), _) => cut(&plain(host), 60),
        (None, Some(address)) => address.to_string(),
        (None, None) if peer.place == Some(PlaceDto::Unix) => return "unix sockets".to_owned(),
        (None, None) => "others".to_owned(),
    };
    let port = peer.port.map(|port| format!(" {port}")).unwrap_or_default();
    let side = if peer.side.as_ref().map(word).as_deref() == Some("server") { ", served" } else { "" };
    format!("{host}{port} ({protocol}{side})")
}

/// The devices on which most time was spent; nothing of an agent without block I/O.
pub(super) fn disk(report: &DiskReportDto) -> String {
    if report.requests.is_empty() {
        return String::new();
    }
    let mut out = String::from("\nDISK\n");
    let columns = ["REQUESTS", "BYTES", "TIME", "QUEUED", "P99", "MAX"].map(|title| (title, Align::Right));
    let columns: Vec<_> = columns.into_iter().chain([("DEVICE", Align::Left)]).collect();
    let mut table = Table::new(&columns);
    for requests in report.requests.iter().take(ROWS) {
        let device = requests.device.as_deref().unwrap_or_default();
        let later = if requests.background { ", in the background" } else { "" };
        table.row(vec![
            requests.count.to_string(),
            bytes(requests.bytes),
            seconds(requests.total_seconds),
            seconds(requests.queue_seconds),
            requests.p99_seconds.map(seconds).unwrap_or_default(),
            seconds(requests.max_seconds),
            format!("{} ({}{later})", plain(device), word(&requests.operation)),
        ]);
    }
    out.push_str(&table.render("  "));
    more(&mut out, report.rows);
    out
}

/// The places where locks were waited for most; nothing of an agent that never waited for one.
pub(super) fn locks(report: &LockReportDto) -> String {
    if report.locks.is_empty() {
        return String::new();
    }
    let mut out = String::from("\nLOCKS\n");
    let columns = ["TIME", "WAITS", "MAX", "PID"].map(|title| (title, Align::Right));
    let columns: Vec<_> = columns.into_iter().chain([("FOR", Align::Left)]).collect();
    let mut table = Table::new(&columns);
    for lock in report.locks.iter().take(ROWS) {
        let place = lock.place.as_ref().map_or("unknown", |frame| &frame.function);
        // Rows that were merged are of no process in particular.
        let pid = if lock.pid == 0 { "-".to_owned() } else { lock.pid.to_string() };
        table.row(vec![
            seconds(lock.seconds),
            lock.count.to_string(),
            seconds(lock.max_seconds),
            pid,
            cut(&plain(place), 70),
        ]);
    }
    out.push_str(&table.render("  "));
    more(&mut out, report.rows);
    out
}

fn more(out: &mut String, rows: u64) {
    let shown = ROWS as u64;
    if rows > shown {
        let _ = writeln!(out, "  and {} more", rows - shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::syscall::Histogram,
        store::{
            fixture,
            query::{DiskBy, NetworkBy},
        },
    };

    #[test]
    fn peers_are_called_by_their_names() {
        let mut named = fixture::traffic(1, [192, 0, 2, 7], 443, 1_000_000);
        (named.connect_ns, named.connect_max_ns) = (30_000_000, 30_000_000);
        named.connect_histogram = Histogram::default();
        named.fail(111, 1);
        let mut report = NetworkReportDto {
            agent: "1-1".to_owned(),
            covered: None,
            watched: true,
            total: (&named).into(),
            outside: (&named).into(),
            rows: 12,
            next_offset: None,
            peers: vec![NetworkDto::new(&named, NetworkBy::Peer, None)],
        };
        assert!(network(&report).contains("192.0.2.7 443 (tcp)"), "{}", network(&report));
        named.peer.host = Some("api.test".into());
        report.peers = vec![NetworkDto::new(&named, NetworkBy::Peer, None)];
        let text = network(&report);
        for part in ["api.test 443 (tcp)", "  1       2      30.0 ms", "and 2 more"] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        report.peers.clear();
        assert_eq!(network(&report), "");
    }

    #[test]
    fn devices_stand_with_what_was_done() {
        let row = crate::model::disk::DiskStat { background: true, ..fixture::requests(1, "vda", 3) };
        let report = DiskReportDto {
            agent: "1-1".to_owned(),
            covered: None,
            watched: true,
            rows: 1,
            next_offset: None,
            requests: vec![crate::api::dto::disk::DiskRequestsDto::new(&row, DiskBy::Device, None)],
        };
        assert!(disk(&report).contains("vda (write, in the background)"), "{}", disk(&report));
    }
}

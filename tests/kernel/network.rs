//! Traffic: bytes both ways, connections made, accepted, refused and timed out, and how long they took, as the agent and
//! its peers know them; names of addresses as a name server told them; and nobody else's traffic.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    process::Command,
    thread,
};

use serde_json::{Value, json};

use crate::support::{
    api::Api,
    daemon::Daemon,
    puppet::Puppet,
    tolerance::assert_within,
    workload::{directory, source},
};

const PROBES: [&str; 1] = ["network"];
const TIMES: u64 = 20;
const SENT: u64 = 70_001;
const RECEIVED: u64 = 30_003;

fn agent() -> Puppet {
    let mut command = Command::new("python3");
    command.arg(source("network.py"));
    Puppet::spawn(command)
}

fn attach(api: &Api, pid: u32) -> String {
    api.attach_with(&json!({ "pid": pid, "probes": PROBES }))
}

fn report(api: &Api, agent: &str, query: &str) -> Value {
    api.get(&format!("/api/v1/agents/{agent}/network{query}")).expect(200).json()
}

/// The row of this port.
fn peer(report: &Value, port: u16) -> Value {
    let rows = report["peers"].as_array().unwrap();
    let mut found = rows.iter().filter(|row| row["port"] == port);
    let row = found.next().unwrap_or_else(|| panic!("no row of port {port}: {report:#}"));
    assert!(found.next().is_none(), "several rows of port {port}: {report:#}");
    row.clone()
}

fn bytes(row: &Value) -> (u64, u64) {
    (row["sent_bytes"].as_u64().unwrap(), row["received_bytes"].as_u64().unwrap())
}

/// Serves so many connections, each with the same bytes, and ends.
fn server(address: &str, times: u64, receive: u64, send: u64) -> (SocketAddr, thread::JoinHandle<()>) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let serve = move || {
        for _ in 0..times {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut vec![0; receive as usize]).unwrap();
            stream.write_all(&vec![1; send as usize]).unwrap();
        }
    };
    (at, thread::spawn(serve))
}

#[test]
fn bytes_and_connections_are_exact_also_of_children_and_by_ipv6() {
    let daemon = Daemon::start(json!({}));
    let api = daemon.api();
    let mut agent = agent();
    let id = attach(api, agent.pid());
    let (at, served) = server("127.0.0.1", TIMES, SENT, RECEIVED);
    let (at6, served6) = server("::1", 1, 5, 6);
    let (of_child, served_child) = server("127.0.0.1", 1, 1000, 2000);
    let host = |at: SocketAddr| at.ip().to_string();
    let mut exchange = |at: SocketAddr, kind: &str, times: u64, send: u64, receive: u64| {
        let command = json!({
            "do": kind, "host": host(at), "port": at.port(), "times": times, "send": send, "receive": receive,
        });
        agent.tell(&command.to_string())
    };
    let truth = exchange(at, "exchange", TIMES, SENT, RECEIVED);
    exchange(at6, "exchange", 1, 5, 6);
    let child = exchange(of_child, "child", 1, 1000, 2000).pid();
    for each in [served, served6, served_child] {
        each.join().unwrap();
    }
    api.detach(&id);

    let report = report(api, &id, "");
    let row = peer(&report, at.port());
    assert_eq!(bytes(&row), (TIMES * SENT, TIMES * RECEIVED), "{row:#}");
    assert_eq!((row["connections_made"].as_u64(), &row["side"]), (Some(TIMES), &json!("client")));
    assert_eq!((&row["address"], &row["place"]), (&json!("127.0.0.1"), &json!("loopback")));
    let connect = row["connect_mean_seconds"].as_f64().unwrap() * TIMES as f64;
    assert!(connect > 0.0 && connect <= truth.seconds("connect"), "{connect} of {truth:?}");
    let row = peer(&report, at6.port());
    assert_eq!((bytes(&row), &row["address"]), ((5, 6), &json!("::1")));
    let by_process = self::report(api, &id, "?by=process");
    let rows = by_process["peers"].as_array().unwrap();
    let row = rows.iter().find(|row| row["pid"] == child).unwrap_or_else(|| panic!("{by_process:#}"));
    assert_eq!(bytes(row), (1000, 2000));
    assert_eq!(rows.len(), 2, "nobody else's traffic is counted: {by_process:#}");
    assert_eq!(bytes(&report["outside"]), (0, 0));
}

/// Speaks to a server: port, bytes to send, bytes to receive.
const CLIENT: &str = r#"
import socket, sys
port, send, left = map(int, sys.argv[1:])
with socket.create_connection(("127.0.0.1", port)) as peer:
    peer.sendall(b"x" * send)
    while left:
        left -= len(peer.recv(left))
"#;

#[test]
fn a_tools_bill_says_whom_its_processes_spoke_to() {
    let daemon = Daemon::start(json!({}));
    let mut command = Command::new("python3");
    command.arg(source("tools/agent.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut agent = Puppet::spawn(command);
    let id = attach(daemon.api(), agent.pid());
    let (one, served_one) = server("127.0.0.1", 2, SENT, RECEIVED);
    let (other, served_other) = server("127.0.0.1", 1, 11, 13);
    let script = "for port in $1 $1; do python3 -c \"$0\" $port $2 $3; done; python3 -c \"$0\" $4 11 13";
    let numbers = [u64::from(one.port()), SENT, RECEIVED, other.port().into()].map(|n| n.to_string());
    let argv = [&["sh", "-c", script, CLIENT][..], &numbers.each_ref().map(String::as_str)].concat();
    agent.say(&json!({ "do": "run", "argv": argv, "times": 1 }).to_string());
    while !agent.hear().starts_with(r#"{"did":"#) {}
    [served_one, served_other].into_iter().for_each(|served| served.join().unwrap());
    daemon.api().detach(&id);

    let tools = daemon.api().rows_of(&id, "tools", "tools");
    let network = &tools[0]["network"];
    assert_eq!(bytes(network), (2 * SENT + 11, 2 * RECEIVED + 13), "{network:#}");
    let top = network["top"].as_array().unwrap();
    let told: Vec<_> = top.iter().map(|peer| (peer["port"].as_u64().unwrap(), bytes(peer))).collect();
    let expected = [(u64::from(one.port()), (2 * SENT, 2 * RECEIVED)), (u64::from(other.port()), (11, 13))];
    assert_eq!(told, expected, "{network:#}");
    assert_eq!((&network["other_sent_bytes"], &tools[0]["files"]), (&json!(0), &Value::Null));
}

#[test]
fn connections_that_fail_are_told_by_errno_and_waits_are_timed() {
    let daemon = Daemon::start(json!({}));
    let api = daemon.api();
    let mut agent = agent();
    let id = attach(api, agent.pid());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refuse = json!({ "do": "refused", "host": "127.0.0.1", "port": closed }).to_string();
    for _ in 0..3 {
        assert_eq!(agent.tell(&refuse).count("errno"), 111);
    }
    let full = agent.tell(r#"{"do": "full"}"#);
    assert_eq!(full.count("errno"), 110, "the listener was full");
    api.detach(&id);

    let report = report(api, &id, "");
    let row = peer(&report, closed);
    assert_eq!(row["connections_failed"], json!({ "ECONNREFUSED": 3 }));
    assert_eq!(row["connections_made"], 0);
    let port = full.count("port") as u16;
    let rows = report["peers"].as_array().unwrap();
    let of = |side| rows.iter().find(|row| row["port"] == port && row["side"] == side).unwrap();
    let (client, server) = (of("client"), of("server"));
    assert_eq!(client["connections_failed"], json!({ "ETIMEDOUT": 1, "given_up": 1 }), "{client:#}");
    assert_eq!(client["connections_made"], 2, "{client:#}");
    assert!(client["retransmits"].as_u64().unwrap() >= 2, "{client:#}");
    assert_eq!(server["connections_accepted"], 2, "{server:#}");
    assert_within(
        0.05,
        full.seconds("waited"),
        client["connect_max_seconds"].as_f64().unwrap(),
        "connecting",
    );
}

#[test]
fn a_port_that_was_listened_on_before_is_the_servers() {
    let daemon = Daemon::start(json!({}));
    let mut agent = agent();
    let serve = json!({ "do": "serve", "times": 3, "receive": 100, "send": 300 }).to_string();
    let port = agent.tell(&serve).count("port") as u16;
    // One that is there already, another one afterwards.
    let mut first = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let id = attach(daemon.api(), agent.pid());
    let speak = |stream: &mut TcpStream| {
        stream.write_all(&[1; 100]).unwrap();
        stream.read_exact(&mut [0; 300]).unwrap();
    };
    speak(&mut first);
    for _ in 0..2 {
        speak(&mut TcpStream::connect(("127.0.0.1", port)).unwrap());
    }
    agent.tell(r#"{"do": "served"}"#);
    daemon.api().detach(&id);

    let report = report(daemon.api(), &id, "");
    let row = peer(&report, port);
    assert_eq!((&row["side"], &row["connections_accepted"]), (&json!("server"), &json!(2)), "{report:#}");
    assert_eq!((bytes(&row), &report["rows"]), ((900, 300), &json!(1)), "{report:#}");
}

#[test]
fn connections_that_are_accepted_are_the_servers() {
    let daemon = Daemon::start(json!({}));
    let api = daemon.api();
    let mut agent = agent();
    let id = attach(api, agent.pid());
    let serve = json!({ "do": "serve", "times": 5, "receive": 100, "send": 300 }).to_string();
    let port = agent.tell(&serve).count("port") as u16;
    for _ in 0..5 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(&[1; 100]).unwrap();
        stream.read_exact(&mut [0; 300]).unwrap();
    }
    agent.tell(r#"{"do": "served"}"#);
    api.detach(&id);

    let row = peer(&report(api, &id, ""), port);
    assert_eq!((&row["side"], &row["connections_accepted"]), (&json!("server"), &json!(5)), "{row:#}");
    assert_eq!((bytes(&row), &row["connections_made"]), ((1500, 500), &json!(0)), "{row:#}");
}

#[test]
fn datagrams_and_unix_sockets_are_counted() {
    let daemon = Daemon::start(json!({}));
    let api = daemon.api();
    let mut agent = agent();
    let id = attach(api, agent.pid());
    let mut ports = Vec::new();
    for (address, connected) in [("127.0.0.1", false), ("127.0.0.1", true), ("::1", false)] {
        let server = UdpSocket::bind((address, 0)).unwrap();
        let port = server.local_addr().unwrap().port();
        let echo = thread::spawn(move || {
            let mut buffer = [0; 2048];
            for _ in 0..7 {
                let (length, from) = server.recv_from(&mut buffer).unwrap();
                server.send_to(&buffer[..length], from).unwrap();
            }
        });
        let command = json!({
            "do": "datagrams", "host": address, "port": port, "times": 7, "size": 1001, "connected": connected,
        });
        agent.tell(&command.to_string());
        echo.join().unwrap();
        ports.push(port);
    }
    let serving = agent.tell(r#"{"do": "echo", "times": 1}"#).count("port") as u16;
    let asker = UdpSocket::bind("127.0.0.1:0").unwrap();
    asker.send_to(&[1; 500], ("127.0.0.1", serving)).unwrap();
    asker.recv(&mut [0; 500]).unwrap();
    agent.tell(r#"{"do": "pair", "size": 123456}"#);
    api.detach(&id);

    let report = report(api, &id, "");
    for port in ports {
        let row = peer(&report, port);
        assert_eq!((bytes(&row), &row["protocol"]), ((7007, 7007), &json!("udp")), "{row:#}");
    }
    let row = peer(&report, serving);
    assert_eq!((bytes(&row), &row["side"], &row["place"]), ((500, 500), &json!("server"), &json!("unknown")));
    let rows = report["peers"].as_array().unwrap();
    let unix = rows.iter().find(|row| row["place"] == "unix").unwrap();
    assert_eq!(bytes(unix), (123_456, 123_456), "{unix:#}");
}

/// A name server that tells every name this address.
fn name_server(address: Ipv4Addr, names: [u8; 4], times: usize) -> thread::JoinHandle<()> {
    let server = UdpSocket::bind((address, 53)).unwrap();
    thread::spawn(move || {
        let mut query = [0; 512];
        for _ in 0..times {
            let (length, from) = server.recv_from(&mut query).unwrap();
            let mut answer = query[..length].to_vec();
            // An answer to one question, with one record, whatever else the question had after it.
            let question = 12 + query[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
            answer.truncate(question);
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            answer.extend(names);
            server.send_to(&answer, from).unwrap();
        }
    })
}

/// A question for the address of `name`, as hexadecimal digits.
fn query(name: &str) -> String {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn addresses_have_the_names_that_were_asked_for_whatever_call_received_them() {
    let daemon = Daemon::start(json!({}));
    let api = daemon.api();
    let mut agent = agent();
    let id = attach(api, agent.pid());
    for (n, by) in [(1, "recvfrom"), (2, "recvmsg"), (3, "read")] {
        let (at, of) = (Ipv4Addr::new(127, 9, 9, n), [127, 8, 8, n]);
        let server = name_server(at, of, 1);
        let (peer, served) = server_at(of.into(), 1, 10, 20);
        let ask = json!({ "do": "ask", "host": at.to_string(), "by": by, "query": query(&format!("By-{by}.test")) });
        agent.tell(&ask.to_string());
        let exchange = json!({ "do": "exchange", "host": peer.ip().to_string(), "port": peer.port(), "send": 10, "receive": 20 });
        agent.tell(&exchange.to_string());
        server.join().unwrap();
        served.join().unwrap();
    }
    api.detach(&id);
    let report = report(api, &id, "?by=host");
    for by in ["recvfrom", "recvmsg", "read"] {
        let rows = report["peers"].as_array().unwrap();
        let row = rows.iter().find(|row| row["host"] == format!("by-{by}.test"));
        assert_eq!(row.map(bytes), Some((10, 20)), "{by}: {report:#}");
    }
}

fn server_at(address: Ipv4Addr, times: u64, receive: u64, send: u64) -> (SocketAddr, thread::JoinHandle<()>) {
    server(&address.to_string(), times, receive, send)
}

/// As programs do it: by the C library's resolver, whose name server is in a mount namespace of the agent's own.
#[test]
fn names_that_the_resolver_asks_for_are_seen() {
    let daemon = Daemon::start(json!({}));
    let api = daemon.api();
    let resolver = directory().join("resolv-network.conf");
    std::fs::write(&resolver, "nameserver 127.9.9.9\noptions timeout:2 attempts:1\n").unwrap();
    let server = name_server(Ipv4Addr::new(127, 9, 9, 9), [127, 8, 8, 9], 1);
    let mut agent = in_own_namespace(&resolver);
    let id = attach(api, agent.pid());
    let found = agent.tell(r#"{"do": "resolve", "name": "resolved.agentperf.test"}"#);
    assert_eq!(found.text("address"), "127.8.8.9");
    server.join().unwrap();
    let (peer, served) = server_at([127, 8, 8, 9].into(), 1, 10, 20);
    let exchange =
        json!({ "do": "exchange", "host": "127.8.8.9", "port": peer.port(), "send": 10, "receive": 20 });
    agent.tell(&exchange.to_string());
    served.join().unwrap();
    api.detach(&id);
    let row = self::peer(&report(api, &id, ""), peer.port());
    assert_eq!(row["host"], "resolved.agentperf.test", "{row:#}");
}

fn in_own_namespace(resolver: &Path) -> Puppet {
    let line = format!(
        "mount --bind {} /etc/resolv.conf && exec python3 {}",
        resolver.display(),
        source("network.py").display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &line]);
    Puppet::spawn(command)
}

#[test]
fn two_agents_are_not_mixed() {
    let daemon = Daemon::start(json!({}));
    let api = daemon.api();
    let (mut one, mut other) = (agent(), agent());
    let (first, second) = (attach(api, one.pid()), attach(api, other.pid()));
    let (at, served) = server("127.0.0.1", 3, 100, 200);
    let exchange = |times: u64| {
        json!({
            "do": "exchange", "host": "127.0.0.1", "port": at.port(), "times": times, "send": 100, "receive": 200,
        })
        .to_string()
    };
    one.tell(&exchange(1));
    other.tell(&exchange(1));
    api.detach(&first);
    one.tell(&exchange(1));
    served.join().unwrap();
    api.detach(&second);
    for id in [first, second] {
        let row = peer(&report(api, &id, ""), at.port());
        assert_eq!((bytes(&row), &row["connections_made"]), ((100, 200), &json!(1)), "{row:#}");
    }
}

//! How long a new connection took to be made is told of the first call on it.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    process::Command,
    thread,
    time::Duration,
};

use serde_json::json;

use super::{Client, Provider, attach, calls};
use crate::support::{tolerance::is_slow, workload::source};

/// How long the relay keeps each connection waiting.
const DELAY: Duration = Duration::from_millis(200);

/// Passes on between `from` and `to`.
fn pump(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// A port that leads to another, but whose connections carry nothing at first. Ends with the tests.
fn relay(port: u16) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for near in listener.incoming() {
            thread::sleep(DELAY);
            let (near, far) = (near.unwrap(), TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap());
            let (back, forth) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            thread::spawn(move || pump(near, forth));
            thread::spawn(move || pump(far, back));
        }
    });
    own
}

#[test]
fn the_first_call_of_a_connection_tells_how_long_it_took_to_be_made() {
    let provider = Provider::start();
    let port = relay(provider.port);
    let daemon = provider.daemon(&json!({ "ledger": { "model_hosts": format!("127.0.0.1:{port}") } }));
    let mut python = Command::new("python3");
    python.arg(source("wire/client.py")).arg(port.to_string()).arg(provider.certificate());
    let mut client = Client::start(python);
    let agent = attach(&daemon, &client);
    for command in ["chat gpt-4.1", "anew gpt-4.1", "chat gpt-4.1", "anew gpt-4.1"] {
        client.call(command);
    }
    daemon.api().detach(&agent);
    let calls = calls(&daemon, &agent);
    let [there, anew, again, third] = &calls[..] else { panic!("each call once: {calls:#?}") };
    for call in [there, again] {
        assert!(call["connect_seconds"].is_null(), "the connection was there: {call}");
    }
    for call in [anew, third] {
        let took = call["connect_seconds"].as_f64().unwrap_or_else(|| panic!("{call}"));
        let most = if is_slow() { 10.0 } else { 0.15 };
        assert!((DELAY.as_secs_f64()..DELAY.as_secs_f64() + most).contains(&took), "{took} s");
    }
}

//! The listener: stops gracefully, keeps slow clients from filling it.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::api_world::World;

#[test]
fn a_request_in_flight_is_answered_although_the_daemon_stops() {
    let mut world = World::new();
    let mut stream = TcpStream::connect(world.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let request =
        format!("GET /debug/pprof/profile?pid=4711&seconds=1 HTTP/1.1\r\nHost: {}\r\n\r\n", world.address);
    stream.write_all(request.as_bytes()).unwrap();
    let attached =
        |world: &World| world.get("/api/v1/agents").json()["agents"].as_array().unwrap().len() == 3;
    while !attached(&world) {
        std::thread::sleep(Duration::from_millis(5));
    }
    world.stop.send(true).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    world.runtime.block_on(world.server.take().unwrap()).unwrap();
    assert!(TcpStream::connect(world.address).is_err(), "nobody listens any more");
}

#[test]
fn idle_and_half_sent_connections_do_not_hold_up_a_stop() {
    let mut world = World::new();
    let idle = TcpStream::connect(world.address).unwrap();
    let mut half = TcpStream::connect(world.address).unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
    // A third one that is served shows that those before were accepted.
    assert_eq!(world.get("/healthz").status, 200);
    let begin = Instant::now();
    world.stop.send(true).unwrap();
    world.runtime.block_on(world.server.take().unwrap()).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    drop((idle, half));
}

#[test]
fn a_client_that_gives_up_leaves_nothing_attached() {
    let world = World::new();
    let mut stream = TcpStream::connect(world.address).unwrap();
    let request =
        format!("GET /debug/pprof/profile?pid=4711&seconds=600 HTTP/1.1\r\nHost: {}\r\n\r\n", world.address);
    stream.write_all(request.as_bytes()).unwrap();
    let mine = |state: &str| {
        let agents = world.get("/api/v1/agents").json()["agents"].clone();
        agents.as_array().unwrap().iter().any(|a| a["pid"] == 4711 && a["state"] == state)
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while !mine("live") {
        assert!(Instant::now() < deadline, "never attached");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(stream);
    while !mine("ended") {
        assert!(Instant::now() < deadline, "never detached");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn several_requests_share_a_connection() {
    let world = World::new();
    let mut stream = TcpStream::connect(world.address).unwrap();
    let one = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", world.address);
    let last = one.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    stream.write_all(format!("{one}{one}{last}").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3);
}

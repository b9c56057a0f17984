//! Traffic, block I/O, exchanges over HTTP and locks of agents, as the API tells them: the numbers are those of the two windows that were
//! stored.

use serde_json::{Value, json};

use crate::api_world::World;

#[test]
fn traffic_is_told_by_peer_by_process_and_by_host() {
    let world = World::new();
    let told = world.get(&world.of_live("/network")).json();
    assert_eq!(
        (&told["watched"], &told["rows"], &told["next_offset"]),
        (&json!(true), &json!(2), &Value::Null)
    );
    assert_eq!(
        (&told["total"]["sent_bytes"], &told["outside"]["received_bytes"]),
        (&json!(3000), &json!(9000))
    );
    let first = &told["peers"][0];
    let mut plain = first.clone();
    for estimate in ["connect_p50_seconds", "connect_p99_seconds"] {
        assert!(plain.as_object_mut().unwrap().remove(estimate).unwrap().as_f64().unwrap() <= 0.02);
    }
    assert_eq!(
        plain,
        json!({
            "address": "192.0.2.7", "port": 443, "protocol": "tcp", "side": "client", "place": "address",
            "sent_bytes": 2000, "received_bytes": 6000, "connections_made": 2, "connections_accepted": 0,
            "connections_failed": { "ECONNREFUSED": 2 }, "retransmits": 0,
            "connect_mean_seconds": 0.02, "connect_max_seconds": 0.02,
        })
    );
    let hosts = world.get(&world.of_live("/network?by=host")).json();
    let names: Vec<_> =
        hosts["peers"].as_array().unwrap().iter().map(|row| (&row["host"], &row["port"])).collect();
    assert_eq!(names, [(&Value::Null, &Value::Null), (&json!("api.test"), &Value::Null)]);
    let processes = world.get(&world.of_live("/network?by=process&limit=1")).json();
    assert_eq!((&processes["peers"][0]["pid"], &processes["next_offset"]), (&json!(100), &json!(1)));
    let next = world.get(&world.of_live("/network?by=process&limit=1&offset=1")).json();
    assert_eq!((&next["peers"][0]["pid"], &next["next_offset"]), (&json!(101), &Value::Null));
}

#[test]
fn block_io_is_told_by_device_and_by_process() {
    let world = World::new();
    let told = world.get(&world.of_live("/disk")).json();
    let rows = told["requests"].as_array().unwrap();
    let seen: Vec<_> = rows.iter().map(|row| (&row["device"], &row["background"], &row["bytes"])).collect();
    let vda = json!("vda");
    assert_eq!(seen, [(&vda, &json!(false), &json!(16384)), (&vda, &json!(true), &json!(16384))]);
    let times =
        ["total_seconds", "queue_seconds", "device_seconds"].map(|time| rows[0][time].as_f64().unwrap());
    assert_eq!(times, [0.005, 0.001, 0.004]);
    let by_process = world.get(&world.of_live("/disk?by=process")).json();
    let pids: Vec<_> = by_process["requests"].as_array().unwrap().iter().map(|row| &row["pid"]).collect();
    assert_eq!(pids, [&json!(100), &json!(101)]);
}

#[test]
fn exchanges_are_told_by_endpoint_by_route_by_server_and_by_process() {
    let world = World::new();
    let told = world.get(&world.of_live("/http")).json();
    assert_eq!((&told["watched"], &told["rows"]), (&json!(true), &json!(3)));
    assert_eq!((&told["asked"]["requests"], &told["asked"]["errors"]), (&json!(16), &json!(8)));
    assert_eq!((&told["served"]["requests"], &told["served"]["errors"]), (&json!(8), &json!(0)));
    assert_eq!(
        told["endpoints"][0],
        json!({
            "side": "client", "kind": "http", "server_address": "api.test", "server_port": 443,
            "method": "GET", "route": "/v1/items/{id}", "status": 200, "requests": 8, "errors": 0, "partial": 0,
            "request_bytes": 16, "response_bytes": 800, "total_seconds": 0.08, "p50_seconds": 0.01,
            "p90_seconds": 0.01, "p99_seconds": 0.01, "max_seconds": 0.01,
            "latency": [{ "up_to_seconds": 0.016777215, "requests": 8 }],
        })
    );
    let of = |by: &str| {
        let told = world.get(&world.of_live(&format!("/http?by={by}"))).json();
        let rows = told["endpoints"].as_array().unwrap().iter();
        rows.map(|row| (row["side"].clone(), row["requests"].clone(), row["pid"].clone())).collect::<Vec<_>>()
    };
    let (client, server, nobody) = (json!("client"), json!("server"), Value::Null);
    let sums = [(client.clone(), json!(16), nobody.clone()), (server.clone(), json!(8), nobody)];
    assert_eq!((of("route"), of("server")), (sums.to_vec(), sums.to_vec()));
    assert_eq!(of("process"), [(client, json!(16), json!(100)), (server, json!(8), json!(101))]);
}

#[test]
fn an_agent_that_never_waited_for_a_lock_has_none() {
    let world = World::new();
    let told = world.get(&world.of_live("/locks")).json();
    assert_eq!((&told["watched"], &told["locks"]), (&json!(true), &json!([])));
}

//! Profiles pushed to a receiver that takes them as Pyroscope does, and unpacked there.

use std::{io::Read, sync::Arc, time::Duration};

use agentperf::{
    config,
    export::pyroscope::Pyroscope,
    model::{
        ledger::Ledger,
        stack::{Frame, FrameKind, Stack, StackEnd},
        time::Timestamp,
        window::{CpuStat, Window},
    },
    store::{Limits, Memory, Store},
    telemetry::Telemetry,
};
use tokio::sync::watch;

use super::{
    agent, process,
    receiver::{Receiver, Script},
    until,
};

#[tokio::test]
async fn each_profile_comes_whole_also_after_an_outage() {
    let receiver = Receiver::start([Script(503, None, "away".to_owned())]).await;
    let telemetry = Arc::new(Telemetry::default());
    let mut config =
        config::Pyroscope { interval: Duration::from_millis(100), ..config::Pyroscope::default() };
    config.receiver.url = Some(receiver.url("/"));
    let pyroscope = Pyroscope::open(&config, &telemetry).unwrap().unwrap();
    let store = Arc::new(Memory::new(Limits::default(), Arc::clone(&telemetry)));
    let (stop, stopped) = watch::channel(false);
    let pushing = tokio::spawn(pyroscope.run(store.clone(), stopped));
    tokio::time::sleep(Duration::from_millis(150)).await;

    let start = Timestamp::now();
    let agent = agent(start);
    store.put_agent(agent.clone());
    store.put_process(&agent.id, process(4711, None, start));
    store.append(Window {
        agent: agent.id.clone(),
        start,
        end: start + Duration::from_millis(1),
        syscalls: Vec::new(),
        off_cpu: Vec::new(),
        cpu: vec![CpuStat { process: agent.root, stack: stack(), samples: 7, cpu_ns: 70_000_000 }],
        cuda: Vec::new(),
        files: Vec::new(),
        network: Vec::new(),
        disk: Vec::new(),
        http: Vec::new(),
        ledger: Ledger::default(),
        unread: Vec::new(),
    });
    until(&telemetry, |doors| doors[0].sent == 1).await;
    stop.send(true).unwrap();
    pushing.await.unwrap();

    let got = receiver.got();
    assert_eq!(got.len(), 2, "once refused for now, once taken");
    let query = got[1].uri.query().unwrap();
    assert_eq!(got[1].uri.path(), "/ingest");
    assert!(query.starts_with("name=agentperf.cpu%7Bservice_name%3Dworker%2Cagent_id%3D4711-"), "{query}");
    assert!(
        query.contains(&format!("&from={}&", start.as_second())) && query.contains("&format=pprof&"),
        "{query}"
    );
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&got[1].body[..]).read_to_end(&mut plain).unwrap();
    let holds = |text: &str| plain.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("hot") && holds("cpu") && holds("nanoseconds"));
}

fn stack() -> Arc<Stack> {
    let frame = Frame {
        kind: FrameKind::Native,
        function: "hot".to_owned(),
        file: None,
        line: None,
        binary: None,
        address: 16,
    };
    Arc::new(Stack { frames: vec![Arc::new(frame)], end: StackEnd::Complete })
}

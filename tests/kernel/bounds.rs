//! Under a fork bomb: nothing is lost uncounted, and memory does not grow with what came and went.

use serde_json::json;

use crate::support::{daemon::Daemon, puppet::Puppet};

const CHILDREN: &str = "10000";

#[test]
fn ten_thousand_children_and_each_exit_code() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let truth = puppet.run("bomb", &[CHILDREN]).truth();
    daemon.api().detach(&agent);

    let mut exits = vec![0; 256];
    for process in daemon.api().processes(&agent).iter().filter(|p| p.parent == Some(truth.pid())) {
        let code = process.exit_code.unwrap_or_else(|| panic!("no end was seen: {process:?}"));
        exits[usize::try_from(code).unwrap()] += 1;
    }
    assert_eq!(exits, truth.counts("exits"), "losses: {:?}", daemon.api().losses());
}

#[test]
fn memory_does_not_grow_with_dead_processes() {
    let daemon = Daemon::start(
        json!({ "agents": { "max_processes": 500 }, "history": { "directory": "memory", "max_rows": 4000 } }),
    );
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    // The first bombs fill every cache and buffer to its bound: the largest holds 16,384 processes.
    puppet.run("bomb", &[CHILDREN]);
    puppet.run("bomb", &[CHILDREN]);
    let filled = daemon.rss_bytes();
    puppet.run("bomb", &[CHILDREN]);
    let grown = daemon.rss_bytes().saturating_sub(filled);
    daemon.api().detach(&agent);

    // A process that is kept takes more than 400 bytes; less is noise of the allocator.
    assert!(grown < 4 << 20, "10,000 more dead processes cost {grown} bytes");
    let (kept, forgotten) =
        (daemon.api().processes(&agent).len() as u64, daemon.api().loss("process_forgotten"));
    assert!(kept <= 500, "{kept} are kept");
    // Three bombs of 10,000, the three parents and the puppet.
    assert_eq!(kept + forgotten, 30_004, "each is kept or counted: {:?}", daemon.api().losses());
}

//! Who an agent waits for, over HTTP and by the command line.

use serde_json::json;

use crate::{api_world::World, cli_binary::run};

#[test]
fn a_chain_names_each_thread_and_what_it_waits_for() {
    let world = World::new();
    let page = world.get(&world.of_live("/blocked-on")).json();
    assert_eq!(
        (&page["blocked"], &page["own_threads"], &page["complete"]),
        (&json!(true), &json!(1), &json!(true))
    );
    let chain = &page["chains"][0];
    assert_eq!(chain["end"], "timer");
    let [first, last] = [&chain["links"][0], &chain["links"][1]];
    assert_eq!(
        (&first["pid"], &first["state"], &first["by"]),
        (&json!(100), &json!("child"), &json!("child"))
    );
    assert_eq!(first["waits_for"], json!([{ "descriptor": null, "kind": "child", "name": "103" }]));
    assert_eq!(
        (&last["pid"], &last["syscall"], &last["by"]),
        (&json!(103), &json!("clock_nanosleep"), &json!(null))
    );
    assert_eq!(last["agent"], world.live.as_str());
    assert!(last["seconds"].as_f64().unwrap() >= 599.0, "{last}");
}

#[test]
fn who_is_not_watched_is_told_so() {
    let world = World::new();
    let ended = format!("/api/v1/agents/{}/blocked-on", world.ended);
    world.get(&ended).problem(409);
    world.get("/api/v1/agents/1-1/blocked-on").problem(404);
    world.get(&world.of_live("/blocked-on?since=1s")).problem(400);
}

#[test]
fn the_command_line_draws_the_chain() {
    let world = World::new();
    let url = world.url("");
    let text = run(&["blocked-on", "100", "--url", &url]);
    assert_eq!(text.code, Some(0), "{text:?}");
    for part in
        ["coder <1>", "waits, 1 thread of", "[100] child wait4 103", "<- child", "[103] timer", "= it sleeps"]
    {
        assert!(text.out.contains(part), "{part}: {}", text.out);
    }
    let json = run(&["blocked-on", world.live.as_str(), "--json", "--url", &url]).json();
    assert_eq!(json["chains"][0]["links"].as_array().unwrap().len(), 2);
    assert!(run(&["blocked-on", "nobody", "--url", &url]).failed(2).contains("no agent is called"));
}

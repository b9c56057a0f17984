//! An agent's turns over HTTP.

use serde_json::json;

use crate::api_world::World;

#[test]
fn turns_hold_what_was_done_in_them() {
    let world = World::new();
    // Two windows in which it worked, and tools that began 0, 10 and 20 s after the first.
    let all = world.get(&world.of_live("/turns")).json();
    assert_eq!((&all["agent"], &all["gap_seconds"]), (&json!(world.live.as_str()), &json!(5.0)), "{all}");
    assert_eq!((&all["truncated"], &all["covered"]["windows"]), (&json!(false), &json!(2)), "{all}");
    let tools: u64 = all["turns"].as_array().unwrap().iter().map(|t| t["tool_calls"].as_u64().unwrap()).sum();
    assert_eq!(tools, 3, "{all}");

    let two = world.get(&world.of_live("/turns?gap=2s")).json();
    let [first, second] = &two["turns"].as_array().unwrap()[..] else { panic!("{two}") };
    assert_eq!((&first["tool_calls"], &first["failed_tool_calls"]), (&json!(2), &json!(1)), "{first}");
    assert_eq!((&first["seconds"], &first["waited_seconds"]), (&json!(15.0), &json!(null)), "{first}");
    assert_eq!((&second["seconds"], &second["waited_seconds"]), (&json!(1.0), &json!(5.0)), "{second}");
    assert_eq!(first["from"], world.begin.to_string());
    let causes = first["causes"].as_array().unwrap();
    let sum: f64 = causes.iter().map(|cause| cause["seconds"].as_f64().unwrap()).sum();
    assert!((sum - first["wall_seconds"].as_f64().unwrap()).abs() < 1e-9 && sum > 9.0, "{first}");

    world.get(&world.of_live("/turns?gap=5")).problem(400);
    world.get("/api/v1/agents/1-1/turns").problem(404);
}

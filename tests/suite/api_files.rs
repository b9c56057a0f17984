//! An agent's files over HTTP.

use serde_json::{Value, json};

use crate::api_world::World;

fn names(report: &Value, key: &str) -> Vec<Value> {
    report["files"].as_array().unwrap().iter().map(|row| row[key].clone()).collect()
}

#[test]
fn files_are_summed_by_path_directory_and_process() {
    let world = World::new();
    let report = world.get(&world.of_live("/files")).json();
    assert_eq!((&report["watched"], &report["rows"]), (&json!(true), &json!(3)), "{report:#}");
    // What had an effect comes first.
    assert_eq!(names(&report, "path"), ["/src/main.rs", "/src/old.rs", "/usr/lib/libc.so.6"]);
    let first = &report["files"][0];
    assert_eq!(
        (&first["creates"], &first["written_bytes"], &first["sync_seconds"]),
        (&json!(2), &json!(10000), &json!(0.04))
    );
    assert_eq!((&report["total"]["deletes"], &report["total"]["read_opens"]), (&json!(2), &json!(6)));
    let directories = world.get(&world.of_live("/files?by=directory")).json();
    assert_eq!(names(&directories, "directory"), ["/src", "/usr/lib"]);
    let processes = world.get(&world.of_live("/files?by=process")).json();
    assert_eq!(names(&processes, "pid"), [json!(100), json!(101)]);
}

#[test]
fn pages_follow_each_other() {
    let world = World::new();
    let first = world.get(&world.of_live("/files?limit=2")).json();
    assert_eq!((names(&first, "path").len(), &first["next_offset"]), (2, &json!(2)));
    let last = world.get(&world.of_live("/files?limit=2&offset=2")).json();
    assert_eq!((names(&last, "path").len(), &last["next_offset"]), (1, &Value::Null));
    assert_eq!(world.get(&world.of_live("/files?limit=0")).status, 400);
    assert_eq!(world.get(&world.of_live("/files?by=inode")).status, 400);
}

//! The registry against itself, and against what is checked in.

use std::collections::HashSet;

use super::*;

#[test]
fn rows_stand_in_the_order_of_their_families() {
    for (i, row) in rows().enumerate() {
        assert_eq!(row.family as usize, i, "{}", row.name);
    }
    let names: HashSet<String> = rows().map(Row::full_name).collect();
    assert_eq!(names.len(), rows().count());
}

#[test]
fn the_reference_is_what_the_code_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, reference()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert_eq!(written, reference(), "write it anew: UPDATE_GOLDEN=1 cargo test -p agentperf the_reference");
}

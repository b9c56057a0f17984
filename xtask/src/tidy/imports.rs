//! Which stage of the daemon may import which. Data goes one way, and modules of one crate have no compiler
//! against cycles; this table is it.
//!
//! Seen are paths that begin with `crate::`, or with as many `super::` as lead to the crate's root, in `use`
//! statements and inline. Test modules may import anything.

use std::path::Path;

use super::{Finding, source::Source};

/// A module of `agent-daemon/src` and which others it may import. `model`, `config` and `telemetry` are
/// below every stage; sinks read the store and never each other.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("config", &["model"]),
    ("telemetry", &["model"]),
    ("ending", &[]),
    ("cgroup2", &[]),
    ("journald", &[]),
    ("tls", &[]),
    ("gpu", &["model"]),
    ("kernel", &["model", "config", "telemetry"]),
    ("unwind", &["model", "config", "telemetry", "kernel"]),
    ("uprobes", &["model", "telemetry", "kernel", "unwind"]),
    ("wire", &["model"]),
    ("content", &["model", "config", "telemetry"]),
    ("collect", &["model", "config", "telemetry", "cgroup2", "gpu", "kernel", "unwind", "uprobes", "wire"]),
    ("enrich", &["model", "config", "telemetry", "unwind", "uprobes"]),
    ("aggregate", &["model", "config", "content", "telemetry", "collect", "enrich"]),
    ("store", &["model", "config", "telemetry", "aggregate"]),
    ("profile", &["model", "store"]),
    ("alert", &["model", "config", "telemetry", "cgroup2", "journald", "tls", "store", "profile"]),
    ("blocked", &["model", "unwind"]),
    ("ingest", &["model", "config", "telemetry", "unwind"]),
    ("api", &["model", "config", "content", "telemetry", "store", "alert", "profile", "ingest", "blocked"]),
    ("export", &["model", "config", "telemetry", "ending", "journald", "tls", "store", "profile"]),
    ("cli", &["model", "config", "telemetry", "store", "alert", "api", "export", "daemon"]),
    (
        "daemon",
        &[
            "model",
            "config",
            "content",
            "telemetry",
            "ending",
            "kernel",
            "unwind",
            "collect",
            "enrich",
            "aggregate",
            "store",
            "alert",
            "ingest",
            "api",
            "export",
        ],
    ),
    ("main", &["cli"]),
];

/// Crates that are the kernel's boundary, and the stages that may import them. `unwind` shares its contract with
/// the walker in the kernel, `uprobes` what sites tell the programs that run there.
const KERNEL_CRATES: [(&str, &[&str]); 4] = [
    ("aya", &["kernel"]),
    ("aya_log", &["kernel"]),
    ("aya_obj", &["kernel"]),
    ("agent_common", &["kernel", "unwind", "uprobes"]),
];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let Ok(inside) = source.path.strip_prefix("agent-daemon/src") else { return Vec::new() };
    let modules = module_path(inside);
    // lib.rs only declares the modules.
    let Some(stage) = modules.first().cloned() else { return Vec::new() };
    let mut findings = Vec::new();
    for index in (0..source.tokens.len()).filter(|index| !source.tokens[*index].test) {
        let finding =
            |message| Finding { path: source.path.clone(), line: source.tokens[index].line, message };
        findings.extend(foreign_crate(source, index, &stage).map(finding));
        for target in crate_paths(source, index, modules.len()) {
            findings.extend(forbidden(&stage, target).map(finding));
        }
    }
    findings
}

/// `store/memory.rs` → `[store, memory]`, `store/mod.rs` → `[store]`, `lib.rs` → `[]`.
fn module_path(file: &Path) -> Vec<String> {
    let parts = file.with_extension("");
    let parts = parts.iter().map(|part| part.to_string_lossy().into_owned());
    parts.filter(|part| part != "mod" && part != "lib").collect()
}

/// Why `stage` may not import `target`, if it may not.
fn forbidden(stage: &str, target: &str) -> Option<String> {
    let row = |name: &str| MAY_IMPORT.iter().find(|(module, _)| *module == name);
    let Some((_, allowed)) = row(stage) else {
        return Some(format!("`{stage}` has no row in {}: give it one", file!()));
    };
    // What is no module is an item of the root, and those are re-exports at most.
    if target == stage || row(target).is_none() || allowed.contains(&target) {
        return None;
    }
    let allowed = if allowed.is_empty() { "nothing of ours".to_owned() } else { allowed.join(", ") };
    Some(format!("`{stage}` imports `{target}`, but may import only {allowed}"))
}

/// A path into one of [`KERNEL_CRATES`] at `index`, in a stage that may not.
fn foreign_crate(source: &Source, index: usize, stage: &str) -> Option<String> {
    let name = source.at(index);
    let begins = index == 0 || source.at(index - 1) != "::" || index > 1 && source.at(index - 2) == "use";
    let used = source.at(index + 1) == "::" || index > 0 && source.at(index - 1) == "use";
    let (_, may) = KERNEL_CRATES.iter().find(|(kernel_crate, _)| *kernel_crate == name)?;
    (!may.contains(&stage) && begins && used)
        .then(|| format!("`{stage}` imports the crate `{name}`, which only `{}` may", may.join("` and `")))
}

/// The modules that a path from the crate's root at `index` leads into: several for a group.
fn crate_paths(source: &Source, index: usize, depth: usize) -> Vec<&str> {
    let inner = index > 0 && source.at(index - 1) == "::";
    let after = match source.at(index) {
        "crate" => index + 1,
        // The binary names the library by its name.
        "agentperf" if source.path.ends_with("src/main.rs") => index + 1,
        "super" if !inner => {
            let supers = (0..).take_while(|n| source.at(index + 2 * n) == "super").count();
            if supers != depth + source.tokens[index].modules {
                return Vec::new();
            }
            index + 2 * supers - 1
        }
        _ => return Vec::new(),
    };
    match (source.at(after), source.at(after + 1)) {
        ("::", "{") => group_heads(source, after + 1),
        ("::", name) => vec![name],
        _ => Vec::new(),
    }
}

/// The first word of each path in the group that opens at `open`.
fn group_heads(source: &Source, open: usize) -> Vec<&str> {
    let depth = source.tokens[open].depth;
    (open + 1..source.tokens.len())
        .take_while(|at| source.tokens[*at].depth > depth)
        .filter(|at| source.tokens[*at].depth == depth + 1)
        .filter(|at| *at == open + 1 || source.at(at - 1) == ",")
        .map(|at| source.at(at))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::source::tests::source, *};

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&source(&format!("agent-daemon/src/{path}"), text)).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn an_import_against_the_flow_is_named_with_its_place() {
        assert_eq!(
            messages("store/memory.rs", "use std::mem;\nuse crate::api::State;"),
            [
                "agent-daemon/src/store/memory.rs:2: `store` imports `api`, but may import only model, config, \
              telemetry, aggregate"
            ]
        );
    }

    #[test]
    fn every_way_to_write_it_is_seen() {
        for text in [
            "use crate::{model::id, api::State};",
            "use crate::{\n    model::{a, b},\n    api,\n};",
            "pub(crate) use crate::api;",
            "fn f() { let x = crate::api::f(); }",
            "fn f() { matches!(x, crate::api::X) }",
            "use super::super::api;",
            "mod inner { use super::super::super::{api, model}; }",
            "type A = Vec<crate::api::State>;",
        ] {
            assert_eq!(messages("store/memory.rs", text).len(), 1, "{text}");
        }
        assert_eq!(messages("store/mod.rs", "use super::api;").len(), 1);
        assert_eq!(messages("main.rs", "use agentperf::{cli, store};").len(), 1);
    }

    #[test]
    fn what_is_allowed_passes() {
        for (path, text) in [
            ("store/memory.rs", "use crate::{model::id, aggregate::x, config, telemetry}; use super::query;"),
            ("store/memory.rs", "use crate::store::query::Query; pub(crate) fn f() {}"),
            ("store/memory.rs", "#[cfg(test)] mod tests { use crate::api::State; }"),
            ("store/memory.rs", "// use crate::api;\nconst A: &str = \"crate::api\";"),
            ("daemon.rs", "use crate::{kernel, collect, aggregate, store, api};"),
            ("main.rs", "use agentperf::cli;"),
            ("kernel/ring.rs", "use agent_common::event; use aya::Ebpf;"),
        ] {
            assert!(messages(path, text).is_empty(), "{path}: {text}");
        }
        assert!(check(&source("tests/kernel/main.rs", "use agentperf::kernel; use aya::Ebpf;")).is_empty());
    }

    #[test]
    fn only_the_kernel_stage_knows_the_kernel_crates() {
        for text in [
            "use aya::Ebpf;",
            "use {aya::Ebpf, std::mem};",
            "fn f(x: &agent_common::Event) {}",
            "use aya;",
            "use ::aya::Ebpf;",
        ] {
            assert_eq!(messages("collect/cpu.rs", text).len(), 1, "{text}");
        }
        assert!(messages("collect/cpu.rs", "use crate::kernel::aya::Handle; let aya = 1;").is_empty());
    }

    #[test]
    fn a_new_stage_must_be_given_its_place() {
        let message = messages("forecast/mod.rs", "use crate::model::id;").join("");
        assert!(message.contains("`forecast` has no row"), "{message}");
    }

    #[test]
    fn the_table_has_no_cycle() {
        let mut done: Vec<&str> = Vec::new();
        while done.len() < MAY_IMPORT.len() {
            let ready = |(name, imports): &&(&'static str, &[&str])| {
                !done.contains(name) && imports.iter().all(|import| done.contains(import))
            };
            let next = MAY_IMPORT.iter().find(ready).map(|(name, _)| *name);
            done.push(next.expect("the rest imports itself in a circle"));
        }
    }
}

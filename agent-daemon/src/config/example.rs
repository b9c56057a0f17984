//! The example configuration, made from the table of options so that it cannot drift from it.

use std::fmt::Write;

use super::{
    Config,
    options::{OPTIONS, Opt},
};

const HEAD: &str = "\
# Configuration of agentperf. Every value below is the default; leave out what you do not change.
# Unknown keys are errors. An environment variable (named beside each value) lies over this file, and a
# flag over both. Check a file with: agentperf config check FILE
";

const RULES: &str =
    "  # Rules say who is an agent. They are tried in order, before the built-in ones, and the first that
  # matches a process decides; all matchers of a rule must match, and one item of each list. A process
  # that already belongs to an agent is not matched again.
  #   name          what the rule is called (required)
  #   action        include (default) or exclude
  #   agent_name    what its agents are called; may hold {rule}, {pid}, {comm}, {executable}, {user},
  #                 {unit}, {container}, {directory}; default {rule}
  #   probes        some of cpu, off_cpu, syscalls, ledger, cuda, wire, files, network, disk; default all but syscalls, files
  #   executable    path of the program, or of the script that an interpreter runs (for python -m the
  #                 module's name); without / the last part is compared
  #   comm          the kernel's 15-byte name
  #   argv          regular expression, searched in the command line joined by blanks
  #   cgroup        path of the cgroup; without wildcards it covers everything below
  #   systemd_unit  unit, as in ollama.service
  #   user          name or number
  # Patterns know * (anything but /), ** (anything) and ? (one character).
  rules: []
";

/// Rules to start from, as they stand, commented out, in the example. Kept apart so that a test can read them.
const SAMPLE_RULES: &str = "  rules:
    - name: no-ci
      action: exclude
      cgroup: /system.slice/ci-runner.service
    - name: research
      agent_name: research in {directory}
      executable: [research-agent, /opt/research/**]
      probes: [cpu, off_cpu, syscalls]
    - name: planner
      executable: planner.main
      argv: --role[= ]planner
      user: [agents, 1001]
";

const PROJECTS: &str = "
# Projects say whose applications may tell of operations (requests, page loads, calls), by OTLP/HTTP on /v1/traces
# and /v1/metrics, or by JSON on /api/v1/performance/collect and /api/v1/frontend-metrics. Without any, these are
# closed. Senders show the project's key: Authorization: Bearer KEY, or X-Agentperf-Key: KEY; pages ?key=KEY.
#   name      what the project is called (required)
#   key_file  file that holds the key, 16 characters or more; or key_env, the variable that does (required)
#   origins   web pages that may send to frontend-metrics, as in https://shop.example; default none
#   rate      operations a second, 1 to 100000; ten seconds' worth may come at once; default 100
#   sample    share of operations that is kept, above 0 to 1; default 1
#   labels    labels and attributes that are kept besides the well-known ones; default none
#   users     hashed keeps users and sessions as pseudonyms, plain as they are sent; default hashed
projects: []
";

const PRICES: &str = "
  # What calls of models cost, USD for a million tokens: agentperf knows no prices by itself, and a call without one has no
  # cost. The price that gives most of the model's name counts, and of these the latest that had begun.
  #   model        the model's name, or its beginning and * (required)
  #   provider     only of this provider, as agentperf names it; default any
  #   from         the first day of the price, as in 2026-01-31; default always
  #   input        tokens that the model reads (required)
  #   output       tokens that it writes; without it the model writes none
  #   cache_read   tokens that are read from a cache; default as input
  #   cache_write  tokens that are written into a cache; default as input
  prices: []
";

const OPERATIONS: &str = "
# Operations of your own kinds: what agents do with some files (where the files probe watches them), or the programs of
# some command lines that they run. They are told beside checkpoints and tool calls, not in place of them.
#   kind      what such operations are called, in lower-case letters, digits and _ (required)
#   paths     patterns of files, as in rules: each use from open to close or rename is one operation
#   command   instead: regular expression, searched in the command line joined by blanks, without its secrets: from exec
#             to exit is one operation; what its descendants execute is part of it
#   labels    key: value pairs that each of them gets; default none
#   sample    share that is kept, above 0 to 1; default 1
operations: []
# For example:
# operations:
#   - kind: dataset
#     paths: [/data/**, '*.parquet']
#     labels: { team: research }
#   - kind: build
#     command: ^(make|cargo build)\\b
";

/// Comes right behind the option of its section.
const CONTENT: &str = "
  # Of which agents what is said is kept, word by word: of none, unless a rule here says so. The first rule that matches an
  # agent counts. Well-known secrets (keys, tokens, passwords, private keys) are masked before anything is kept, as far as
  # they can be told by their looks. Whoever may ask the API may read it: see the README on what that means.
  #   agent     pattern of the agents' names (required)
  #   keep      some of prompts, completions, tool_arguments (required)
  #   max_size  the most of each of these that is kept of one call, 64B to 1MB: the end of it; default 16KB
  #   attached  whether also of agents that were attached by pid, whose name is whatever was said then; default false
  #   mask      regular expressions of what is masked besides; default none
  agents: []
  # For example:
  # agents:
  #   - agent: 'claude*'
  #     keep: [prompts, completions, tool_arguments]
  #     mask: ['ACME-[0-9]+']
";

/// The example: every option with its documentation, its variable and its default.
#[must_use]
pub fn example() -> String {
    let defaults = Config::default();
    let mut out = HEAD.to_owned();
    let mut before = "";
    for option in &OPTIONS {
        let (section, name) = option.key.rsplit_once('.').unwrap_or(("", option.key));
        out.push('\n');
        open_section(&mut out, before, section);
        before = section;
        let depth = if section.is_empty() { 0 } else { section.split('.').count() };
        write_option(&mut out, option, name, &"  ".repeat(depth), &defaults);
        if option.key == "llm.estimate_tokens" {
            out.push_str(PRICES);
        }
        if option.key == "content.max_size" {
            out.push_str(CONTENT);
        }
        if option.key == "agents.builtin_rules" {
            out.push('\n');
            out.push_str(RULES);
            out.push_str("  # For example:\n");
            out.extend(SAMPLE_RULES.lines().map(|l| format!("  # {}\n", l.strip_prefix("  ").unwrap_or(l))));
        }
    }
    out.push_str(PROJECTS);
    out.push_str(OPERATIONS);
    out
}

/// Writes the keys of the sections that `section` is in and the one before it was not.
fn open_section(out: &mut String, before: &str, section: &str) {
    let mut open = before.split('.');
    let mut same = true;
    for (depth, key) in section.split('.').filter(|key| !key.is_empty()).enumerate() {
        same = same && open.next() == Some(key);
        if !same {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{}{key}:", "  ".repeat(depth));
        }
    }
}

fn write_option(out: &mut String, option: &Opt, name: &str, indent: &str, defaults: &Config) {
    for line in option.doc.lines() {
        let _ = writeln!(out, "{indent}# {line}");
    }
    let _ = writeln!(out, "{indent}# {}", option.variable());
    let _ = writeln!(out, "{indent}{name}: {}", option.get(defaults));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{SAMPLE_RULES, example};
    use crate::config::{Config, OPTIONS};

    #[test]
    fn the_example_is_the_defaults() {
        assert_eq!(Config::parse(&example(), Path::new("example")).unwrap(), Config::default());
    }

    #[test]
    fn the_sample_rules_are_rules() {
        let text = format!("agents:\n{SAMPLE_RULES}");
        assert_eq!(Config::parse(&text, Path::new("sample")).unwrap().agents.rules.len(), 3);
        assert!(SAMPLE_RULES.lines().all(|l| example().contains(l.trim())));
    }

    #[test]
    fn every_option_stands_in_it() {
        for option in &OPTIONS {
            assert!(example().contains(&option.variable()), "{}", option.key);
        }
    }

    /// `UPDATE_GOLDEN=1` writes the file anew.
    #[test]
    fn the_file_in_docs_is_the_example() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/agentperf.example.yaml");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
            std::fs::write(path, example()).unwrap();
        }
        let file = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(
            file,
            example(),
            "docs/agentperf.example.yaml has drifted: run the tests with UPDATE_GOLDEN=1"
        );
    }
}

//! Which processes are agents: the operator's rules, then the built-in ones; the first that matches
//! decides.
//!
//! A process is judged by itself, at its exec or when the daemon starts. Whether it already belongs to an
//! agent, and so is not matched again, is the aggregator's to know.

use super::identity::ProcessFacts;
use crate::{
    config::{self, Action, Glob, Matchers, NamePart, NameTemplate, Rule, User},
    model::probe::ProbeSet,
};

/// Longest name given to an agent, bytes.
const MAX_NAME_BYTES: usize = 100;

/// The rules in force, in order.
#[derive(Clone, Debug)]
pub struct Rules(Vec<Rule>);

/// A process is an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleMatch {
    /// The rule that says so.
    pub rule: String,
    /// What to call the agent.
    pub name: String,
    /// What to watch it by.
    pub probes: ProbeSet,
}

impl Rules {
    /// The rules of a configuration.
    #[must_use]
    pub fn new(agents: &config::Agents) -> Self {
        let builtin = agents.builtin_rules.then(config::builtin_rules).unwrap_or_default();
        Self(agents.rules.iter().cloned().chain(builtin.into_iter().map(|b| b.rule)).collect())
    }

    /// Whether a process is an agent; `None` where no rule matches, or the first that does excludes.
    #[must_use]
    pub fn evaluate(&self, facts: &ProcessFacts) -> Option<RuleMatch> {
        let rule = self.0.iter().find(|r| matches(&r.matchers, facts))?;
        (rule.action == Action::Include).then(|| RuleMatch {
            rule: rule.name.clone(),
            name: name(&rule.agent_name, rule, facts),
            probes: rule.probes,
        })
    }
}

/// Whether all matchers that are given match. The expression comes last: it is the dearest.
fn matches(matchers: &Matchers, facts: &ProcessFacts) -> bool {
    let Matchers { executable, comm, argv, cgroup, systemd_unit, user } = matchers;
    any(executable, |g| is_executable(g, facts))
        && any(comm, |g| g.matches_whole(&facts.comm))
        && any(cgroup, |g| facts.cgroup.as_deref().is_some_and(|c| is_in_cgroup(g, c)))
        && any(systemd_unit, |g| facts.systemd_unit.as_deref().is_some_and(|u| g.matches_whole(u)))
        && any(user, |u| is_user(u, facts))
        && argv.as_ref().is_none_or(|r| r.is_match(&facts.command_line))
}

fn any<T>(list: &[T], matches: impl Fn(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(matches)
}

fn is_executable(glob: &Glob, facts: &ProcessFacts) -> bool {
    [&facts.executable, &facts.script].into_iter().flatten().any(|path| glob.matches(path))
}

/// A pattern without wildcards covers its cgroup and everything below.
fn is_in_cgroup(glob: &Glob, cgroup: &str) -> bool {
    let below = |rest: &str| rest.is_empty() || rest.starts_with('/');
    glob.matches_whole(cgroup) || cgroup.strip_prefix(glob.as_str().trim_end_matches('/')).is_some_and(below)
}

fn is_user(user: &User, facts: &ProcessFacts) -> bool {
    match user {
        User::Name(name) => facts.user.as_deref() == Some(name),
        User::Id(id) => facts.uid == Some(*id),
    }
}

/// What a template makes of a process; a part that is not known becomes `-`.
fn name(template: &NameTemplate, rule: &Rule, facts: &ProcessFacts) -> String {
    let mut out = String::new();
    for part in &template.0 {
        let pid;
        let text = match part {
            NamePart::Text(text) => text,
            NamePart::Rule => rule.name.as_str(),
            NamePart::Pid => {
                pid = facts.pid.to_string();
                &pid
            }
            NamePart::Comm => &facts.comm,
            NamePart::Executable => facts.program(),
            NamePart::User => facts.user.as_deref().unwrap_or("-"),
            NamePart::Unit => facts.systemd_unit.as_deref().unwrap_or("-"),
            NamePart::Container => facts.container.as_deref().and_then(|c| c.get(..12)).unwrap_or("-"),
            NamePart::Directory => facts.directory.as_deref().map_or("-", last_part),
        };
        out.extend(text.chars().filter(|c| !c.is_control()));
    }
    out.truncate(out.floor_char_boundary(MAX_NAME_BYTES));
    out
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().filter(|p| !p.is_empty()).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::LazyLock};

    use super::Rules;
    use crate::{
        config::{Agents, Config},
        enrich::identity::ProcessFacts,
        model::probe::{Probe, ProbeSet},
    };

    fn process(executable: &str, line: &str) -> ProcessFacts {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        ProcessFacts {
            pid: 7,
            executable: Some(executable.to_owned()),
            script: crate::enrich::identity::script(Some(executable), &args),
            comm: executable.rsplit('/').next().unwrap_or_default().chars().take(15).collect(),
            cgroup: Some("/system.slice/x.service/y".to_owned()),
            systemd_unit: Some("x.service".to_owned()),
            uid: Some(1000),
            user: Some("me".into()),
            directory: Some("/home/me/project".to_owned()),
            command_line: line.to_owned(),
            ..ProcessFacts::default()
        }
    }

    fn configured(rules: &str) -> Rules {
        let text = format!("agents:\n  builtin_rules: false\n  rules:\n{rules}");
        Rules::new(&Config::parse(&text, Path::new("test")).unwrap().agents)
    }

    #[test]
    fn builtin_rules_know_agents_as_they_are_started() {
        let rules = Rules::new(&Agents::default());
        for (executable, line, rule) in [
            ("/home/u/.local/share/claude/versions/2.1.330", "claude", "claude"),
            ("/usr/bin/node", "node /usr/local/bin/claude --model opus", "claude"),
            ("/usr/bin/node", "claude", "claude"),
            ("/usr/lib/node_modules/@anthropic-ai/claude-code/bin/claude.exe", "claude -p x", "claude"),
            (
                "/usr/bin/node",
                "node --no-warnings /x/node_modules/@anthropic-ai/claude-agent-sdk/cli.js",
                "claude",
            ),
            ("/usr/bin/node", "node /usr/bin/codex exec x", "codex"),
            ("/x/vendor/x86_64-unknown-linux-musl/codex/codex", "/x/codex", "codex"),
            ("/usr/bin/codex-x86_64-unknown-linux-musl", "codex", "codex"),
            ("/home/u/.opencode/bin/opencode", "opencode", "opencode"),
            ("/usr/bin/node", "/usr/bin/node --max-old-space-size=4096 /usr/bin/gemini", "gemini"),
            ("/usr/bin/node", "node /usr/bin/qwen", "qwen-code"),
            ("/usr/bin/node", "node /usr/lib/node_modules/@github/copilot/npm-loader.js", "copilot"),
            ("/usr/bin/python3.11", "/home/u/.venv/bin/python /home/u/.local/bin/aider --model x", "aider"),
            ("/usr/bin/python3.11", "python -m aider", "aider"),
            ("/usr/bin/goose", "goose session", "goose"),
            ("/usr/bin/goose", "goose", "goose"),
            ("/usr/bin/bash", "bash /home/u/.local/bin/cursor-agent", "cursor-agent"),
            (
                "/home/u/.local/share/cursor-agent/versions/2025/node",
                "/home/u/.local/bin/agent",
                "cursor-agent",
            ),
            ("/usr/bin/crush", "crush run x", "crush"),
            ("/usr/bin/python3", "python3 -m openhands.core.main -t x", "openhands"),
            ("/usr/bin/python3", "python3 /usr/bin/langgraph dev", "langgraph"),
            ("/usr/bin/python3", "python3 /usr/bin/crewai run", "crewai"),
            ("/usr/bin/python3", "python3 /usr/bin/autogenstudio ui", "autogen"),
            (
                "/usr/bin/node",
                "node /home/u/.npm/_npx/9/node_modules/.bin/mcp-server-filesystem /d",
                "mcp-server",
            ),
            ("/usr/bin/python3", "python3 -m mcp_server_git", "mcp-server"),
            ("/usr/bin/github-mcp-server", "github-mcp-server stdio", "mcp-server"),
            ("/usr/local/bin/ollama", "/usr/local/bin/ollama serve", "ollama"),
            ("/usr/bin/python3", "python3 /usr/bin/vllm serve m", "vllm"),
            ("/usr/bin/python3", "python3 -m vllm.entrypoints.openai.api_server", "vllm"),
            ("/usr/bin/python3", "python3 -m sglang.launch_server", "sglang"),
            ("/opt/llama.cpp/llama-server", "llama-server -m q", "llama.cpp"),
            ("/usr/bin/python3", "python3 -m llama_cpp.server", "llama.cpp"),
            ("/usr/bin/text-generation-launcher", "text-generation-launcher", "tgi"),
        ] {
            let found = rules.evaluate(&process(executable, line));
            assert_eq!(found.map(|m| m.rule).as_deref(), Some(rule), "{executable} {line}");
        }
    }

    #[test]
    fn builtin_rules_leave_others_alone() {
        let rules = Rules::new(&Agents::default());
        for (executable, line) in [
            ("/usr/bin/bash", "bash -c claude"),
            ("/usr/bin/vim", "vim claude"),
            ("/usr/bin/grep", "grep -r codex ."),
            ("/usr/bin/python3", "python3 server.py"),
            ("/usr/bin/python3", "python3 -c import_openai"),
            ("/usr/bin/node", "node server.js"),
            ("/usr/bin/goose", "goose postgres up"),
            ("/usr/local/bin/ollama", "ollama run qwen"),
            ("/usr/bin/node", "npm exec @modelcontextprotocol/server-x"),
            ("/usr/bin/systemd", "systemd"),
        ] {
            assert_eq!(rules.evaluate(&process(executable, line)), None, "{executable} {line}");
        }
    }

    #[test]
    fn the_first_match_decides() {
        let rules = configured("  - {name: no, action: exclude, user: me}\n  - {name: yes, executable: x}\n");
        assert_eq!(rules.evaluate(&process("/x", "x")), None);
        let rules = configured("  - {name: yes, executable: x}\n  - {name: no, action: exclude, user: me}\n");
        assert_eq!(rules.evaluate(&process("/x", "x")).unwrap().rule, "yes");
    }

    #[test]
    fn all_matchers_must_match() {
        let every = "name: a, executable: x, comm: x, argv: '--go\\b', cgroup: /system.slice/x.service, \
                     systemd_unit: '*.service', user: [0, me]";
        let rules = configured(&format!("  - {{{every}}}\n"));
        assert!(rules.evaluate(&process("/x", "x --go")).is_some());
        assert_eq!(rules.evaluate(&process("/x", "x --gone")), None);
        for (key, wrong) in [
            ("executable: x", "executable: y"),
            ("comm: x", "comm: y"),
            ("/system.slice/x.service", "/system.slice/x.servic"),
            ("'*.service'", "'*.scope'"),
            ("[0, me]", "[0, you]"),
        ] {
            let rules = configured(&format!("  - {{{}}}\n", every.replace(key, wrong)));
            assert_eq!(rules.evaluate(&process("/x", "x --go")), None, "{wrong}");
        }
    }

    #[test]
    fn names_and_probes_come_from_the_rule() {
        let rules = configured(
            "  - {name: a, executable: x, agent_name: '{rule}@{directory} {user} {unit} {container} {pid} {executable}', probes: syscalls}\n",
        );
        let found = rules.evaluate(&process("/x", "x")).unwrap();
        assert_eq!(found.name, "a@project me x.service - 7 x");
        assert_eq!(found.probes, ProbeSet::from_iter([Probe::Syscalls]));
    }

    static BUILTIN: LazyLock<Rules> = LazyLock::new(|| Rules::new(&Agents::default()));

    proptest::proptest! {
        #[test]
        fn no_process_makes_it_panic(executable in ".{0,60}", line in ".{0,200}", directory in ".{0,20}") {
            let facts = ProcessFacts { directory: Some(directory), ..process(&executable, &line) };
            let _ = BUILTIN.evaluate(&facts);
        }
    }
}

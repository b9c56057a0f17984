//! Rules for well-known agents and inference servers.
//!
//! They go by how each is really started: the file name of a native binary, of the launcher that npm or
//! pip installs (which the kernel sees as a script run by `node` or `python`), the path inside its package
//! where the file name says nothing, or the module of `python -m`. An expression over the command line
//! stands where a name alone would also match something else.
//!
//! A program that merely imports a framework looks like any other Python or Node process, so frameworks
//! are found by their own launchers only: for the rest, write a rule or attach by pid.

use super::{
    glob::Glob,
    rule::{Action, Matchers, NamePart, NameTemplate, Regex, Rule},
};
use crate::model::probe::ProbeSet;

/// A rule that agentperf brings along.
#[derive(Clone, Debug, PartialEq)]
pub struct Builtin {
    /// What it finds.
    pub description: &'static str,
    /// The rule.
    pub rule: Rule,
}

/// One row: name, description, patterns of the executable separated by blanks, expression over the command
/// line (empty for none), and whether it works on a project, which then stands in the agent's name.
type Row = (&'static str, &'static str, &'static str, &'static str, bool);

static ROWS: [Row; 46] = [
    // Coding agents.
    (
        "claude",
        "Claude Code and the Claude agent SDK",
        "claude claude.exe **/claude/versions/* **/@anthropic-ai/claude-code/cli.js \
         **/@anthropic-ai/claude-code/bin/* **/@anthropic-ai/claude-agent-sdk/cli.js",
        "",
        true,
    ),
    ("codex", "OpenAI Codex CLI", "codex codex.js codex-exec codex-*-linux-*", "", true),
    ("opencode", "opencode", "opencode opencode.exe .opencode", "", true),
    (
        "gemini",
        "Gemini CLI",
        "gemini gemini-cli **/@google/gemini-cli/bundle/* **/@google/gemini-cli/dist/index.js",
        "",
        true,
    ),
    ("qwen-code", "Qwen Code", "qwen **/@qwen-code/qwen-code/*.js **/@qwen-code/qwen-code/*/*.js", "", true),
    ("copilot", "GitHub Copilot CLI", "copilot copilot-linux-* **/@github/copilot/*.js", "", true),
    ("aider", "aider", "aider", "", true),
    // `goose` is also a database migration tool.
    (
        "goose",
        "Goose",
        "goose goosed",
        r"goosed|goose( (session|s|run|web|acp|mcp|term|agent|serve|project)\b|$)",
        true,
    ),
    ("cursor-agent", "Cursor CLI", "cursor-agent **/cursor-agent/versions/*/*", "", true),
    ("crush", "Crush", "crush", "", true),
    ("amp", "Amp", "amp **/@sourcegraph/amp/**", "", true),
    ("droid", "Factory Droid", "droid", "", true),
    ("kiro", "Kiro CLI and Amazon Q", "kiro-cli kiro-cli-chat qchat", "", true),
    ("cline", "Cline CLI", "cline cline-core cline-host", "", true),
    ("auggie", "Augment CLI", "auggie **/@augmentcode/auggie/**", "", true),
    ("kilo", "Kilo Code CLI", "kilo kilocode **/@kilocode/cli/**", "", true),
    ("kimi", "Kimi CLI", "kimi kimi-cli", "", true),
    ("continue", "Continue CLI", "**/@continuedev/cli/**", "", true),
    ("pi", "pi coding agent", "**/pi-coding-agent/**", "", true),
    ("mistral-vibe", "Mistral Vibe", "vibe vibe-acp", "", true),
    ("openhands", "OpenHands", "openhands openhands-* openhands.*", "", true),
    (
        "swe-agent",
        "SWE-agent and mini-swe-agent",
        "sweagent sweagent.* mini-swe-agent minisweagent.*",
        "",
        true,
    ),
    ("open-interpreter", "Open Interpreter", "interpreter open-interpreter", "", true),
    ("gptme", "gptme", "gptme gptme-server", "", true),
    // Agents that run on their own, and frameworks.
    ("openclaw", "OpenClaw", "openclaw openclaw-gateway openclaw.mjs", "", false),
    ("letta", "Letta server", "letta", r"letta (server|run)\b", false),
    ("langgraph", "LangGraph server", "langgraph langgraph_cli langgraph_api.*", "", true),
    ("crewai", "CrewAI", "crewai crewai.*", r"crewai[^ ]* (run|flow|chat|train|replay|test)\b", true),
    ("autogen", "AutoGen and Magentic", "autogenstudio autogenstudio.* autogen_* m1 magentic-ui", "", true),
    ("google-adk", "Google Agent Development Kit", "adk", r"adk (run|web|api_server)\b", true),
    ("smolagents", "smolagents", "smolagent webagent", "", true),
    ("langflow", "Langflow and Flowise", "langflow langflow.* flowise **/flowise/bin/run", "", false),
    ("mastra", "Mastra", "mastra", r"mastra[^ ]* (dev|start)\b", true),
    // Servers of tools. Those that an agent starts belong to it; these rules find the others.
    (
        "mcp-server",
        "MCP servers that no agent started",
        "mcp-server-* *-mcp-server *-mcp mcp_server_* mcp-proxy mcp-remote **/@modelcontextprotocol/server-*/**",
        "",
        false,
    ),
    // Inference servers and gateways.
    ("ollama", "Ollama server", "ollama", r"ollama (serve|start|runner)\b", false),
    ("vllm", "vLLM", "vllm vllm.entrypoints.* vllm.scripts", "", false),
    ("sglang", "SGLang", "sglang sglang.* sglang_router.*", "", false),
    (
        "llama.cpp",
        "llama.cpp servers",
        "llama-server llama-cli llama-box llamafile *.llamafile com.docker.llama-server llama_cpp.server",
        "",
        false,
    ),
    (
        "tgi",
        "Text Generation Inference, Text Embeddings Inference",
        "text-generation-launcher text-generation-router text-generation-server text-embeddings-router",
        "",
        false,
    ),
    ("triton", "Triton and TensorRT-LLM", "tritonserver trtllm-serve trtllm-llmapi-launch", "", false),
    ("lmdeploy", "LMDeploy", "lmdeploy lmdeploy.*", "", false),
    ("mlc-llm", "MLC LLM", "mlc_llm mlc_llm.*", "", false),
    (
        "localai",
        "LocalAI and KoboldCpp",
        "local-ai localai koboldcpp koboldcpp.py koboldcpp-linux-*",
        "",
        false,
    ),
    ("tabby", "Tabby", "tabby", r"tabby serve\b", false),
    ("litellm", "LiteLLM gateway", "litellm litellm.*", "", false),
    (
        "xinference",
        "Xinference",
        "xinference xinference-local xinference-supervisor xinference-worker",
        "",
        false,
    ),
];

/// Every built-in rule, in the order they are tried.
#[must_use]
pub fn builtin_rules() -> Vec<Builtin> {
    ROWS.iter().map(|row| Builtin { description: row.1, rule: rule(row) }).collect()
}

fn rule(&(name, _, executable, argv, project): &Row) -> Rule {
    let in_project = || vec![NamePart::Rule, NamePart::Text(" in ".to_owned()), NamePart::Directory];
    Rule {
        name: name.to_owned(),
        action: Action::Include,
        agent_name: if project { NameTemplate(in_project()) } else { NameTemplate::rule() },
        probes: ProbeSet::RULE_DEFAULT,
        matchers: Matchers {
            // The constants above are valid, and a test holds them to it.
            executable: executable.split(' ').filter_map(|e| Glob::new(e).ok()).collect(),
            argv: Some(argv).filter(|a| !a.is_empty()).and_then(|a| Regex::new(a).ok()),
            ..Matchers::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{ROWS, builtin_rules};

    #[test]
    fn every_row_becomes_all_it_says() {
        for (row, built) in ROWS.iter().zip(builtin_rules()) {
            assert_eq!(built.rule.matchers.executable.len(), row.2.split_whitespace().count(), "{}", row.0);
            assert_eq!(built.rule.matchers.argv.is_some(), !row.3.is_empty(), "{}", row.0);
            assert!(!row.1.is_empty() && row.1.len() < 60);
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = ROWS.iter().map(|r| r.0).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ROWS.len());
    }
}

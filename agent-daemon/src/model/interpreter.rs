//! What an interpreter was asked to run, read off its command line.
//!
//! Most agents are scripts: the kernel sees `node` or `python3`, a person means the script. Rules want its
//! name and redaction wants to know where code begins, so both read this one grammar. It knows the options
//! that take a value, which is all that is needed to find the first operand; what it does not know it
//! takes for an option without a value.

/// An interpreter's command-line grammar.
#[derive(Debug)]
pub struct Interpreter {
    /// File names, without a version.
    names: &'static [&'static str],
    /// Short options whose value is code.
    code_short: &'static str,
    /// Long options whose value is code.
    code_long: &'static [&'static str],
    /// The short option whose value is a module.
    module_short: &'static str,
    /// Short options that take a value.
    value_short: &'static str,
    /// Long options that take a value as an argument of its own.
    value_long: &'static [&'static str],
    /// First operands that only say how to run the next one.
    subcommands: &'static [&'static str],
    /// Whether `-c` is a mere flag that makes the first operand code, as in shells.
    shell: bool,
}

/// What an interpreter runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// A script: the text is its path.
    Script,
    /// A module by name (`python -m`).
    Module,
    /// Code on the command line.
    Code,
}

/// What an interpreter runs, and where that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Script, module or code.
    pub kind: TargetKind,
    /// Which argument holds it.
    pub index: usize,
    /// The script, module or code: all of that argument, or its end (`-cprint(1)`).
    pub text: &'a str,
}

const NONE: Interpreter = Interpreter {
    names: &[],
    code_short: "",
    code_long: &[],
    module_short: "",
    value_short: "",
    value_long: &[],
    subcommands: &[],
    shell: false,
};

static INTERPRETERS: [Interpreter; 7] = [
    Interpreter {
        names: &["sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "busybox"],
        value_short: "oO",
        value_long: &["rcfile", "init-file"],
        subcommands: &["sh", "ash"],
        shell: true,
        ..NONE
    },
    Interpreter {
        names: &["python", "pypy", "ipython"],
        code_short: "c",
        module_short: "m",
        value_short: "WXQ",
        value_long: &["check-hash-based-pycs"],
        ..NONE
    },
    Interpreter {
        names: &["node", "nodejs", "bun", "deno", "tsx", "ts-node"],
        code_short: "ep",
        code_long: &["eval", "print"],
        value_short: "rC",
        value_long: &[
            "require",
            "import",
            "loader",
            "experimental-loader",
            "conditions",
            "env-file",
            "env-file-if-exists",
            "input-type",
            "title",
            "cwd",
            "config",
            "preload",
            "tsconfig",
        ],
        subcommands: &["run", "x", "task", "serve"],
        ..NONE
    },
    Interpreter { names: &["ruby"], code_short: "e", value_short: "rIC", ..NONE },
    Interpreter { names: &["perl"], code_short: "eE", value_short: "I", ..NONE },
    Interpreter { names: &["php"], code_short: "r", value_short: "dcz", ..NONE },
    Interpreter { names: &["lua", "luajit"], code_short: "e", value_short: "l", ..NONE },
];

impl Interpreter {
    /// The interpreter that a program of this path or name is; `None` for every other program. Versions
    /// (`python3.11`) and a login shell's leading `-` do not matter.
    #[must_use]
    pub fn of(program: &str) -> Option<&'static Self> {
        let name = program.rsplit('/').next().unwrap_or(program).trim_start_matches('-');
        let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
        INTERPRETERS.iter().find(|i| i.names.contains(&name))
    }

    /// Whether its code is shell commands.
    #[must_use]
    pub fn is_shell(&self) -> bool {
        self.shell
    }

    /// What it runs, given its whole command line (the first argument is its own name). `None` where it
    /// reads standard input, or where the command line was cut before the target.
    #[must_use]
    pub fn target<'a, S: AsRef<str>>(&self, args: &'a [S]) -> Option<Target<'a>> {
        let mut code_follows = false;
        let mut skip = false;
        for (index, arg) in args.iter().enumerate().skip(1) {
            let arg = arg.as_ref();
            if std::mem::take(&mut skip) {
                continue;
            }
            let whole = |kind| Some(Target { kind, index, text: arg });
            match self.read(arg, index) {
                Word::Operand if code_follows => return whole(TargetKind::Code),
                Word::Operand if index == 1 && self.subcommands.contains(&arg) => {}
                Word::Operand if index == 1 && arg == "eval" && self.names.contains(&"deno") => {
                    code_follows = true;
                }
                Word::Operand => return whole(TargetKind::Script),
                Word::Flag => {}
                Word::CodeFollows => code_follows = true,
                Word::ValueFollows => skip = true,
                Word::KindFollows(kind) => {
                    let text = args.get(index + 1)?.as_ref();
                    return Some(Target { kind, index: index + 1, text });
                }
                Word::Found(text, kind) => return Some(Target { kind, index, text }),
                Word::Stdin => return None,
            }
        }
        None
    }

    fn read<'a>(&self, arg: &'a str, index: usize) -> Word<'a> {
        if arg == "-" {
            return Word::Stdin;
        }
        if let Some(long) = arg.strip_prefix("--").filter(|l| !l.is_empty()) {
            return self.read_long(long);
        }
        match arg.strip_prefix(['-', '+']) {
            Some("-") => Word::Flag,
            Some(cluster) if !cluster.is_empty() && (arg.starts_with('-') || self.shell) => {
                self.read_cluster(cluster)
            }
            _ if index > 0 => Word::Operand,
            _ => Word::Flag,
        }
    }

    fn read_long<'a>(&self, long: &'a str) -> Word<'a> {
        match long.split_once('=') {
            Some((name, code)) if self.code_long.contains(&name) => Word::Found(code, TargetKind::Code),
            Some(_) => Word::Flag,
            None if self.code_long.contains(&long) => Word::KindFollows(TargetKind::Code),
            None if self.value_long.contains(&long) => Word::ValueFollows,
            None => Word::Flag,
        }
    }

    /// Reads a cluster of short options, as in `-lc` or `-Wignore`: the first one that takes a value ends
    /// it, and the value is what follows in the cluster or the next argument.
    fn read_cluster<'a>(&self, cluster: &'a str) -> Word<'a> {
        let mut code_follows = false;
        for (at, letter) in cluster.char_indices() {
            let rest = cluster.get(at + letter.len_utf8()..).unwrap_or_default();
            if self.shell && letter == 'c' {
                code_follows = true;
            } else if self.code_short.contains(letter) && !self.code_short.contains(rest_letter(rest)) {
                return Word::value(rest, TargetKind::Code);
            } else if self.module_short.contains(letter) {
                return Word::value(rest, TargetKind::Module);
            } else if self.value_short.contains(letter) {
                return if rest.is_empty() { Word::ValueFollows } else { Word::Flag };
            }
        }
        if code_follows { Word::CodeFollows } else { Word::Flag }
    }
}

/// The first letter of what follows in a cluster, if it is all that follows (`-pe` is `-p -e`).
fn rest_letter(rest: &str) -> char {
    let mut letters = rest.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => letter,
        _ => '\0',
    }
}

/// What one argument before the target says.
enum Word<'a> {
    Operand,
    Flag,
    CodeFollows,
    ValueFollows,
    KindFollows(TargetKind),
    Found(&'a str, TargetKind),
    Stdin,
}

impl<'a> Word<'a> {
    fn value(rest: &'a str, kind: TargetKind) -> Self {
        if rest.is_empty() { Self::KindFollows(kind) } else { Self::Found(rest, kind) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Interpreter, TargetKind};

    fn target(line: &str) -> Option<(TargetKind, String)> {
        let args: Vec<&str> = line.split(' ').collect();
        let interpreter = Interpreter::of(args[0])?;
        interpreter.target(&args).map(|t| (t.kind, t.text.to_owned()))
    }

    #[test]
    fn finds_what_is_run() {
        use TargetKind::{Code, Module, Script};
        for (line, kind, text) in [
            ("node /usr/bin/claude --model x", Script, "/usr/bin/claude"),
            ("/usr/bin/node --max-old-space-size=1 -r a b.js", Script, "b.js"),
            ("node --import tsx server.ts", Script, "server.ts"),
            ("bun run agent.ts", Script, "agent.ts"),
            ("deno run -A main.ts", Script, "main.ts"),
            ("node -pe code", Code, "code"),
            ("node --eval=code", Code, "code"),
            ("deno eval code", Code, "code"),
            ("python3.11 -u -W ignore -m vllm.x --port 1", Module, "vllm.x"),
            ("python -mvllm", Module, "vllm"),
            ("python3 -Bc code x", Code, "code"),
            ("python3 -ccode", Code, "code"),
            ("python3 /usr/bin/aider -m hi", Script, "/usr/bin/aider"),
            ("bash -c -l code", Code, "code"),
            ("/bin/bash -lc code", Code, "code"),
            ("bash -o pipefail -c code", Code, "code"),
            ("sh script.sh -c no", Script, "script.sh"),
            ("-bash -c code", Code, "code"),
            ("busybox sh -c code", Code, "code"),
            ("perl -ne code file", Code, "code"),
        ] {
            assert_eq!(target(line), Some((kind, text.to_owned())), "{line}");
        }
    }

    #[test]
    fn finds_nothing_where_nothing_is_named() {
        for line in ["python3", "bash -i", "node -", "claude -p x", "bash -c", "pythonic -c x"] {
            assert_eq!(target(line), None, "{line}");
        }
    }
}

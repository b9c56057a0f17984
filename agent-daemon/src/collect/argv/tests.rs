//! End to end: real command lines, planted secrets, arbitrary bytes.

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

use super::{CommandLine, MAX_ARGUMENT_BYTES, MAX_ARGUMENTS, MAX_TOTAL_BYTES, sanitise};

fn line(args: &[&str]) -> CommandLine {
    let bytes: Vec<u8> = args.iter().flat_map(|a| a.bytes().chain([0])).collect();
    sanitise(&bytes)
}

fn shown(args: &[&str]) -> String {
    line(args).args.join(" ")
}

#[test]
fn tool_calls_stay_readable() {
    for (code, expected) in [
        ("npm test", "npm test"),
        ("cd /repo && cargo test -p x 2>&1 | tail -20", "cd /repo && cargo test -p x 2>&1 | tail -20"),
        ("git commit -m \"$(cat <<'E'\nfix\nE\n)\"", "git commit -m '$([16 bytes])'"),
        ("python3 -c 'print(1)'", "python3 -c [8 bytes]"),
        ("claude -p 'rewrite it all'", "claude -p [14 bytes]"),
        ("for f in *.py; do llm hello; done", "for f in *.py ; do llm [5 bytes] ; done"),
        ("bash -c 'bash -c \"ls -l\"'", "bash -c \"bash -c 'ls -l'\""),
        (
            "export A=1 MY_TOKEN=abc; curl -H 'X: y' h",
            "export A=1 MY_TOKEN=[redacted] ; curl -H 'X: [redacted]' h",
        ),
        ("echo $(mysql -phunter2)", "echo '$(mysql -p[redacted])'"),
        ("echo \"a$(mysql -phunter2)\"", "echo 'a$(mysql -p[redacted])'"),
        ("echo `mysql -phunter2`", "echo '`[15 bytes]`'"),
        ("echo ${A:-$(mysql -phunter2)}", "echo '${A:-$(mysql -p[redacted])}'"),
        ("echo aGVsbG8 | docker login -u u -p hunter2", "echo aGVsbG8 | docker login -u u -p [redacted]"),
    ] {
        assert_eq!(line(&["/bin/bash", "-c", code]).args.get(2).unwrap(), expected, "{code}");
    }
}

#[test]
fn the_shell_of_an_agent_shows_its_tool() {
    let code = "source /home/u/.claude/shell-snapshots/s.sh && eval 'npm run build' \\< /dev/null && pwd -P >| /tmp/c";
    assert_eq!(
        shown(&["/bin/bash", "-c", "-l", code]),
        "/bin/bash -c -l source /home/u/.claude/shell-snapshots/s.sh && eval 'npm run build' < [9 bytes]"
            .replace(" < [9 bytes]", " < /dev/null && pwd -P >|/tmp/c")
    );
}

#[test]
fn prompts_never_stay() {
    for args in [
        &["claude", "-p", "hello"][..],
        &["claude", "hello"],
        &["claude", "--verbose", "hello"],
        &["node", "/usr/lib/node_modules/@anthropic-ai/claude-code/cli.js", "hello"],
        &["/home/u/.local/share/claude/versions/2.1.3", "-p", "--output-format", "json", "hello"],
        &["codex", "exec", "hello"],
        &["codex", "--", "-hello"],
        &["gemini", "-phello"],
        &["gemini", "--prompt=hello"],
        &["python3", "-m", "aider", "--message", "hello"],
        &["timeout", "10", "claude", "hello"],
        &["ollama", "run", "qwen", "hello", "hello"],
        &["npx", "-y", "@openai/codex@latest", "exec", "hello"],
        &["my-agent", "--system-prompt", "hello"],
        &["my-agent", "say hello twice"],
        &["my-agent", "{\"prompt\":\"hello\"}"],
        &["python3", "-c", "hello"],
        &["node", "--eval=hello"],
        &["curl", "-d", "hello", "http://h/"],
    ] {
        assert!(!shown(args).contains("hello"), "{args:?}: {}", shown(args));
    }
    assert_eq!(shown(&["codex", "exec", "-m", "gpt-5", "hello"]), "codex exec -m gpt-5 [5 bytes]");
    assert_eq!(shown(&["claude", "--model", "opus", "-p", "a b"]), "claude --model opus -p [3 bytes]");
}

#[test]
fn ordinary_command_lines_stay_whole() {
    for args in [
        &[
            "python3",
            "-m",
            "vllm.entrypoints.openai.api_server",
            "--max-model-len",
            "4096",
            "--tokenizer",
            "a/b",
        ][..],
        &["llama-server", "-m", "/models/q.gguf", "--port", "8080"],
        &["grep", "-rn", "fn main", "src/auth.rs", "src/main.rs"],
        &["git", "clone", "git@github.com:a/b.git"],
        &["mkdir", "-p", "a/b"],
        &["ssh", "-p", "22", "host"],
        &["mysql", "-p", "database"],
        &["docker", "run", "--user", "1000:1000", "nginx"],
        &["find", ".", "-name", "x", "-print"],
        &["tool", "-p8080:8080", "-parallelism=4", "-profile", "-pvx", "-pi.bak"],
        &["jq", "-r", ".items", "f.json"],
        &["awk", "-f", "p.awk", "-F", ":", "/etc/group"],
        &["which", "python3"],
        &["docker", "run", "-p", "80:80", "--rm", "nginx:1.27"],
        &["node", "/home/u/.npm/_npx/1/node_modules/.bin/mcp-server-filesystem", "/data"],
    ] {
        assert_eq!(shown(args), args.join(" "));
        assert!(line(args).complete);
    }
}

#[test]
fn an_unknown_programs_attached_password_is_hidden() {
    assert_eq!(shown(&["tool", "-pSECRET", "-phunter2"]), "tool -p[redacted] -p[redacted]");
    assert_eq!(shown(&["curl", "--user", "u:x", "h"]), "curl --user u:[redacted] h");
}

#[test]
fn the_title_that_npm_writes_over_its_arguments_is_taken_for_its_words() {
    let words = |bytes: &[u8]| sanitise(bytes).args.join("|");
    assert_eq!(words(b"npm exec agent\0\0\0"), "npm|exec|agent");
    assert!(!words(b"npm exec agent --token hunter2\0\0").contains("hunter2"));
    assert!(!words(b"My Agent\0").contains('|'), "one argument");
    assert_eq!(words(b"a b\0c\0").matches('|').count(), 1, "arguments");
}

#[test]
fn cuts_are_marked() {
    assert_eq!(
        sanitise(b"a\0b"),
        CommandLine { args: vec!["a".into(), "b".into(), "…".into()], complete: false }
    );
    assert_eq!(sanitise(b""), CommandLine { args: vec![], complete: true });
    assert!(line(&["a", ""]).complete);
    assert!(!line(&["x"; 100]).complete);
    assert!(!line(&["x", &"y".repeat(MAX_ARGUMENT_BYTES + 1)]).complete);
    assert!(sanitise(&[b'x'; 100_000]).args.len() <= 2);
}

#[test]
fn long_runs_take_little_time() {
    let started = std::time::Instant::now();
    for filler in ["=", ":", "a:", "://", "$(", "'", "a=", "((", "1", "bearer ", "sk-", "a-b_"] {
        let long = filler.repeat(super::MAX_INPUT_BYTES / filler.len());
        let _ = line(&["bash", "-c", &long]);
        let _ = line(&["tool", &long]);
    }
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

/// Keys as their makers shape them; each ends in characters that occur nowhere else.
fn key() -> impl Strategy<Value = String> {
    let tail = "[A-Za-z0-9]{20,40}";
    let prefixes = prop::sample::select(vec![
        "sk-",
        "sk-ant-api03-",
        "sk-proj-",
        "ghp_",
        "gho_",
        "github_pat_",
        "xoxb-",
        "hf_",
        "glpat-",
        "npm_",
        "gsk_",
        "AIza",
        "eyJhbGciOi",
        "xai-",
        "ya29.",
        "hvs.",
    ]);
    prop_oneof![
        (prefixes, tail).prop_map(|(prefix, tail)| format!("{prefix}{tail}")),
        "AKIA[A-Z0-9]{16}",
        Just("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg".to_owned()),
    ]
}

/// Words that look like nothing: only their place says that they are secret.
fn word() -> impl Strategy<Value = String> {
    "[A-Za-z0-9][A-Za-z0-9!@%^&+=:/._-]{11,20}"
}

/// Places that make any word a secret.
fn place(secret: &str, place: usize) -> Vec<String> {
    let own = |args: &[&str]| args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>();
    let s = secret;
    match place {
        0 => own(&["tool", "--api-key", s, "after"]),
        1 => own(&["tool", &format!("--token={s}")]),
        2 => own(&["tool", "--password", s]),
        3 => own(&["env", &format!("OPENAI_API_KEY={s}"), "node", "x.js"]),
        4 => own(&["curl", "-H", &format!("Authorization: Bearer {s}"), "http://h"]),
        5 => own(&["curl", "--header", &format!("X-Anything: {s}")]),
        6 => own(&["curl", "-u", &format!("user:{s}")]),
        7 => own(&["mysql", &format!("-p{s}")]),
        8 => own(&["psql", &format!("postgres://user:{s}@host/db")]),
        9 => own(&["bash", "-c", &format!("export DB_PASSWORD='{s}'; run")]),
        10 => own(&["docker", "run", "-e", &format!("GITHUB_TOKEN={s}"), "img"]),
        11 => own(&["sh", "-c", &format!("bash -c \"tool --client-secret '{s}' x\"")]),
        12 => own(&["aws", "configure", "set", "aws_secret_access_key", s]),
        13 => own(&["sshpass", "-p", s, "ssh", "h"]),
        14 => own(&["redis-cli", "-a", s, "ping"]),
        15 => own(&["http", "h", &format!("X-Api-Key:{s}")]),
        16 => own(&["kubectl", "create", "secret", "generic", "x", &format!("--from-literal=password={s}")]),
        17 => own(&["claude", s]),
        18 => own(&["tool", "-H", "Authorization:", "Bearer", s]),
        19 => own(&["bash", "-c", &format!("echo $(mysql -p'{s}')")]),
        20 => own(&["bash", "-c", &format!("echo `mysql -p'{s}'`")]),
        21 => own(&["bash", "-c", &format!("x=\"a $(mysql -p'{s}' | head -1)\"; run")]),
        22 => own(&["bash", "-c", &format!("echo ${{A:-`mysql -p'{s}'`}}")]),
        23 => own(&["curl", "--user", &format!("u:{s}"), "http://h"]),
        24 => own(&["curl", &format!("--proxy-user=u:{s}"), "http://h"]),
        25 => own(&["bash", "/home/u/.pyenv/libexec/pyenv", "exec", "python3", "-c", &format!("x='{s}'")]),
        26 => own(&["pyenv", "exec", "python3.12", "-c", &format!("x='{s}'")]),
        27 => own(&["/lib64/ld-linux-x86-64.so.2", "/usr/bin/python3.11", "-c", s]),
        28 => own(&["some-runner", "x", "node", "-e", s]),
        29 => own(&["openssl", "enc", "-k", s]),
        30 => own(&["openssl", "rsa", "-passin", &format!("pass:{s}")]),
        31 => own(&["htpasswd", "-b", "file", "user", s]),
        32 => own(&["kubectl", "create", "secret", "generic", "x", &format!("--from-literal=k={s}")]),
        33 => own(&["tool", &format!("/login?pw={s}")]),
        34 => own(&["tool", "-u", &format!("user:{s}")]),
        35 => own(&["psql", "-c", s]),
        36 => own(&["psql", &format!("--command={s}")]),
        37 => own(&["mysql", "-e", s]),
        38 => own(&["sh", "-c", &format!("awk '$1==\"{s}\"' f")]),
        39 => own(&["jq", "-r", &format!(".[\"{s}\"]"), "f.json"]),
        40 => own(&["sqlite3", "f.db", &format!("select\"{s}\"")]),
        41 => own(&["Rscript", "-e", s]),
        42 => own(&["openssl", "passwd", "-1", s]),
        _ => own(&["python3", "-c", &format!("k='{s}'")]),
    }
}

fn survives(args: &[String], secret: &str, cut: usize) -> bool {
    let mut bytes: Vec<u8> = args.iter().flat_map(|a| a.bytes().chain([0])).collect();
    bytes.truncate(bytes.len().saturating_sub(cut));
    // Any six characters of the secret in a row are a leak.
    let secret: Vec<char> = secret.chars().collect();
    let shown = sanitise(&bytes).args.join("\0");
    secret.windows(6).any(|w| shown.contains(&w.iter().collect::<String>()))
}

proptest! {
    #[test]
    fn words_in_secret_places_never_survive(secret in word(), at in 0usize..44, cut in 0usize..8) {
        let args = place(&secret, at);
        proptest::prop_assert!(!survives(&args, &secret, cut), "{args:?} -> {:?}", line_of(&args));
    }

    #[test]
    fn keys_never_survive_anywhere(key in key(), around in "([a-z]{0,3}[ =:/,'\"])?", at in 0usize..6) {
        let tail: String = key.chars().skip(14).collect();
        let arg = format!("{around}{key}");
        let args: Vec<String> = match at {
            0 => vec!["tool".into(), arg],
            1 => vec![arg],
            2 => vec!["bash".into(), "-c".into(), format!("tool '{}'", arg.replace('\'', " "))],
            4 => vec!["tool".into(), format!("-k{key}")],
            3 => vec!["tool".into(), format!("--option={key}")],
            _ => vec!["tool".into(), "x".into(), format!("http://h/{key}")],
        };
        proptest::prop_assert!(!survives(&args, &tail, 0), "{args:?} -> {:?}", line_of(&args));
    }

    #[test]
    fn prompts_to_agents_never_survive(prompt in "[a-zäß请 ]{6,60}", at in 0usize..7, cut in 0usize..5) {
        let agent = ["claude", "/usr/bin/codex", "gemini", "aider", "goose", "ollama", "crush"][at].to_owned();
        let args = match at {
            0 => vec![agent, "-p".into(), prompt.clone(), "--model".into(), "opus".into()],
            1 => vec![agent, "exec".into(), "--full-auto".into(), prompt.clone()],
            2 => vec![agent, format!("-p{prompt}")],
            3 => vec![agent, "--yes".into(), format!("--message={prompt}")],
            4 => vec![agent, "run".into(), "-t".into(), prompt.clone()],
            5 => vec!["bash".into(), "-c".into(), format!("cd /x && {agent} run qwen \"{prompt}\" | tee out")],
            _ => vec!["sudo".into(), "-u".into(), "me".into(), agent, "run".into(), prompt.clone()],
        };
        proptest::prop_assert!(!survives(&args, &prompt, cut), "{args:?} -> {:?}", line_of(&args));
    }

    #[test]
    fn any_bytes_give_bounded_printable_lines(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        check_bounds(&sanitise(&bytes));
    }

    #[test]
    fn any_shell_code_gives_bounded_printable_lines(code in "[ -~\\n]{0,300}") {
        check_bounds(&line(&["bash", "-c", &code]));
        check_bounds(&line(&["claude", &code, "--x", &code]));
    }
}

fn line_of(args: &[String]) -> CommandLine {
    line(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn check_bounds(line: &CommandLine) {
    assert!(line.args.len() <= MAX_ARGUMENTS);
    assert!(line.args.iter().map(String::len).sum::<usize>() <= MAX_TOTAL_BYTES);
    for arg in &line.args {
        assert!(arg.len() <= MAX_ARGUMENT_BYTES && !arg.contains(char::is_control), "{arg:?}");
    }
}

//! Names of command lines, as redaction leaves them.

use proptest::prelude::{any, prop, proptest};

use super::*;

fn named(args: &[&str]) -> String {
    of(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>(), "comm")
}

#[test]
fn calls_are_named_as_people_name_them() {
    for (args, name) in [
        (&["/bin/bash", "-c", "cd /repo && cargo test -p x 2>&1 | tail -20"][..], "cargo test"),
        (&["bash", "-lc", "FOO=1 git -C /r status"], "git status"),
        (
            &[
                "/bin/bash",
                "-c",
                "-l",
                "source /h/s.sh && eval 'npm run build' < /dev/null && pwd -P >|/tmp/c",
            ],
            "npm run build",
        ),
        (&["bash", "-c", "mkdir -p d && cd d && git status"], "git status"),
        (&["bash", "-c", "mkdir -p d && touch d/f"], "mkdir"),
        (&["bash", "-c", "echo begin ; cat x | python3 z.py"], "z.py"),
        (&["bash", "-c", "cat >f [18 bytes]"], "cat"),
        (&["bash", "-c", "cd r && python3 - [1842 bytes]"], "python"),
        (&["bash", "-c", "python3 [18 bytes]"], "python"),
        (&["bash", "-c", "[18 bytes]"], "bash"),
        (&["bash", "-c", "node [18 bytes] && rg x"], "node"),
        (&["bash", "[18 bytes]"], "bash"),
        (&["aws", "--profile", "prod", "s3", "ls"], "aws s3"),
        (&["aws", "--no-such-option", "hunter2", "s3"], "aws"),
        (&["aws", "--profile=prod", "s3", "ls"], "aws s3"),
        (&["kubectl", "-n", "prod", "get", "pods"], "kubectl get"),
        (&["systemctl", "--user", "restart", "x"], "systemctl restart"),
        (&["make", "-j8", "test"], "make test"),
        (&["cargo", "--offline", "test"], "cargo test"),
        (&["sh", "-c", "cd /tmp"], "cd"),
        (&["sh", "-c", "for f in a b ; do wc -l ; done"], "wc"),
        (&["sh", "-c", "timeout 5s env A=1 python3.12 -m pytest -q"], "pytest"),
        (&["/bin/sh", "./run.sh", "x"], "run.sh"),
        (&["bash", "-c", "bash -c 'ls -l'"], "ls"),
        (&["bash", "-c", "[300 bytes]"], "bash"),
        (&["bash"], "bash"),
        (&["npx", "-y", "@scope/pkg@1.2.3", "arg"], "npx pkg"),
        (&["npx", "cowsay"], "npx cowsay"),
        (&["/usr/bin/env", "node", "/usr/bin/npx", "-y", "cowsay@1.5.0"], "npx cowsay"),
        (&["node", "/usr/lib/node_modules/npm/bin/npm-cli.js", "run", "build"], "npm run build"),
        (&["/bin/sh", "/tmp/npx", "cowsay"], "npx cowsay"),
        (&["uv", "run", "--with", "rich", "y.py"], "uv run y.py"),
        (&["uv", "run", "python", "z.py"], "uv run z.py"),
        (&["uv", "sync"], "uv sync"),
        (&["/usr/bin/python3.12", "-u", "/w/z.py", "secret"], "z.py"),
        (&["python3", "-c", "[8 bytes]"], "python -c"),
        (&["node", "--require", "x", "/a/tool.js"], "tool.js"),
        (&["java", "-jar", "/a/b.jar"], "b.jar"),
        (&["docker", "run", "--rm", "img"], "docker run"),
        (&["make"], "make"),
        (&["make", "VAR=hunter2"], "make"),
        (&["/usr/bin/rg", "needle"], "rg"),
        (&[], "comm"),
        (&["", ""], "comm"),
    ] {
        assert_eq!(named(args), name, "{args:?}");
    }
}

#[test]
fn what_runs_others_is_told_from_what_it_runs() {
    for (args, name) in [
        (&["sudo", "-u", "bob", "apt-get", "install", "x"][..], "apt-get install"),
        (&["sudo"], "sudo"),
        (&["sudo", "-n", "apt-get", "-v"], "apt-get"),
        (&["sudo", "-n", "-u", "bob", "tr", "a", "b"], "tr"),
        (&["nice", "-n", "5", "make"], "make"),
        (&["cargo", "+nightly", "test"], "cargo test"),
        (&["bun", "run", "dev"], "bun run dev"),
        (&["bun", "run", "/w/x.ts"], "bun run"),
        (&["git", "commit", "fix"], "git commit"),
        (&["bash", "/home/a/.pyenv/shims/python3", "/w/z.py"], "z.py"),
        (&["bash", "/home/a/.pyenv/shims/python3", "-m", "pkgx"], "pkgx"),
        (&["bash", "/home/a/.pyenv/shims/python3", "-c", "[8 bytes]"], "python -c"),
    ] {
        assert_eq!(named(args), name, "{args:?}");
    }
}

/// Code as redaction shows it: separators stand by themselves.
#[test]
fn of_several_commands_the_first_that_is_no_builtin_and_keeps_no_house_is_meant() {
    for (code, name) in [
        ("/bin/true ; exit 3", "true"),
        ("( setsid sleep 14 & ) ; exit 0", "sleep"),
        ("for i in 1 2 3 ; do /bin/true & done ; wait", "true"),
        ("for i in 1 2 ; do /opt/job $i & done ; wait", "job"),
        ("while read line ; do curl $line ; done", "curl"),
        ("ls ; curl http://x", "curl"),
        ("echo hi ; sort f", "sort"),
        ("printf x ; sort f", "sort"),
        ("true ; sort f", "sort"),
        ("exec 2>/dev/null ; sort f", "sort"),
        ("{ sort f ; }", "sort"),
        ("set -e ; echo hi", "echo"),
        ("curl http://x ; ls", "curl"),
        ("make ; curl http://x", "make"),
        ("( cd d && ( cargo build ) ) || exit 1", "cargo build"),
        ("set -e ; local x ; shift ; return 3", "set"),
        ("if [ -f x ] ; then exit 1 ; fi ; rg y", "rg"),
        ("exit 3", "exit"),
    ] {
        assert_eq!(named(&["sh", "-c", code]), name, "{code}");
    }
}

#[test]
fn interpreters_options_are_told_from_scripts() {
    for (args, name) in [
        (&["python3", "-I", "z.py"][..], "z.py"),
        (&["python3", "-W", "error", "-X", "dev", "z.py"], "z.py"),
        (&["python3", "-Werror::m", "-Xdev", "z.py"], "z.py"),
        (&["python3", "-BIm", "pytest", "-q"], "pytest"),
        (&["python3", "-Ic", "[8 bytes]"], "python -c"),
        (&["python3", "-"], "python"),
        (&["python3", "-I", "-m", "pytest"], "pytest"),
        (&["perl", "-I", "lib", "x.pl"], "x.pl"),
        (&["perl", "-Ilib", "-MJSON", "x.pl"], "x.pl"),
        (&["perl", "-i.bak", "-lne", "[8 bytes]", "f"], "perl -e"),
        (&["ruby", "-r", "json", "x.rb"], "x.rb"),
        (&["node", "-r", "x", "--enable-source-maps", "a.js"], "a.js"),
        (&["node", "--title", "hunter2", "a.js"], "node"),
        (&["node", "-p", "[3 bytes]"], "node -p"),
        (&["java", "-cp", "/a/lib", "Main"], "Main"),
        (&["php", "-r", "[9 bytes]"], "php -r"),
    ] {
        assert_eq!(named(args), name, "{args:?}");
    }
}

#[test]
fn launchers_are_told_from_programs() {
    for (args, launches) in [
        (&["uv", "run", "agent.py"][..], true),
        (&["node", "/usr/bin/npx", "agent"], true),
        (&["npm", "exec", "agent"], true),
        (&["timeout", "5", "agent"], true),
        (&["npm", "start"], true),
        (&["npm", "run", "agent"], true),
        (&["npm", "install"], false),
        (&["python3", "agent.py"], false),
        (&["python3", "-Im", "pipx", "run", "agent"], true),
        (&["bash", "-c", "agent"], false),
    ] {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        assert_eq!(is_launcher(&args), launches, "{args:?}");
    }
}

proptest! {
    #[test]
    fn any_command_line_has_a_short_name(args in prop::collection::vec(any::<String>(), 0..6), code: String) {
        let name = of(&args, "c");
        assert!(!name.is_empty() && name.len() <= MAX_BYTES, "{name}");
        let name = of(&["bash".to_owned(), "-c".to_owned(), code], "c");
        assert!(!name.is_empty() && name.len() <= MAX_BYTES, "{name}");
    }
}

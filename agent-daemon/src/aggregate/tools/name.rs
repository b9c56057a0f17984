//! What a person calls a command: `cargo test` for `bash -c 'cd /r && cargo test -p x'`, `x.py` for `python3 x.py`.
//!
//! Reads command lines that redaction has been through, and takes of them a program, and a subcommand, script, module or
//! package at most: nothing that tells one call from another. Limit: of several commands in one shell the first that
//! does something names the call.

/// The longest name, bytes.
const MAX_BYTES: usize = 64;
/// Shells within shells that are looked into.
const MAX_DEPTH: u8 = 4;

const SHELLS: &str = "sh bash dash zsh ksh ash fish busybox";
/// Run the command after their options, and are not what anybody means.
const WRAPPERS: &str = "sudo doas env timeout nohup nice ionice chrt taskset setsid stdbuf time exec command builtin xargs \
    unshare setpriv runuser tini dumb-init catatonit strace do then else elif if while until ! {";
/// Run the command after their options, and say how.
const RUNNERS: &str = "npx bunx uvx";
/// The same, after a subcommand.
const SUBCOMMAND_RUNNERS: [&str; 12] = [
    "uv run",
    "pipx run",
    "poetry run",
    "pdm run",
    "hatch run",
    "npm exec",
    "pnpm exec",
    "pnpm dlx",
    "yarn dlx",
    "yarn exec",
    "bundle exec",
    "mise exec",
];
const INTERPRETERS: &str = "python pypy node nodejs bun deno ruby perl php lua Rscript java tsx ts-node";
/// Whose first operand says what they do.
const MULTIPLE: &str = "git cargo npm pnpm yarn uv pip pip3 pipx poetry go gh glab docker podman kubectl helm apt apt-get \
    dnf brew systemctl make just task dotnet mvn gradle rustup terraform aws gcloud az conda deno bun bundle rails";
/// Options whose value is the next argument.
const VALUED: &str = "-C -c -f -n -u -p -k -j -I -W -X --prefix --cwd --directory --manifest-path --namespace --context \
    --python --project --package --with --git-dir --work-tree --config --require --import --user --group";
/// The same, of interpreters.
const INTERPRETER_VALUED: &str = "-W -X -r -I --require --import --loader --env-file";
/// Commands of shells that only prepare another.
const PREPARE: &str = "cd pushd popd export set source . pwd true : umask shopt setopt trap unset alias test [ [[ ulimit wait \
    for case select function local declare done fi esac }";

/// The name of a command line.
pub(super) fn of(args: &[String], comm: &str) -> String {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let name = command(&words, 0).unwrap_or_else(|| comm.to_owned());
    let mut end = name.len().min(MAX_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).filter(|name| !name.is_empty()).unwrap_or("unknown").to_owned()
}

/// Whether this is a shell, an interpreter, or another program that runs what it is told to.
pub(super) fn is_interpreter(executable: &str) -> bool {
    let program = program(executable);
    has(INTERPRETERS, program) || has(SHELLS, program) || has(WRAPPERS, program) || has(RUNNERS, program)
}

/// Whether this command line only starts another program, which is the one that is meant.
pub(super) fn is_launcher(args: &[String]) -> bool {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match skip_interpreter(&words) {
        [first, rest @ ..] => {
            let program = known_script(program(first));
            has(WRAPPERS, program) || has(RUNNERS, program) || subcommand_runner(program, rest).is_some()
        }
        [] => false,
    }
}

/// Whether this command line is a shell's.
pub(super) fn is_shell(args: &[String]) -> bool {
    args.first().is_some_and(|first| has(SHELLS, program(first)))
}

/// The script or module that an interpreter runs; `None` where it runs none.
pub(super) fn script(args: &[String]) -> Option<&str> {
    let rest: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    match runs(&rest) {
        Runs::Named(name) => Some(name),
        Runs::Script(script) => script.first().copied(),
        Runs::Code(_) | Runs::Nothing => None,
    }
}

fn command(words: &[&str], depth: u8) -> Option<String> {
    let words = skip_assignments(words);
    let (first, rest) = words.split_first()?;
    let program = program(first);
    // What redaction hid, and signs.
    if program.is_empty() || program.starts_with(['[', '$', '`', '<', '>', '(']) || depth > MAX_DEPTH {
        return None;
    }
    if has(SHELLS, program) {
        return Some(shell(program, rest, depth));
    }
    if program == "eval" {
        return code(&rest.join(" "), depth + 1);
    }
    if has(WRAPPERS, program) {
        return command(wrapped(rest), depth + 1).or_else(|| Some(program.to_owned()));
    }
    if let Some((runner, after)) = runner(program, rest) {
        let inner = command(after, depth + 1).map(|inner| format!("{runner} {}", unversioned(&inner)));
        return inner.or(Some(runner));
    }
    if has(INTERPRETERS, program) && !has(MULTIPLE, program) {
        return Some(interpreted(program, rest, depth));
    }
    let subcommand = operands(rest).next().filter(|word| has(MULTIPLE, program) && is_plain(word));
    Some(subcommand.map_or_else(|| program.to_owned(), |subcommand| format!("{program} {subcommand}")))
}

fn shell(program: &str, rest: &[&str], depth: u8) -> String {
    let is_code = |arg: &&&str| arg.starts_with('-') && !arg.starts_with("--") && arg.contains('c');
    let named = match rest.iter().take_while(|arg| arg.starts_with(['-', '+'])).find(is_code) {
        Some(_) => {
            let options = rest.iter().take_while(|arg| arg.starts_with(['-', '+'])).count();
            rest.get(options).and_then(|text| code(text, depth + 1))
        }
        None => scripted(skip_options(rest), depth),
    };
    named.unwrap_or_else(|| program.to_owned())
}

/// The first command of shell code that does something; the first of all where none does.
fn code(text: &str, depth: u8) -> Option<String> {
    let words = split(text);
    let mut prepares = None;
    for simple in words.split(|word| matches!(word.as_str(), "&&" | "||" | "|" | ";" | "&" | "(" | ")")) {
        let simple: Vec<&str> = simple.iter().map(String::as_str).collect();
        let Some(name) = command(&simple, depth) else { continue };
        if !has(PREPARE, &name) {
            return Some(name);
        }
        prepares.get_or_insert(name);
    }
    prepares
}

/// Words as they were shown: blanks divide them, but not in quotes.
fn split(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in text.chars() {
        match quote {
            Some(end) if c == end => quote = None,
            None if matches!(c, '\'' | '"') => quote = Some(c),
            None if c.is_whitespace() => {
                words.extend(Some(std::mem::take(&mut word)).filter(|w| !w.is_empty()))
            }
            _ => word.push(c),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

/// A runner with its subcommand, and what comes after.
fn runner<'a, 'b>(program: &str, rest: &'b [&'a str]) -> Option<(String, &'b [&'a str])> {
    if has(RUNNERS, program) {
        return Some((program.to_owned(), wrapped(rest)));
    }
    let (subcommand, after) = subcommand_runner(program, rest)?;
    Some((format!("{program} {subcommand}"), wrapped(after)))
}

fn subcommand_runner<'a, 'b>(program: &str, rest: &'b [&'a str]) -> Option<(&'a str, &'b [&'a str])> {
    let [subcommand, after @ ..] = skip_options(rest) else { return None };
    let is_known = SUBCOMMAND_RUNNERS.contains(&format!("{program} {subcommand}").as_str());
    is_known.then_some((*subcommand, after))
}

/// `python x.py`, `python -m m`, `node -e …`.
fn interpreted(program: &str, rest: &[&str], depth: u8) -> String {
    match runs(rest) {
        Runs::Code(option) => format!("{program} {option}"),
        Runs::Named(name) => base(name).to_owned(),
        Runs::Script(script) => scripted(script, depth).unwrap_or_else(|| program.to_owned()),
        Runs::Nothing => program.to_owned(),
    }
}

/// What an interpreter is told to run.
enum Runs<'a, 'b> {
    /// Code, by this option.
    Code(&'a str),
    /// A module, or an archive.
    Named(&'a str),
    /// A script and its arguments.
    Script(&'b [&'a str]),
    /// Nothing: it reads its input.
    Nothing,
}

fn runs<'a, 'b>(mut rest: &'b [&'a str]) -> Runs<'a, 'b> {
    while let [arg, after @ ..] = rest {
        match *arg {
            "-m" | "-jar" => return after.first().map_or(Runs::Nothing, |name| Runs::Named(name)),
            "-c" | "-e" | "-p" | "--eval" | "--print" => return Runs::Code(arg),
            option if has(INTERPRETER_VALUED, option) => rest = after.get(1..).unwrap_or_default(),
            option if option.starts_with('-') => rest = after,
            _ => return Runs::Script(rest),
        }
    }
    Runs::Nothing
}

/// What a script is called, which stands before its arguments: some are programs that people know.
fn scripted(rest: &[&str], depth: u8) -> Option<String> {
    let (script, after) = rest.split_first()?;
    let known = known_script(script);
    match has(RUNNERS, known) || has(MULTIPLE, known) {
        true => command(&[&[known], after].concat(), depth + 1),
        false => Some(base(script).to_owned()),
    }
}

/// `npx` for `/usr/lib/node_modules/npm/bin/npx-cli.js`.
fn known_script(script: &str) -> &str {
    base(script).trim_end_matches(".js").trim_end_matches("-cli")
}

/// What an interpreter's script that is a launcher is called by: `node /usr/bin/npx x` is `npx x`.
fn skip_interpreter<'a, 'b>(words: &'b [&'a str]) -> &'b [&'a str] {
    match words {
        [first, rest @ ..] if has(INTERPRETERS, program(first)) => skip_options(rest),
        words => words,
    }
}

/// What stands after a wrapper's options, assignments and durations.
fn wrapped<'a, 'b>(rest: &'b [&'a str]) -> &'b [&'a str] {
    let mut rest = skip_assignments(skip_options(rest));
    while let [first, after @ ..] = rest
        && first.starts_with(|c: char| c.is_ascii_digit())
    {
        rest = skip_assignments(after);
    }
    rest
}

fn skip_options<'a, 'b>(mut rest: &'b [&'a str]) -> &'b [&'a str] {
    while let [first, after @ ..] = rest
        && first.starts_with('-')
    {
        rest = if has(VALUED, first) { after.get(1..).unwrap_or_default() } else { after };
        if *first == "--" {
            break;
        }
    }
    rest
}

fn skip_assignments<'a, 'b>(mut words: &'b [&'a str]) -> &'b [&'a str] {
    let is_name = |c: char| c == '_' || c.is_ascii_alphanumeric();
    while let [first, rest @ ..] = words
        && first.split_once('=').is_some_and(|(name, _)| !name.is_empty() && name.chars().all(is_name))
    {
        words = rest;
    }
    words
}

/// Arguments that are neither options nor their values.
fn operands<'a>(rest: &[&'a str]) -> impl Iterator<Item = &'a str> {
    let mut is_value = false;
    rest.iter().copied().filter(move |arg| {
        let skip = std::mem::take(&mut is_value) || arg.starts_with('-');
        is_value = has(VALUED, arg);
        !skip
    })
}

/// The name of a program's file, of Python's without its version.
fn program(path: &str) -> &str {
    let name = base(path);
    let versionless = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if matches!(versionless, "python" | "pypy" | "ruby" | "perl" | "lua" | "php") {
        versionless
    } else {
        name
    }
}

fn base(path: &str) -> &str {
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    // A login shell's name begins with a dash.
    name.strip_prefix('-').filter(|name| has(SHELLS, name)).unwrap_or(name)
}

/// A package's name without its version.
fn unversioned(package: &str) -> &str {
    match package.rfind('@') {
        Some(at) if at > 0 => package.get(..at).unwrap_or(package),
        _ => package,
    }
}

/// Whether a word could be a subcommand, not a file or a value.
fn is_plain(word: &str) -> bool {
    word.len() <= 24
        && word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | ':'))
}

fn has(list: &str, word: &str) -> bool {
    !word.is_empty() && list.split_ascii_whitespace().any(|known| known == word)
}

#[cfg(test)]
mod tests {
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
                "npm run",
            ),
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
            (&["node", "/usr/lib/node_modules/npm/bin/npm-cli.js", "run", "build"], "npm run"),
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
            (&["sudo", "-u", "bob", "apt-get", "install", "x"], "apt-get install"),
            (&["sudo"], "sudo"),
            (&[], "comm"),
            (&["", ""], "comm"),
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
            (&["npm", "install"], false),
            (&["python3", "agent.py"], false),
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
}

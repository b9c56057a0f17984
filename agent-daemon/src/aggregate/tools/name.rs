//! What a person calls a command: `cargo test` for `bash -c 'cd /r && cargo test -p x'`, `x.py` for `python3 x.py`.
//!
//! Reads command lines that redaction has been through, and takes of them a program, and a subcommand, script, module or
//! package at most: nothing that tells one call from another, no value of an option, and nothing that redaction hid.
//!
//! Of several commands in one shell, in subshells and loops as well, the first names the call that is neither a word or
//! builtin of the shell (`for`, `cd`, `export`, `exit`) nor says something (`echo`, `true`) nor keeps house (`mkdir`, `ls`,
//! `sleep`); where there is none, the first that keeps house, else the first that says something, else the first builtin. What comes after an option that is not known may be its value, so
//! nothing after it is taken for a subcommand.

mod interpreter;

use interpreter::{Runs, runs};

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
/// Run a script of the project's, which their next word names.
const SCRIPT_RUNNERS: [&str; 7] =
    ["npm run", "npm run-script", "pnpm run", "yarn run", "bun run", "deno task", "composer run"];
/// Run the project's program.
const STARTERS: [&str; 4] = ["npm start", "pnpm start", "yarn start", "bun start"];
/// Whose first operand says what they do.
const MULTIPLE: &str = "git cargo npm pnpm yarn uv pip pip3 pipx poetry go gh glab docker podman kubectl helm apt apt-get \
    dnf brew systemctl make just task dotnet mvn gradle rustup terraform aws gcloud az conda deno bun bundle rails";
/// Options of sudo and doas whose value is the next argument.
const SUDO_VALUED: &str = "-C -D -g -h -p -R -r -T -t -U -u --user --group --chdir --host --prompt";
/// Options of others whose value is the next argument.
const VALUED: &str = "-C -c -f -n -u -p -k -j -I -W -X --prefix --cwd --directory --manifest-path --namespace --context \
    --python --project --package --with --git-dir --work-tree --config --require --import --user --group";
/// The same, of programs with subcommands.
const SUBCOMMAND_VALUED: &str = "-C -c -f -n -p -j -R -H --prefix --cwd --directory --manifest-path --namespace --context \
    --python --project --package --git-dir --work-tree --config --kubeconfig --cluster --profile --region --output \
    --endpoint-url --zone --account --subscription --host --log-level --file --repo --color --target-dir --workspace";
/// Options of programs with subcommands that have no value.
const FLAGS: &str = "-v -q -s -y -g -k -i -w -B -P --verbose --quiet --silent --yes --offline --locked --frozen --no-pager \
    --paginate --global --user --system --debug --no-color --assume-yes --workspaces --keep-going --non-interactive";
/// Words and builtins of shells, which are no programs.
const BUILTINS: &str = "cd pushd popd dirs export set source . pwd : umask shopt setopt trap unset alias unalias test [ [[ \
    ulimit wait for case select function local declare typeset readonly done fi esac } if elif while until then else do ! { exit return break \
    continue shift read mapfile getopts hash jobs bg fg disown let logout exec command builtin time";
/// Builtins that say something, or yes or no.
const SAYS: &str = "echo printf true false";

/// Commands that people run beside the one that they mean.
const HOUSEKEEPING: &str = "mkdir rmdir touch rm cp mv ln chmod chown cat ls tail head tee wc sort uniq cut tr \
    sleep date clear which";

/// The name of a command line.
pub(in crate::aggregate) fn of(args: &[String], comm: &str) -> String {
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
    interpreter::is_one(program) || has(SHELLS, program) || has(WRAPPERS, program) || has(RUNNERS, program)
}

/// Whether this command line only starts another program, which is the one that is meant.
pub(super) fn is_launcher(args: &[String]) -> bool {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match skip_interpreter(&words) {
        [first, rest @ ..] => {
            let program = known_script(program(first));
            let runs = |known| subcommand_among(known, program, rest).is_some();
            has(WRAPPERS, program)
                || has(RUNNERS, program)
                || [&SUBCOMMAND_RUNNERS[..], &SCRIPT_RUNNERS, &STARTERS].into_iter().any(runs)
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
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (first, rest) = words.split_first()?;
    match runs(program(first), rest) {
        Runs::Named(named) | Runs::Script(named) => named.first().copied(),
        Runs::Code(_) | Runs::Nothing => None,
    }
}

fn command(words: &[&str], depth: u8) -> Option<String> {
    let words = skip_assignments(words);
    let (first, rest) = words.split_first()?;
    let program = program(first);
    if program.is_empty() || is_hidden(program) || depth > MAX_DEPTH {
        return None;
    }
    if has(SHELLS, program) {
        return Some(shell(program, rest, depth));
    }
    if program == "eval" {
        return code(&rest.join(" "), depth + 1);
    }
    if has(WRAPPERS, program) {
        let valued = if matches!(program, "sudo" | "doas") { SUDO_VALUED } else { VALUED };
        return command(wrapped(rest, valued), depth + 1).or_else(|| Some(program.to_owned()));
    }
    if let Some((runner, after)) = runner(program, rest) {
        let inner = command(after, depth + 1).map(|inner| format!("{runner} {}", unversioned(&inner)));
        return inner.or(Some(runner));
    }
    if interpreter::is_one(program) && !has(MULTIPLE, program) {
        return Some(interpreted(program, rest, depth));
    }
    let mut words = operands(rest).take_while(|word| has(MULTIPLE, program) && is_plain(word));
    let Some(subcommand) = words.next() else { return Some(program.to_owned()) };
    let name = format!("{program} {subcommand}");
    let script = words.next().filter(|_| SCRIPT_RUNNERS.contains(&name.as_str()));
    Some(script.map_or(name.clone(), |script| format!("{name} {script}")))
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

/// What names shell code: see above.
fn code(text: &str, depth: u8) -> Option<String> {
    let words = split(text);
    let (mut keeps_house, mut says, mut builtin) = (None, None, None);
    for simple in words.split(|word| matches!(word.as_str(), "&&" | "||" | "|" | ";" | "&" | "(" | ")")) {
        let simple: Vec<&str> = simple.iter().map(String::as_str).collect();
        let Some(name) = command(&simple, depth) else { continue };
        if has(BUILTINS, &name) {
            builtin.get_or_insert(name);
        } else if has(SAYS, &name) {
            says.get_or_insert(name);
        } else if has(HOUSEKEEPING, &name) {
            keeps_house.get_or_insert(name);
        } else {
            return Some(name);
        }
    }
    keeps_house.or(says).or(builtin)
}

/// Words as they were shown: blanks divide them, but not in quotes, nor in what stands for what is hidden.
fn split(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut before = ' ';
    for c in text.chars() {
        let hides = before == '[' && c.is_ascii_digit();
        before = c;
        match quote {
            Some(']') if c == ']' => {
                word.push(c);
                quote = None;
            }
            Some(end) if c == end => quote = None,
            None if hides && word == "[" => {
                word.push(c);
                quote = Some(']');
            }
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
        return Some((program.to_owned(), wrapped(rest, VALUED)));
    }
    let (subcommand, after) = subcommand_among(&SUBCOMMAND_RUNNERS, program, rest)?;
    Some((format!("{program} {subcommand}"), wrapped(after, VALUED)))
}

/// The subcommand, if it is one of these of the program, and what comes after.
fn subcommand_among<'a, 'b>(
    known: &[&str],
    program: &str,
    rest: &'b [&'a str],
) -> Option<(&'a str, &'b [&'a str])> {
    let [subcommand, after @ ..] = skip_options(rest) else { return None };
    let is_known = known.contains(&format!("{program} {subcommand}").as_str());
    is_known.then_some((*subcommand, after))
}

/// `python x.py`, `python -m m`, `node -e …`.
fn interpreted(program: &str, rest: &[&str], depth: u8) -> String {
    match runs(program, rest) {
        Runs::Code(letter) => format!("{program} -{letter}"),
        Runs::Named(named) => named.first().map_or(program, |name| base(name)).to_owned(),
        Runs::Script(script) => scripted(script, depth).unwrap_or_else(|| program.to_owned()),
        Runs::Nothing => program.to_owned(),
    }
}

/// What a script is called, which stands before its arguments: some are programs that people know.
fn scripted(rest: &[&str], depth: u8) -> Option<String> {
    let (script, after) = rest.split_first().filter(|(script, _)| !is_hidden(script))?;
    let known = known_script(script);
    // What stands in an interpreter's place, as pyenv's do, is a script by its name.
    match has(RUNNERS, known) || has(MULTIPLE, known) || interpreter::is_one(program(known)) {
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
        [first, rest @ ..] if interpreter::is_one(program(first)) => match runs(program(first), rest) {
            Runs::Named(named) | Runs::Script(named) => named,
            Runs::Code(_) | Runs::Nothing => &[],
        },
        words => words,
    }
}

/// What stands after a wrapper's options, assignments and durations.
fn wrapped<'a, 'b>(rest: &'b [&'a str], valued: &str) -> &'b [&'a str] {
    let mut rest = skip_assignments(skip_valued(rest, valued));
    while let [first, after @ ..] = rest
        && first.starts_with(|c: char| c.is_ascii_digit())
    {
        rest = skip_assignments(after);
    }
    rest
}

fn skip_options<'a, 'b>(rest: &'b [&'a str]) -> &'b [&'a str] {
    skip_valued(rest, VALUED)
}

fn skip_valued<'a, 'b>(mut rest: &'b [&'a str], valued: &str) -> &'b [&'a str] {
    while let [first, after @ ..] = rest
        && first.starts_with('-')
    {
        rest = if has(valued, first) { after.get(1..).unwrap_or_default() } else { after };
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

/// The arguments that are neither options nor the values of ones, as far as that is known for sure.
fn operands<'a>(mut rest: &[&'a str]) -> impl Iterator<Item = &'a str> {
    std::iter::from_fn(move || {
        while let [arg, after @ ..] = rest {
            rest = match arg.strip_prefix('-') {
                // `+nightly`, to cargo and rustup
                None if arg.starts_with('+') => after,
                None => {
                    rest = after;
                    return Some(*arg);
                }
                Some(_) if has(SUBCOMMAND_VALUED, arg) => after.get(1..)?,
                Some(_) if has(FLAGS, arg) || arg.contains('=') => after,
                // `-j8`: the value is in it.
                Some(short) if short.ends_with(|c: char| c.is_ascii_digit()) => after,
                Some(_) => return None,
            };
        }
        None
    })
}

/// What redaction hid, and signs.
fn is_hidden(word: &str) -> bool {
    word.starts_with(['[', '$', '`', '<', '>', '(', '{', '&', '|']) && word != "{"
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
mod tests;

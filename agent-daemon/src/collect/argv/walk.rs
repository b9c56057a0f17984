//! The walk over one command line: what each argument is, by its place.

use crate::model::interpreter::{Interpreter, TargetKind};

use super::{
    names::{Meaning, is_secret_with, meaning},
    programs::{Program, Role, Short, is_kept, is_subcommand},
    prose::{is_prose, placeholder},
    secrets::{REDACTED, redact},
    shell,
};

/// The bytes of an argument that are searched for secrets. More than what is kept of it, so that a secret
/// over that limit is still recognised; the rest is never shown.
const SEARCHED_BYTES: usize = 1024;

/// Redacts the command line that a process was started with.
pub(in crate::collect) fn redact_line(args: &[String]) -> Vec<String> {
    redact_at(args, 0)
}

/// Redacts a command line, or a simple command of shell code `depth` shells down.
fn redact_at(args: &[String], depth: u8) -> Vec<String> {
    let mut walk = Walk::new(args, depth);
    for index in 0..args.len() {
        if let Some(arg) = args.get(index) {
            let shown = walk.argument(index, arg);
            walk.out.push(shown);
        }
    }
    walk.out
}

/// What an argument says of the one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Nothing,
    /// The name before it means this.
    Means(Meaning),
    /// It is `USER:PASSWORD`.
    User,
    /// An agent's option that takes no prompt.
    Keep,
}

/// The target of the interpreter whose command line this is.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    /// Which argument.
    index: usize,
    /// Where in it the target begins.
    offset: usize,
    kind: TargetKind,
    shell: bool,
}

/// A walk over one command line. `program` is the innermost program known so far: wrappers such as `sudo`
/// and interpreters hand over to what they run.
struct Walk<'a> {
    args: &'a [String],
    depth: u8,
    out: Vec<String>,
    program: &'static Program,
    /// The program is still to come: assignments before it, as in `A=1 cmd`, or a wrapper's own options.
    at_start: bool,
    target: Option<Awaited>,
    next: Next,
    /// The operand before this argument.
    operand: &'a str,
    /// A `login` was seen, which makes `-p` a password.
    login: bool,
    /// `--` was seen.
    only_operands: bool,
}

impl<'a> Walk<'a> {
    fn new(args: &'a [String], depth: u8) -> Self {
        Self {
            args,
            depth,
            out: Vec::with_capacity(args.len()),
            program: Program::of(""),
            at_start: true,
            target: None,
            next: Next::Nothing,
            operand: "",
            login: false,
            only_operands: false,
        }
    }

    fn argument(&mut self, index: usize, arg: &'a str) -> String {
        if self.at_start && !is_assignment(arg) {
            self.at_start = false;
            return self.enter(index, arg);
        }
        if let Some(target) = self.target.filter(|t| t.index == index) {
            return self.target_argument(arg, target);
        }
        if let Some(shown) = self.as_value(arg) {
            return shown;
        }
        if is_option(arg) && !self.only_operands {
            return self.option(arg);
        }
        self.operand(index, arg)
    }

    /// Takes `arg` for the name of a program whose command line begins here.
    fn enter(&mut self, index: usize, arg: &'a str) -> String {
        self.program = Program::of(arg);
        self.next = Next::Nothing;
        self.only_operands = false;
        if let Some(interpreter) = Interpreter::of(arg) {
            let rest = self.args.get(index..).unwrap_or_default();
            self.target = interpreter.target(rest).map(|t| Awaited {
                index: index + t.index,
                offset: rest.get(t.index).map_or(0, |whole| whole.len().saturating_sub(t.text.len())),
                kind: t.kind,
                shell: interpreter.is_shell(),
            });
        }
        // A process may put any title here: its first word stands for it.
        match arg.split_once(char::is_whitespace) {
            Some((first, _)) if is_prose(arg) => format!("{} {}", redact_start(first), placeholder(arg)),
            _ => redact_start(arg),
        }
    }

    fn target_argument(&mut self, arg: &'a str, target: Awaited) -> String {
        let (before, text) = arg.split_at_checked(target.offset).unwrap_or(("", arg));
        self.next = Next::Nothing;
        match target.kind {
            TargetKind::Code if target.shell => format!("{before}{}", self.shell(text)),
            TargetKind::Code => format!("{before}{}", placeholder(text)),
            TargetKind::Script | TargetKind::Module => {
                self.program = Program::of(text);
                self.plain(arg)
            }
        }
    }

    fn shell(&self, code: &str) -> String {
        if self.depth >= shell::MAX_DEPTH {
            return placeholder(code);
        }
        shell::summarise(code, self.depth + 1, &redact_at)
    }

    /// The argument as the value of what came before, if it is one.
    fn as_value(&mut self, arg: &str) -> Option<String> {
        let next = std::mem::replace(&mut self.next, Next::Nothing);
        if next == Next::Nothing || is_next_option(arg) {
            return None;
        }
        match next {
            Next::Means(Meaning::Secret) => Some(self.secret_value(arg)),
            Next::Means(Meaning::Text) => Some(placeholder(arg)),
            Next::Means(Meaning::Header) => Some(header(arg)),
            Next::User | Next::Means(Meaning::User) => Some(user(arg)),
            Next::Keep => Some(self.plain(arg)),
            Next::Means(Meaning::Plain) | Next::Nothing => None,
        }
    }

    /// An unquoted `Authorization: Bearer X` spreads over arguments: the scheme is shown, `X` follows.
    fn secret_value(&mut self, arg: &str) -> String {
        if ["bearer", "basic", "digest", "token"].iter().any(|s| arg.eq_ignore_ascii_case(s)) {
            self.next = Next::Means(Meaning::Secret);
            return arg.to_owned();
        }
        REDACTED.to_owned()
    }

    fn option(&mut self, arg: &str) -> String {
        if let Some(long) = arg.strip_prefix("--") {
            return match arg.split_once('=') {
                Some((name, value)) => self.assigned_option(name, value),
                None => self.long_option(arg, long),
            };
        }
        let (first, attached) = match arg.char_indices().nth(2) {
            Some((at, _)) => arg.split_at(at),
            None => (arg, ""),
        };
        match (self.attached_value(first, attached), arg.split_once('=')) {
            (Some(value), _) => format!("{first}{value}"),
            (None, Some((name, value))) => self.assigned_option(name, value),
            (None, None) => self.short_options(arg, first, attached),
        }
    }

    fn long_option(&mut self, arg: &str, long: &str) -> String {
        self.only_operands = long.is_empty();
        let agent = self.program.role == Role::Agent;
        self.next = match self.program.long(arg) {
            Meaning::Plain if agent && is_kept(long) => Next::Keep,
            other => Next::Means(other),
        };
        self.plain(arg)
    }

    fn assigned_option(&mut self, name: &str, value: &str) -> String {
        let agent = self.program.role == Role::Agent;
        let shown = match self.program.long(name) {
            Meaning::Secret if is_secret_with(name, value) => REDACTED.to_owned(),
            Meaning::Header => header(value),
            Meaning::User => user(value),
            Meaning::Text => placeholder(value),
            Meaning::Plain if agent && !is_kept(name.trim_start_matches('-')) && !is_figure(value) => {
                placeholder(value)
            }
            Meaning::Secret | Meaning::Plain => self.plain(value),
        };
        format!("{}={shown}", self.plain(name))
    }

    /// Short options: the last letter of a cluster may take the next argument; what looks like a cluster
    /// may as well be the first letter's value.
    fn short_options(&mut self, arg: &str, first: &str, attached: &str) -> String {
        let last = arg.chars().next_back().unwrap_or('-');
        self.next = match self.program.short(last) {
            Short::Means(Meaning::Plain) if self.login && last == 'p' => Next::Means(Meaning::Secret),
            Short::Means(Meaning::Plain) if arg.len() > 3 => Next::Means(meaning(arg)),
            Short::Means(other) => Next::Means(other),
            Short::User => Next::User,
            Short::Keep => Next::Keep,
        };
        format!("{first}{}", self.plain(attached))
    }

    /// What is shown of a value in the same argument as its short option (`-p`), if that is known to take
    /// one.
    fn attached_value(&self, option: &str, value: &str) -> Option<String> {
        let letter = option.chars().nth(1).filter(|_| !value.is_empty())?;
        match self.program.short_attached(letter) {
            Short::Means(Meaning::Secret) => Some(REDACTED.to_owned()),
            Short::Means(Meaning::Text) => Some(placeholder(value)),
            Short::Means(Meaning::Header) => Some(header(value)),
            Short::User | Short::Means(Meaning::User) => Some(user(value)),
            Short::Means(Meaning::Plain) if self.program.may_be_password(letter, value) => {
                Some(REDACTED.to_owned())
            }
            Short::Means(Meaning::Plain) if self.program.role == Role::Agent && value.len() > 1 => {
                Some(placeholder(value))
            }
            Short::Keep | Short::Means(Meaning::Plain) => None,
        }
    }

    fn operand(&mut self, index: usize, arg: &'a str) -> String {
        let before = std::mem::replace(&mut self.operand, arg);
        self.login |= arg == "login";
        match self.program.role {
            Role::Wrapper if is_program(arg) => self.enter(index, arg),
            _ if self.program.is_unknown() && self.hands_code_on(index, arg) => self.enter(index, arg),
            Role::Agent if is_subcommand(arg) || is_figure(arg) => arg.to_owned(),
            Role::Agent => placeholder(arg),
            Role::Eval => self.shell(arg),
            Role::Filter if !is_name(arg) => placeholder(arg),
            Role::Password if index + 1 == self.args.len() => REDACTED.to_owned(),
            Role::Tool | Role::Wrapper | Role::Filter | Role::Password => {
                let setting = matches!(before, "set" | "config") || arg.ends_with(':');
                if setting && is_secret_with(arg, "") {
                    self.next = Next::Means(Meaning::Secret);
                }
                self.plain(arg)
            }
        }
    }

    /// Whether an operand of a program of which nothing is known is an interpreter that is given code.
    fn hands_code_on(&self, index: usize, arg: &str) -> bool {
        let target = Interpreter::of(arg).and_then(|i| i.target(self.args.get(index..).unwrap_or_default()));
        target.is_some_and(|target| target.kind == TargetKind::Code)
    }

    /// An argument in no special place: judged by its looks.
    fn plain(&self, arg: &str) -> String {
        if is_prose(arg) { placeholder(arg) } else { redact_start(arg) }
    }
}

/// Redacts the part of an argument that can be shown.
fn redact_start(arg: &str) -> String {
    redact(arg.get(..arg.floor_char_boundary(SEARCHED_BYTES)).unwrap_or(arg)).into_owned()
}

/// Whether redaction knows what `arg` runs, if it runs anything.
fn is_program(arg: &str) -> bool {
    Interpreter::of(arg).is_some() || !Program::of(arg).is_unknown()
}

/// `NAME=VALUE`, with a name that a variable can have.
fn is_assignment(arg: &str) -> bool {
    arg.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

fn is_option(arg: &str) -> bool {
    let mut chars = arg.chars();
    chars.next() == Some('-') && chars.next().is_some_and(|c| c == '-' || c.is_alphabetic())
}

/// Whether an argument in the place of a value is an option all the same: `--name`, or a short one. A
/// longer word after one dash is taken for the value, since secrets may begin with a dash.
fn is_next_option(arg: &str) -> bool {
    let name =
        |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    match arg.strip_prefix("--") {
        Some(long) => name(long.split('=').next().unwrap_or_default()),
        None => is_option(arg) && arg.len() <= 3,
    }
}

/// Whether an operand could be a file, a field or a name: code of any length has other signs.
fn is_name(arg: &str) -> bool {
    arg.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | ',' | '+' | '@'))
}

fn is_figure(arg: &str) -> bool {
    matches!(arg, "true" | "false")
        || (arg.len() <= 9 && arg.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

/// A header: its name, nothing of its value.
fn header(arg: &str) -> String {
    match arg.split_once(':') {
        Some((name, _)) if !is_prose(name) => format!("{}: {REDACTED}", redact_start(name)),
        _ => REDACTED.to_owned(),
    }
}

/// `USER:PASSWORD`, `USER%PASSWORD`, or a URL that holds them.
fn user(arg: &str) -> String {
    if arg.contains("://") {
        return redact_start(arg);
    }
    match arg.find([':', '%']).and_then(|at| arg.get(..=at)) {
        Some(user) if !is_prose(user) => format!("{}{REDACTED}", redact_start(user)),
        _ => redact_start(arg),
    }
}

//! What an interpreter is told to run: its options, as far as they say where the script stands.

use super::has;

/// What is known of interpreters that read their options alike.
struct Interpreter {
    names: &'static str,
    /// Letters of options whose value is code: the rest of the argument, or the next one.
    code: &'static str,
    /// The same, of a module's name.
    module: &'static str,
    /// The same, of any other value.
    valued: &'static str,
    /// Letters whose value, if any, is the rest of the argument.
    suffixed: &'static str,
    /// Other options whose value is the next argument.
    long: &'static str,
}

const PLAIN: Interpreter =
    Interpreter { names: "", code: "", module: "", valued: "", suffixed: "", long: "" };

static INTERPRETERS: [Interpreter; 8] = [
    Interpreter {
        names: "python pypy",
        code: "c",
        module: "m",
        valued: "WX",
        long: "--check-hash-based-pycs",
        ..PLAIN
    },
    Interpreter {
        names: "node nodejs bun deno tsx ts-node",
        code: "ep",
        valued: "rC",
        long: "--require --import --loader --experimental-loader --env-file --conditions",
        ..PLAIN
    },
    Interpreter { names: "ruby", code: "e", valued: "IrCEK", suffixed: "i", ..PLAIN },
    Interpreter { names: "perl", code: "eE", valued: "I", suffixed: "iMmx", ..PLAIN },
    Interpreter { names: "lua", code: "e", valued: "l", ..PLAIN },
    Interpreter { names: "php", code: "r", valued: "cdz", ..PLAIN },
    Interpreter { names: "Rscript", code: "e", ..PLAIN },
    Interpreter {
        names: "java",
        long: "-cp -classpath --class-path -p --module-path --add-modules",
        ..PLAIN
    },
];

/// Whether this is an interpreter's name.
pub(super) fn is_one(program: &str) -> bool {
    INTERPRETERS.iter().any(|known| has(known.names, program))
}

/// What an interpreter is told to run.
pub(super) enum Runs<'a, 'b> {
    /// Code, by the option of this letter.
    Code(char),
    /// A module, or an archive, and its arguments.
    Named(&'b [&'a str]),
    /// A script and its arguments.
    Script(&'b [&'a str]),
    /// Nothing: it reads its input.
    Nothing,
}

/// What `program` is told to run by these arguments.
pub(super) fn runs<'a, 'b>(program: &str, mut rest: &'b [&'a str]) -> Runs<'a, 'b> {
    let known = INTERPRETERS.iter().find(|known| has(known.names, program)).unwrap_or(&PLAIN);
    while let [arg, after @ ..] = rest {
        let takes_next = match *arg {
            "-jar" => return Runs::Named(after),
            "--eval" => return Runs::Code('e'),
            "--print" => return Runs::Code('p'),
            "--" => return Runs::Script(after),
            "-" => return Runs::Nothing,
            option if has(known.long, option) => true,
            option if option.starts_with("--") => match after {
                // It may take what follows, which is no name unless it looks like one of a file.
                [next, ..]
                    if !option.contains('=') && !next.starts_with('-') && !next.contains(['/', '.']) =>
                {
                    return Runs::Nothing;
                }
                _ => false,
            },
            option => match option.strip_prefix('-') {
                None => return Runs::Script(rest),
                Some(letters) => match known.letters(letters) {
                    Says::Code(letter) => return Runs::Code(letter),
                    Says::Module => return Runs::Named(after),
                    Says::Value => true,
                    Says::Nothing => false,
                },
            },
        };
        rest = if takes_next { after.get(1..).unwrap_or_default() } else { after };
    }
    Runs::Nothing
}

/// What options of one letter say that stand in one argument, such as `-Im`.
enum Says {
    Code(char),
    /// The next argument is a module's name.
    Module,
    /// The next argument is a value.
    Value,
    Nothing,
}

impl Interpreter {
    fn letters(&self, letters: &str) -> Says {
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            let is_last = rest.as_str().is_empty();
            match letter {
                letter if self.code.contains(letter) => return Says::Code(letter),
                // `-mpip` is written by nobody.
                letter if self.module.contains(letter) && is_last => return Says::Module,
                letter if self.valued.contains(letter) && is_last => return Says::Value,
                letter if self.valued.contains(letter) || self.suffixed.contains(letter) => break,
                _ => {}
            }
        }
        Says::Nothing
    }
}

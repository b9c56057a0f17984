//! Shell code to readable, redacted commands.
//!
//! Agents run nearly every tool as `bash -c CODE`, and what a tool call was is what a profile is read for.
//! So code of shells is not replaced by its length: it is split into its simple commands, and each of them
//! is redacted as a command line of its own, and so are the commands in `$(…)`. What cannot be split safely
//! (here-documents, process substitutions, code within code too deep) is replaced by its length from there on;
//! in `$(…)` and backticks, as far as those reach.
//!
//! Limits: this is a lexer, no parser. Parameters stay as written; comments go.

use super::prose::placeholder;

/// How deep shells within shells, and substitutions, are read; below, code becomes its length.
pub(super) const MAX_DEPTH: u8 = 3;

/// Most simple commands that are shown.
const MAX_COMMANDS: usize = 16;

/// A piece of shell code.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// A word, its quotes taken away.
    Word(String),
    /// A redirection and its target.
    Redirect(String, String),
    /// What separates commands.
    Separator(&'static str),
    /// From here on the code cannot be split.
    Opaque,
}

/// What redacts a simple command that stands so many shells deep.
type Redact<'a> = &'a dyn Fn(&[String], u8) -> Vec<String>;

/// Shows shell code, `depth` shells deep, with every simple command and every target of a redirection passed
/// through `redact`.
pub(super) fn summarise(code: &str, depth: u8, redact: Redact<'_>) -> String {
    let mut lexer = Lexer { code, at: 0, depth, redact };
    let (mut shown, end) = lexer.commands(false);
    if let End::Unsplit(start) = end {
        shown.parts.push(placeholder(code.get(start..).unwrap_or_default().trim_start()));
    }
    shown.finish()
}

/// Where reading commands ended.
enum End {
    /// With the code.
    Exhausted,
    /// At the bracket that closes the substitution.
    Closed,
    /// From here on the code cannot be split.
    Unsplit(usize),
}

/// The commands shown so far, and the one being read.
struct Shown<'a> {
    parts: Vec<String>,
    words: Vec<String>,
    redirects: Vec<String>,
    depth: u8,
    redact: Redact<'a>,
}

impl Shown<'_> {
    fn redirect(&mut self, sign: &str, target: String) {
        let target = (self.redact)(&[target], self.depth).concat();
        self.redirects.push(format!("{sign}{target}"));
    }

    /// Ends the command being read; whether there was one.
    fn flush(&mut self) -> bool {
        let any = !self.words.is_empty() || !self.redirects.is_empty();
        self.parts.extend((self.redact)(&self.words, self.depth).iter().map(|w| quote(w)));
        self.words.clear();
        self.parts.append(&mut self.redirects);
        any
    }

    /// Newlines and semicolons that separate nothing are not shown.
    fn separate(&mut self, sign: &str) {
        let after = self.parts.last().map_or(";", String::as_str);
        if sign != ";" || !matches!(after, ";" | "&" | "&&" | "||" | "|" | "(") {
            self.parts.push(sign.to_owned());
        }
    }

    fn finish(mut self) -> String {
        if self.parts.last().is_some_and(|p| p == ";") {
            self.parts.pop();
        }
        self.parts.join(" ")
    }
}

/// Quotes a word that would read as several.
fn quote(word: &str) -> String {
    let placeholder = word.starts_with('[') && word.ends_with(']');
    match word.contains(char::is_whitespace) && !placeholder {
        true if word.contains('\'') => format!("\"{word}\""),
        true => format!("'{word}'"),
        false => word.to_owned(),
    }
}

/// What separates commands, and how it is shown.
const SEPARATORS: [(&str, &str); 9] = [
    ("&&", "&&"),
    ("||", "||"),
    ("|&", "|"),
    ("|", "|"),
    (";;", ";"),
    (";", ";"),
    ("\n", ";"),
    ("(", "("),
    (")", ")"),
];

/// Redirections whose target is one word, longest first.
const REDIRECTIONS: [&str; 9] = ["&>>", "&>", ">>", ">|", ">&", "<&", "<>", ">", "<"];

/// Here-documents and process substitutions.
const OPAQUE: [&str; 3] = ["<<", "<(", ">("];

#[derive(Clone, Copy)]
struct Lexer<'a> {
    code: &'a str,
    at: usize,
    depth: u8,
    redact: Redact<'a>,
}

impl<'a> Lexer<'a> {
    /// Reads commands to the end, or to the bracket that closes the substitution they are in.
    fn commands(&mut self, in_substitution: bool) -> (Shown<'a>, End) {
        let (parts, words, redirects) = (Vec::new(), Vec::new(), Vec::new());
        let mut shown = Shown { parts, words, redirects, depth: self.depth, redact: self.redact };
        let (mut commands, mut open) = (0, 0usize);
        let end = loop {
            let start = self.at;
            match self.next() {
                Some(Token::Word(word)) => shown.words.push(word),
                Some(Token::Redirect(sign, target)) => shown.redirect(&sign, target),
                Some(Token::Separator(")")) if in_substitution && open == 0 => break End::Closed,
                Some(Token::Separator(sign)) if commands < MAX_COMMANDS => {
                    commands += usize::from(shown.flush());
                    shown.separate(sign);
                    match sign {
                        "(" => open += 1,
                        ")" => open = open.saturating_sub(1),
                        _ => {}
                    }
                }
                Some(Token::Separator(_) | Token::Opaque) => break End::Unsplit(start),
                None => break End::Exhausted,
            }
        };
        shown.flush();
        (shown, end)
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &str {
        self.code.get(self.at..).unwrap_or_default()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = self.rest().starts_with(sign);
        self.at += if found { sign.len() } else { 0 };
        found
    }

    fn skip_blanks(&mut self) {
        while self.eat(" ") || self.eat("\t") || self.eat("\r") || self.eat("\\\n") {}
    }

    fn next(&mut self) -> Option<Token> {
        self.skip_blanks();
        if self.peek()? == '#' {
            while self.peek().is_some_and(|c| c != '\n') {
                self.bump();
            }
        }
        for (sign, shown) in SEPARATORS {
            if self.eat(sign) {
                return Some(Token::Separator(shown));
            }
        }
        if let Some(token) = self.redirection() {
            return Some(token);
        }
        if self.eat("&") {
            return Some(Token::Separator("&"));
        }
        self.peek()?;
        Some(Token::Word(self.word()))
    }

    fn redirection(&mut self) -> Option<Token> {
        let signs = self.rest().trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = self.rest().len() - signs.len();
        if OPAQUE.iter().any(|o| signs.starts_with(o)) {
            return Some(Token::Opaque);
        }
        let sign = REDIRECTIONS.iter().find(|r| signs.starts_with(**r))?;
        let end = self.at + digits + sign.len();
        let sign = self.code.get(self.at..end).unwrap_or_default().to_owned();
        self.at = end;
        self.skip_blanks();
        Some(Token::Redirect(sign, self.word()))
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '|' | '&' | '<' | '>' | '(' | ')' => break,
                '\'' => self.quoted('\'', &mut word),
                '"' => self.quoted('"', &mut word),
                '`' => {
                    self.bump();
                    self.backticks(&mut word);
                }
                '\\' => {
                    self.bump();
                    word.extend(self.bump());
                }
                '$' => {
                    self.bump();
                    self.expansion(&mut word);
                }
                c => {
                    self.bump();
                    word.push(c);
                }
            }
        }
        word
    }

    fn quoted(&mut self, end: char, word: &mut String) {
        self.bump();
        while let Some(c) = self.bump() {
            match c {
                c if c == end => return,
                '\\' if end == '"' => word.extend(self.bump()),
                '$' if end == '"' => self.expansion(word),
                '`' if end == '"' => self.backticks(word),
                c => word.push(c),
            }
        }
    }

    /// The command in backticks, whose first has been read: its length alone, since quoting differs in there.
    fn backticks(&mut self, word: &mut String) {
        let start = self.at;
        let mut end = self.code.len();
        while let Some(c) = self.bump() {
            match c {
                '`' => {
                    end = self.at - 1;
                    break;
                }
                '\\' => drop(self.bump()),
                _ => {}
            }
        }
        word.push('`');
        word.push_str(&placeholder(self.code.get(start..end).unwrap_or_default()));
        word.push('`');
    }

    /// `$NAME`, `${…}` or `$(…)`, whose `$` has been read.
    fn expansion(&mut self, word: &mut String) {
        word.push('$');
        if self.eat("(") {
            self.substitution(word);
        } else if self.eat("{") {
            self.parameter(word);
        }
    }

    /// What stands in `${…}`: as written, but for commands.
    fn parameter(&mut self, word: &mut String) {
        word.push('{');
        while let Some(c) = self.bump() {
            match c {
                '$' => self.expansion(word),
                '`' => self.backticks(word),
                '\\' => word.extend(self.bump()),
                c => word.push(c),
            }
            if c == '}' {
                return;
            }
        }
    }

    /// The commands in `$(…)`, shown as any others; where that cannot be, their length.
    fn substitution(&mut self, word: &mut String) {
        let start = self.at;
        let mut inside = Lexer { depth: self.depth.saturating_add(1), ..*self };
        let read = (self.depth < MAX_DEPTH).then(|| inside.commands(true));
        let reached = if read.is_some() { inside.at } else { self.closing_bracket() };
        let code = self.code.get(start..reached).unwrap_or_default();
        // Its patterns end in brackets that close nothing.
        let has_case = code.split_whitespace().any(|word| word == "case");
        word.push('(');
        match read {
            Some((shown, End::Closed)) if !has_case => {
                word.push_str(&shown.finish());
                word.push(')');
                self.at = inside.at;
            }
            Some((shown, End::Exhausted)) => {
                word.push_str(&shown.finish());
                self.at = inside.at;
            }
            _ => {
                self.at = if has_case { self.code.len() } else { self.closing_bracket() };
                let hidden = self.code.get(start..self.at).unwrap_or_default();
                word.push_str(&placeholder(hidden.strip_suffix(')').unwrap_or(hidden)));
                word.push(')');
            }
        }
    }

    /// Behind the bracket that closes what has just been opened, whatever the quotes say.
    fn closing_bracket(&self) -> usize {
        let mut depth = 1usize;
        for (at, c) in self.rest().char_indices() {
            match c {
                '(' => depth += 1,
                ')' if depth == 1 => return self.at + at + 1,
                ')' => depth -= 1,
                _ => {}
            }
        }
        self.code.len()
    }
}

#[cfg(test)]
mod tests {
    use super::summarise;

    fn show(code: &str) -> String {
        summarise(code, 1, &|words, _| words.iter().map(|w| w.to_uppercase()).collect())
    }

    #[test]
    fn splits_into_simple_commands() {
        for (code, shown) in [
            ("npm test", "NPM TEST"),
            ("cd /r && ls -l | tail -1; echo 'a b'", "CD /R && LS -L | TAIL -1 ; ECHO 'A B'"),
            ("a 2>&1 >out b", "A B 2>&1 >OUT"),
            ("pwd -P >| /tmp/cwd", "PWD -P >|/TMP/CWD"),
            ("a # secret\nb", "A ; B"),
            ("cat <<EOF\nsecret\nEOF", "CAT [16 bytes]"),
            ("echo $(cat f) x", "ECHO '$(CAT F)' X"),
            ("echo \"$(a ')' | b)\" c", "ECHO '$(A ) | B)' C"),
            ("echo $((1+2))", "ECHO '$(( 1+2 ))'"),
            ("a ${b%.c} `d \\` e` f", "A ${B%.C} '`[6 BYTES]`' F"),
            ("a $(b <<E\n(c)\nE\n) d", "A '$([12 BYTES])' D"),
            ("a $(case x in y) z;; esac) d", "A '$([24 BYTES])'"),
            ("a $(b", "A $(B"),
            ("(a; b) &", "( A ; B ) &"),
            ("a 'unended", "A UNENDED"),
            ("\n\n a \n\n", "A"),
        ] {
            assert_eq!(show(code), shown, "{code}");
        }
    }
}

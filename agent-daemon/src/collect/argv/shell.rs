//! Shell code to readable, redacted commands.
//!
//! Agents run nearly every tool as `bash -c CODE`, and what a tool call was is what a profile is read for.
//! So code of shells is not replaced by its length: it is split into its simple commands, and each of them
//! is redacted as a command line of its own. What cannot be split safely (here-documents, process
//! substitutions, code within code too deep) is replaced by its length from there on.
//!
//! Limits: this is a lexer, no parser. Expansions stay as written; comments go.

use super::prose::placeholder;

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

/// Shows shell code with every simple command, and every target of a redirection, passed through `redact`.
pub(super) fn summarise(code: &str, redact: impl Fn(&[String]) -> Vec<String>) -> String {
    let mut lexer = Lexer { code, at: 0 };
    let mut shown = Shown { parts: Vec::new(), words: Vec::new(), redirects: Vec::new(), redact };
    let mut commands = 0;
    loop {
        let start = lexer.at;
        match lexer.next() {
            Some(Token::Word(word)) => shown.words.push(word),
            Some(Token::Redirect(sign, target)) => shown.redirect(&sign, target),
            Some(Token::Separator(sign)) if commands < MAX_COMMANDS => {
                commands += usize::from(shown.flush());
                shown.separate(sign);
            }
            Some(Token::Separator(_) | Token::Opaque) => {
                shown.flush();
                shown.parts.push(placeholder(code.get(start..).unwrap_or_default().trim_start()));
                break;
            }
            None => {
                shown.flush();
                break;
            }
        }
    }
    shown.finish()
}

/// The commands shown so far, and the one being read.
struct Shown<F> {
    parts: Vec<String>,
    words: Vec<String>,
    redirects: Vec<String>,
    redact: F,
}

impl<F: Fn(&[String]) -> Vec<String>> Shown<F> {
    fn redirect(&mut self, sign: &str, target: String) {
        let target = (self.redact)(&[target]).concat();
        self.redirects.push(format!("{sign}{target}"));
    }

    /// Ends the command being read; whether there was one.
    fn flush(&mut self) -> bool {
        let any = !self.words.is_empty() || !self.redirects.is_empty();
        self.parts.extend((self.redact)(&self.words).iter().map(|w| quote(w)));
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

struct Lexer<'a> {
    code: &'a str,
    at: usize,
}

impl Lexer<'_> {
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
                '`' => self.backticks(&mut word),
                '\\' => {
                    self.bump();
                    word.extend(self.bump());
                }
                '$' => self.expansion(&mut word),
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
                c => word.push(c),
            }
        }
    }

    fn backticks(&mut self, word: &mut String) {
        word.extend(self.bump());
        while let Some(c) = self.bump() {
            word.push(c);
            if c == '`' {
                return;
            }
        }
    }

    /// `$NAME`, or `$(…)` and `${…}` up to the bracket that closes them.
    fn expansion(&mut self, word: &mut String) {
        word.extend(self.bump());
        let Some(open @ ('(' | '{')) = self.peek() else { return };
        let close = if open == '(' { ')' } else { '}' };
        let mut depth = 0usize;
        while let Some(c) = self.bump() {
            word.push(c);
            if c == open {
                depth += 1;
            } else if c == close {
                depth -= 1;
                if depth == 0 {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::summarise;

    fn show(code: &str) -> String {
        summarise(code, |words| words.iter().map(|w| w.to_uppercase()).collect())
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
            ("(a; b) &", "( A ; B ) &"),
            ("a 'unended", "A UNENDED"),
            ("\n\n a \n\n", "A"),
        ] {
            assert_eq!(show(code), shown, "{code}");
        }
    }
}

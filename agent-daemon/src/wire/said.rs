//! What is said in a call, put together: messages of a prompt, answers whose pieces come one by one, arguments of tools.
//!
//! Only for exchanges of agents of whom the operator has it kept. Secrets are still in it; it reaches [`SLACK`] bytes further
//! back than what is kept, so that who masks them sees a secret whole that the bound would cut.

use std::collections::VecDeque;

use rustc_hash::FxHashSet;

use super::{
    field::Speech,
    json::{Document, Spoken, Tail, Value},
};
use crate::model::content::{Held, Keep, LOST, Part, Text, Unmasked, is_of_word};

/// Bytes before those that are kept, which are looked at for secrets.
pub(super) const SLACK: usize = 4096;
/// Bytes that all calls may hold that are not stored yet, about.
const ROOM: usize = 64 << 20;
/// The fewest calls that find room, whatever is kept of one.
const FEWEST: usize = 16;
/// Texts of one side of a call.
const MOST_TEXTS: usize = 1024;

/// The room for what is not stored yet.
#[derive(Default)]
pub(super) struct Room(Held);

impl Room {
    /// A share of it, if there is one.
    pub(super) fn admit(&self, keep: Keep) -> Option<Held> {
        // A document, and what is put together, of both sides.
        let most = (ROOM / (4 * (keep.max_bytes() + SLACK))).max(FEWEST);
        (self.0.shares() <= most).then(|| self.0.clone())
    }
}

/// What makes pieces one text: the number of the answer, of the call in it, and what it is.
type Key = (u64, u64, Speech);

struct Piece {
    key: Option<Key>,
    part: Part,
    role: Option<String>,
    tool: Option<String>,
    text: Tail,
    is_broken: bool,
    /// Up to the next word, it may be the rest of a secret.
    is_amid_word: bool,
}

/// What one side of a call said.
pub(super) struct Said {
    keep: Keep,
    pieces: VecDeque<Piece>,
    left_out: u64,
    /// What is left out as a whole and may go on.
    dropped: FxHashSet<Key>,
    /// Something was lost by now.
    has_gap: bool,
}

/// What belongs together in a document.
#[derive(Default)]
struct Group<'a> {
    index: Option<u64>,
    /// Its texts go on from those of its number.
    goes_on: bool,
    role: Option<&'a str>,
    texts: Vec<(Speech, &'a Tail)>,
    calls: Vec<Call<'a>>,
}

/// The last call; one, where nothing told of its beginning.
fn call<'a, 'b>(calls: &'b mut Vec<Call<'a>>) -> &'b mut Call<'a> {
    let last = calls.pop().unwrap_or_default();
    calls.push_mut(last)
}

#[derive(Default)]
struct Call<'a> {
    index: Option<u64>,
    tool: Option<&'a str>,
    arguments: Vec<(Speech, &'a Tail)>,
}

impl Said {
    pub(super) fn new(keep: Keep) -> Self {
        let (pieces, dropped) = (VecDeque::new(), FxHashSet::default());
        Self { keep, pieces, left_out: 0, dropped, has_gap: false }
    }

    /// The most bytes that are gathered of a part.
    pub(super) fn most(keep: Keep) -> usize {
        keep.max_bytes() + SLACK
    }

    /// How far back it reaches, bytes.
    pub(super) fn reach(&self) -> usize {
        Self::most(self.keep)
    }

    /// So many bytes were lost.
    pub(super) fn gap(&mut self, bytes: u64) {
        self.has_gap = true;
        self.left_out += bytes;
        for piece in self.pieces.iter_mut().filter(|piece| piece.key.is_some()) {
            (piece.is_broken, piece.is_amid_word) = (true, true);
        }
    }

    /// Takes what a document says.
    pub(super) fn take(&mut self, document: &Document<'_>) {
        self.left_out += document.unspoken;
        let mut group = Group { goes_on: true, ..Group::default() };
        for (speech, spoken) in document.spoken {
            match (speech, spoken) {
                (Speech::Item | Speech::Choice, _) => {
                    let goes_on = *speech == Speech::Choice;
                    self.close(std::mem::replace(&mut group, Group { goes_on, ..Group::default() }));
                }
                (Speech::Call, _) => group.calls.push(Call::default()),
                (Speech::Index, Spoken::Value(Value::Number(index))) => group.index = Some(*index),
                (Speech::CallIndex, Spoken::Value(Value::Number(index))) => {
                    call(&mut group.calls).index = Some(*index)
                }
                (Speech::Role, Spoken::Value(Value::Word(role))) => group.role = Some(role),
                (Speech::Tool, Spoken::Value(Value::Word(tool))) => call(&mut group.calls).tool = Some(tool),
                (Speech::Arguments | Speech::WholeArguments, Spoken::Text(text)) => {
                    call(&mut group.calls).arguments.push((*speech, text));
                }
                (_, Spoken::Text(text)) => group.texts.push((*speech, text)),
                _ => {}
            }
        }
        self.close(group);
    }

    fn close(&mut self, group: Group<'_>) {
        let number = group.index.or(group.goes_on.then_some(0));
        for (speech, text) in group.texts {
            let (part, role) = match speech {
                Speech::System => (Part::Prompts, "system"),
                Speech::Prompt => (Part::Prompts, group.role.unwrap_or("user")),
                Speech::ToolResult => (Part::Prompts, "tool"),
                Speech::Reasoning => (Part::Completions, "reasoning"),
                _ => (Part::Completions, "assistant"),
            };
            let key = number.filter(|_| part == Part::Completions).map(|number| (number, 0, speech));
            self.add(key, part, (Some(role), None), text);
        }
        for (place, call) in group.calls.into_iter().enumerate() {
            let key = number.map(|number| (number, call.index.unwrap_or(place as u64), Speech::Arguments));
            let whole = |(speech, _): &(Speech, &Tail)| *speech == Speech::WholeArguments;
            if call.arguments.is_empty() {
                self.add(key, Part::ToolArguments, (None, call.tool), &Tail::default());
            }
            for argument in call.arguments {
                let key = key.filter(|_| !whole(&argument));
                self.add(key, Part::ToolArguments, (None, call.tool), argument.1);
            }
        }
    }

    fn add(&mut self, key: Option<Key>, part: Part, (role, tool): (Option<&str>, Option<&str>), text: &Tail) {
        if !self.keep.has(part) {
            return;
        }
        let known = self.pieces.iter().position(|piece| key.is_some() && piece.key == key);
        let at = known.unwrap_or(self.pieces.len());
        if known.is_none() {
            let (role, text) = (role.map(str::to_owned), Tail::new(Self::most(self.keep)));
            let is_amid_word = key.is_some_and(|key| self.has_gap || self.dropped.contains(&key));
            self.pieces.push_back(Piece {
                key,
                part,
                role,
                tool: None,
                text,
                is_broken: false,
                is_amid_word,
            });
        }
        if let Some(piece) = self.pieces.get_mut(at) {
            if let Some(tool) = tool {
                piece.tool = Some(tool.to_owned());
            }
            piece.append(text);
        }
        self.trim(part);
    }

    /// Leaves out what came first: of a part that is too long, and of all where there are too many.
    fn trim(&mut self, part: Part) {
        let of_part = |piece: &&Piece| piece.part == part;
        let all: usize = self.pieces.iter().filter(of_part).map(|piece| piece.text.bytes().len()).sum();
        let mut over = all.saturating_sub(Self::most(self.keep));
        while over > 0
            && let Some(at) = self.pieces.iter().position(|piece| piece.part == part)
            && let Some(first) = self.pieces.get_mut(at)
        {
            let length = first.text.bytes().len();
            if over < length {
                first.text.trim_front(over);
                break;
            }
            over -= length;
            self.leave_out(at);
        }
        while self.pieces.len() > MOST_TEXTS {
            self.leave_out(0);
        }
    }

    /// Leaves out a text as a whole.
    fn leave_out(&mut self, at: usize) {
        let Some(piece) = self.pieces.remove(at) else { return };
        self.left_out += piece.text.bytes().len() as u64 + piece.text.left_out();
        let Some(key) = piece.key else { return };
        match self.dropped.len() < MOST_TEXTS {
            true => drop(self.dropped.insert(key)),
            false => self.has_gap = true,
        }
    }
}

impl Piece {
    /// Goes on. Behind a gap no half of a secret may stand, on either side of it.
    fn append(&mut self, text: &Tail) {
        let bytes = text.bytes();
        if !self.is_amid_word || bytes.is_empty() {
            return self.text.append(text, 0);
        }
        if !self.text.bytes().ends_with(LOST.as_bytes()) {
            let half = self.text.bytes().iter().rev().take_while(|byte| is_of_word(**byte)).count();
            self.text.trim_end(half);
            self.text.extend(LOST.as_bytes());
        }
        let rest = bytes.iter().take_while(|byte| is_of_word(**byte)).count();
        self.is_amid_word = rest == bytes.len();
        self.is_broken = true;
        self.text.append(text, rest);
    }
}

/// What both sides of a call said; those of which the end was not seen are broken.
pub(super) fn unmasked(
    keep: Keep,
    held: Held,
    sides: [(Option<Box<Said>>, bool); 2],
) -> Option<Box<Unmasked>> {
    let (mut texts, mut left_out) = (Vec::new(), 0);
    for (said, is_whole) in sides {
        let Some(said) = said else { continue };
        left_out += said.left_out;
        texts.extend(said.pieces.into_iter().map(|piece| Text {
            part: piece.part,
            role: piece.role,
            tool: piece.tool,
            text: piece.text.text(),
            left_out: piece.text.left_out(),
            masked: 0,
            is_broken: piece.is_broken || !is_whole && piece.key.is_some(),
        }));
    }
    (!texts.is_empty() || left_out > 0).then(|| Box::new(Unmasked { keep, texts, left_out, held }))
}

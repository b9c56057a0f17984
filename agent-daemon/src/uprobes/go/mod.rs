//! Finds the methods of `crypto/tls.Conn` in programs made by Go, stripped or not, by the table of functions that every such
//! program carries for its own stack traces.
//!
//! A function of Go begins by asking whether its stack is large enough, and begins once more after it was made larger: what
//! is probed of a call lies behind that. Reading is probed at each instruction by which it returns.
//!
//! Limit: Go 1.18 and later; before, the table was another one.

mod table;

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess, Register,
};
use table::{Found, Function, Table, TableError};

use super::{code::CodeImage, finder::Offer, site::is_emulated};
use crate::kernel::{
    Site, UprobeProgram,
    wire::{action, length, probe_cookie, source, way},
};

const READ: &str = "Read";
const WRITE: &str = "Write";
const CLOSE: &str = "Close";

/// Most bytes of a function that are looked at.
const MAX_FUNCTION: u64 = 64 << 10;
/// Bytes of a function's beginning in which it asks for its stack, and those behind in which a site is looked for.
const PROLOGUE: u64 = 96;
/// Most instructions by which a function returns.
const MAX_RETURNS: usize = 64;
/// Where the text of Go begins behind what a C compiler put there: most bytes, and how it is aligned.
const MAX_SLIDE: u64 = 4 << 20;
/// The most code in which the methods of a connection lie, bytes.
const MAX_SPAN: u64 = 64 << 20;
const ALIGNMENT: u64 = 16;

pub(super) fn find(image: &CodeImage<'_>) -> Offer {
    let methods = match Table::read(image).and_then(|table| table.methods(image)) {
        Ok(methods) => methods,
        Err(TableError::None) => return Offer::Nothing,
        Err(TableError::Unknown) => {
            let why = "it is made by Go 1.17 or older, or by one whose table of functions is not known";
            return Offer::Blind(why.to_owned());
        }
    };
    let has = |name: &str| methods.functions.iter().any(|function| function.name == name);
    if !has(READ) || !has(WRITE) {
        return Offer::Nothing;
    }
    match text(image, &methods).and_then(|text| sites(image, text, &methods)) {
        Some(sites) => Offer::Sites(sites),
        None => Offer::Blind("it has Go's crypto/tls, but not where its table of functions says".to_owned()),
    }
}

/// Where the code begins that the table's offsets are relative to: as the table says, where the section begins, or, if a C
/// linker put something before it, where most functions begin as those of Go do.
fn text(image: &CodeImage<'_>, methods: &Found) -> Option<u64> {
    let section = image.section_part(b".text", 0, 1)?.0;
    let told = [methods.text, section].into_iter().find(|text| *text != 0 && fits(image, *text, methods));
    told.or_else(|| {
        let first = methods.functions.iter().map(|function| function.entry).min()?;
        let span = methods.functions.iter().map(|function| function.entry).max()?.checked_sub(first)?;
        let from = section.checked_add(first)?;
        if span > MAX_SPAN {
            return None;
        }
        let code = image.code(from, MAX_SLIDE + span + PROLOGUE)?;
        let begins = |at: u64| code.get(usize::try_from(at).ok()?..).map(asks_for_stack);
        let fits = |slide: &u64| {
            let asks = |function: &&Function| begins(slide + function.entry - first) == Some(true);
            is_most(methods.functions.iter().filter(asks).count(), methods.functions.len())
        };
        let mut slides = (0..MAX_SLIDE / ALIGNMENT).map(|step| step * ALIGNMENT).filter(fits);
        let slide = slides.next()?;
        slides.next().is_none().then_some(section + slide)
    })
}

fn fits(image: &CodeImage<'_>, text: u64, methods: &Found) -> bool {
    let asks = |entry: u64| image.code(text.checked_add(entry)?, PROLOGUE).map(|code| asks_for_stack(&code));
    let asking = methods.functions.iter().filter(|function| asks(function.entry) == Some(true)).count();
    is_most(asking, methods.functions.len())
}

/// Small functions need not ask.
fn is_most(asking: usize, all: usize) -> bool {
    asking >= 3 && asking * 4 >= all * 3
}

/// Whether a function begins by comparing its stack with its limit: `cmp rsp, [r14+16]`, or, if it needs much,
/// `lea r12, [rsp-n]; cmp r12, [r14+16]`.
fn asks_for_stack(code: &[u8]) -> bool {
    let asks = |code: &[u8]| matches!(code, [0x49, 0x3b, 0x66, 0x10, ..] | [0x4d, 0x3b, 0x66, 0x10, ..]);
    match code {
        [0x4c, 0x8d, 0x64, 0x24, _, rest @ ..] | [0x4c, 0x8d, 0xa4, 0x24, _, _, _, _, rest @ ..] => {
            asks(rest)
        }
        _ => asks(code),
    }
}

fn sites(image: &CodeImage<'_>, text: u64, methods: &Found) -> Option<Vec<Site>> {
    let mut sites = Vec::new();
    for function in &methods.functions {
        let address = text.checked_add(function.entry)?;
        let (action, direction) = match function.name.as_str() {
            READ => (action::SAVE, way::RECEIVED),
            WRITE => (action::SENDS, way::SENT),
            CLOSE => (action::CLOSE, way::CLOSED),
            _ => continue,
        };
        let begins = address + behind_the_question(&image.code(address, PROLOGUE)?)?;
        sites.push(site(image.offset(begins)?, action, direction));
        if function.name == READ {
            let code = image.code(address, function.size.min(MAX_FUNCTION))?;
            let returns = returns(&code);
            if returns.is_empty() || returns.len() > MAX_RETURNS {
                return None;
            }
            for at in returns {
                sites.push(site(image.offset(address + at)?, action::RETURNS, way::RECEIVED));
            }
        }
    }
    Some(sites)
}

fn site(offset: u64, action: u64, direction: u32) -> Site {
    let cookie = probe_cookie(action, direction, length::RETURNED, source::GO);
    Site { program: UprobeProgram::WireGo, offset, cookie }
}

/// How far behind its first instruction a function is probed: behind the branch by which it asks for its stack, at the next
/// instruction that costs little while its arguments are in their registers, else at the next of all.
fn behind_the_question(code: &[u8]) -> Option<u64> {
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    let mut next = None;
    let mut info = InstructionInfoFactory::new();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            break;
        }
        match next {
            None if instruction.is_jcc_short_or_near() => next = Some(decoder.ip()),
            None if instruction.flow_control() != FlowControl::Next => return None,
            None => {}
            Some(_) if is_emulated(&instruction) => return Some(instruction.ip()),
            Some(_) if instruction.flow_control() != FlowControl::Next => break,
            Some(_) if writes_argument(&mut info, &instruction) => break,
            Some(_) => {}
        }
    }
    next
}

/// Whether an instruction writes what tells the goroutine and the arguments of its call.
fn writes_argument(info: &mut InstructionInfoFactory, instruction: &Instruction) -> bool {
    let registers = [Register::RAX, Register::RBX, Register::RCX, Register::R14];
    let is_read = |access| {
        matches!(access, OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess)
    };
    let used = info.info(instruction).used_registers();
    used.iter().any(|used| !is_read(used.access()) && registers.contains(&used.register().full_register()))
}

/// How far behind its first instruction a function returns.
fn returns(code: &[u8]) -> Vec<u64> {
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    let mut returns = Vec::new();
    while decoder.can_decode() {
        let instruction = decoder.decode();
        if instruction.code() == Code::Retnq {
            returns.push(instruction.ip());
        }
    }
    returns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_probed_behind_the_question_for_its_stack() {
        // cmp rsp, [r14+16]; jbe +0x35b; push rbp; mov rbp, rsp
        let pushes = [0x49, 0x3b, 0x66, 0x10, 0x0f, 0x86, 0x51, 3, 0, 0, 0x55, 0x48, 0x89, 0xe5];
        assert!(asks_for_stack(&pushes));
        assert_eq!(behind_the_question(&pushes), Some(10));
        // lea r12, [rsp-0x48]; cmp r12, [r14+16]; jbe +0; sub rsp, 0x68; mov eax, [rax]: the connection is gone.
        let question = [0x4c, 0x8d, 0x64, 0x24, 0xb8, 0x4d, 0x3b, 0x66, 0x10, 0x76, 0];
        assert!(asks_for_stack(&question));
        let spoils = [&question[..], &[0x48, 0x83, 0xec, 0x68, 0x8b, 0, 0x55]].concat();
        assert_eq!(behind_the_question(&spoils), Some(11));
        // sub rsp, 0x68; nop: late, and cheap.
        let late = [&question[..], &[0x48, 0x83, 0xec, 0x68, 0x90]].concat();
        assert_eq!(behind_the_question(&late), Some(15));
        // It asks for nothing.
        assert!(!asks_for_stack(&[0x55, 0xc3]));
        assert_eq!(behind_the_question(&[0x55, 0xc3]), None);
    }

    #[test]
    fn all_returns_are_found() {
        // mov eax, 0xc3; ret; call +0; ret
        assert_eq!(returns(&[0xb8, 0xc3, 0, 0, 0, 0xc3, 0xe8, 0, 0, 0, 0, 0xc3]), [5, 11]);
        assert!(returns(&[]).is_empty());
    }
}

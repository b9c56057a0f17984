//! Finds `SSL_read` and `SSL_write` of BoringSSL in programs that have it linked in without names, as Bun has, by what their
//! error reports carry: `ERR_put_error(16, 0, reason, ".../ssl_lib.cc", line)`.
//!
//! `SSL_write` is the function that reports four reasons which no other has together; `SSL_read` reports only that it is not
//! for QUIC, from a line between the handshake error of `ssl_read_impl`, which stands before it in the source, and
//! `SSL_write`'s lines. Reasons and the order of lines have not changed in years; where functions stand in the file has.
//!
//! Limits: functions begin with a push where code is aligned and follows padding, and are called directly; where that is not so, or two
//! functions could be it, nothing is probed. `SSL_free` is not found: the end of a connection is not seen, but that of its process.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, OpKind, Register};
use memchr::memmem;

use super::{
    code::CodeImage,
    finder::Offer,
    references::{are_called, references},
};
use crate::kernel::{
    Site, UprobeProgram,
    wire::{action, length, probe_cookie, source, way},
};

/// The number under which this finder's probes tell of themselves.
const SOURCE: u32 = source::BORINGSSL;

/// The end of the file's name that reports carry.
const SOURCE_FILE: &[u8] = b"/ssl_lib.cc\0";
/// Longest name of that file, and longest instruction that refers to it, bytes.
const OVERLAP: usize = 512;
/// Places that refer to the file's name.
const MAX_REPORTS: usize = 4096;
/// How far behind its beginning a function reports, bytes.
const REACH: u64 = 0x900;
/// Bytes around such a place in which the numbers are set.
const BEFORE: u64 = 28;
const AFTER: u64 = 40;

/// Reasons, by BoringSSL's numbers.
mod reason {
    /// Not for QUIC: `ERR_R_SHOULD_NOT_HAVE_BEEN_CALLED`.
    pub(super) const QUIC: u32 = 0x42;
    /// `SSL_R_BAD_LENGTH`
    pub(super) const LENGTH: u32 = 0x6f;
    /// `SSL_R_SSL_HANDSHAKE_FAILURE`
    pub(super) const HANDSHAKE: u32 = 0xd7;
    /// `SSL_R_UNINITIALIZED`
    pub(super) const UNINITIALIZED: u32 = 0xe2;
    pub(super) const ALL: [u32; 4] = [QUIC, LENGTH, HANDSHAKE, UNINITIALIZED];
}

/// A report of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Report {
    function: u64,
    reason: u32,
    line: u32,
}

pub(super) fn find(image: &CodeImage<'_>) -> Offer {
    if !image.exports(|name| name == "SSL_read").is_empty() {
        return Offer::Nothing;
    }
    let names = names(image);
    if names.is_empty() {
        return Offer::Nothing;
    }
    let reports: Vec<Report> =
        references(image, &names, MAX_REPORTS).into_iter().filter_map(|at| report(image, at)).collect();
    if reports.is_empty() {
        return Offer::Nothing;
    }
    // A probe on what is no function's first instruction would harm the program.
    let called = told_apart(&reports).filter(|(read, write)| are_called(image, [*read, *write]));
    let sites = called.and_then(|(read, write)| {
        let read = both(image.offset(read)?, way::RECEIVED);
        Some([read, both(image.offset(write)?, way::SENT)].concat())
    });
    match sites {
        Some(sites) => Offer::Sites(sites),
        None => Offer::Blind(
            "BoringSSL is in it, but which of its functions read and write could not be told".to_owned(),
        ),
    }
}

fn both(offset: u64, direction: u32) -> [Site; 2] {
    let cookie = probe_cookie(action::SAVE, direction, length::RETURNED, SOURCE);
    [UprobeProgram::WireCall, UprobeProgram::WireReturn].map(|program| Site { program, offset, cookie })
}

/// Where the file's name stands.
fn names(image: &CodeImage<'_>) -> Vec<u64> {
    let mut names = Vec::new();
    image.windows(b".rodata", OVERLAP, |address, bytes| {
        for found in memmem::find_iter(bytes, SOURCE_FILE) {
            let before = bytes.get(..found).unwrap_or_default();
            let start = before.iter().rposition(|byte| *byte == 0).map_or(0, |nul| nul + 1);
            names.push(address + start as u64);
        }
    });
    names.sort_unstable();
    names.dedup();
    names.truncate(16);
    names
}

/// The report that the instruction at an address is part of.
fn report(image: &CodeImage<'_>, at: u64) -> Option<Report> {
    let code = image.code(at.checked_sub(BEFORE)?, BEFORE + AFTER)?;
    let numbers = (0..=BEFORE).find_map(|skip| numbers(&code, at - BEFORE, skip, at))?;
    let reason = numbers.iter().find(|number| reason::ALL.contains(number)).copied()?;
    let is_line = |number: &&u32| (0x100..0x1800).contains(*number);
    Some(Report { function: start(image, at)?, reason, line: *numbers.iter().rfind(is_line)? })
}

/// The numbers that are loaded around `at` before anything is called, if decoding from `skip` on leads there.
fn numbers(code: &[u8], address: u64, skip: u64, at: u64) -> Option<Vec<u32>> {
    let from = usize::try_from(skip).ok()?;
    let mut decoder = Decoder::with_ip(64, code.get(from..)?, address + skip, DecoderOptions::NONE);
    let (mut numbers, mut met) = (Vec::new(), false);
    while decoder.can_decode() {
        let instruction: Instruction = decoder.decode();
        if instruction.is_invalid() || instruction.ip() > at && !met {
            return None;
        }
        met |= instruction.ip() == at;
        let ends = instruction.flow_control() != FlowControl::Next;
        if ends && met {
            break;
        }
        if ends {
            numbers.clear();
        }
        let registers = [Register::ESI, Register::EDX, Register::ECX, Register::R8D];
        if instruction.op1_kind() == OpKind::Immediate32 && registers.contains(&instruction.op0_register()) {
            numbers.push(instruction.immediate32());
        }
    }
    met.then_some(numbers)
}

/// Where the function begins that an address is in.
fn start(image: &CodeImage<'_>, at: u64) -> Option<u64> {
    let first = at.checked_sub(REACH)?;
    let code = image.code(first, REACH)?;
    let byte = |address: u64| code.get(usize::try_from(address.checked_sub(first)?).ok()?).copied();
    let begins = |address: &u64| {
        let padded = matches!(byte(address - 1), Some(0xcc | 0xc3 | 0x90 | 0x00));
        // `push rbp; mov rbp, rsp`, which nothing else begins with: the function before may end without padding. Else
        // `push rbp`, `push rbx`, `push r12` to `push r15`, `endbr64`.
        let framed =
            [0x55, 0x48, 0x89, 0xe5].iter().zip(*address..).all(|(wanted, at)| byte(at) == Some(*wanted));
        match byte(*address) {
            _ if framed => true,
            Some(0x55 | 0x53) => padded,
            Some(0x41) => padded && matches!(byte(address + 1), Some(0x54..=0x57)),
            Some(0xf3) => padded && byte(address + 1) == Some(0x0f),
            _ => false,
        }
    };
    let aligned = at & !15;
    (0..REACH / 16).map(|n| aligned - 16 * n).filter(|address| *address > first && *address < at).find(begins)
}

/// `SSL_read` and `SSL_write`.
fn told_apart(reports: &[Report]) -> Option<(u64, u64)> {
    let mut functions: Vec<u64> = reports.iter().map(|report| report.function).collect();
    functions.sort_unstable();
    functions.dedup();
    let of = |function: u64| reports.iter().filter(move |report| report.function == function);
    let has = |function: u64, reason: u32| of(function).any(|report| report.reason == reason);
    let is_write = |function: &&u64| reason::ALL.iter().all(|reason| has(**function, *reason));
    let mut writes = functions.iter().filter(is_write).copied();
    let write = writes.next().filter(|_| writes.next().is_none())?;
    let last = of(write).map(|report| report.line).min()?;
    let handshakes =
        reports.iter().filter(|r| r.function != write && r.reason == reason::HANDSHAKE && r.line < last);
    let first = handshakes.map(|report| report.line).max().unwrap_or(last.saturating_sub(0x40));
    let is_read = |function: &&u64| {
        let mut lines = of(**function);
        **function != write && lines.all(|r| r.reason == reason::QUIC && r.line > first && r.line < last)
    };
    // `SSL_peek` is written down behind `SSL_read`, which calls it with the same arguments.
    functions.iter().find(is_read).map(|read| (*read, write))
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, fs, path::Path, process::Command};

    use super::*;

    /// A function that reports errors as the compiler has it do.
    fn function(name: &str, reports: &[(u32, u32)]) -> String {
        let mut text = format!(".p2align 4, 0xcc\n{name}: pushq %rbp\n movq %rsp, %rbp\n testl %edx, %edx\n");
        for (reason, line) in reports {
            let _ = write!(
                text,
                " js 1f\n movl $16, %edi\n xorl %esi, %esi\n movl ${reason}, %edx\n leaq file(%rip), %rcx\n movl \
                 ${line}, %r8d\n call report\n1:"
            );
        }
        text + " popq %rbp\n ret\n"
    }

    /// One of whose reports an instruction is aligned and follows a zero, as the beginning of a function would.
    fn misleading(name: &str, reason: u32, line: u32) -> String {
        format!(
            ".p2align 4, 0xcc\n{name}: pushq %rbp\n testl %edx, %edx\n js 1f\n.p2align 4, 0x90\n.nops 13\n leaq file(%rip), %rcx\n \
             movl $16, %edi\n xorl %esi, %esi\n movl ${reason}, %edx\n movl ${line}, %r8d\n call report\n1: popq %rbp\n ret\n"
        )
    }

    fn library(folder: &Path, functions: &[String]) -> Vec<u8> {
        let (source, library) = (folder.join("boring.s"), folder.join("boring.so"));
        let file = ".section .rodata\n.asciz \"x\"\nfile: .asciz \"vendor/boringssl/ssl/ssl_lib.cc\"\n.text\n.zero 4096, 0xcc\n";
        let caller = "caller: call write\n call read\n ret\n";
        fs::write(&source, format!("{file}{}{}{caller}", functions.concat(), function("report", &[])))
            .unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-nostdlib", "-o"]).arg(&library).arg(&source);
        assert!(cc.status().unwrap().success());
        fs::read(library).unwrap()
    }

    fn offers(functions: &[String]) -> (Offer, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let bytes = library(folder.path(), functions);
        (find(&CodeImage::read("/usr/bin/bun", &bytes).unwrap()), bytes)
    }

    fn ssl_lib() -> Vec<String> {
        vec![
            function("handshake", &[(reason::HANDSHAKE, 0x300), (0x99, 0x310)]),
            function("write", &[(0x42, 0x440), (0xd7, 0x450), (0xe2, 0x448), (0x6f, 0x460)]),
            function("read_impl", &[(reason::HANDSHAKE, 0x3f0)]),
            function("quic", &[(reason::QUIC, 0x500)]),
            function("read", &[(reason::QUIC, 0x420)]),
        ]
    }

    #[test]
    fn reading_and_writing_are_told_by_their_errors() {
        let (offer, bytes) = offers(&ssl_lib());
        let Offer::Sites(sites) = offer else { panic!("{offer:?}") };
        assert_eq!(sites.len(), 4);
        let [read, _, write, _] = &sites[..] else { panic!("{sites:?}") };
        assert!(read.offset > write.offset, "in the order of the file, {sites:?}");
        for site in &sites {
            let at = usize::try_from(site.offset).unwrap();
            assert_eq!(bytes[at..at + 4], [0x55, 0x48, 0x89, 0xe5], "push rbp; mov rbp, rsp");
        }
    }

    #[test]
    fn what_looks_like_a_beginning_within_a_function_is_none() {
        let mut functions = ssl_lib();
        functions.pop();
        functions.push(misleading("read", reason::QUIC, 0x420));
        let (offer, bytes) = offers(&functions);
        let Offer::Sites(sites) = offer else { panic!("{offer:?}") };
        let at = usize::try_from(sites[0].offset).unwrap();
        assert_eq!(bytes[at..at + 3], [0x55, 0x85, 0xd2], "push rbp; test edx, edx");
    }

    #[test]
    fn a_function_may_begin_where_another_ends() {
        let mut functions = ssl_lib();
        // `jmp` to somewhere before, up to the last byte.
        functions
            .insert(1, ".p2align 4, 0xcc\n.zero 11, 0xcc\n.byte 0xe9, 0xf0, 0xff, 0xff, 0xff\n".to_owned());
        let (Offer::Sites(sites), bytes) = offers(&functions) else { panic!("no sites") };
        let at = usize::try_from(sites[2].offset).unwrap();
        assert_eq!((bytes[at - 1], bytes[at]), (0xff, 0x55));
    }

    #[test]
    fn what_cannot_be_told_is_said() {
        let mut functions = ssl_lib();
        functions.pop();
        functions.push("read: ret\n".to_owned());
        assert!(matches!(offers(&functions).0, Offer::Blind(why) if why.contains("BoringSSL")));
        // It looks like a function, and nobody calls it.
        functions.push(function("uncalled", &[(reason::QUIC, 0x420)]));
        assert!(matches!(offers(&functions).0, Offer::Blind(_)));
        let twice = [
            ssl_lib(),
            vec![function("again", &[(0x42, 0x640), (0xd7, 0x650), (0xe2, 0x648), (0x6f, 0x660)])],
        ];
        assert!(matches!(offers(&twice.concat()).0, Offer::Blind(_)));
    }
}

//! Finds the two functions of OpenSSL, as of version 3, that all that is read and written goes through, `ssl_read_internal` and
//! `ssl_write_internal`, in programs and libraries that have it linked in without names: its error reports carry the name
//! of the function that they come from.
//!
//! Limits: a function that reports nothing, or whose reports the compiler put elsewhere, is not found; where two could be
//! it, or nobody calls it, nothing is probed. `SSL_free` reports nothing: the end of a connection is not seen, but that of
//! its process.

use iced_x86::{Decoder, DecoderOptions, FlowControl, InstructionInfoFactory, OpAccess, Register};
use memchr::memmem;

use super::{
    code::CodeImage,
    finder::Offer,
    references::{are_called, function_of, references},
};
use crate::kernel::{
    Site, UprobeProgram,
    wire::{action, length, probe_cookie, source, way},
};

const READ: &[u8] = b"\0ssl_read_internal\0";
const WRITE: &[u8] = b"\0ssl_write_internal\0";
/// Bytes of the longest of these.
const OVERLAP: usize = 32;
/// Places that refer to the name of a function.
const MAX_REPORTS: usize = 64;
/// Places where a name stands.
const MAX_NAMES: usize = 16;
/// Bytes from the first instruction of a function on that are looked at.
const REACH: u64 = 256;

pub(super) fn find(image: &CodeImage<'_>) -> Offer {
    let names = names(image);
    if names.iter().any(Vec::is_empty) || !image.exports(|name| name == "SSL_read").is_empty() {
        return Offer::Nothing;
    }
    let [reading, writing] = names.map(|names| functions(image, &names));
    if reading.is_empty() && writing.is_empty() {
        return Offer::Nothing;
    }
    let ([read], [write]) = (&reading[..], &writing[..]) else {
        return blind("which of its functions read and write could not be told");
    };
    // A probe on what is no function's first instruction would harm the program.
    if !are_called(image, [*read, *write]) {
        return blind("nobody calls what could be the functions that read and write");
    }
    let sites = both(image, *read, way::RECEIVED, length::POINTED).zip(both(
        image,
        *write,
        way::SENT,
        told(image, *write),
    ));
    match sites {
        Some((read, write)) => Offer::Sites([read, write].concat()),
        None => blind("what could be the functions that read and write is no code"),
    }
}

fn blind(why: &str) -> Offer {
    Offer::Blind(format!("OpenSSL is in it without names, and {why}"))
}

/// Where the names of the two functions stand.
fn names(image: &CodeImage<'_>) -> [Vec<u64>; 2] {
    let mut found = [Vec::new(), Vec::new()];
    image.windows(b".rodata", OVERLAP, |address, bytes| {
        for (found, name) in found.iter_mut().zip([READ, WRITE]) {
            let room = MAX_NAMES.saturating_sub(found.len());
            let all = memmem::find_iter(bytes, name).map(|at| address.wrapping_add(at as u64 + 1));
            found.extend(all.take(room));
        }
    });
    found.iter_mut().for_each(Vec::dedup);
    found
}

/// Where writing tells how much was written: as of 3.3 it has one more argument before that. Whoever has a fifth takes it
/// from its register before anything else is put there.
fn told(image: &CodeImage<'_>, write: u64) -> u64 {
    let code = image.code(write, REACH).unwrap_or_default();
    let mut decoder = Decoder::with_ip(64, &code, write, DecoderOptions::NONE);
    let mut info = InstructionInfoFactory::new();
    while decoder.can_decode() {
        let instruction = decoder.decode();
        let is_branch = instruction.is_jcc_short_or_near();
        if instruction.is_invalid() || instruction.flow_control() != FlowControl::Next && !is_branch {
            break;
        }
        let used = info.info(&instruction).used_registers();
        let fifth = used.iter().filter(|used| used.register().full_register() == Register::R8);
        let mut fifth = fifth.map(|used| used.access());
        match fifth.next() {
            Some(OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite) => {
                return length::POINTED_BY_FIFTH;
            }
            Some(_) => break,
            None => {}
        }
    }
    length::POINTED
}

/// The functions that refer to one of these names.
fn functions(image: &CodeImage<'_>, names: &[u64]) -> Vec<u64> {
    let reports = references(image, names, MAX_REPORTS);
    let mut functions: Vec<u64> = reports.into_iter().filter_map(|at| function_of(image, at)).collect();
    functions.dedup();
    functions
}

fn both(image: &CodeImage<'_>, address: u64, direction: u32, length: u64) -> Option<[Site; 2]> {
    let offset = image.offset(address)?;
    let cookie = probe_cookie(action::SAVE, direction, length, source::OPENSSL_STRIPPED);
    Some([UprobeProgram::WireCall, UprobeProgram::WireReturn].map(|program| Site { program, offset, cookie }))
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    /// A library whose functions report errors as the compiler has it do, and of which writing takes the fifth argument.
    fn offer(names: [&str; 2], callers: &str) -> Offer {
        let folder = tempfile::tempdir().unwrap();
        let (source, library) = (folder.path().join("ssl.s"), folder.path().join("ssl.so"));
        let function = |label: &str, takes: &str| {
            format!(
                ".type {label},@function\n{label}: .cfi_startproc\n pushq %rbp\n movq {takes}, %rbp\n testl %edi, %edi\n \
                 js 1f\n leaq name_{label}(%rip), %rdx\n1: popq %rbp\n ret\n .cfi_endproc\n"
            )
        };
        let [read, write] = names;
        let data = format!(
            ".section .rodata\n.byte 0\nname_read: .asciz \"{read}\"\nname_write: .asciz \"{write}\"\n.text\n"
        );
        let text = [&data, callers, &function("read", "%rcx"), &function("write", "%r8")];
        fs::write(&source, text.concat()).unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-nostdlib", "-Wl,--eh-frame-hdr", "-o"]).arg(&library).arg(&source);
        assert!(cc.status().unwrap().success());
        let bytes = fs::read(&library).unwrap();
        find(&CodeImage::read("/usr/bin/agent", &bytes).unwrap())
    }

    const NAMES: [&str; 2] = ["ssl_read_internal", "ssl_write_internal"];
    const CALLERS: &str = "callers: call read\n call write\n ret\n";

    #[test]
    fn reading_and_writing_are_told_by_the_names_in_their_reports() {
        let Offer::Sites(sites) = offer(NAMES, CALLERS) else { panic!("no sites") };
        let told: Vec<_> = sites.iter().map(|site| (site.program, site.cookie >> 8 & 0xff)).collect();
        let (call, back) = (UprobeProgram::WireCall, UprobeProgram::WireReturn);
        let (fourth, fifth) = (length::POINTED, length::POINTED_BY_FIFTH);
        assert_eq!(told, [(call, fourth), (back, fourth), (call, fifth), (back, fifth)]);
    }

    #[test]
    fn what_nobody_calls_is_not_probed() {
        assert!(matches!(offer(NAMES, "callers: ret\n"), Offer::Blind(why) if why.contains("nobody calls")));
        assert_eq!(offer(["ssl_peek_internal", "ssl_write_internal"], CALLERS), Offer::Nothing);
    }
}

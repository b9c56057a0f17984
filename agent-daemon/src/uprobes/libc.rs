//! Finds the functions of a C library by which servers read and write pipes: of these no hook tells. Only in processes that
//! are spoken to by pipes are they probed.
//!
//! Each is probed once: at the branch by which it tests the system call's result, where its arguments are still in their
//! registers. Where there is no such branch, as in musl, it is probed at its call and its return.

use super::{
    code::{CodeImage, Function},
    finder::Offer,
    site,
};
use crate::kernel::{
    Site, UprobeProgram,
    wire::{action, length, probe_cookie, source, way},
};

/// Most bytes of a function that are looked at.
const REACH: u64 = 1024;

/// A function: its name, which way bytes go, and where they are.
const FUNCTIONS: [(&str, u32, u64); 4] = [
    ("read", way::RECEIVED, length::RETURNED),
    ("readv", way::RECEIVED, length::SCATTERED),
    ("write", way::SENT, length::RETURNED),
    ("writev", way::SENT, length::SCATTERED),
];

pub(super) fn find(image: &CodeImage<'_>) -> Offer {
    let name = image.file_name();
    if !["libc.so", "libc-2.", "libc.musl", "ld-musl"].iter().any(|libc| name.starts_with(libc)) {
        return Offer::Nothing;
    }
    let exports = image.exports(|name| FUNCTIONS.iter().any(|(function, ..)| *function == name));
    let function = |name: &str| exports.iter().find(|function| function.name == name);
    if function("read").is_none() || function("write").is_none() {
        return Offer::Blind("it exports neither read nor write".to_owned());
    }
    let known = FUNCTIONS.iter().filter_map(|(name, way, length)| Some((function(name)?, *way, *length)));
    Offer::Sites(known.flat_map(|(function, way, length)| sites(image, function, way, length)).collect())
}

fn sites(image: &CodeImage<'_>, function: &Function, way: u32, length: u64) -> Vec<Site> {
    let code = image.code(function.address, function.size.min(REACH)).unwrap_or_default();
    let behind = site::behind_syscalls(&code);
    if behind.is_empty() {
        let cookie = probe_cookie(action::SAVE, way, length, source::STDIO);
        let both = [UprobeProgram::WireCall, UprobeProgram::WireReturn];
        return both.map(|program| Site { program, offset: function.offset, cookie }).to_vec();
    }
    let cookie = probe_cookie(action::MOVED, way, length, source::STDIO);
    let program = UprobeProgram::WireStdio;
    behind.into_iter().map(|behind| Site { program, offset: function.offset + behind, cookie }).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn this_hosts_library_is_probed_once_for_each_system_call() {
        let path = "/lib/x86_64-linux-gnu/libc.so.6";
        let file = File::open(path).unwrap();
        let image = CodeImage::read(path, &file).unwrap();
        let Offer::Sites(sites) = find(&image) else { panic!("no sites in {path}") };
        assert!((4..=16).contains(&sites.len()), "{sites:?}");
        let elsewhere = CodeImage::read("/usr/bin/ls", &file).unwrap();
        assert_eq!(find(&elsewhere), Offer::Nothing);
    }
}

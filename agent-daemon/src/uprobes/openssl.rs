//! Finds the functions of OpenSSL, and of what descends from it, by the names under which a file exports them: the shared
//! library, or a program that has it linked in and exports it, as Node does.
//!
//! All that is read and written goes through `SSL_read`, `SSL_read_ex`, `SSL_write` and `SSL_write_ex`. A probe at the return
//! of a function needs one at its very first instruction; where that is a dear one, as in builds without frame pointers, the
//! function that these four call with their arguments (`ssl_read_internal`, `ssl_write_internal`) is probed instead.

use super::{
    code::{CodeImage, Function},
    finder::Offer,
    site::{self, REACH},
};
use crate::kernel::{
    Site, UprobeProgram,
    wire::{action, length, probe_cookie, source, way},
};

/// The number under which this finder's probes tell of themselves.
const SOURCE: u32 = source::OPENSSL;

/// A function that moves plaintext: its names with the number of bytes returned, and with it stored where the fourth argument
/// points.
struct Mover {
    returning: &'static str,
    storing: &'static str,
    direction: u32,
}

const MOVERS: [Mover; 2] = [
    Mover { returning: "SSL_read", storing: "SSL_read_ex", direction: way::RECEIVED },
    Mover { returning: "SSL_write", storing: "SSL_write_ex", direction: way::SENT },
];
const FREE: &str = "SSL_free";

/// The library beside the shared one: both have the version that it tells.
pub(super) fn crypto(image: &CodeImage<'_>) -> Offer {
    let name = image.file_name();
    if name.starts_with("libcrypto") && name.contains(".so") { Offer::Part } else { Offer::Nothing }
}

pub(super) fn find(image: &CodeImage<'_>) -> Offer {
    let names: Vec<&str> = MOVERS.iter().flat_map(|m| [m.returning, m.storing]).chain([FREE]).collect();
    let exports = image.exports(|name| names.contains(&name));
    let function = |name: &str| exports.iter().find(|function| function.name == name);
    if MOVERS.iter().any(|mover| function(mover.returning).is_none()) {
        return Offer::Nothing;
    }
    let mut sites = Vec::new();
    for mover in &MOVERS {
        sites.extend(movers(image, mover, function(mover.returning), function(mover.storing)));
    }
    sites.extend(function(FREE).map(|free| closer(image, free)));
    Offer::Sites(sites)
}

/// The sites by which all is seen that goes one way.
fn movers(
    image: &CodeImage<'_>,
    mover: &Mover,
    returning: Option<&Function>,
    storing: Option<&Function>,
) -> Vec<Site> {
    let inner = storing.filter(|function| !is_cheap(image, function.address)).and_then(|function| {
        let callee = site::callee(&image.code(function.address, REACH)?, function.address)?;
        Some((callee, image.offset(callee)?))
    });
    if let Some((_, offset)) = inner.filter(|(address, _)| is_cheap(image, *address)) {
        return both(offset, mover.direction, length::POINTED).to_vec();
    }
    let returning = returning.map(|f| both(f.offset, mover.direction, length::RETURNED));
    let storing = storing.map(|f| both(f.offset, mover.direction, length::POINTED));
    returning.into_iter().chain(storing).flatten().collect()
}

/// Whether the first instruction of a function costs little to probe.
fn is_cheap(image: &CodeImage<'_>, address: u64) -> bool {
    image.code(address, REACH).is_some_and(|code| site::is_cheap(&code))
}

/// A function's call and its return.
fn both(offset: u64, direction: u32, length: u64) -> [Site; 2] {
    let cookie = probe_cookie(action::SAVE, direction, length, SOURCE);
    [UprobeProgram::WireCall, UprobeProgram::WireReturn].map(|program| Site { program, offset, cookie })
}

/// Where a connection is given up.
fn closer(image: &CodeImage<'_>, free: &Function) -> Site {
    let behind = image.code(free.address, REACH).map_or(0, |code| site::cheapest(&code));
    let cookie = probe_cookie(action::CLOSE, way::CLOSED, length::RETURNED, SOURCE);
    Site { program: UprobeProgram::WireCall, offset: free.offset + behind, cookie }
}

#[cfg(test)]
mod tests {
    use std::{fs, fs::File, process::Command};

    use super::*;

    fn sites(path: &str) -> Vec<Site> {
        let file = File::open(path).unwrap();
        let image = CodeImage::read(path, &file).unwrap();
        let Offer::Sites(sites) = find(&image) else { panic!("no sites in {path}") };
        sites
    }

    #[test]
    fn this_hosts_library_is_probed_both_ways_where_it_is_cheap() {
        let path = "/usr/lib/x86_64-linux-gnu/libssl.so.3";
        let sites = sites(path);
        let count = |program| sites.iter().filter(|site| site.program == program).count();
        let returns = count(UprobeProgram::WireReturn);
        assert!(returns == 2 || returns == 4, "{sites:?}");
        assert_eq!(count(UprobeProgram::WireCall), returns + 1, "{sites:?}");
    }

    #[test]
    fn what_calls_with_its_arguments_in_place_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (source, library) = (folder.path().join("ssl.s"), folder.path().join("libssl.so"));
        let mover = |name: &str| {
            format!(
                ".globl SSL_{name}\n.type SSL_{name},@function\nSSL_{name}: subq $24, %rsp\n movq %rsp, %rcx\n ret\n\
                 .globl SSL_{name}_ex\n.type SSL_{name}_ex,@function\nSSL_{name}_ex: subq $8, %rsp\n call inner_{name}\n\
                  addq $8, %rsp\n ret\n.type inner_{name},@function\ninner_{name}: pushq %r13\n popq %r13\n ret\n"
            )
        };
        let free = ".globl SSL_free\n.type SSL_free,@function\nSSL_free: testq %rdi, %rdi\n je 1f\n1: ret\n";
        fs::write(&source, [mover("read"), mover("write"), free.to_owned()].concat()).unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-nostdlib", "-o"]).arg(&library).arg(&source);
        assert!(cc.status().unwrap().success());
        let sites = sites(library.to_str().unwrap());
        assert_eq!(sites.len(), 5, "{sites:?}");
        let bytes = fs::read(&library).unwrap();
        for site in sites.iter().filter(|site| site.program == UprobeProgram::WireReturn) {
            let at = usize::try_from(site.offset).unwrap();
            assert_eq!(bytes[at..at + 2], [0x41, 0x55], "push r13");
        }
    }

    #[test]
    fn other_libraries_are_not_its() {
        let path = "/lib64/ld-linux-x86-64.so.2";
        let file = File::open(path).unwrap();
        assert_eq!(find(&CodeImage::read(path, &file).unwrap()), Offer::Nothing);
    }
}

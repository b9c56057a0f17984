//! Finds what rustls has records encrypted and decrypted by, in programs that have it linked in, stripped or not: aws-lc's
//! AES-GCM for AVX-512, which takes records whole. It is assembly of OpenSSL's authors, and begins the same in every program.
//!
//! Encryption stands before decryption in that file, and little but their length tells them apart: where there are not just
//! these two, nothing is probed. OpenSSL's own, which a program may have linked in besides, are left out. Limits: AES-GCM of
//! TLS 1.3, on CPUs with AVX-512; of aws-lc elsewhere, the ends of records are encrypted apart. Over ring, `ring` finds it.

use memchr::memmem;

use super::{code::CodeImage, finder::Offer, version};
use crate::kernel::{
    Site, UprobeProgram,
    wire::{action, length, probe_cookie, source, way},
};

/// `push rbx; push rbp; push r12; push r13; push r14; push r15; lea rbp, [rsp]; sub rsp, …`
const BEGINNING: [u8; 17] =
    [0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57, 0x48, 0x8d, 0x2c, 0x24, 0x48, 0x81, 0xec];
/// Bytes of that number.
const FRAME: usize = 4;
/// `and rsp, -64; mov eax, [rdi+240]; cmp eax, 9`: how many rounds the key has.
const ROUNDS: [u8; 13] = [0x48, 0x83, 0xe4, 0xc0, 0x8b, 0x87, 0xf0, 0, 0, 0, 0x83, 0xf8, 9];
/// `mov r11, [rdx]; or r11, r11`: how much of a block is left over, which OpenSSL keeps in eight bytes, and aws-lc in four.
const OF_OPENSSL: [u8; 6] = [0x4c, 0x8b, 0x1a, 0x4d, 0x09, 0xdb];
/// Bytes from the rounds on in which that stands.
const REACH: usize = 128;
/// Bytes of all of it.
const SIGNATURE: usize = BEGINNING.len() + FRAME + REACH;
/// Bytes from the one function to the other: of version 0.47, 339,936.
const APART: std::ops::Range<u64> = 0x4_0000..0x8_0000;

pub(super) fn find(image: &CodeImage<'_>) -> Offer {
    let Some(version) = version::rustls(image) else { return Offer::Nothing };
    let blind = |why: &str| Offer::Blind(format!("rustls {version} is in it, and {why}"));
    let functions = functions(image);
    let [encrypt, decrypt] = functions[..] else {
        return match (version::ring(image), version::aws_lc(image)) {
            (Some(_), None) => Offer::Nothing,
            (_, Some(aws_lc)) => {
                blind(&format!("its aws-lc is of a version that is not known (aws-lc-rs {aws_lc})"))
            }
            (None, None) => blind("its cryptography is none that is known"),
        };
    };
    if !APART.contains(&(decrypt - encrypt)) {
        return blind("its cryptography is an unknown version of aws-lc");
    }
    if !takes_whole_records() {
        return blind("this CPU has no AVX-512: the ends of records are encrypted apart");
    }
    let (Some(encrypt), Some(decrypt)) = (image.offset(encrypt), image.offset(decrypt)) else {
        return blind("its cryptography is not where its code is");
    };
    let sent = probe_cookie(action::SENDS, way::SENT, length::RETURNED, source::RUSTLS);
    let received = probe_cookie(action::SAVE, way::RECEIVED, length::RETURNED, source::RUSTLS);
    Offer::Sites(vec![
        Site { program: UprobeProgram::WireSeal, offset: encrypt, cookie: sent },
        Site { program: UprobeProgram::WireSeal, offset: decrypt, cookie: received },
        Site { program: UprobeProgram::WireOpened, offset: decrypt, cookie: received },
    ])
}

/// Where functions begin as those do, in order; behind `endbr64`, if there is one, and before the stack moves.
fn functions(image: &CodeImage<'_>) -> Vec<u64> {
    let mut found = Vec::new();
    image.windows(b".text", SIGNATURE, |address, bytes| {
        for at in memmem::find_iter(bytes, &BEGINNING) {
            let from = at + BEGINNING.len() + FRAME;
            // What is cut off here is whole in the next window: no such function is so short.
            let Some(code) = bytes.get(from..from + REACH) else { continue };
            let is_openssl = memmem::find(code, &OF_OPENSSL).is_some();
            if code.starts_with(&ROUNDS) && !is_openssl && found.len() < 16 {
                found.push(address + at as u64);
            }
        }
    });
    found.dedup();
    found
}

/// Whether aws-lc uses these functions on this CPU.
///
/// Source: aws-lc's `crypto_gcm_avx512_enabled`.
fn takes_whole_records() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("vaes")
        && is_x86_feature_detected!("vpclmulqdq")
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    /// A library with so many functions that begin as those of aws-lc, so far apart, and as many of OpenSSL before them.
    fn offer(functions: usize, apart: u64) -> Offer {
        offer_over(functions, apart, "aws-lc-rs-1.18.1")
    }

    /// The same, with this crate's sources.
    fn offer_over(functions: usize, apart: u64, over: &str) -> Offer {
        let folder = tempfile::tempdir().unwrap();
        let (source, library) = (folder.path().join("aws.s"), folder.path().join("aws.so"));
        let bytes = |bytes: &[u8]| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        let function = |behind: &[u8]| {
            format!(
                ".balign {apart}\n.byte 0xf3, 0x0f, 0x1e, 0xfa, {}\n.long 0x634\n.byte {}, {}\n.zero {REACH}\n",
                bytes(&BEGINNING),
                bytes(&ROUNDS),
                bytes(behind)
            )
        };
        // `mov eax, [rdx]; or rax, rax`
        let (ours, theirs) = (function(&[0x8b, 0x02, 0x48, 0x09, 0xc0]), function(&OF_OPENSSL));
        let data = format!(
            ".section .rodata\n.asciz \"/src/rustls-0.23.46/src/conn.rs\"\n.asciz \"/src/{over}/src/aead.rs\"\n.text\n"
        );
        let functions = [theirs.repeat(functions), ours.repeat(functions)].concat();
        fs::write(&source, format!("{data}{functions}")).unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-nostdlib", "-o"]).arg(&library).arg(&source);
        assert!(cc.status().unwrap().success());
        let bytes = fs::read(&library).unwrap();
        find(&CodeImage::read("/usr/bin/codex", &bytes).unwrap())
    }

    #[test]
    fn both_functions_are_found_by_how_they_begin() {
        match offer(2, APART.start) {
            Offer::Sites(sites) => {
                assert!(takes_whole_records());
                let [encrypt, decrypt, opened] = sites[..] else { panic!("{sites:?}") };
                assert_eq!(decrypt.offset - encrypt.offset, APART.start, "encryption stands first");
                assert_eq!(encrypt.offset % 16, 4, "behind endbr64");
                assert_eq!((decrypt.offset, opened.program), (opened.offset, UprobeProgram::WireOpened));
            }
            offer => assert!(
                !takes_whole_records() && matches!(&offer, Offer::Blind(why) if why.contains("AVX-512")),
                "{offer:?}"
            ),
        }
    }

    #[test]
    fn what_is_not_known_is_said_with_the_version() {
        for (functions, apart) in [(0, 16), (1, 16), (2, 4096), (3, APART.start)] {
            let Offer::Blind(why) = offer(functions, apart) else { panic!("{functions} functions") };
            assert!(why.starts_with("rustls 0.23.46 is in it, and"), "{why}");
        }
        for (over, says) in [("aws-lc-rs-1.18.1", "aws-lc-rs 1.18.1"), ("other-1.2.3", "none that is known")]
        {
            assert!(matches!(offer_over(0, 16, over), Offer::Blind(why) if why.contains(says)), "{over}");
        }
        assert_eq!(offer_over(0, 16, "ring-0.17.14"), Offer::Nothing, "another finds it");
    }
}

//! Finds what rustls has records encrypted and decrypted by over ring, in programs that have it linked in, stripped or not:
//! its AES-GCM, which takes the whole blocks of a record at once, or all that it can of them on CPUs without VAES, and the
//! function for single blocks, by which records end. It is assembly, which is the same in every program.
//!
//! For whole blocks there are two functions, of which the one that encrypts stands first: where there are other than two, as
//! with BoringSSL linked in besides, nothing is probed. OpenSSL and BoringSSL have the function for single blocks, too: all that
//! look like it are probed, since what follows no whole blocks, and is no record by itself, is nothing to the kernel
//! program. Limits: AES-GCM of TLS 1.3, not `ChaCha20-Poly1305`; rustls as of 0.23, ring as of 0.17.14, CPUs with AVX.

use memchr::memmem;

use super::{code::CodeImage, finder::Offer, version};
use crate::kernel::{
    Site, UprobeProgram,
    wire::{action, length, probe_cookie, source, way},
};

/// How a function begins: some bytes, so many that differ from program to program, and some more.
struct Shape {
    head: &'static [u8],
    gap: usize,
    tail: &'static [u8],
}

/// `push r12; mov r12, [rsp+16]; vbroadcasti128 ymm0, […]`; `vmovdqu xmm1, [r12]; vpshufb xmm1, xmm1, xmm0;
/// vbroadcasti128 ymm11, [r8]; vpshufb ymm11, ymm11, ymm0; mov r10d, [rcx+240]; lea r10d, [r10*4-20];
/// lea r11, [rcx+r10*4+96]; vbroadcasti128 ymm9, [rcx]; vbroadcasti128 ymm10, [r11]`
const WHOLE_BLOCKS: Shape = Shape {
    head: &[0x41, 0x54, 0x4c, 0x8b, 0x64, 0x24, 0x10, 0xc4, 0xe2, 0x7d, 0x5a, 0x05],
    gap: 4,
    tail: &[
        0xc4, 0xc1, 0x7a, 0x6f, 0x0c, 0x24, 0xc4, 0xe2, 0x71, 0x00, 0xc8, 0xc4, 0x42, 0x7d, 0x5a, 0x18, 0xc4,
        0x62, 0x25, 0x00, 0xd8, 0x44, 0x8b, 0x91, 0xf0, 0, 0, 0, 0x46, 0x8d, 0x14, 0x95, 0xec, 0xff, 0xff,
        0xff, 0x4e, 0x8d, 0x5c, 0x91, 0x60, 0xc4, 0x62, 0x7d, 0x5a, 0x09, 0xc4, 0x42, 0x7d, 0x5a, 0x13,
    ],
};
/// Where they are probed: at their `push`.
const AT_PUSH: u64 = 0;

/// `push rbp; mov rbp, rsp; push rbx; push r12; push r13; push r14; push r15; vzeroupper`
const PUSHES: [u8; 16] =
    [0x55, 0x48, 0x89, 0xe5, 0x53, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57, 0xc5, 0xf8, 0x77];
/// `xor rax, rax; cmp rdx, 288; jb …`, without VAES.
const ENCRYPTS: Shape = Shape {
    head: &[0x48, 0x31, 0xc0, 0x48, 0x81, 0xfa, 0x20, 0x01, 0, 0, 0x0f, 0x82],
    gap: 4,
    tail: &PUSHES,
};
/// `xor rax, rax; cmp rdx, 96; jb …`, without VAES.
const DECRYPTS: Shape =
    Shape { head: &[0x48, 0x31, 0xc0, 0x48, 0x83, 0xfa, 0x60, 0x0f, 0x82], gap: 4, tail: &PUSHES };
/// Where these are probed: at their `jb`.
const ENCRYPTS_AT_JUMP: u64 = 10;
const DECRYPTS_AT_JUMP: u64 = 7;

/// `cmp rdx, 1; jne …`, and all that is done of a single block: `movups xmm2, [r8]; movups xmm3, [rdi];
/// mov edx, [rcx+240]; movups xmm0, [rcx]; movups xmm1, [rcx+16]; lea rcx, [rcx+32]; xorps xmm2, xmm0; aesenc xmm2, xmm1;
/// dec edx; movups xmm1, [rcx]; lea rcx, [rcx+16]; jnz -16; aesenclast xmm2, xmm1; pxor xmm0, xmm0; pxor xmm1, xmm1;
/// xorps xmm2, xmm3; pxor xmm3, xmm3; movups [rsi], xmm2; xorps xmm2, xmm2; jmp`
const BLOCKS: Shape = Shape {
    head: &[0x48, 0x83, 0xfa, 0x01, 0x75],
    gap: 1,
    tail: &[
        0x41, 0x0f, 0x10, 0x10, 0x0f, 0x10, 0x1f, 0x8b, 0x91, 0xf0, 0, 0, 0, 0x0f, 0x10, 0x01, 0x0f, 0x10,
        0x49, 0x10, 0x48, 0x8d, 0x49, 0x20, 0x0f, 0x57, 0xd0, 0x66, 0x0f, 0x38, 0xdc, 0xd1, 0xff, 0xca, 0x0f,
        0x10, 0x09, 0x48, 0x8d, 0x49, 0x10, 0x75, 0xf0, 0x66, 0x0f, 0x38, 0xdd, 0xd1, 0x66, 0x0f, 0xef, 0xc0,
        0x66, 0x0f, 0xef, 0xc9, 0x0f, 0x57, 0xd3, 0x66, 0x0f, 0xef, 0xdb, 0x0f, 0x11, 0x16, 0x0f, 0x57, 0xd2,
        0xe9,
    ],
};
/// Where it is probed: at `jne`, and at the `jmp` behind a single block.
const AT_BLOCKS: u64 = 4;
const BEHIND_BLOCK: u64 = 75;

/// Functions of one shape that are looked at.
const MOST: usize = 4;
/// The longest of them, bytes.
const SIGNATURE: usize = 96;

impl Shape {
    /// Where functions begin like this, in order; behind `endbr64`, if there is one.
    fn find(&self, image: &CodeImage<'_>) -> Vec<u64> {
        let mut found = Vec::new();
        image.windows(b".text", SIGNATURE, |address, bytes| {
            for at in memmem::find_iter(bytes, self.head) {
                // What is cut off here is whole in the next window.
                let rest = bytes.get(at + self.head.len() + self.gap..).unwrap_or_default();
                if rest.starts_with(self.tail) && found.len() <= MOST {
                    found.push(address + at as u64);
                }
            }
        });
        found.dedup();
        found
    }
}

pub(super) fn find(image: &CodeImage<'_>) -> Offer {
    let (Some(rustls), Some(ring)) = (version::rustls(image), version::ring(image)) else {
        return Offer::Nothing;
    };
    match sites(image, &rustls) {
        Ok(sites) => Offer::Sites(sites),
        // Then that is used: who has both has ring for something else.
        Err(_) if version::aws_lc(image).is_some() => Offer::Nothing,
        Err(why) => Offer::Blind(format!("rustls {rustls} over ring {ring} is in it, and {why}")),
    }
}

fn sites(image: &CodeImage<'_>, rustls: &str) -> Result<Vec<Site>, &'static str> {
    if is_old(rustls) {
        return Err("it is read as of rustls 0.23");
    }
    let [encrypt, decrypt] = WHOLE_BLOCKS.find(image)[..] else {
        return Err(
            "its functions could not be told: it is older than ring 0.17.14, or BoringSSL is in it as well",
        );
    };
    let blocks = BLOCKS.find(image);
    if blocks.is_empty() || blocks.len() > MOST {
        return Err("by which function records end could not be told");
    }
    let (seals, opens) = (action::SENDS, action::SAVE);
    let mut places = vec![
        (UprobeProgram::WireBlocks, encrypt + AT_PUSH, seals, length::BLOCKS),
        (UprobeProgram::WireBlocks, decrypt + AT_PUSH, opens, length::BLOCKS),
    ];
    if let ([encrypt], [decrypt]) = (&ENCRYPTS.find(image)[..], &DECRYPTS.find(image)[..]) {
        places.push((UprobeProgram::WireBlocks, encrypt + ENCRYPTS_AT_JUMP, seals, length::RETURNED));
        places.push((UprobeProgram::WireBlocks, decrypt + DECRYPTS_AT_JUMP, opens, length::RETURNED));
    } else if !has_vaes() {
        return Err("this CPU has no VAES, and which functions it uses then could not be told");
    }
    if !has_avx() {
        return Err("this CPU has no AVX");
    }
    for function in blocks {
        places.push((UprobeProgram::WireBlock, function + AT_BLOCKS, opens, length::BLOCKS));
        places.push((UprobeProgram::WireBlock, function + BEHIND_BLOCK, action::RETURNS, length::BLOCKS));
    }
    let site = |(program, address, action, length)| {
        let direction = if action == action::SENDS { way::SENT } else { way::RECEIVED };
        let cookie = probe_cookie(action, direction, length, source::RUSTLS);
        Some(Site { program, offset: image.offset(address)?, cookie })
    };
    places.into_iter().map(site).collect::<Option<_>>().ok_or("its functions are not where its code is")
}

/// Whether it decrypts records in a copy, before which their heads do not stand.
fn is_old(rustls: &str) -> bool {
    let mut numbers = rustls.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) < (Some(0), Some(23))
}

/// Whether ring takes all whole blocks of a record at once on this CPU.
///
/// Source: ring's `src/aead/aes_gcm.rs`, `DynKey::new`.
fn has_vaes() -> bool {
    is_x86_feature_detected!("vaes")
        && is_x86_feature_detected!("vpclmulqdq")
        && is_x86_feature_detected!("avx2")
}

/// Whether it takes at least many of them at once.
fn has_avx() -> bool {
    is_x86_feature_detected!("aes")
        && is_x86_feature_detected!("pclmulqdq")
        && is_x86_feature_detected!("avx")
        && is_x86_feature_detected!("movbe")
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        process::Command,
    };

    use super::*;
    use crate::uprobes::site::is_cheap;

    /// How often a library has a function of each shape.
    #[derive(Clone, Copy)]
    struct Library {
        whole: usize,
        encrypts: usize,
        blocks: usize,
        rustls: &'static str,
        more: &'static str,
    }

    /// ring as it is.
    const RING: Library =
        Library { whole: 2, encrypts: 1, blocks: 1, rustls: "rustls-0.23.46", more: "other-1.2.3" };

    fn function(shape: &Shape) -> String {
        let bytes = |bytes: &[u8]| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        let endbr = "0xf3, 0x0f, 0x1e, 0xfa";
        format!(
            ".balign 32\n.byte {endbr}, {}\n.zero {}, 0x11\n.byte {}\n",
            bytes(shape.head),
            shape.gap,
            bytes(shape.tail)
        )
    }

    fn offer(library: Library) -> Offer {
        let folder = tempfile::tempdir().unwrap();
        let (source, output) = (folder.path().join("ring.s"), folder.path().join("ring.so"));
        let Library { whole, encrypts, blocks, rustls, more } = library;
        let data = format!(
            ".section .rodata\n.asciz \"/src/{rustls}/a.rs /src/ring-0.17.14/b.rs /src/{more}/c.rs\"\n.text\n"
        );
        let functions = [
            function(&WHOLE_BLOCKS).repeat(whole),
            function(&ENCRYPTS).repeat(encrypts),
            function(&DECRYPTS),
            function(&BLOCKS).repeat(blocks),
        ];
        fs::write(&source, data + &functions.concat()).unwrap();
        let mut cc = Command::new("cc");
        assert!(
            cc.args(["-shared", "-nostdlib", "-o"]).arg(&output).arg(&source).status().unwrap().success()
        );
        let bytes = fs::read(&output).unwrap();
        find(&CodeImage::read("/usr/bin/agent", &bytes).unwrap())
    }

    #[test]
    fn this_program_has_it_and_every_place_is_cheap() {
        let file = File::open("/proc/self/exe").unwrap();
        let image = CodeImage::read("/proc/self/exe", &file).unwrap();
        match find(&image) {
            Offer::Sites(sites) => {
                assert_eq!(sites.len(), 6, "{sites:?}");
                for site in &sites {
                    let mut code = [0; 16];
                    std::os::unix::fs::FileExt::read_exact_at(&file, &mut code, site.offset).unwrap();
                    assert!(is_cheap(&code), "{site:?}: {code:x?}");
                }
            }
            offer => {
                assert!(
                    !has_avx() && matches!(&offer, Offer::Blind(why) if why.contains("AVX")),
                    "{offer:?}"
                );
            }
        }
    }

    #[test]
    fn functions_are_found_behind_endbr64_and_all_that_look_like_the_end() {
        if !has_vaes() || !has_avx() {
            return;
        }
        let count = |library| match offer(library) {
            Offer::Sites(sites) => sites.len(),
            offer => panic!("{offer:?}"),
        };
        assert_eq!((count(RING), count(Library { blocks: 3, ..RING })), (6, 10));
        assert_eq!(count(Library { encrypts: 2, ..RING }), 4, "what another library may have is not probed");
        let Offer::Sites(sites) = offer(RING) else { panic!("sites") };
        assert!(sites[1].offset > sites[0].offset && sites[0].offset % 32 == 4, "{sites:?}");
        assert_eq!((sites[4].offset % 32, sites[5].offset - sites[4].offset), (8, 71));
    }

    #[test]
    fn what_cannot_be_told_is_said_with_the_versions() {
        for (library, says) in [
            (Library { whole: 0, ..RING }, "older than ring 0.17.14"),
            (Library { whole: 4, ..RING }, "BoringSSL"),
            (Library { blocks: 0, ..RING }, "records end"),
            (Library { blocks: MOST + 2, ..RING }, "records end"),
            (Library { rustls: "rustls-0.22.4", ..RING }, "as of rustls 0.23"),
        ] {
            let Offer::Blind(why) = offer(library) else { panic!("{says}") };
            assert!(why.contains(says) && why.contains("over ring 0.17.14"), "{why}");
        }
        let with_aws_lc = Library { whole: 0, more: "aws-lc-rs-1.18.1", ..RING };
        assert_eq!(offer(with_aws_lc), Offer::Nothing, "what reads that tells");
        assert_eq!(offer(Library { rustls: "other-0.1.2", ..RING }), Offer::Nothing);
        assert!(is_old("0.21.12") && !is_old("0.23.46") && !is_old("1.0.0"));
    }
}

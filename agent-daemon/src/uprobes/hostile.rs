//! Files that are not what they seem: no finder panics, reads without end or names a place that is not in the file, whatever the
//! tables of a file say.

use std::{cell::Cell, fs, io, path::Path, process::Command};

use super::{
    code::CodeImage,
    finder::{FINDERS, Offer},
};
use crate::unwind::table::ReadAt;

/// What finders of this file may read together, bytes: it has some 20,000.
const MOST_READ: u64 = 256 << 20;
/// Places of a file that a finder may name.
const MOST_SITES: usize = 1024;
/// Files that are changed at random.
const CHANGED: usize = 2000;
/// Numbers that bounds are wrong by.
const EXTREMES: [u64; 7] = [0, 1, 0x7fff_ffff, 0xffff_fff8, i64::MAX.cast_unsigned(), u64::MAX - 7, u64::MAX];
/// As what a file may be mapped.
const PATHS: [&str; 4] =
    ["/usr/bin/agent", "/usr/lib/libcuda.so.1", "/lib64/ld-linux-x86-64.so.2", "/lib/libc.so.6"];

/// Two files with what finders look for, which the fuzzer begins with too.
const NAMED: &str = include_str!("testdata/named.s");
const STRIPPED: &str = include_str!("testdata/stripped.s");

fn library(folder: &Path, text: &str) -> Vec<u8> {
    let (source, library) = (folder.join("x.s"), folder.join("x.so"));
    fs::write(&source, text).unwrap();
    let mut cc = Command::new("cc");
    let cc = cc.args(["-shared", "-nostdlib", "-Wl,--eh-frame-hdr", "-Wl,-z,noseparate-code", "-s", "-o"]);
    assert!(cc.arg(&library).arg(&source).status().unwrap().success());
    fs::read(library).unwrap()
}

/// Bytes that count how many of them were read.
struct Read<'b> {
    bytes: &'b [u8],
    read: Cell<u64>,
}

impl ReadAt for Read<'_> {
    fn size(&self) -> io::Result<u64> {
        self.bytes.size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read.set(self.read.get() + buffer.len() as u64);
        self.bytes.read_at(buffer, offset)
    }
}

/// Has all finders look at a file: the names of those who know places in it.
fn looked_at(path: &str, bytes: &[u8]) -> Vec<&'static str> {
    let bytes = Read { bytes, read: Cell::new(0) };
    let Ok(image) = CodeImage::read(path, &bytes) else { return Vec::new() };
    let knows = |finder: &&super::finder::Finder| {
        let offer = (finder.find)(&image);
        let _ = finder.version(&image);
        let Offer::Sites(sites) = offer else { return false };
        assert!(sites.len() <= MOST_SITES, "{}: {}", finder.name, sites.len());
        assert!(
            sites.iter().all(|site| site.offset < bytes.bytes.len() as u64),
            "{}: {sites:?}",
            finder.name
        );
        !sites.is_empty()
    };
    let known = FINDERS.iter().filter(knows).map(|finder| finder.name).collect();
    assert!(bytes.read.get() <= MOST_READ, "{path}: {} bytes", bytes.read.get());
    known
}

/// Numbers that look random, and are the same each time.
struct Noise(u64);

impl Noise {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

/// Where a file has headers, and tables that finders follow.
fn tables(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let number = |at: usize, length: usize| {
        let number = bytes[at..at + length].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        usize::try_from(number).unwrap()
    };
    let (programs, sections) = (number(32, 8), number(40, 8));
    let mut tables =
        vec![0..64, programs..programs + 56 * number(56, 2), sections..sections + 64 * number(60, 2)];
    let magic = [0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8];
    tables.extend(bytes.windows(8).position(|word| word == magic).map(|at| at..at + 208));
    // `.eh_frame_hdr`, as linkers begin it.
    let header = [1, 0x1b, 0x03, 0x3b];
    tables.extend(bytes.windows(4).position(|word| word == header).map(|at| at..at + 32));
    tables
}

fn files() -> [Vec<u8>; 2] {
    let folder = tempfile::tempdir().unwrap();
    [NAMED, STRIPPED].map(|text| library(folder.path(), text))
}

#[test]
fn these_files_are_known_as_they_are() {
    let [named, stripped] = files();
    let known = PATHS.map(|path| looked_at(path, &named));
    assert_eq!(
        known,
        [vec!["openssl"], vec!["cuda", "openssl"], vec!["loader", "openssl"], vec!["openssl", "libc"]]
    );
    assert_eq!(looked_at(PATHS[0], &stripped), ["openssl_stripped", "boringssl", "go"]);
}

#[test]
fn no_number_in_a_table_leads_astray() {
    for (which, file) in files().iter().enumerate() {
        for (n, at) in tables(file).into_iter().flat_map(|table| table.step_by(4)).enumerate() {
            for extreme in EXTREMES {
                for length in [4, 8] {
                    let mut changed = file.clone();
                    let end = (at + length).min(changed.len());
                    changed[at..end].copy_from_slice(&extreme.to_le_bytes()[..end - at]);
                    let path = if which == 0 { PATHS[n % PATHS.len()] } else { PATHS[0] };
                    looked_at(path, &changed);
                }
            }
        }
    }
}

#[test]
fn no_change_at_random_leads_astray() {
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let files = files();
    for n in 0..CHANGED {
        let which = n % 2;
        let mut changed = files[which].clone();
        let tables = tables(&changed);
        for _ in 0..=noise.next(8) {
            let table = tables[noise.next(tables.len())].clone();
            let length = changed.len();
            match noise.next(4) {
                0 => changed[noise.next(length)] = noise.next(256) as u8,
                1 => changed[table.start + noise.next(table.len())] = noise.next(256) as u8,
                2 => {
                    let (from, to) = (noise.next(length - 64), noise.next(length - 64));
                    changed.copy_within(from..from + 64, to);
                }
                _ => {
                    let at = table.start + noise.next(table.len() - 8);
                    changed[at..at + 8].copy_from_slice(&EXTREMES[noise.next(EXTREMES.len())].to_le_bytes());
                }
            }
        }
        if n % 16 == 0 {
            changed.truncate(noise.next(changed.len()));
        }
        looked_at(if which == 0 { PATHS[noise.next(PATHS.len())] } else { PATHS[0] }, &changed);
    }
}

#[test]
fn a_table_of_symbols_that_says_the_same_again_and_again_is_not_followed_to_its_end() {
    let [named, _] = files();
    // Every symbol of a long table is the same function.
    let mut long = named.clone();
    let symbol = symbol_of(&named, b"SSL_free");
    let header = section_of(&named, 11);
    let place = long.len();
    long.extend(symbol.repeat(100_000));
    long[header + 24..header + 32].copy_from_slice(&(place as u64).to_le_bytes());
    long[header + 32..header + 40].copy_from_slice(&(24_u64 * 100_000).to_le_bytes());
    let image = CodeImage::read(PATHS[0], &long).unwrap();
    let exports = image.exports(|name| name == "SSL_free");
    assert!((1..=1024).contains(&exports.len()), "{}", exports.len());
}

/// Where the header of the first section of this type is.
fn section_of(file: &[u8], kind: u32) -> usize {
    let table = tables(file).remove(2);
    table.step_by(64).find(|at| file[at + 4..at + 8] == kind.to_le_bytes()).unwrap()
}

/// The symbol of a function.
fn symbol_of(file: &[u8], name: &[u8]) -> Vec<u8> {
    let header = |kind: u32| {
        let at = section_of(file, kind);
        let number = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
        number(at + 24)..number(at + 24) + number(at + 32)
    };
    // SHT_DYNSYM and SHT_STRTAB, of which the first holds the names of these.
    let (symbols, names) = (header(11), header(3));
    let name_at = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let at = symbols.step_by(24).find(|at| file[names.start + name_at(*at)..].starts_with(name)).unwrap();
    file[at..at + 24].to_vec()
}

//! Files that are cut, damaged or made to cost: no panic, and bounded time and memory.

use std::time::{Duration, Instant};

use proptest::prelude::{any, prop, prop_assert, proptest};

use super::{
    forge::{Forge, TEXT, eh_frame},
    real::vdso,
};
use crate::unwind::table::{Image, Limits, Rules, Table, TableError, compile};

/// Compiles, and checks that what comes out can be searched.
fn survive(bytes: &[u8]) -> Result<Table, TableError> {
    if let Ok(image) = Image::read(&bytes) {
        image.build_id();
        image.segments().bias(0x7000, 0x1000);
    }
    let table = compile(&bytes, &mut Rules::new(), &Limits::default())?;
    let rows = u32::try_from(table.rows.len()).unwrap();
    assert!(table.pages.is_sorted() && table.pages.iter().all(|&row| row < rows));
    for page in 0..table.page_count().min(1 << 16) as u64 {
        for pc in [0, 1, 511, 1023].map(|offset| table.text + 1024 * page + offset) {
            assert!(table.lookup(pc).is_some());
        }
    }
    Ok(table)
}

fn forged() -> Vec<u8> {
    let code: Vec<_> = (0u8..40).map(|n| [0x41, 0x0e, 3 * n, 0x0a, 0x44, 0x0e, 8, 0x41, 0x0b]).collect();
    let functions: Vec<_> = code.iter().zip(0..).map(|(code, n)| (TEXT + 64 * n, 60, &code[..])).collect();
    Forge { text_size: 0x1000, ..Forge::eh_frame(eh_frame("zR", &functions)) }.bytes()
}

#[test]
fn any_length_is_survived() {
    for bytes in [vdso(), forged()] {
        for length in 0..bytes.len() {
            let _ = survive(&bytes[..length]);
        }
        assert!(survive(&bytes).is_ok());
    }
}

#[test]
fn a_cie_that_everybody_shares_costs_once() {
    // A CIE of a megabyte of no-operations, and many functions: run for each, it would take hours.
    let mut bytes = eh_frame("zR", &[]);
    let cie = bytes.len();
    bytes.resize(cie + (1 << 20), 0);
    bytes[..4].copy_from_slice(&u32::try_from(cie - 4 + (1 << 20)).unwrap().to_le_bytes());
    for n in 0..0x4000u64 {
        let back = u32::try_from(bytes.len() + 4).unwrap();
        bytes.extend_from_slice(&21u32.to_le_bytes());
        bytes.extend_from_slice(&back.to_le_bytes());
        bytes.extend_from_slice(&(TEXT + n).to_le_bytes());
        bytes.extend_from_slice(&1u64.to_le_bytes());
        bytes.push(0);
    }
    let begin = Instant::now();
    let table = survive(&Forge::eh_frame(bytes).bytes()).unwrap();
    assert_eq!(table.stats.functions, 0x4000);
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_cie_for_each_function_is_read_within_a_budget() {
    // Each function's CIE begins one byte after the last one's and is most of the section long.
    let mut bytes = vec![0xff; 0x1_0000];
    let length = u32::try_from(bytes.len() / 2).unwrap();
    for at in (0..0x4000).step_by(4) {
        bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }
    let begin = Instant::now();
    let _ = survive(&Forge::eh_frame(bytes).bytes());
    assert!(begin.elapsed() < Duration::from_secs(20));
}

proptest! {
    #[test]
    fn damage_is_survived(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        at_headers in any::<bool>(),
        use_vdso in any::<bool>(),
    ) {
        let mut bytes = if use_vdso { vdso() } else { forged() };
        let range = if at_headers { 0x200 } else { bytes.len() };
        for (at, byte) in damage {
            bytes[at.index(range)] = byte;
        }
        let _ = survive(&bytes);
    }

    #[test]
    fn noise_is_survived(noise in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = survive(&noise);
        let table = survive(&Forge::eh_frame(noise).bytes());
        prop_assert!(table.is_err() || table.is_ok_and(|t| t.stats.functions > 0));
    }

    #[test]
    fn any_instructions_are_survived(
        functions in prop::collection::vec((0u64..0x9000, any::<u16>(), prop::collection::vec(any::<u8>(), 0..60)), 1..30),
    ) {
        let functions: Vec<_> =
            functions.iter().map(|(at, len, code)| (TEXT + at, u64::from(*len), code.as_slice())).collect();
        let _ = survive(&Forge::eh_frame(eh_frame("zR", &functions)).bytes());
    }
}

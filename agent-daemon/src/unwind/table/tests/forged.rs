//! Each thing that unwind information can say, one at a time, in forged files.

use std::io::Write;

use agent_common::unwind::{Rule, cfa, fp};
use proptest::prelude::{prop, prop_assert_eq, proptest};

use super::forge::{Forge, Part, TEXT, debug_frame, eh_frame};
use crate::unwind::table::{Limits, Reason, Rules, Table, TableError, compile};

fn compiled(forge: &Forge) -> Result<(Table, Rules), TableError> {
    let mut rules = Rules::new();
    Ok((compile(&forge.bytes(), &mut rules, &Limits::default())?, rules))
}

fn rule_at(forge: &Forge, pc: u64) -> Option<Rule> {
    let (table, rules) = compiled(forge).unwrap();
    table.lookup(pc).map(|n| rules.get(n).unwrap())
}

/// The one rule of a function with these instructions.
fn rule_of(instructions: &[u8]) -> Rule {
    rule_at(&Forge::eh_frame(eh_frame("", &[(TEXT, 64, instructions)])), TEXT).unwrap()
}

fn sp(offset: i32) -> Rule {
    Rule { cfa: cfa::SP, fp: fp::SAME, fp_offset: 0, cfa_offset: offset }
}

fn is(kind: u8) -> impl Fn(Option<Rule>) -> bool {
    move |rule| rule.is_some_and(|r| r.cfa == kind)
}

#[test]
fn what_compilers_write() {
    assert_eq!(rule_of(&[]), sp(8));
    // push rbp; mov rbp, rsp.
    let frame = Rule { cfa: cfa::FP, fp: fp::AT_CFA, fp_offset: -16, cfa_offset: 16 };
    assert_eq!(rule_of(&[0x0e, 16, 0x86, 2, 0x0d, 6]), frame);
    // A realigned frame: the CFA at *(rbp - 8), rbp at *(rbp + 0).
    let realigned = Rule { cfa: cfa::DEREF_FP, fp: fp::AT_FP, fp_offset: 0, cfa_offset: 0xfff8 };
    assert_eq!(rule_of(&[0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 2, 0x76, 0]), realigned);
    // Its prologue: r10 + 0.
    assert_eq!(rule_of(&[0x0c, 10, 0]), Rule { cfa: cfa::R10, cfa_offset: 0, ..sp(0) });
    // Assembly: *(rsp + 96) + 8.
    let deref = Rule { cfa: cfa::DEREF_SP, cfa_offset: 8 << 16 | 96, ..sp(0) };
    assert_eq!(rule_of(&[0x0f, 6, 0x77, 0xe0, 0x00, 0x06, 0x23, 8]), deref);
    // The PLT of GNU ld.
    let plt = [0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22];
    assert_eq!(rule_of(&plt), Rule { cfa: cfa::PLT, cfa_offset: 11, ..sp(0) });
    // glibc's vfork: the return address is in rdi, and off the stack.
    let vfork = Rule { cfa: cfa::SP_RETURN_IN_RDI, cfa_offset: 0, ..sp(0) };
    assert_eq!(rule_of(&[0x0e, 0, 0x09, 16, 5]), vfork);
    // The return address is undefined; rbp is in another register.
    assert_eq!(rule_of(&[0x07, 16]).cfa, cfa::END);
    assert_eq!(rule_of(&[0x09, 6, 11]).fp, fp::UNDEFINED);
}

#[test]
fn what_has_no_rule_is_counted_by_reason() {
    let cases: [(&[u8], Reason); 5] = [
        (&[0x0c, 3, 8], Reason::CfaRegister),
        (&[0x0f, 1, 0x9c], Reason::CfaExpression),
        (&[0x90, 2], Reason::ReturnAddress),
        (&[0x0e, 0x80, 0x80, 0x80, 0x80, 0x40], Reason::Offset),
        // Restores a state that was not remembered.
        (&[0x0b], Reason::Instructions),
    ];
    for (instructions, reason) in cases {
        let (table, _) = compiled(&Forge::eh_frame(eh_frame("", &[(TEXT, 64, instructions)]))).unwrap();
        assert_eq!(
            (table.lookup(TEXT), table.stats.invalid(reason)),
            (Some(Rules::INVALID), 1),
            "{reason:?}"
        );
    }
}

#[test]
fn rows_follow_the_instructions() {
    // push, body, remember, pop, ret, restore: 8, 16 from 1, 8 from 9, 16 from 10.
    let function = [0x41, 0x0e, 16, 0x0a, 0x48, 0x0e, 8, 0x41, 0x0b];
    let forge = Forge::eh_frame(eh_frame("", &[(TEXT, 64, &function)]));
    for (at, offset) in [(0, 8), (1, 16), (8, 16), (9, 8), (10, 16), (63, 16)] {
        assert_eq!(rule_at(&forge, TEXT + at), Some(sp(offset)), "at {at}");
    }
}

#[test]
fn only_holes_that_code_could_run_in_are_gaps() {
    let functions: [(u64, u64, &[u8]); 3] =
        [(TEXT + 40, 8, &[]), (TEXT + 64, 8, &[0x0e, 16]), (TEXT + 89, 7, &[0x0e, 24])];
    let forge = Forge::eh_frame(eh_frame("", &functions));
    assert!(is(cfa::GAP)(rule_at(&forge, TEXT)));
    assert_eq!(rule_at(&forge, TEXT + 50), Some(sp(8)), "padding");
    assert_eq!(rule_at(&forge, TEXT + 71), Some(sp(16)));
    assert!(is(cfa::GAP)(rule_at(&forge, TEXT + 72)));
    assert_eq!(rule_at(&forge, TEXT + 95), Some(sp(24)));
    assert!(is(cfa::GAP)(rule_at(&forge, TEXT + 96)));
    assert_eq!(rule_at(&forge, TEXT + 1024), None);
    assert_eq!(rule_at(&forge, TEXT - 1), None);
}

#[test]
fn functions_outside_the_code_are_left_out() {
    let functions: [(u64, u64, &[u8]); 4] =
        [(0, 64, &[]), (TEXT, 0, &[]), (TEXT + 8, u64::MAX, &[]), (1 << 62, 1 << 60, &[])];
    let refused = compiled(&Forge::eh_frame(eh_frame("", &functions)));
    assert!(matches!(refused, Err(TableError::NoUnwindInfo)));
    // Where a length is only too long, it is believed up to the segment's end.
    let (table, rules) = compiled(&Forge::eh_frame(eh_frame("", &[(TEXT + 16, 1 << 62, &[])]))).unwrap();
    assert_eq!(table.lookup(TEXT + 0x7fff).and_then(|n| rules.get(n)), Some(sp(8)));
    assert_eq!(table.lookup(TEXT + 0x8000), None);
}

#[test]
fn trampolines_of_signal_handlers_are_known() {
    assert!(is(cfa::SIGNAL)(rule_at(&Forge::eh_frame(eh_frame("zRS", &[(TEXT, 64, &[])])), TEXT)));
}

#[test]
fn unwind_information_is_found_without_section_headers() {
    let bytes = [eh_frame("zR", &[(TEXT, 64, &[0x0e, 48])]), vec![0; 64]].concat();
    // Version 1; eh_frame_ptr absolute, no count, no table.
    let mut header = vec![1, 0x04, 0xff, 0xff];
    header.extend_from_slice(&0x10_0000u64.to_le_bytes());
    let parts = vec![Part::new(".eh_frame_hdr", 0x20_0000, header), Part::new(".eh_frame", 0x10_0000, bytes)];
    let forge = Forge { section_headers: false, ..Forge::of(parts) };
    assert_eq!(rule_at(&forge, TEXT), Some(sp(48)));
}

#[test]
fn debug_frame_fills_in() {
    let debug = debug_frame(&[(TEXT, 64, &[0x0e, 32]), (TEXT + 64, 64, &[0x0e, 40])]);
    let frames = eh_frame("zR", &[(TEXT, 64, &[0x0e, 24])]);
    let parts = vec![Part::new(".eh_frame", 0x10_0000, frames), Part::new(".debug_frame", 0, debug.clone())];
    let both = Forge::of(parts);
    assert_eq!(rule_at(&both, TEXT), Some(sp(24)), "what is loaded comes first");
    assert_eq!(rule_at(&both, TEXT + 64), Some(sp(40)));
    let alone = Forge::of(vec![Part::new(".debug_frame", 0, debug)]);
    assert_eq!(rule_at(&alone, TEXT), Some(sp(32)));
}

/// A compressed section: its header says this kind and size.
fn packed(kind: u32, size: u64, bytes: &[u8]) -> Part {
    let mut content = kind.to_le_bytes().to_vec();
    content.extend_from_slice(&[0; 4]);
    content.extend_from_slice(&size.to_le_bytes());
    content.extend_from_slice(&8u64.to_le_bytes());
    let mut encoder = flate2::write::ZlibEncoder::new(content, flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    Part { compressed: true, ..Part::new(".debug_frame", 0, encoder.finish().unwrap()) }
}

#[test]
fn debug_frame_may_be_compressed() {
    let bytes = debug_frame(&[(TEXT, 64, &[0x0e, 32])]);
    let size = bytes.len() as u64;
    assert_eq!(rule_at(&Forge::of(vec![packed(1, size, &bytes)]), TEXT), Some(sp(32)));
    let zstd = compiled(&Forge::of(vec![packed(2, size, &bytes)]));
    assert!(matches!(zstd, Err(TableError::Unsupported(_))));
    let bomb = compiled(&Forge::of(vec![packed(1, 1 << 60, &bytes)]));
    assert!(matches!(bomb, Err(TableError::TooLarge { .. })));
    // More than it says is not unpacked.
    let short = compiled(&Forge::of(vec![packed(1, 10, &bytes)]));
    assert!(matches!(short, Err(TableError::Malformed(_))));
}

#[test]
fn what_has_no_unwind_information_says_so() {
    let nothing = Forge::of(vec![Part::new(".text", TEXT, vec![0x90; 16])]);
    assert!(matches!(compiled(&nothing), Err(TableError::NoUnwindInfo)));
    let terminator = Forge::eh_frame(vec![0; 4]);
    assert!(matches!(compiled(&terminator), Err(TableError::NoUnwindInfo)));
    // Go keeps frame pointers, which its .debug_frame does not tell of.
    let debug = Part::new(".debug_frame", 0, debug_frame(&[(TEXT, 64, &[])]));
    let go = Forge::of(vec![debug, Part::new(".gopclntab", 0x30_0000, vec![1])]);
    assert!(matches!(compiled(&go), Err(TableError::NoUnwindInfo)));
}

#[test]
fn code_that_has_no_fde_has_rules_where_they_are_known() {
    let frames = Part::new(".eh_frame", 0x10_0000, eh_frame("zR", &[(TEXT + 0x400, 64, &[])]));
    let plt = Part::new(".plt", TEXT + 0x100, vec![0; 0x40]);
    let got = Part::new(".plt.got", TEXT + 0x140, vec![0; 0x10]);
    let forge = Forge { entry: TEXT + 0x200, ..Forge::of(vec![frames, plt, got]) };
    assert_eq!(rule_at(&forge, TEXT + 0x100).unwrap(), Rule { cfa: cfa::PLT, cfa_offset: 11, ..sp(0) });
    assert_eq!(rule_at(&forge, TEXT + 0x145), Some(sp(8)));
    assert!(is(cfa::END)(rule_at(&forge, TEXT + 0x220)) && is(cfa::GAP)(rule_at(&forge, TEXT + 0x240)));
    let known = Forge { entry: TEXT + 0x400, ..forge };
    assert_eq!(rule_at(&known, TEXT + 0x400), Some(sp(8)), "an FDE knows better");
}

#[test]
fn limits_hold() {
    let functions: Vec<(u64, u64, &[u8])> =
        (0..64).map(|n| (TEXT + 64 * n, 64, if n % 2 == 0 { &[0x0e, 16][..] } else { &[] })).collect();
    let bytes = Forge::eh_frame(eh_frame("zR", &functions)).bytes();
    let limited = |limits: Limits| {
        let mut rules = Rules::new();
        compile(&bytes, &mut rules, &limits)
    };
    let refused = [
        Limits { source_bytes: 64, ..Limits::default() },
        Limits { functions: 63, ..Limits::default() },
        Limits { rows: 64, ..Limits::default() },
        Limits { text_bytes: 64 * 64 - 1, ..Limits::default() },
    ];
    for limits in refused {
        assert!(matches!(limited(limits), Err(TableError::TooLarge { .. })), "{limits:?}");
    }
    assert!(limited(Limits { rows: 65, functions: 64, text_bytes: 64 * 64, ..Limits::default() }).is_ok());
    let table = limited(Limits { new_rules: 1, ..Limits::default() }).unwrap();
    assert_eq!((table.stats.invalid(Reason::NoRoom), table.lookup(TEXT + 64)), (32, Some(Rules::INVALID)));
}

proptest! {
    /// Any functions, in any order, overlapping or not: each pc has the rule of the function that begins last
    /// before it, if that one reaches it.
    #[test]
    fn the_nearest_function_wins(
        functions in prop::collection::btree_map(0u64..6000, (1u64..3000, 1u8..16), 1..40),
    ) {
        let code: Vec<_> = functions.iter().map(|(&at, &(len, n))| (TEXT + at, len, [0x0e, 8 * n])).collect();
        let mut listed: Vec<_> = code.iter().map(|(at, len, code)| (*at, *len, &code[..])).collect();
        let middle = listed.len() / 2;
        listed.rotate_left(middle);
        let (table, rules) = compiled(&Forge::eh_frame(eh_frame("zR", &listed))).unwrap();
        let next = |at: u64| functions.range(at + 1..).next().map_or(u64::MAX, |(&at, _)| at);
        for at in 0..9100 {
            let owner = functions.range(..=at).next_back();
            let rule = owner.and_then(|(&start, &(len, n))| {
                let end = (start + len).min(next(start));
                let padding = next(start).saturating_sub(end) <= 16;
                (at < end || padding).then(|| sp(8 * i32::from(n)))
            });
            let found = table.lookup(TEXT + at).map(|n| rules.get(n).unwrap()).filter(|r| r.cfa != cfa::GAP);
            prop_assert_eq!(found, rule, "at {}", at);
        }
    }
}

//! This process's own stacks: the copy against the C library's unwinder, and against the tables.

use std::{
    arch::asm,
    ffi::{c_int, c_void},
    fs::File,
};

use agent_common::unwind::{cfa, fp};

use super::{CopyEnd, CopyFile, CopyUnwinder, MAX_FRAMES, MappedCode, Registers};
use crate::unwind::table::{Limits, ReadAt, Rules, Table, compile};

/// Most bytes of a stack that are copied.
const MOST: u64 = 256 << 10;

unsafe extern "C" {
    fn _Unwind_Backtrace(each: extern "C" fn(*mut c_void, *mut c_void) -> c_int, into: *mut c_void) -> c_int;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
}

extern "C" fn push_address(context: *mut c_void, into: *mut c_void) -> c_int {
    // SAFETY: `into` is the vector that `Taken::here` lends for the time of the backtrace.
    let addresses = unsafe { &mut *into.cast::<Vec<u64>>() };
    // SAFETY: the unwinder calls with a context of its own.
    addresses.push(unsafe { _Unwind_GetIP(context) } as u64);
    0
}

/// A stack of this thread: where it was taken, its bytes, and its return addresses by the C library's unwinder.
pub(in crate::unwind) struct Taken {
    pub(in crate::unwind) registers: Registers,
    pub(in crate::unwind) stack: Vec<u8>,
    pub(in crate::unwind) truth: Vec<u64>,
}

impl Taken {
    #[inline(never)]
    pub(in crate::unwind) fn here() -> Self {
        let (ip, sp, fp): (u64, u64, u64);
        // SAFETY: reads three registers.
        unsafe {
            asm!("lea {}, [rip]", "mov {}, rsp", "mov {}, rbp", out(reg) ip, out(reg) sp, out(reg) fp,
                options(nomem, nostack, preserves_flags));
        }
        let mut truth: Vec<u64> = Vec::new();
        // SAFETY: the callback gets the vector, and nobody else uses it meanwhile.
        unsafe { _Unwind_Backtrace(push_address, (&raw mut truth).cast()) };
        let length = stack_end(sp) - sp;
        let mut stack = vec![0; usize::try_from(length.min(MOST)).unwrap()];
        File::open("/proc/self/mem").unwrap().read_at(&mut stack, sp).unwrap();
        truth.retain(|&address| address != 0);
        Self { registers: Registers { ip, sp, fp }, stack, truth }
    }

    fn word(&self, address: u64) -> Option<u64> {
        super::word(&self.stack, address.checked_sub(self.registers.sp)?).map(u64::from_le_bytes)
    }
}

/// Recurses with frames of odd sizes.
#[inline(never)]
fn deep(depth: usize) -> Taken {
    let padding = std::hint::black_box([depth; 37]);
    let taken = if depth == 0 { Taken::here() } else { deep(depth - 1) };
    std::hint::black_box(padding);
    taken
}

/// A line of /proc/self/maps.
struct Line {
    mapping: MappedCode,
    path: String,
    executable: bool,
}

fn maps() -> Vec<Line> {
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let line = |line: &str| {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next().unwrap().split_once('-').unwrap();
        let executable = fields.next().unwrap().contains('x');
        let offset = number(fields.next().unwrap());
        let path = fields.nth(2).unwrap_or_default().to_owned();
        Line { mapping: MappedCode { start: number(start), end: number(end), offset }, path, executable }
    };
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().map(line).collect()
}

fn stack_end(sp: u64) -> u64 {
    maps().into_iter().map(|l| l.mapping).find(|m| (m.start..m.end).contains(&sp)).unwrap().end
}

/// The executable mappings of files. Other tests load libraries, and delete them; those are on no stack of ours.
pub(in crate::unwind) fn code() -> Vec<(MappedCode, File)> {
    let lines = maps().into_iter().filter(|l| l.executable && l.path.starts_with('/'));
    lines.filter_map(|l| Some((l.mapping, File::open(l.path).ok()?))).collect()
}

fn unwinder() -> CopyUnwinder {
    let mut unwinder = CopyUnwinder::new();
    for (mapping, file) in code() {
        assert!(unwinder.add_module(&mapping, &CopyFile::read(&file, &Limits::default()).unwrap()));
    }
    unwinder
}

/// A whole stack, however deep.
fn assert_true(taken: &Taken) {
    let frames = unwinder().unwind(taken.registers, taken.registers.sp, &taken.stack);
    assert_eq!(frames.end, CopyEnd::Complete);
    assert_eq!(frames.addresses[0], taken.registers.ip);
    assert_eq!(frames.addresses[1..], taken.truth[1..]);
}

#[test]
fn agrees_with_the_c_library() {
    assert_true(&Taken::here());
    assert_true(&deep(40));
    assert_true(&std::thread::spawn(|| deep(7)).join().unwrap());
}

#[test]
fn says_how_a_stack_ended() {
    let taken = deep(200);
    let sp = taken.registers.sp;
    let frames = unwinder().unwind(taken.registers, sp, &taken.stack);
    assert_eq!((frames.addresses.len(), frames.end), (MAX_FRAMES, CopyEnd::Truncated));
    let frames = unwinder().unwind(taken.registers, sp, &taken.stack[..4096]);
    assert_eq!(frames.end, CopyEnd::BeyondCopy);
    assert_eq!(frames.addresses[1..], taken.truth[1..frames.addresses.len()]);
    let lost = CopyUnwinder::new().unwind(Registers { ip: 1, sp, fp: 1 }, sp, &taken.stack);
    assert_eq!((lost.addresses, lost.end), (vec![1], CopyEnd::Lost));
    let nowhere = unwinder().unwind(taken.registers, 0, &[]);
    assert_eq!(nowhere.addresses[0], taken.registers.ip);
}

/// What the kernel's walker does, as far as this process's stacks need it.
fn walk(taken: &Taken, tables: &[(MappedCode, u64, Table)], rules: &Rules) -> Vec<u64> {
    let Registers { ip: mut pc, mut sp, fp: mut frame } = taken.registers;
    let mut addresses = vec![pc];
    loop {
        let at = pc - u64::from(addresses.len() > 1);
        let (_, bias, table) = tables.iter().find(|(m, ..)| (m.start..m.end).contains(&at)).unwrap();
        let rule = rules.get(table.lookup(at.wrapping_sub(*bias)).unwrap()).unwrap();
        let base = match rule.cfa {
            cfa::SP => sp,
            cfa::FP => frame,
            cfa::END => return addresses,
            kind => panic!("kind {kind} at {at:#x}"),
        };
        let next = base.wrapping_add_signed(rule.cfa_offset.into());
        pc = taken.word(next - 8).unwrap();
        frame = match rule.fp {
            fp::SAME => frame,
            fp::AT_CFA => taken.word(next.wrapping_add_signed(rule.fp_offset.into())).unwrap(),
            kind => panic!("kind {kind} of rbp at {at:#x}"),
        };
        assert!(next > sp);
        sp = next;
        addresses.push(pc);
    }
}

#[test]
fn the_tables_lead_up_the_same_stack() {
    let mut rules = Rules::new();
    let mut tables = Vec::new();
    for (mapping, file) in code() {
        let table = compile(&file, &mut rules, &Limits::default()).unwrap();
        let image = crate::unwind::table::Image::read(&file).unwrap();
        let bias = image.segments().bias(mapping.start, mapping.offset).unwrap();
        tables.push((mapping, bias, table));
    }
    for taken in [Taken::here(), deep(40), std::thread::spawn(|| deep(7)).join().unwrap()] {
        assert_eq!(walk(&taken, &tables, &rules)[1..], taken.truth[1..]);
    }
}

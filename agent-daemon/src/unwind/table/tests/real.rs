//! The tables of real files: against gimli's own interpreter of the same information, and in size.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use agent_common::unwind::{Rule, cfa};
use gimli::{BaseAddresses, EhFrame, LittleEndian, UnwindContext, UnwindSection, X86_64};
use object::{Object, ObjectSection};

use crate::unwind::table::{
    Image, Limits, ReadAt, Rules, Table,
    cfi::{Bytes, State},
    compile,
    rules::plain,
    translate,
};

/// Where a row of gimli's begins, and our rule for it; its end.
type Expected = BTreeMap<u64, (u64, Rule)>;

fn compiled(path: &Path) -> (Table, Rules) {
    let mut rules = Rules::new();
    let file = File::open(path).unwrap();
    (
        compile(&file, &mut rules, &Limits::default()).unwrap_or_else(|e| panic!("{}: {e}", path.display())),
        rules,
    )
}

/// What gimli's interpreter says.
fn expected(bytes: &[u8]) -> Expected {
    let file = object::File::parse(bytes).unwrap();
    let section = file.section_by_name(".eh_frame").unwrap();
    let eh_frame = EhFrame::new(section.data().unwrap(), LittleEndian);
    let bases = BaseAddresses::default().set_eh_frame(section.address());
    let mut expected = Expected::new();
    let mut context = UnwindContext::new();
    let mut entries = eh_frame.entries(&bases);
    while let Some(entry) = entries.next().unwrap() {
        let gimli::CieOrFde::Fde(partial) = entry else { continue };
        let fde = partial.parse(|section, bases, at| section.cie_from_offset(bases, at)).unwrap();
        let mut rows = fde.rows(&eh_frame, &bases, &mut context).unwrap();
        while let Some(row) = rows.next_row().unwrap() {
            let state = State {
                cfa: row.cfa().clone(),
                return_address: row.register(X86_64::RA),
                fp: row.register(X86_64::RBP),
            };
            let rule = rule_of(&state, &eh_frame, fde.is_signal_trampoline());
            if row.start_address() < row.end_address() {
                expected.insert(row.start_address(), (row.end_address(), rule));
            }
        }
    }
    expected
}

fn rule_of(state: &State, eh_frame: &EhFrame<Bytes<'_>>, signal: bool) -> Rule {
    if signal {
        return plain(cfa::SIGNAL);
    }
    translate::rule(state, eh_frame).unwrap_or(plain(cfa::INVALID))
}

fn interpreters() -> Vec<PathBuf> {
    let names = ["python3", "node", "bash", "gcc"];
    let folders = ["/usr/bin", "/usr/local/bin"];
    folders.iter().flat_map(|f| names.map(|n| Path::new(f).join(n))).filter(|p| p.exists()).collect()
}

/// Files that are at hand: the interpreters of this machine, and whatever this very process has mapped.
fn real_files() -> Vec<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mapped =
        maps.lines().filter(|l| l.contains("r-xp")).filter_map(|l| Some(l.get(l.find('/')?..)?.into()));
    let libraries = ["libstdc++.so.6", "libm.so.6", "libcrypto.so.3", "libpython3.11.so.1.0"];
    let libraries = libraries.map(|l| Path::new("/usr/lib/x86_64-linux-gnu").join(l));
    let mut files: Vec<PathBuf> = mapped.chain(libraries).chain(interpreters()).collect();
    files.retain(|f| f.is_file());
    files.sort();
    files.dedup();
    files
}

pub(super) fn vdso() -> Vec<u8> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|l| l.ends_with("[vdso]")).unwrap();
    let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
    let (start, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
    let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
    File::open("/proc/self/mem").unwrap().read_at(&mut bytes, start).unwrap();
    bytes
}

/// The first byte, the last byte and a middle byte of each of gimli's rows.
fn assert_equal(name: &Path, table: &Table, rules: &Rules, expected: &Expected) {
    for (&start, &(end, rule)) in expected {
        for pc in [start, start.midpoint(end), end - 1] {
            let ours = table.lookup(pc).and_then(|n| rules.get(n));
            assert_eq!(ours, Some(rule), "{}: pc {pc:#x} of {start:#x}..{end:#x}", name.display());
        }
    }
}

#[test]
fn agrees_with_gimli_on_real_files() {
    for path in real_files() {
        let (table, rules) = compiled(&path);
        let expected = expected(&std::fs::read(&path).unwrap());
        assert!(expected.len() > 4, "{}", path.display());
        assert_equal(&path, &table, &rules, &expected);
    }
}

#[test]
fn agrees_with_gimli_on_the_vdso() {
    let bytes = vdso();
    let mut rules = Rules::new();
    let table = compile(&bytes, &mut rules, &Limits::default()).unwrap();
    assert_equal(Path::new("[vdso]"), &table, &rules, &expected(&bytes));
}

/// What tables may take, in percent of what they are made of, all files together: a push or a pop is three bytes
/// of `.eh_frame` and four of table, so that single files may take more.
const MOST_OF_ALL: u64 = 75;

#[test]
fn tables_are_smaller_than_what_they_are_made_of() {
    let (mut all_rows, mut all_sources) = (0, 0);
    for path in real_files() {
        let (table, _) = compiled(&path);
        let (rows, source) = (4 * table.rows.len() as u64, table.stats.source_bytes);
        println!("{}: {rows} bytes of rows, {source} of .eh_frame", path.display());
        assert!(!table.stats.cut_short && table.stats.functions > 0, "{}", path.display());
        (all_rows, all_sources) = (all_rows + rows, all_sources + source);
    }
    assert!(100 * all_rows <= MOST_OF_ALL * all_sources, "{all_rows} of {all_sources}");
}

#[test]
fn stacks_end_where_programs_begin() {
    let path = std::env::current_exe().unwrap();
    let (table, rules) = compiled(&path);
    let bytes = std::fs::read(&path).unwrap();
    let entry = object::File::parse(bytes.as_slice()).unwrap().entry();
    assert_eq!(table.lookup(entry).and_then(|n| rules.get(n)).unwrap().cfa, cfa::END);
}

#[test]
fn a_mapping_of_this_process_gives_its_bias() {
    let bytes = std::fs::read("/proc/self/exe").unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let path = std::env::current_exe().unwrap();
    let code = maps.lines().find(|l| l.contains("r-xp") && l.ends_with(path.to_str().unwrap())).unwrap();
    let fields: Vec<_> = code.split_whitespace().collect();
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let start = number(fields[0].split_once('-').unwrap().0);
    let image = Image::read(&bytes).unwrap();
    let bias = image.segments().bias(start, number(fields[2])).unwrap();

    let file = object::File::parse(bytes.as_slice()).unwrap();
    let here = a_mapping_of_this_process_gives_its_bias as fn() as usize as u64 - bias;
    let text = file.section_by_name(".text").unwrap();
    assert!((text.address()..text.address() + text.size()).contains(&here));
    assert_eq!(file.entry() & 0xfff, (file.entry() + bias) & 0xfff);
    let theirs = file.build_id().unwrap().map(|id| id.iter().map(|b| format!("{b:02x}")).collect::<String>());
    assert_eq!(image.build_id(), theirs);
}

//! The symbols of a file that tell of an interpreter: those few of CPython that are asked for, and `v8dbg_…`. Read once
//! per file, and again where so many were kept that they had to go.

use std::ops::Range;

use object::{
    LittleEndian as LE,
    elf::{SHN_UNDEF, Sym64},
    pod,
};
use rustc_hash::FxHashMap;

use super::{
    python,
    table::{self, Image, Limits, ReadAt},
};

/// Largest symbol table that is read, bytes.
const MAX_SYMBOLS: u64 = 64 << 20;
/// The same of a file whose `.symtab` is looked through only because nothing else tells.
const MAX_UNLIKELY: u64 = 16 << 20;
/// Largest table of names, bytes.
const MAX_NAMES: u64 = 64 << 20;
/// Longest name that is looked at, bytes.
const MAX_NAME: usize = 128;
/// How all names begin that matter.
const PREFIXES: [&str; 3] = ["_Py", "Py", "v8dbg_"];
/// CPython's evaluation loop, and what a part of it is called that the compiler moved elsewhere.
const EVAL: &str = "_PyEval_EvalFrameDefault";
const EVAL_COLD: &str = "_PyEval_EvalFrameDefault.cold";
/// Longest evaluation loop that is looked through, bytes.
const MAX_EVAL: u64 = 1 << 20;
/// Symbols kept of one file: Node has some 600.
const MAX_KEPT: usize = 2048;

/// Addresses in the file, by name.
#[derive(Debug, Default)]
pub struct Symbols {
    by_name: FxHashMap<Box<str>, u64>,
    sections: FxHashMap<&'static str, u64>,
    eval_cold: Option<Range<u64>>,
}

impl Symbols {
    /// Reads what can be read. `.symtab`, which is many times longer than `.dynsym`, is looked through in files that are
    /// likely to be an interpreter, and in those that export nothing: a program that an interpreter was linked into.
    /// Of these only as far as [`MAX_UNLIKELY`] goes.
    pub(super) fn read(bytes: &dyn ReadAt, path: &str) -> Self {
        let mut symbols = Self::default();
        let Ok(image) = Image::read(bytes) else { return symbols };
        let exports = symbols.read_table(&image, (b".dynsym", b".dynstr"), MAX_SYMBOLS);
        if is_interpreter(path) || symbols.by_name.contains_key("_PyRuntime") {
            symbols.read_table(&image, (b".symtab", b".strtab"), MAX_SYMBOLS);
        } else if !exports {
            symbols.read_table(&image, (b".symtab", b".strtab"), MAX_UNLIKELY);
        }
        if let Some(address) = image.section_address(b".PyRuntime") {
            symbols.sections.insert(".PyRuntime", address);
        }
        symbols.eval_cold = symbols.find_eval_cold(bytes, &image);
        symbols
    }

    /// The part of CPython's evaluation loop that has no symbol of its own, if there is one.
    fn find_eval_cold(&self, bytes: &dyn ReadAt, image: &Image<'_>) -> Option<Range<u64>> {
        let start = self.get(EVAL)?;
        if self.with_prefix(EVAL_COLD).next().is_some() {
            return None;
        }
        let functions = table::functions(bytes, &Limits::default()).ok()?;
        let around = |address: u64| {
            let after = functions.partition_point(|f| f.start <= address);
            functions.get(after.checked_sub(1)?).filter(|f| address < f.end).cloned()
        };
        let code = image.code(&around(start)?, MAX_EVAL)?;
        python::cold_part(&code, start, around)
    }

    /// Addresses in the file of the evaluation loop's nameless part.
    #[must_use]
    pub fn eval_cold(&self) -> Option<Range<u64>> {
        self.eval_cold.clone()
    }

    /// These, of no file.
    #[cfg(test)]
    pub(super) fn of(symbols: &[(&str, u64)]) -> Self {
        let by_name = symbols.iter().map(|(name, address)| ((*name).into(), *address)).collect();
        Self { by_name, ..Self::default() }
    }

    /// Reads a table of symbols and that of their names; whether the file defines any by it.
    fn read_table(&mut self, image: &Image<'_>, sections: (&[u8], &[u8]), max: u64) -> bool {
        let Some(table) = image.section_bytes(sections.0, max) else { return false };
        let Some(names) = image.section_bytes(sections.1, MAX_NAMES) else { return false };
        let count = table.len() / size_of::<Sym64<LE>>();
        let Ok((table, _)) = pod::slice_from_bytes::<Sym64<LE>>(&table, count) else { return false };
        let mut defines = false;
        for symbol in table.iter().filter(|s| s.st_shndx.get(LE) != SHN_UNDEF) {
            defines = true;
            let start = symbol.st_name.get(LE) as usize;
            let Some(name) = names.get(start..) else { continue };
            if !PREFIXES.iter().any(|prefix| name.starts_with(prefix.as_bytes())) {
                continue;
            }
            let name = name.get(..MAX_NAME).unwrap_or(name).split(|b| *b == 0).next();
            if let Some(name) = name.and_then(|n| str::from_utf8(n).ok())
                && self.by_name.len() < MAX_KEPT
                && is_asked_for(name)
            {
                self.by_name.insert(name.into(), symbol.st_value.get(LE));
            }
        }
        defines
    }

    /// The address of a symbol that the file defines.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        self.by_name.get(name).copied()
    }

    /// Bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        let entry = |name: &str| name.len() + 2 * size_of::<(Box<str>, u64)>();
        size_of::<Self>() + self.by_name.keys().map(|name| entry(name)).sum::<usize>()
    }

    /// The address of a section that matters to interpreters.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<u64> {
        self.sections.get(name).copied()
    }

    /// Every symbol with this prefix.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, u64)> {
        let symbols = self.by_name.iter().map(|(name, address)| (&**name, *address));
        symbols.filter(move |(name, _)| name.starts_with(prefix))
    }
}

/// Whether anybody asks for a symbol with such a prefix.
fn is_asked_for(name: &str) -> bool {
    name.starts_with("v8dbg_") || name.starts_with(EVAL) || python::SYMBOLS.contains(&name)
}

fn is_interpreter(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    ["python", "libpython", "pypy", "node", "libnode", "electron"].iter().any(|p| name.starts_with(p))
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    #[test]
    fn an_interpreter_in_a_static_program_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let (source, program) = (directory.path().join("x.c"), directory.path().join("x"));
        fs::write(&source, "int _PyRuntime = 1; void _start(void) { for (;;); }\n").unwrap();
        let arguments = ["-static", "-nostdlib", "-o"];
        assert!(Command::new("cc").args(arguments).arg(&program).arg(&source).status().unwrap().success());
        let read = |path| Symbols::read(&fs::read(&program).unwrap(), path).get("_PyRuntime");
        assert!(read("/app/server").is_some());
        assert_eq!(read("/app/server"), read("/usr/bin/python3.11"));
    }

    #[test]
    fn only_what_is_asked_for_is_kept() {
        let names =
            ["_PyRuntime", "_PyEval_EvalFrameDefault.cold.7", "v8dbg_SmiShiftSize", "PyList_New", "_Pylon"];
        assert_eq!(names.map(is_asked_for), [true, true, true, false, false]);
        assert!(python::SYMBOLS.iter().all(|name| PREFIXES.iter().any(|prefix| name.starts_with(prefix))));
    }
}

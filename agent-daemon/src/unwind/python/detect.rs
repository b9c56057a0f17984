//! Is this process a CPython, which one, and where is its state?
//!
//! Any executable or library that defines `_PyRuntime` is one: shared libpython, the executables that uv, conda
//! and Debian link statically, programs that embed it. Files named like Python without it are reported, not
//! passed over. The version comes from `Py_Version` (3.11 and later) or, before that, from which functions of
//! the stable C API are there: file names can be anything. One process has one Python: of two, which no one
//! runs, the first is taken.

use super::{
    described,
    layout::Layout,
    version::{Refusal, Version},
};
use crate::unwind::memory::Memory;

/// The symbols that [`detect`] asks for.
pub const SYMBOLS: [&str; 7] =
    [RUNTIME, VERSION, FREE_THREADED, FUNCTIONS[0].0, FUNCTIONS[1].0, FUNCTIONS[2].0, FUNCTIONS[3].0];
const RUNTIME: &str = "_PyRuntime";
const VERSION: &str = "Py_Version";
/// Only builds without the global lock merge reference counts.
const FREE_THREADED: &str = "_Py_MergeZeroLocalRefcount";
/// Functions that came with a minor version, and stay.
const FUNCTIONS: [(&str, u8); 4] = [
    ("PyIter_Send", 10),
    ("PyThreadState_GetFrame", 9),
    ("PyPickleBuffer_FromObject", 8),
    ("PyContext_New", 7),
];

/// One file of which a process has mapped code.
pub struct CodeFile<'a> {
    /// Its path, as the process's maps show it.
    pub path: &'a str,
    /// Address in the process less address in the file.
    pub bias: u64,
    /// The address in the file of a symbol that it defines, by `.symtab` or `.dynsym`.
    pub symbol: &'a dyn Fn(&str) -> Option<u64>,
    /// The address in the file of one of its sections.
    pub section: &'a dyn Fn(&str) -> Option<u64>,
}

impl CodeFile<'_> {
    fn defines(&self, symbol: &str) -> bool {
        (self.symbol)(symbol).is_some()
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Where `_PyRuntime` is in the process. From 3.13 on it has a section of its own, which strip keeps.
    fn runtime(&self) -> Option<u64> {
        let address = (self.symbol)(RUNTIME).or_else(|| (self.section)(".PyRuntime"))?;
        Some(address.wrapping_add(self.bias))
    }
}

/// How to read the Python of a process; `None` if it runs none that can be seen in its files.
///
/// # Errors
/// Why its frames cannot be read, for a person to see. Early in a process that may pass: an executable has no
/// `_PyRuntime` until its libpython is mapped, so ask again when mappings change.
pub fn detect(files: &[CodeFile<'_>], memory: &impl Memory) -> Result<Option<Layout>, Refusal> {
    // Symbols of files with such names are looked up first, which spares looking through others.
    let (likely, others): (Vec<_>, Vec<_>) = files.iter().partition(|file| is_python(file.name()));
    for file in likely.iter().chain(&others) {
        if let Some(runtime) = file.runtime() {
            return layout(file, runtime, memory).map(Some);
        }
    }
    // An executable may hold nothing but a call of libpython; then that is among the files.
    let nameless = likely.first().filter(|file| !file.name().starts_with("libpython3.so"));
    nameless.map_or(Ok(None), |file| Err(Refusal::NoRuntimeSymbol { path: file.path.to_owned() }))
}

/// `python3`, `python3.12`, `libpython3.11.so.1.0`.
fn is_python(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("lib").unwrap_or(name).strip_prefix("python3") else { return false };
    rest.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 't' | 'd' | 's' | 'o' | 'm'))
}

fn layout(file: &CodeFile<'_>, runtime: u64, memory: &impl Memory) -> Result<Layout, Refusal> {
    if let Some(layout) = described::read(memory, runtime)? {
        return Ok(layout);
    }
    let version = version(file, memory)?;
    if file.defines(FREE_THREADED) {
        return Err(Refusal::FreeThreaded(version));
    }
    match (version.major, version.minor) {
        (3, 13 | 14) => Err(Refusal::BadOffsets(version)),
        _ => Layout::of(version, runtime).ok_or(Refusal::Unsupported(version)),
    }
}

fn version(file: &CodeFile<'_>, memory: &impl Memory) -> Result<Version, Refusal> {
    let Some(address) = (file.symbol)(VERSION) else { return Ok(version_by_functions(file)) };
    match Version::from_hex(memory.u32(address.wrapping_add(file.bias))?) {
        (version, true) => Err(Refusal::PreRelease(version)),
        (version, false) => Ok(version),
    }
}

fn version_by_functions(file: &CodeFile<'_>) -> Version {
    let newest = FUNCTIONS.iter().find(|(function, _)| file.defines(function));
    // A binary stripped of its C API too may still tell by its name.
    newest
        .map(|&(_, minor)| Version::new(3, minor))
        .or_else(|| Version::from_name(file.name()))
        .unwrap_or(Version::new(3, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unwind::memory::Unreadable;

    /// Zeros, and one word.
    struct Word(u64, u32);

    impl Memory for Word {
        fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
            buffer.fill(0);
            if address == self.0 {
                buffer.iter_mut().zip(self.1.to_le_bytes()).for_each(|(to, from)| *to = from);
            }
            Ok(())
        }
    }

    /// One file at a bias of 0x1000, of which every symbol is at 0x20.
    fn detect_one(path: &str, symbols: &[&str], hex: u32) -> Result<Option<Layout>, Refusal> {
        let symbol = |name: &str| symbols.contains(&name).then_some(0x20);
        let file = CodeFile { path, bias: 0x1000, symbol: &symbol, section: &symbol };
        let libc = CodeFile { path: "/lib/libc.so.6", bias: 0, symbol: &|_| None, section: &|_| None };
        detect(&[libc, file], &Word(0x1020, hex))
    }

    fn version(path: &str, symbols: &[&str], hex: u32) -> String {
        match detect_one(path, symbols, hex) {
            Ok(Some(layout)) => layout.version.to_string(),
            Ok(None) => "none".to_owned(),
            Err(refusal) => refusal.to_string(),
        }
    }

    #[test]
    fn the_version_is_told_by_symbols() {
        let old = [
            "_PyRuntime",
            "PyContext_New",
            "PyPickleBuffer_FromObject",
            "PyThreadState_GetFrame",
            "PyIter_Send",
        ];
        assert_eq!(version("/app/server", &old, 0), "3.10");
        assert_eq!(version("/usr/bin/python3.11", &old[..4], 0), "3.9");
        assert_eq!(version("/usr/bin/python3", &old[..3], 0), "3.8");
        assert!(version("/usr/bin/python3", &old[..2], 0).starts_with("Python 3.7 is not supported"));
        let new = ["_PyRuntime", "PyIter_Send", "Py_Version"];
        assert_eq!(version("/opt/embeds", &new, 0x030c_01f0), "3.12.1");
        assert!(version("/opt/embeds", &new, 0x030c_00b1).contains("pre-release"));
        assert!(version("/opt/embeds", &new, 0x030e_00f0).contains("makes no sense"));
        let free = [new.as_slice(), &["_Py_MergeZeroLocalRefcount"]].concat();
        assert!(version("/opt/embeds", &free, 0x030d_00f0).contains("free-threaded"));
    }

    #[test]
    fn python_without_a_runtime_is_reported() {
        assert_eq!(version("/usr/bin/python3.14", &[], 0), "/usr/bin/python3.14 has no symbol _PyRuntime");
        assert!(version("/usr/lib/libpython3.9.so.1.0", &[], 0).ends_with("no symbol _PyRuntime"));
        assert_eq!(version("/usr/bin/node", &[], 0), "none");
        assert_eq!(version("/usr/bin/python3-config", &[], 0), "none");
    }

    #[test]
    fn its_place_is_where_the_file_is() {
        let layout = detect_one("/x", &[".PyRuntime", "Py_Version"], 0x030b_07f0).expect("no refusal");
        assert_eq!(layout.expect("Python").walker.runtime, 0x1020);
    }
}

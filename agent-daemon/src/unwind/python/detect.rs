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
        let address = (self.symbol)("_PyRuntime").or_else(|| (self.section)(".PyRuntime"))?;
        Some(address.wrapping_add(self.bias))
    }
}

/// How to read the Python of a process; `None` if it runs none that can be seen in its files.
///
/// # Errors
/// Why its frames cannot be read, for a person to see.
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
    // Only such builds merge reference counts.
    if file.defines("_Py_MergeZeroLocalRefcount") {
        return Err(Refusal::FreeThreaded(version));
    }
    match (version.major, version.minor) {
        (3, 13 | 14) => Err(Refusal::BadOffsets(version)),
        _ => Layout::of(version, runtime).ok_or(Refusal::Unsupported(version)),
    }
}

fn version(file: &CodeFile<'_>, memory: &impl Memory) -> Result<Version, Refusal> {
    let Some(address) = (file.symbol)("Py_Version") else { return Ok(version_by_functions(file)) };
    match Version::from_hex(memory.u32(address.wrapping_add(file.bias))?) {
        (version, true) => Err(Refusal::PreRelease(version)),
        (version, false) => Ok(version),
    }
}

/// Functions that came with a version, and stay.
fn version_by_functions(file: &CodeFile<'_>) -> Version {
    let functions =
        [("PyIter_Send", 10), ("PyThreadState_GetFrame", 9), ("PyPickleBuffer_FromObject", 8), ("PyContext_New", 7)];
    let newest = functions.iter().find(|(function, _)| file.defines(function));
    // A binary stripped of its C API too may still tell by its name.
    newest
        .map(|&(_, minor)| Version::new(3, minor))
        .or_else(|| Version::from_name(file.name()))
        .unwrap_or(Version::new(3, 0))
}

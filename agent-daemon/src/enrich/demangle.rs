//! Function names as people write them, from the names compilers give them. Bounded: a short mangled name
//! can stand for a name of gigabytes, so that both demanglers write into a buffer with an end.

use std::fmt::{self, Write};

use cpp_demangle::{BorrowedSymbol, DemangleOptions};

/// Longest name that is kept, bytes; what is longer ends in an ellipsis.
const MAX_NAME: usize = 512;

/// The demangled form of a Rust or C++ symbol, any other name as it is. Parameter and return types are left
/// out of C++ names and hashes out of Rust names: the address tells overloads apart.
pub(super) fn demangle(symbol: &str) -> String {
    let mut name = Bounded::default();
    let written = match rustc_demangle::try_demangle(symbol) {
        Ok(rust) => write!(name, "{rust:#}"),
        Err(_) => demangle_cpp(symbol, &mut name),
    };
    match written {
        Ok(()) => name.text,
        Err(fmt::Error) if name.full => name.text + "…",
        Err(fmt::Error) => cut(symbol),
    }
}

/// Writes a C++ symbol's name; fails for what is none, and where the buffer ends.
fn demangle_cpp(symbol: &str, name: &mut Bounded) -> fmt::Result {
    if !symbol.starts_with("_Z") {
        return Err(fmt::Error);
    }
    let options = DemangleOptions::new().no_params().no_return_type();
    // What follows the mangled name, such as `.cold` or `@@VERS_1`, is no part of it.
    let (parsed, _) = BorrowedSymbol::with_tail(symbol.as_bytes()).map_err(|_| fmt::Error)?;
    parsed.structured_demangle(name, &options)
}

/// A name, cut where it is too long.
pub(super) fn cut(name: &str) -> String {
    if name.len() <= MAX_NAME {
        return name.to_owned();
    }
    let mut bounded = Bounded::default();
    let _ = bounded.write_str(name);
    bounded.text + "…"
}

/// A text that takes no more than [`MAX_NAME`] bytes and then fails.
#[derive(Default)]
struct Bounded {
    text: String,
    full: bool,
}

impl Write for Bounded {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let room = MAX_NAME - self.text.len();
        let fits = s.get(..s.floor_char_boundary(room)).unwrap_or(s);
        self.text.push_str(fits);
        self.full = fits.len() < s.len();
        if self.full { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    #[test]
    fn demangles_rust_and_cpp_and_leaves_c_alone() {
        let cases = [
            ("_ZN4core3ptr13drop_in_place17h0123456789abcdefE", "core::ptr::drop_in_place"),
            ("_RNvCs1234_7mycrate3foo", "mycrate::foo"),
            ("_ZN2v88internal7Isolate4InitEPNS0_16SnapshotDataES3_", "v8::internal::Isolate::Init"),
            ("_ZN5outer5innerIiE3runEv.cold", "outer::inner<int>::run"),
            ("_ZTV3Foo", "{vtable(Foo)}"),
            ("PyEval_EvalFrameDefault", "PyEval_EvalFrameDefault"),
            ("runtime.(*mheap).alloc", "runtime.(*mheap).alloc"),
            ("_Znot_mangled", "_Znot_mangled"),
            ("", ""),
        ];
        for (symbol, name) in cases {
            assert_eq!(demangle(symbol), name, "{symbol}");
        }
    }

    #[test]
    fn a_bomb_is_cut() {
        // Each template argument repeats the one before it twice: 200 bytes stand for hundreds of megabytes.
        let digits = ('1'..='9').chain('A'..='P');
        let doubling: String = digits.map(|d| format!("S0_IS{d}_S{d}_E")).collect();
        let name = demangle(&format!("_Z1fI1aIiiE{doubling}Evv"));
        assert!(name.starts_with("f<a<int, int>, a<a<int, int>, a<int, int>"), "{name}");
        assert_eq!(name.chars().count(), MAX_NAME + 1);
        assert_eq!(demangle(&"é".repeat(MAX_NAME)), "é".repeat(MAX_NAME / 2) + "…");
    }

    proptest! {
        #[test]
        fn any_name_is_survived(name in "(_Z|_R|)[A-Za-z0-9_.$]{0,200}") {
            prop_assert!(demangle(&name).len() <= MAX_NAME + "…".len());
        }
    }
}

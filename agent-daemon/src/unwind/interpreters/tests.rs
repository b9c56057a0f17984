//! Interpreters of processes that change, and end.

use super::*;
use crate::unwind::identity::forerunner;

/// A binary with these symbols.
fn binary(symbols: &[(&str, u64)]) -> CodeOf {
    CodeOf { path: "/opt/embeds".to_owned(), bias: 0, symbols: Arc::new(Symbols::of(symbols)) }
}

/// A process that is gone, known as running Python 3.11.
fn knowing() -> (Interpreters, ProcessId) {
    let (interpreters, gone) = (Interpreters::default(), forerunner());
    let layout = python::Layout::of(python::Version::new(3, 11), 0x1000).unwrap();
    let grouping = Grouping { entry: layout.entry, cold: 0..0 };
    interpreters.lock().runtimes.put(gone, Runtime::Python(layout, grouping));
    (interpreters, gone)
}

#[test]
fn a_process_that_is_gone_keeps_what_it_was_known_to_run() {
    let (interpreters, gone) = knowing();
    for symbols in [&["_PyRuntime", "Py_Version"][..], &["v8dbg_TaggedSize"]] {
        let symbols: Vec<_> = symbols.iter().map(|name| (*name, 0x1000)).collect();
        assert!(interpreters.detect(gone, &[binary(&symbols)], true).is_none());
        assert!(interpreters.python(gone).is_some());
        let unknown = ProcessId(gone.0 | 1 << 40);
        assert_eq!(interpreters.detect(unknown, &[binary(&symbols)], true), Some(Told::default()));
        assert_eq!(interpreters.refusal(unknown).as_deref(), Some("memory at 0x1000 cannot be read"));
    }
}

#[test]
fn what_the_readable_files_do_not_tell_is_no_answer_if_others_cannot_be_read() {
    let (interpreters, gone) = knowing();
    assert_eq!(interpreters.detect(gone, &[], false), None);
    assert!(interpreters.python(gone).is_some());
    assert_eq!(interpreters.detect(gone, &[], true), Some(Told::default()));
    assert!(interpreters.python(gone).is_none());
}

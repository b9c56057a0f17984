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

#[test]
fn without_time_names_stand_for_a_round_and_others_are_late() {
    let (interpreters, gone) = knowing();
    let frame = |function| InterpretedFrame { function, position: 0, frame: None };
    let stack = RawUserStack {
        addresses: [].into(),
        interpreter: Interpreter::Python,
        interpreted: [frame(1), frame(2)].into(),
        end: crate::model::stack::StackEnd::Complete,
        execs: 0,
    };
    let known = Frame {
        kind: FrameKind::Python,
        function: "known".to_owned(),
        file: None,
        line: None,
        binary: None,
        address: 0,
    };
    interpreters.lock().frames.put((gone, 1, 0), Named { frame: Arc::new(known), round: 0 }, 1);
    let name = |in_time: bool| {
        let (named, late) = interpreters.name_in_time(gone, &stack, || in_time);
        let names: Vec<_> = named.iter().map(|f| f.frame.as_ref().map(|f| f.function.clone())).collect();
        interpreters.begin_round();
        (names, late)
    };
    let known = Some("known".to_owned());
    assert_eq!(name(false), (vec![known.clone(), None], 1), "in its own round");
    assert_eq!(name(false), (vec![known, None], 1), "a round later");
    assert_eq!(name(false), (vec![None, None], 2));
    assert_eq!(name(true), (vec![None, None], 0), "there was time, and nothing to read");
}

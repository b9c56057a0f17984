//! This process's own stacks, unwound as those of another.

use std::{cell::RefCell, fs::File};

use super::{
    CodeSource, CopiedStack, CopyFile, CopyUnwinders, MappedCode, ProcessId, REST, Refusal, TableError,
};
use crate::unwind::{
    copy::{
        CopyEnd,
        tests::{Taken, code},
    },
    table::Limits,
};

/// This process, and the files of it that were asked for.
struct Own {
    code: Vec<(MappedCode, File)>,
    asked: RefCell<Vec<u64>>,
    is_closed: bool,
}

impl Own {
    fn new() -> Self {
        Self { code: code(), asked: RefCell::default(), is_closed: false }
    }

    fn asked(&self) -> usize {
        self.asked.borrow().len()
    }
}

impl CodeSource for Own {
    fn space(&self, process: ProcessId) -> Option<u64> {
        (process.0 == 1).then_some(self.code.len() as u64)
    }

    fn mappings(&self, _: ProcessId) -> Vec<(MappedCode, Option<u64>)> {
        self.code.iter().enumerate().map(|(id, (mapping, _))| (*mapping, Some(id as u64))).collect()
    }

    fn file(&self, id: u64) -> Result<CopyFile, TableError> {
        self.asked.borrow_mut().push(id);
        if self.is_closed {
            return Err(TableError::Io(std::io::ErrorKind::NotFound.into()));
        }
        CopyFile::read(&self.code[usize::try_from(id).unwrap()].1, &Limits::default())
    }
}

fn copied(process: u64, taken: &Taken) -> CopiedStack {
    CopiedStack {
        process: ProcessId(process),
        id: 0,
        stands_in: true,
        is_known: true,
        taken: std::time::Instant::now(),
        registers: [taken.registers.ip, taken.registers.sp, taken.registers.fp],
        bytes: taken.stack.clone(),
        walked: vec![taken.registers.ip],
        is_complete: false,
    }
}

#[test]
fn a_stack_is_whole_by_the_files_on_it_alone() {
    let (own, taken) = (Own::new(), Taken::here());
    let mut unwinders = CopyUnwinders::new();
    let unwound = unwinders.unwind(&copied(1, &taken), &own).unwrap();
    assert!(!unwound.is_astray);
    assert_eq!(unwound.frames.end, CopyEnd::Complete);
    assert_eq!(unwound.frames.addresses[1..], taken.truth[1..]);
    let asked = own.asked();
    assert!(asked < own.code.len(), "{asked} of {}: the loader is not on this stack", own.code.len());
    unwinders.unwind(&copied(1, &taken), &own).unwrap();
    assert_eq!(own.asked(), asked, "files are read once");
}

#[test]
fn code_that_is_mapped_later_is_told_later() {
    let (mut own, taken) = (Own::new(), Taken::here());
    let mut unwinders = CopyUnwinders::new();
    let all = std::mem::take(&mut own.code);
    assert!(unwinders.unwind(&copied(1, &taken), &own).unwrap().is_astray);
    own.code = all;
    let unwound = unwinders.unwind(&copied(1, &taken), &own).unwrap();
    assert_eq!(unwound.frames.addresses[1..], taken.truth[1..]);
}

#[test]
fn what_is_not_known_is_refused() {
    let (mut own, taken) = (Own::new(), Taken::here());
    let mut unwinders = CopyUnwinders::new();
    assert_eq!(unwinders.unwind(&copied(2, &taken), &own).unwrap_err(), Refusal::UnknownProcess);
    own.is_closed = true;
    assert_eq!(unwinders.unwind(&copied(1, &taken), &own).unwrap_err(), Refusal::Unread);
}

#[test]
fn what_was_not_used_for_a_while_is_forgotten() {
    let (own, taken) = (Own::new(), Taken::here());
    let mut unwinders = CopyUnwinders::new();
    unwinders.unwind(&copied(1, &taken), &own).unwrap();
    let read = unwinders.bytes;
    assert!(read > 0);
    unwinders.rest();
    assert_eq!(unwinders.bytes, read);
    unwinders.used -= REST;
    unwinders.rest();
    assert_eq!((unwinders.bytes, unwinders.files.len(), unwinders.processes.len()), (0, 0, 0));
}

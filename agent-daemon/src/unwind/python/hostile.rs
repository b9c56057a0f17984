//! The readers against memory that is made up: they must end, and not panic.

use proptest::{collection::vec, prelude::any, proptest};

use super::{
    cache::Codes,
    code::{CodeObject, owner, position},
    layout::Layout,
    version::Version,
};
use crate::{
    model::id::ProcessId,
    unwind::memory::{Memory, Unreadable},
};

/// The same bytes over and over, but for some pages.
struct Hostile(Vec<u8>);

impl Memory for Hostile {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        if address >> 12 & 7 == 7 || self.0.is_empty() {
            return Err(Unreadable { address });
        }
        let from = self.0.iter().cycle().skip(address as usize % self.0.len());
        buffer.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
        Ok(())
    }
}

/// One code object at 0, of which all strings are the one at 256, and whose table is at 512.
fn code_object(layout: &Layout, text: &[u8], state: u32, length: u64) -> Vec<u8> {
    let mut bytes = vec![0_u8; 4096];
    let mut put =
        |at: u32, word: u64| bytes[at as usize..at as usize + 8].copy_from_slice(&word.to_le_bytes());
    let names = &layout.names;
    put(names.first_line, 40);
    for member in [names.name, names.qualname, names.file] {
        put(member, 256);
    }
    put(names.line_table, 512);
    put(256 + 16, length);
    put(256 + 32, state.into());
    put(512 + 16, 2);
    let start = 256 + if state >> 6 & 1 == 1 { names.ascii_text } else { names.other_text } as usize;
    bytes[start..start + text.len()].copy_from_slice(text);
    bytes[512 + 32..][..2].copy_from_slice(&[2, 1]);
    bytes
}

fn layout(minor: u8) -> Layout {
    Layout::of(Version::new(3, minor), 0).expect("a layout")
}

#[test]
fn strings_of_every_width_are_read() {
    let state = |kind: u32, ascii: u32| kind << 2 | 1 << 5 | ascii << 6;
    for minor in 8..=12 {
        let layout = layout(minor);
        let name = |text: &[u8], state, length| {
            let memory = Hostile(code_object(&layout, text, state, length));
            CodeObject::read(&memory, &layout.names, 0).map(|code| code.name.to_string())
        };
        assert_eq!(name(b"ab", state(1, 1), 2).as_deref(), Ok("ab"));
        assert_eq!(name(b"\xe4b", state(1, 0), 2).as_deref(), Ok("äb"));
        assert_eq!(name(&[0x4b, 0x6d, 0, 0xd8], state(2, 0), 2).as_deref(), Ok("测\u{fffd}"));
        assert_eq!(name(&[0x37, 4, 1, 0], state(4, 0), 1).as_deref(), Ok("𐐷"));
        assert!(name(b"\xe4b", state(1, 1), 2).is_err());
        assert!(name(b"ab", state(3, 0), 2).is_err());
        assert!(name(b"ab", state(2, 1), 2).is_err());
        assert!(name(b"ab", 1 << 2, 2).is_err());
        assert!(name(b"ab", state(1, 1), u64::MAX).is_err());
    }
}

#[test]
fn long_names_are_cut_with_a_mark() {
    let layout = layout(9);
    let memory = Hostile(code_object(&layout, b"", 1 << 2 | 3 << 5, (1 << 40) + 4096));
    let code = CodeObject::read(&memory, &layout.names, 0).expect("a code object");
    assert_eq!((code.name.chars().count(), code.name.chars().last()), (257, Some('…')));
    assert_eq!((code.file.chars().count(), code.file.chars().next()), (513, Some('…')));
}

#[test]
fn an_address_used_again_is_noticed() {
    let (layout, process) = (layout(9), ProcessId(1));
    let mut codes = Codes::default();
    let mut first = Hostile(code_object(&layout, b"one", 1 << 2 | 3 << 5, 3));
    let name = |codes: &mut Codes, memory: &Hostile| {
        codes.get(process, memory, &layout.names, 0).map(|code| code.name.to_string())
    };
    assert_eq!(name(&mut codes, &first).as_deref(), Ok("one"));
    first.0[layout.names.first_line as usize] = 41;
    first.0[256 + layout.names.ascii_text as usize] = b'O';
    assert_eq!(name(&mut codes, &first).as_deref(), Ok("One"));
    assert_eq!(name(&mut codes, &Hostile(Vec::new())).as_deref(), Ok("One"), "the process is gone");
}

proptest! {
    #[test]
    fn any_memory_is_read_without_panic(
        bytes in vec(any::<u8>(), 0..600), address in any::<u64>(), walked in any::<u64>(), minor in 8_u8..13,
    ) {
        let layout = layout(minor);
        if let Ok(code) = CodeObject::read(&Hostile(bytes), &layout.names, address) {
            let _ = code.line(walked);
        }
        assert_eq!(walked, position(walked) | (walked >> 48) << 48);
        assert_eq!(owner(walked), (walked >> 48) as u8);
    }

    #[test]
    fn a_damaged_code_object_is_read_without_panic(
        damage in vec((0_usize..4096, any::<u8>()), 0..12), walked in any::<u64>(), minor in 8_u8..13,
    ) {
        let layout = layout(minor);
        let mut bytes = code_object(&layout, b"name", 1 << 2 | 3 << 5, 4);
        damage.iter().for_each(|&(at, byte)| bytes[at % 600] = byte);
        if let Ok(code) = CodeObject::read(&Hostile(bytes), &layout.names, 0) {
            let _ = code.line(walked % 64);
            assert!(code.name.len() <= 4 * 257 && code.file.len() <= 4 * 513);
        }
    }
}

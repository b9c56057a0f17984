//! Where V8 keeps what we read: numbers that Node's binary tells of itself, for debuggers, by symbols `v8dbg_*`.
//!
//! Seen alike in Node 18, 20, 22 and 24, whose numbers differ. The name of a member ends in its type, whose
//! spelling changes between versions: members are found without it. Builds that compress pointers (Chrome,
//! Electron) are refused: their objects are laid out otherwise.

use std::collections::HashMap;

/// What all symbols begin with.
const PREFIX: &str = "v8dbg_";
/// No offset is larger: the largest known is 96.
const MAX_OFFSET: i32 = 1024;

/// Why a process that runs V8 shows no names of functions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A number is missing, or makes no sense.
    #[error("V8 does not tell {0}")]
    Missing(&'static str),
    /// Pointers are 32 bits.
    #[error("V8 compresses pointers")]
    Compressed,
}

/// How to read one binary's V8: offsets in bytes, and types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// `JSFunction` → its `SharedFunctionInfo`: for the kernel's walker.
    pub js_shared: u32,
    pub(super) map: u32,
    pub(super) instance_type: u32,
    pub(super) shared: Shared,
    pub(super) script: Script,
    pub(super) string: Strings,
    /// Types of objects.
    pub(super) shared_type: u16,
    pub(super) scope_info_type: u16,
    pub(super) script_type: u16,
    pub(super) array_type: u16,
    /// `FixedArray`.
    pub(super) array_length: u32,
    pub(super) array_data: u32,
}

/// Members of `SharedFunctionInfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shared {
    pub(super) name_or_scope_info: u32,
    /// Or, while it is debugged, its `DebugInfo`.
    pub(super) script: u32,
}

/// Members of `Script`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) name: u32,
    pub(super) source: u32,
    pub(super) line_ends: u32,
}

/// Strings: their members, and how their type tells their form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strings {
    pub(super) first_other_type: u16,
    pub(super) form_mask: u16,
    pub(super) sequential: u16,
    pub(super) cons: u16,
    pub(super) sliced: u16,
    pub(super) thin: u16,
    pub(super) external: u16,
    pub(super) encoding_mask: u16,
    pub(super) one_byte: u16,
    pub(super) length: u32,
    pub(super) one_byte_text: u32,
    pub(super) two_byte_text: u32,
    pub(super) first: u32,
    pub(super) second: u32,
    pub(super) parent: u32,
    pub(super) offset: u32,
    pub(super) actual: u32,
    pub(super) resource: u32,
}

impl Layout {
    /// From the symbols of a binary, with the 32-bit number at each (0 for those in .bss); symbols of another
    /// kind may be among them.
    ///
    /// # Errors
    /// If a number is missing or cannot be right.
    pub fn read<'a>(symbols: impl IntoIterator<Item = (&'a str, i32)>) -> Result<Self, Refusal> {
        let ours =
            symbols.into_iter().filter_map(|(name, number)| Some((name.strip_prefix(PREFIX)?, number)));
        let numbers = Numbers(ours.collect());
        if numbers.get("TaggedSize")? != 8 || numbers.get("SmiShiftSize")? != 31 {
            return Err(Refusal::Compressed);
        }
        Ok(Self {
            js_shared: numbers.member("class_JSFunction__shared__")?,
            map: numbers.member("class_HeapObject__map__")?,
            instance_type: numbers.member("class_Map__instance_type__")?,
            shared: numbers.shared()?,
            script: numbers.script()?,
            string: numbers.strings()?,
            shared_type: numbers.kind("type_SharedFunctionInfo__SHARED_FUNCTION_INFO_TYPE")?,
            scope_info_type: numbers.kind("type_ScopeInfo__SCOPE_INFO_TYPE")?,
            script_type: numbers.kind("type_Script__SCRIPT_TYPE")?,
            array_type: numbers.kind("type_FixedArray__FIXED_ARRAY_TYPE")?,
            array_length: numbers.member("class_FixedArrayBase__length__")?,
            array_data: numbers.member("class_FixedArray__data__")?,
        })
    }
}

struct Numbers<'a>(HashMap<&'a str, i32>);

impl Numbers<'_> {
    fn get(&self, name: &'static str) -> Result<i32, Refusal> {
        self.0.get(name).copied().ok_or(Refusal::Missing(name))
    }

    /// A type, a tag or a mask.
    fn kind(&self, name: &'static str) -> Result<u16, Refusal> {
        self.get(name)?.try_into().map_err(|_| Refusal::Missing(name))
    }

    /// The offset of a member, by its class and name without its type.
    fn member(&self, prefix: &'static str) -> Result<u32, Refusal> {
        let spelled = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
        // Of two spellings, which have not been seen, always the same.
        let (_, &offset) = spelled.min().ok_or(Refusal::Missing(prefix))?;
        let offset = Some(offset).filter(|offset| (0..=MAX_OFFSET).contains(offset));
        offset.and_then(|offset| offset.try_into().ok()).ok_or(Refusal::Missing(prefix))
    }

    fn shared(&self) -> Result<Shared, Refusal> {
        let script = self.member("class_SharedFunctionInfo__script__");
        Ok(Shared {
            name_or_scope_info: self.member("class_SharedFunctionInfo__name_or_scope_info__")?,
            script: script.or_else(|_| self.member("class_SharedFunctionInfo__script_or_debug_info__"))?,
        })
    }

    fn script(&self) -> Result<Script, Refusal> {
        Ok(Script {
            name: self.member("class_Script__name__")?,
            source: self.member("class_Script__source__")?,
            line_ends: self.member("class_Script__line_ends__")?,
        })
    }

    fn strings(&self) -> Result<Strings, Refusal> {
        Ok(Strings {
            first_other_type: self.kind("FirstNonstringType")?,
            form_mask: self.kind("StringRepresentationMask")?,
            sequential: self.kind("SeqStringTag")?,
            cons: self.kind("ConsStringTag")?,
            sliced: self.kind("SlicedStringTag")?,
            thin: self.kind("ThinStringTag")?,
            external: self.kind("ExternalStringTag")?,
            encoding_mask: self.kind("StringEncodingMask")?,
            one_byte: self.kind("OneByteStringTag")?,
            length: self.member("class_String__length__")?,
            one_byte_text: self.member("class_SeqOneByteString__chars__")?,
            two_byte_text: self.member("class_SeqTwoByteString__chars__")?,
            first: self.member("class_ConsString__first__")?,
            second: self.member("class_ConsString__second__")?,
            parent: self.member("class_SlicedString__parent__")?,
            offset: self.member("class_SlicedString__offset__")?,
            actual: self.member("class_ThinString__actual__")?,
            resource: self.member("class_ExternalString__resource__")?,
        })
    }
}

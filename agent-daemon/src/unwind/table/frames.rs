//! One section of unwind information (`.eh_frame` or `.debug_frame`): which functions it describes, and the rules
//! of one of them. CIEs are read once and kept, but only so many: a file could have a CIE for each function.

use agent_common::unwind::{Rule, cfa};
use gimli::{
    BaseAddresses, CieOrFde, CommonInformationEntry, FrameDescriptionEntry, UnwindOffset, UnwindSection,
    X86_64,
};
use rustc_hash::FxHashMap;

use super::{
    cfi::{self, Bytes, Common, Unreadable},
    rules::plain,
    stats::Reason,
    translate,
};

/// CIEs that are kept.
const MAX_CIES: usize = 4096;
/// Bytes of CIEs that are read, as a multiple of the section: an honest file needs less than two.
const CIE_BUDGET: u64 = 4;

type Cie<'a> = CommonInformationEntry<Bytes<'a>>;
type Fde<'a> = FrameDescriptionEntry<Bytes<'a>>;

/// A section and its CIEs.
pub(super) struct Frames<'a, S> {
    section: S,
    bases: BaseAddresses,
    cies: Cies<'a>,
}

/// The place of a function and of its FDE in the section.
pub(super) struct Listed {
    pub(super) start: u64,
    pub(super) length: u64,
    pub(super) fde: u32,
}

impl<'a, S: UnwindSection<Bytes<'a>>> Frames<'a, S> {
    pub(super) fn new(section: S, bases: BaseAddresses, bytes: usize) -> Self {
        let cies = Cies { kept: FxHashMap::default(), budget: (bytes as u64).saturating_mul(CIE_BUDGET) };
        Self { section, bases, cies }
    }

    /// Hands over each function, `None` for one that cannot be read, until `each` gives `false`.
    ///
    /// # Errors
    /// [`Unreadable`] where the section ends in the middle of an entry.
    pub(super) fn list(&mut self, mut each: impl FnMut(Option<Listed>) -> bool) -> Result<(), Unreadable> {
        let mut entries = self.section.entries(&self.bases);
        while let Some(entry) = entries.next()? {
            let CieOrFde::Fde(partial) = entry else { continue };
            let fde = partial.parse(|section, bases, at| Ok(self.cies.get(section, bases, at)?.0.clone()));
            let listed = fde.ok().and_then(|fde| {
                let at = u32::try_from(fde.offset()).ok()?;
                Some(Listed { start: fde.initial_address(), length: fde.len(), fde: at })
            });
            if !each(listed) {
                break;
            }
        }
        Ok(())
    }

    /// Hands over the rules of a function, each with the pc from which on it applies, in strictly ascending order,
    /// until `each` gives `false`. `start` is the function's first pc.
    pub(super) fn rules(
        &mut self,
        fde: u32,
        start: u64,
        mut each: impl FnMut(u64, Result<Rule, Reason>) -> bool,
    ) {
        let Some((fde, common)) = self.function(fde) else {
            each(start, Err(Reason::Cie));
            return;
        };
        if fde.is_signal_trampoline() {
            each(start, Ok(plain(cfa::SIGNAL)));
            return;
        }
        let instructions = fde.instructions(&self.section, &self.bases);
        let end = cfi::run(&common, instructions, start, |pc, state| {
            each(pc, translate::rule(state, &self.section))
        });
        if let Err((pc, Unreadable)) = end {
            each(pc, Err(Reason::Instructions));
        }
    }

    fn function(&mut self, offset: u32) -> Option<(Fde<'a>, Common)> {
        let at = S::Offset::from(usize::try_from(offset).ok()?);
        let mut common = None;
        let fde = self.section.fde_from_offset(&self.bases, at, |section, bases, at| {
            let (cie, found) = self.cies.get(section, bases, at)?;
            common.clone_from(found);
            Ok(cie.clone())
        });
        Some((fde.ok()?, common?))
    }
}

struct Cies<'a> {
    kept: FxHashMap<usize, (Cie<'a>, Option<Common>)>,
    /// Bytes that may still be read.
    budget: u64,
}

impl<'a> Cies<'a> {
    /// A CIE, and what its instructions give, if they can be followed.
    fn get<S: UnwindSection<Bytes<'a>>>(
        &mut self,
        section: &S,
        bases: &BaseAddresses,
        at: S::Offset,
    ) -> gimli::Result<&(Cie<'a>, Option<Common>)> {
        let key = UnwindOffset::<usize>::into(at);
        if self.kept.len() >= MAX_CIES && !self.kept.contains_key(&key) {
            self.kept.clear();
        }
        match self.kept.entry(key) {
            std::collections::hash_map::Entry::Occupied(kept) => Ok(kept.into_mut()),
            std::collections::hash_map::Entry::Vacant(slot) => {
                let cie = section.cie_from_offset(bases, at)?;
                let spent = self.budget.checked_sub(cie.entry_len() as u64);
                self.budget = spent.ok_or(gimli::Error::NoEntryAtGivenOffset(key as u64))?;
                let common = common(&cie, section, bases);
                Ok(slot.insert((cie, common)))
            }
        }
    }
}

fn common<'a, S: UnwindSection<Bytes<'a>>>(
    cie: &Cie<'a>,
    section: &S,
    bases: &BaseAddresses,
) -> Option<Common> {
    if cie.return_address_register() != X86_64::RA {
        return None;
    }
    let instructions = cie.instructions(section, bases);
    cfi::common(instructions, cie.code_alignment_factor(), cie.data_alignment_factor()).ok()
}

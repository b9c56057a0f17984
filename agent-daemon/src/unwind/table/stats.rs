//! What a compilation found, and what it could not say: the numbers behind an incomplete stack.

/// Why a row became the rule INVALID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The return address stands elsewhere than below the CFA.
    ReturnAddress,
    /// The CFA is found by another register than rsp, rbp and r10.
    CfaRegister,
    /// The CFA is found by an expression that the walker does not know.
    CfaExpression,
    /// The CFA is further from the register than 2 GiB.
    Offset,
    /// The function's instructions contradict themselves, or end too early.
    Instructions,
    /// The function's CIE cannot be read, or is another architecture's.
    Cie,
    /// There was no room for another rule.
    NoRoom,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ReturnAddress,
        Self::CfaRegister,
        Self::CfaExpression,
        Self::Offset,
        Self::Instructions,
        Self::Cie,
        Self::NoRoom,
    ];

    /// As the log names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReturnAddress => "return_address",
            Self::CfaRegister => "cfa_register",
            Self::CfaExpression => "cfa_expression",
            Self::Offset => "offset",
            Self::Instructions => "instructions",
            Self::Cie => "cie",
            Self::NoRoom => "no_room",
        }
    }
}

/// What one file gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of unwind information that were read, uncompressed.
    pub source_bytes: u64,
    /// Functions that the table describes.
    pub functions: u64,
    /// Functions that were left out: of no length, outside the file's code, or described twice.
    pub skipped: u64,
    /// Whether the unwind information ended in the middle of an entry: the functions behind it are missing.
    pub cut_short: bool,
    invalid: [u64; Reason::ALL.len()],
}

impl Stats {
    /// Rows that became INVALID for this reason, before equal neighbours were merged.
    pub fn invalid(&self, reason: Reason) -> u64 {
        self.invalid.get(reason as usize).copied().unwrap_or(0)
    }

    /// Rows that became INVALID, by reason, for those reasons that there were.
    pub fn all_invalid(&self) -> Vec<(&'static str, u64)> {
        let all = Reason::ALL.iter().map(|reason| (reason.name(), self.invalid(*reason)));
        all.filter(|(_, rows)| *rows > 0).collect()
    }

    pub(super) fn count_invalid(&mut self, reason: Reason) {
        if let Some(count) = self.invalid.get_mut(reason as usize) {
            *count += 1;
        }
    }
}

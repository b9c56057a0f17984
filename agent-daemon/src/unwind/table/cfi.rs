//! Runs the call-frame instructions of a function, of which only three columns matter here: the CFA, the return
//! address and rbp. gimli reads the instructions; its own interpreter keeps every register, runs a CIE's
//! instructions again for each function, and so is slower, and quadratic on files made to be.

use gimli::{CallFrameInstruction, CfaRule, EndianSlice, LittleEndian, Register, RegisterRule, X86_64};

/// The bytes that unwind information is read from.
pub(super) type Bytes<'a> = EndianSlice<'a, LittleEndian>;
/// The instructions of a CIE or an FDE.
pub(super) type Instructions<'a> = gimli::CallFrameInstructionIter<'a, Bytes<'a>>;

/// States that a function may have remembered at once: compilers use one.
const MAX_REMEMBERED: usize = 32;

/// The columns in force at a pc. A column without a rule is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) cfa: CfaRule<usize>,
    pub(super) return_address: Option<RegisterRule<usize>>,
    pub(super) fp: Option<RegisterRule<usize>>,
}

/// What a CIE gives the functions that share it.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) initial: State,
    pub(super) code_factor: u64,
    pub(super) data_factor: i64,
}

/// The instructions end or cannot be followed from here on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

impl From<gimli::Error> for Unreadable {
    fn from(_: gimli::Error) -> Self {
        Self
    }
}

/// Runs a CIE's instructions.
pub(super) fn common(
    mut instructions: Instructions<'_>,
    code_factor: u64,
    data_factor: i64,
) -> Result<Common, Unreadable> {
    let initial = State { cfa: CfaRule::default(), return_address: None, fp: None };
    let mut machine = Machine { data_factor, initial: None, state: initial, remembered: Vec::new() };
    while let Some(instruction) = instructions.next()? {
        // A CIE has no location that could advance.
        machine.step(instruction)?;
    }
    Ok(Common { initial: machine.state, code_factor, data_factor })
}

/// Runs a function's instructions from its first pc on, and calls `each` with every pc at which another state
/// begins, in ascending order. `each` ends the run by `false`.
///
/// # Errors
/// [`Unreadable`] with the pc from which on the state is not known.
pub(super) fn run(
    common: &Common,
    mut instructions: Instructions<'_>,
    start: u64,
    mut each: impl FnMut(u64, &State) -> bool,
) -> Result<(), (u64, Unreadable)> {
    let mut pc = start;
    let mut machine = Machine {
        data_factor: common.data_factor,
        initial: Some(&common.initial),
        state: common.initial.clone(),
        remembered: Vec::new(),
    };
    loop {
        let Some(instruction) = instructions.next().map_err(|e| (pc, e.into()))? else {
            each(pc, &machine.state);
            return Ok(());
        };
        let next = match instruction {
            CallFrameInstruction::SetLoc { address } => Some(address),
            CallFrameInstruction::AdvanceLoc { delta } => {
                pc.checked_add(u64::from(delta).wrapping_mul(common.code_factor))
            }
            other => {
                machine.step(other).map_err(|e| (pc, e))?;
                continue;
            }
        };
        let next = next.filter(|&next| next >= pc).ok_or((pc, Unreadable))?;
        if next > pc && !each(pc, &machine.state) {
            return Ok(());
        }
        pc = next;
    }
}

struct Machine<'a> {
    data_factor: i64,
    /// Where `DW_CFA_restore` goes back to; there is nothing in a CIE itself.
    initial: Option<&'a State>,
    state: State,
    remembered: Vec<State>,
}

impl Machine<'_> {
    /// Any instruction but those that advance, which it ignores.
    fn step(&mut self, instruction: CallFrameInstruction<usize>) -> Result<(), Unreadable> {
        use CallFrameInstruction as I;
        match instruction {
            I::SetLoc { .. } | I::AdvanceLoc { .. } => {}
            I::DefCfa { register, offset } => self.define_cfa(register, offset.cast_signed()),
            I::DefCfaSf { register, factored_offset } => {
                self.define_cfa(register, self.factored(factored_offset))
            }
            I::DefCfaRegister { register } => *self.cfa()?.0 = register,
            I::DefCfaOffset { offset } => *self.cfa()?.1 = offset.cast_signed(),
            I::DefCfaOffsetSf { factored_offset } => *self.cfa()?.1 = self.factored(factored_offset),
            I::DefCfaExpression { expression } => self.state.cfa = CfaRule::Expression(expression),
            I::Undefined { register } => self.set(register, RegisterRule::Undefined),
            I::SameValue { register } => self.set(register, RegisterRule::SameValue),
            I::Offset { register, factored_offset } => {
                self.set(register, RegisterRule::Offset(self.factored(factored_offset.cast_signed())));
            }
            I::OffsetExtendedSf { register, factored_offset } => {
                self.set(register, RegisterRule::Offset(self.factored(factored_offset)));
            }
            I::ValOffset { register, factored_offset } => {
                self.set(register, RegisterRule::ValOffset(self.factored(factored_offset.cast_signed())));
            }
            I::ValOffsetSf { register, factored_offset } => {
                self.set(register, RegisterRule::ValOffset(self.factored(factored_offset)));
            }
            I::Register { dest_register, src_register } => {
                self.set(dest_register, RegisterRule::Register(src_register));
            }
            I::Expression { register, expression } => {
                self.set(register, RegisterRule::Expression(expression))
            }
            I::ValExpression { register, expression } => {
                self.set(register, RegisterRule::ValExpression(expression));
            }
            I::Restore { register } => self.restore(register)?,
            I::RememberState => self.remember()?,
            I::RestoreState => self.state = self.remembered.pop().ok_or(Unreadable)?,
            I::ArgsSize { .. } | I::Nop => {}
            // Another architecture's.
            I::NegateRaState => return Err(Unreadable),
        }
        Ok(())
    }

    fn factored(&self, offset: i64) -> i64 {
        offset.wrapping_mul(self.data_factor)
    }

    fn define_cfa(&mut self, register: Register, offset: i64) {
        self.state.cfa = CfaRule::RegisterAndOffset { register, offset };
    }

    /// Register and offset of a CFA that is not an expression.
    fn cfa(&mut self) -> Result<(&mut Register, &mut i64), Unreadable> {
        match &mut self.state.cfa {
            CfaRule::RegisterAndOffset { register, offset } => Ok((register, offset)),
            CfaRule::Expression(_) => Err(Unreadable),
        }
    }

    fn set(&mut self, register: Register, rule: RegisterRule<usize>) {
        match register {
            X86_64::RA => self.state.return_address = Some(rule),
            X86_64::RBP => self.state.fp = Some(rule),
            _ => {}
        }
    }

    fn restore(&mut self, register: Register) -> Result<(), Unreadable> {
        let initial = self.initial.ok_or(Unreadable)?;
        match register {
            X86_64::RA => self.state.return_address.clone_from(&initial.return_address),
            X86_64::RBP => self.state.fp.clone_from(&initial.fp),
            _ => {}
        }
        Ok(())
    }

    fn remember(&mut self) -> Result<(), Unreadable> {
        if self.remembered.len() == MAX_REMEMBERED {
            return Err(Unreadable);
        }
        self.remembered.push(self.state.clone());
        Ok(())
    }
}

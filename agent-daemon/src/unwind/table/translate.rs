//! From what DWARF can say to what the walker can do: a state of the three columns becomes a rule of eight bytes.
//! What has no such rule is refused with its reason, so that the shares can be told.

use agent_common::unwind::{Rule, cfa, fp};
use gimli::{
    CfaRule, Encoding, Expression, Format, Operation, Register, RegisterRule, UnwindExpression,
    UnwindSection, X86_64,
};

use super::{
    cfi::{Bytes, State},
    rules::plain,
    stats::Reason,
};

/// Operations in the longest expression that is understood.
const MAX_OPERATIONS: usize = 9;
/// How expressions are encoded: what they contain does not depend on more.
const ENCODING: Encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 4 };

/// The rule of a state; `section` is where its expressions stand.
pub(super) fn rule<'a>(state: &State, section: &impl UnwindSection<Bytes<'a>>) -> Result<Rule, Reason> {
    match state.return_address {
        Some(RegisterRule::Offset(-8)) => {}
        // A column without a rule is undefined.
        None | Some(RegisterRule::Undefined) => return Ok(plain(cfa::END)),
        Some(RegisterRule::Register(X86_64::RDI)) => return return_in_rdi(state),
        Some(_) => return Err(Reason::ReturnAddress),
    }
    let (cfa, cfa_offset) = match &state.cfa {
        CfaRule::RegisterAndOffset { register, offset } => register_cfa(*register, *offset)?,
        CfaRule::Expression(e) => {
            let operations = operations(e, section).ok_or(Reason::CfaExpression)?;
            deref(&operations).or_else(|| plt(&operations)).ok_or(Reason::CfaExpression)?
        }
    };
    let (fp, fp_offset) = caller_fp(state.fp.as_ref(), section);
    Ok(Rule { cfa, fp, fp_offset, cfa_offset })
}

/// glibc's vfork keeps its return address in rdi while parent and child share the stack.
fn return_in_rdi(state: &State) -> Result<Rule, Reason> {
    match &state.cfa {
        CfaRule::RegisterAndOffset { register: X86_64::RSP, offset } => {
            let cfa_offset = i32::try_from(*offset).map_err(|_| Reason::Offset)?;
            Ok(Rule { cfa: cfa::SP_RETURN_IN_RDI, fp: fp::SAME, fp_offset: 0, cfa_offset })
        }
        _ => Err(Reason::ReturnAddress),
    }
}

/// The rule in a linkage table whose entries push from the byte `pushed_at` of 16 on, if they ever push.
pub(super) fn plt_rule(pushed_at: Option<u8>) -> Rule {
    let (cfa, offset) = pushed_at.map_or((cfa::SP, 8), |at| (cfa::PLT, at));
    Rule { cfa, fp: fp::SAME, fp_offset: 0, cfa_offset: offset.into() }
}

fn register_cfa(register: Register, offset: i64) -> Result<(u8, i32), Reason> {
    let kind = match register {
        X86_64::RSP => cfa::SP,
        X86_64::RBP => cfa::FP,
        X86_64::R10 => cfa::R10,
        _ => return Err(Reason::CfaRegister),
    };
    Ok((kind, i32::try_from(offset).map_err(|_| Reason::Offset)?))
}

fn caller_fp<'a>(rule: Option<&RegisterRule<usize>>, section: &impl UnwindSection<Bytes<'a>>) -> (u8, i16) {
    let saved = match rule {
        None | Some(RegisterRule::SameValue | RegisterRule::Register(X86_64::RBP)) => Some((fp::SAME, 0)),
        Some(RegisterRule::Offset(offset)) => i16::try_from(*offset).ok().map(|o| (fp::AT_CFA, o)),
        // gcc's realigned frames, in which only rbp itself still leads to where it was saved.
        Some(RegisterRule::Expression(e)) => match operations(e, section).as_deref() {
            Some([Operation::RegisterOffset { register: X86_64::RBP, offset, .. }]) => {
                i16::try_from(*offset).ok().map(|o| (fp::AT_FP, o))
            }
            _ => None,
        },
        Some(_) => None,
    };
    saved.unwrap_or((fp::UNDEFINED, 0))
}

/// The operations of an expression, if they are few.
fn operations<'a>(
    expression: &UnwindExpression<usize>,
    section: &impl UnwindSection<Bytes<'a>>,
) -> Option<Vec<Operation<Bytes<'a>>>> {
    let expression: Expression<Bytes<'a>> = expression.get(section).ok()?;
    let mut operations = expression.operations(ENCODING);
    let mut found = Vec::with_capacity(MAX_OPERATIONS);
    while let Some(operation) = operations.next().ok()? {
        if found.len() == MAX_OPERATIONS {
            return None;
        }
        found.push(operation);
    }
    Some(found)
}

/// `*(register + a) [+ b]`: assembly that keeps the caller's stack pointer on its own, realigned stack.
fn deref(operations: &[Operation<Bytes<'_>>]) -> Option<(u8, i32)> {
    let [
        Operation::RegisterOffset { register, offset, .. },
        Operation::Deref { size: 8, space: false, .. },
        rest @ ..,
    ] = operations
    else {
        return None;
    };
    let kind = match *register {
        X86_64::RSP => cfa::DEREF_SP,
        X86_64::RBP => cfa::DEREF_FP,
        _ => return None,
    };
    let add = match rest {
        [] => 0,
        [Operation::PlusConstant { value }] => i16::try_from(value.cast_signed()).ok()?,
        _ => return None,
    };
    let offset = i16::try_from(*offset).ok()?;
    Some((kind, i32::from(add) << 16 | i32::from(offset.cast_unsigned())))
}

/// What linkers write for the PLT: `rsp + 8 + ((rip & 15) >= n) * 8`.
fn plt(operations: &[Operation<Bytes<'_>>]) -> Option<(u8, i32)> {
    use Operation as O;
    match operations {
        [
            O::RegisterOffset { register: X86_64::RSP, offset: 8, .. },
            O::RegisterOffset { register: X86_64::RA, offset: 0, .. },
            O::UnsignedConstant { value: 15 },
            O::And,
            O::UnsignedConstant { value },
            O::Ge,
            O::UnsignedConstant { value: 3 },
            O::Shl,
            O::Plus,
        ] if *value <= 16 => Some((cfa::PLT, i32::try_from(*value).ok()?)),
        _ => None,
    }
}

//! Where in a function to put a probe so that it costs little. The kernel emulates branches, calls, pushes and nops; any
//! other instruction it executes out of place, one step at a time, which takes some 12 µs instead of 0.6.

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess,
    Register,
};

/// Bytes from the first instruction on that are looked at.
pub(super) const REACH: u64 = 64;
/// Where integer arguments are.
const ARGUMENTS: [Register; 6] =
    [Register::RDI, Register::RSI, Register::RDX, Register::RCX, Register::R8, Register::R9];

/// How far behind its first instruction a function is best probed, bytes: at the first instruction that is emulated
/// and is always reached, while all arguments are still in their registers. 0 where there is none.
pub(super) fn cheapest(code: &[u8]) -> u64 {
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    let mut info = InstructionInfoFactory::new();
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            break;
        }
        if is_emulated(&instruction) {
            return instruction.ip();
        }
        if instruction.flow_control() != FlowControl::Next || writes_argument(&mut info, &instruction) {
            break;
        }
    }
    0
}

/// Whether the first instruction of a function is one that is emulated.
pub(super) fn is_cheap(code: &[u8]) -> bool {
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    decoder.can_decode() && is_emulated(&decoder.decode())
}

/// How far behind its first instruction a function has branches that a system call has just returned to, and whose
/// arguments are still in their registers: where C libraries test for an error.
pub(super) fn behind_syscalls(code: &[u8]) -> Vec<u64> {
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    let mut info = InstructionInfoFactory::new();
    let (mut sites, mut has_returned) = (Vec::new(), false);
    while decoder.can_decode() {
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            break;
        }
        if has_returned && instruction.is_jcc_short_or_near() {
            sites.push(instruction.ip());
        }
        let is_syscall = instruction.mnemonic() == Mnemonic::Syscall;
        let lasts =
            instruction.flow_control() == FlowControl::Next && !writes_argument(&mut info, &instruction);
        has_returned = is_syscall || (has_returned && lasts);
    }
    sites
}

/// The function that this one, whose code begins at `address`, always calls before it changes an argument.
pub(super) fn callee(code: &[u8], address: u64) -> Option<u64> {
    let mut decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
    let mut info = InstructionInfoFactory::new();
    while decoder.can_decode() {
        let instruction = decoder.decode();
        match instruction.code() {
            Code::Call_rel32_64 | Code::Jmp_rel32_64 => return Some(instruction.near_branch_target()),
            _ if instruction.flow_control() != FlowControl::Next => return None,
            _ if writes_argument(&mut info, &instruction) => return None,
            _ => {}
        }
    }
    None
}

fn writes_argument(info: &mut InstructionInfoFactory, instruction: &Instruction) -> bool {
    info.info(instruction).used_registers().iter().any(|used| {
        let reads = matches!(
            used.access(),
            OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess
        );
        !reads && ARGUMENTS.contains(&used.register().full_register())
    })
}

/// Whether the kernel emulates an instruction.
///
/// Source: `arch/x86/kernel/uprobes.c`, `branch_setup_xol_ops` and `push_setup_xol_ops`.
pub(super) fn is_emulated(instruction: &Instruction) -> bool {
    match instruction.code() {
        Code::Push_r64 | Code::Call_rel32_64 | Code::Jmp_rel32_64 | Code::Jmp_rel8_64 => true,
        _ => instruction.mnemonic() == Mnemonic::Nop || instruction.is_jcc_short_or_near(),
    }
}

#[cfg(test)]
mod tests {
    use super::{behind_syscalls, callee, cheapest, is_cheap};

    #[test]
    fn a_call_with_the_arguments_in_place_is_followed() {
        // sub rsp, 8; call +0
        assert_eq!(callee(&[0x48, 0x83, 0xec, 0x08, 0xe8, 0, 0, 0, 0], 0x1000), Some(0x1009));
        // endbr64; jmp -9
        assert_eq!(callee(&[0xf3, 0x0f, 0x1e, 0xfa, 0xe9, 0xf7, 0xff, 0xff, 0xff], 0x1000), Some(0x1000));
        // mov rcx, rsp; call: the fourth argument is another.
        assert_eq!(callee(&[0x48, 0x89, 0xe1, 0xe8, 0, 0, 0, 0], 0), None);
        // je +0; call: not always.
        assert_eq!(callee(&[0x74, 0, 0xe8, 0, 0, 0, 0], 0), None);
        assert_eq!(callee(&[0xc3], 0), None);
        assert!(is_cheap(&[0x41, 0x55]) && !is_cheap(&[0x48, 0x83, 0xec, 0x08]) && !is_cheap(&[]));
    }

    #[test]
    fn branches_behind_system_calls_are_found_while_arguments_last() {
        // xor eax, eax; syscall; cmp rax, -4096; ja +0; ret
        let read = [0x31, 0xc0, 0x0f, 0x05, 0x48, 0x3d, 0, 0xf0, 0xff, 0xff, 0x77, 0, 0xc3];
        assert_eq!(behind_syscalls(&read), [10]);
        // syscall; mov edi, r8d; ja +0: the descriptor is gone.
        assert!(behind_syscalls(&[0x0f, 0x05, 0x44, 0x89, 0xc7, 0x77, 0]).is_empty());
        assert!(behind_syscalls(&[0x77, 0, 0x0f, 0x05, 0xc3]).is_empty());
        assert!(behind_syscalls(&[]).is_empty() && behind_syscalls(&[0x0f]).is_empty());
    }

    #[test]
    fn the_first_cheap_instruction_is_chosen_while_arguments_last() {
        // push rbp
        assert_eq!(cheapest(&[0x55, 0xc3]), 0);
        // endbr64; push rbx
        assert_eq!(cheapest(&[0xf3, 0x0f, 0x1e, 0xfa, 0x53, 0xc3]), 4);
        // sub rsp, 8; call
        assert_eq!(cheapest(&[0x48, 0x83, 0xec, 0x08, 0xe8, 0, 0, 0, 0]), 4);
        // mov rdi, rax; push rbx: the argument is gone.
        assert_eq!(cheapest(&[0x48, 0x89, 0xc7, 0x53]), 0);
        // mov rax, rdi; push rbx
        assert_eq!(cheapest(&[0x48, 0x89, 0xf8, 0x53]), 3);
        // ret; push rbx: never reached.
        assert_eq!(cheapest(&[0xc3, 0x53]), 0);
        // endbr64; jmp rax: where to is not known, but it is not emulated either.
        assert_eq!(cheapest(&[0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0xe0]), 0);
        // Nothing that can be read.
        assert_eq!((cheapest(&[]), cheapest(&[0x06])), (0, 0));
    }
}

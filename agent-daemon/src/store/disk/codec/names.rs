//! Stacks as bytes, each once in a segment: frames first, then stacks that refer to frames by number. Numbers count
//! up from 0 in the order of the segment.

use std::sync::Arc;

use super::{
    CodecError,
    bytes::{Decoder, Encoder},
};
use crate::model::stack::{Binary, Frame, FrameKind, Stack, StackEnd};

const VERSION: u8 = 1;

/// The bytes of new frames, and of new stacks as an end and the numbers of frames.
pub(in crate::store::disk) fn encode(frames: &[Arc<Frame>], stacks: &[(StackEnd, Vec<u32>)]) -> Vec<u8> {
    let mut to = Encoder::new(VERSION);
    to.varint(frames.len() as u64);
    frames.iter().for_each(|frame| encode_frame(&mut to, frame));
    to.varint(stacks.len() as u64);
    for (end, frames) in stacks {
        to.u8(end_tag(*end));
        to.varint(frames.len() as u64);
        frames.iter().for_each(|frame| to.varint(u64::from(*frame)));
    }
    to.finish()
}

/// Takes in what these bytes add to the frames and stacks so far.
pub(in crate::store::disk) fn decode(
    bytes: &[u8],
    frames: &mut Vec<Arc<Frame>>,
    stacks: &mut Vec<Arc<Stack>>,
) -> Result<(), CodecError> {
    let mut from = Decoder::new(bytes, VERSION)?;
    for _ in 0..from.count()? {
        frames.push(Arc::new(decode_frame(&mut from)?));
    }
    for _ in 0..from.count()? {
        let end = end_of(from.u8()?)?;
        let count = from.count()?;
        let frame = |_| {
            let number = usize::try_from(from.varint()?).ok();
            number.and_then(|n| frames.get(n)).cloned().ok_or(CodecError::Range("a frame's number"))
        };
        let frames = (0..count).map(frame).collect::<Result<_, _>>()?;
        stacks.push(Arc::new(Stack { frames, end }));
    }
    from.end()
}

fn encode_frame(to: &mut Encoder, frame: &Frame) {
    to.u8(kind_tag(frame.kind));
    to.text(&frame.function);
    to.option_text(frame.file.as_deref());
    to.option(frame.line.map(u64::from));
    to.option_text(frame.binary.as_ref().map(|b| b.path.as_str()));
    to.option_text(frame.binary.as_ref().and_then(|b| b.build_id.as_deref()));
    to.varint(frame.address);
}

fn decode_frame(from: &mut Decoder<'_>) -> Result<Frame, CodecError> {
    Ok(Frame {
        kind: kind_of(from.u8()?)?,
        function: from.text()?.to_owned(),
        file: from.option_text()?.map(str::to_owned),
        line: from.option_u32()?,
        binary: {
            let (path, build_id) = (from.option_text()?, from.option_text()?.map(str::to_owned));
            path.map(|path| Arc::new(Binary { path: path.to_owned(), build_id }))
        },
        address: from.varint()?,
    })
}

/// How a frame's world is written.
pub(in crate::store::disk) fn kind_tag(kind: FrameKind) -> u8 {
    match kind {
        FrameKind::Native => 0,
        FrameKind::Python => 1,
        FrameKind::Javascript => 2,
        FrameKind::Kernel => 3,
    }
}

/// The world that is written so.
pub(in crate::store::disk) fn kind_of(tag: u8) -> Result<FrameKind, CodecError> {
    Ok(match tag {
        0 => FrameKind::Native,
        1 => FrameKind::Python,
        2 => FrameKind::Javascript,
        3 => FrameKind::Kernel,
        _ => return Err(CodecError::Unknown("kind of frame", tag)),
    })
}

/// How a stack's end is written.
pub(in crate::store::disk) fn end_tag(end: StackEnd) -> u8 {
    match end {
        StackEnd::Complete => 0,
        StackEnd::Truncated => 1,
        StackEnd::Gap => 2,
        StackEnd::NoTable => 3,
        StackEnd::NoMapping => 4,
        StackEnd::Unreadable => 5,
        StackEnd::UnknownRule => 6,
        StackEnd::Inconsistent => 7,
        StackEnd::FramePointers => 8,
        StackEnd::Not64Bit => 9,
        StackEnd::OverBudget => 10,
        StackEnd::Lost => 11,
        StackEnd::Absent => 12,
        StackEnd::OrderGuessed => 13,
        StackEnd::InterpretedMissing => 14,
    }
}

/// The end that is written so.
pub(in crate::store::disk) fn end_of(tag: u8) -> Result<StackEnd, CodecError> {
    Ok(match tag {
        0 => StackEnd::Complete,
        1 => StackEnd::Truncated,
        2 => StackEnd::Gap,
        3 => StackEnd::NoTable,
        4 => StackEnd::NoMapping,
        5 => StackEnd::Unreadable,
        6 => StackEnd::UnknownRule,
        7 => StackEnd::Inconsistent,
        8 => StackEnd::FramePointers,
        9 => StackEnd::Not64Bit,
        10 => StackEnd::OverBudget,
        11 => StackEnd::Lost,
        12 => StackEnd::Absent,
        13 => StackEnd::OrderGuessed,
        14 => StackEnd::InterpretedMissing,
        _ => return Err(CodecError::Unknown("end of a stack", tag)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_come_back() {
        for tag in 0..=14 {
            assert_eq!(end_of(tag).map(end_tag), Ok(tag));
        }
        for tag in 0..=3 {
            assert_eq!(kind_of(tag).map(kind_tag), Ok(tag));
        }
        assert!(end_of(15).is_err() && kind_of(4).is_err());
    }

    #[test]
    fn stacks_come_back_and_a_frame_that_is_not_there_is_refused() {
        let binary = Some(Arc::new(Binary { path: "/bin/a".to_owned(), build_id: Some("ab".to_owned()) }));
        let frame = |function: &str, line| {
            let (function, file) = (function.to_owned(), Some("a.c".to_owned()));
            let (kind, address) = (FrameKind::Python, u64::MAX);
            Arc::new(Frame { kind, function, file, line, binary: binary.clone(), address })
        };
        let new = [frame("leaf", Some(u32::MAX)), frame("main", None)];
        let (mut frames, mut stacks) = (Vec::new(), Vec::new());
        let bytes = encode(&new, &[(StackEnd::Gap, vec![0, 1]), (StackEnd::Absent, vec![])]);
        decode(&bytes, &mut frames, &mut stacks).unwrap();
        assert_eq!(frames, new);
        assert_eq!(*stacks[0], Stack { frames: new.to_vec(), end: StackEnd::Gap });
        assert_eq!(*stacks[1], Stack { frames: Vec::new(), end: StackEnd::Absent });
        let dangling = encode(&[], &[(StackEnd::Gap, vec![2])]);
        assert_eq!(decode(&dangling, &mut frames, &mut stacks), Err(CodecError::Range("a frame's number")));
    }
}

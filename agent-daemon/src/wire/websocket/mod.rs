//! WebSocket: frames ([`frames`]), and calls of a model over them ([`calls`]).

mod calls;
mod frames;

pub(super) use calls::Socket;
pub use frames::{Frames, Step};

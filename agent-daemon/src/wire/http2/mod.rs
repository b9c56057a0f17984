//! HTTP/2: one direction taken apart into steps ([`frames`]), headers unpacked ([`hpack`]), and two directions put
//! together to exchanges ([`connection`]).

mod connection;
mod frames;
pub mod hpack;

pub(super) use connection::Http2;
pub use frames::{Frames, Step};

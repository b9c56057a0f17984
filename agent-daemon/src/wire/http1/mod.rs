//! HTTP/1.0 and 1.1: one direction of a connection taken apart ([`parser`]), and two of them put together to exchanges
//! ([`connection`]).

mod chunked;
mod connection;
mod parser;

pub(super) use connection::{Became, Http1};
pub use parser::{Framing, Kind, Parser, Step};

//! The whole of it, with the real wrapper, against a stand-in for NVIDIA's library that a script moves. It is built
//! by gcc, and each test loads a copy of its own.
//!
//! What a stand-in cannot show: that real drivers answer as their documentation says.

mod changes;
mod faults;
mod fields;
mod hangs;
mod standin;

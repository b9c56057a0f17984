//! Tests of the compiler, by where their files come from.

mod forge;
mod forged;
mod hostile;
mod real;

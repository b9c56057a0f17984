//! Who is it, and where in its code: names for what the kernel only numbers.

pub mod identity;
pub mod rules;
pub mod users;

//! Profile formats, each a pure function of the same weighted stacks. pprof's and folded ones are `profile`'s, since others
//! write them too.

pub(super) mod speedscope;
pub(super) mod svg;

pub(super) use crate::profile::{Subject, folded, label, missing, pprof};

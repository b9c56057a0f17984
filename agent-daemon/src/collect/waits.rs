//! What threads do or wait for at this moment, by the wall clock.

use super::clock::Clock;
use crate::{
    kernel::{Kernel, KernelError},
    model::blocked::ThreadWait,
};

/// Every thread of every agent.
pub(super) fn threads(kernel: &mut Kernel, clock: &Clock) -> Result<Vec<ThreadWait>, KernelError> {
    let to_wall = clock.events();
    let timed =
        |seen: crate::kernel::SeenThread| ThreadWait { since: seen.since_ns.map(&to_wall), ..seen.thread };
    Ok(kernel.waits()?.into_iter().map(timed).collect())
}

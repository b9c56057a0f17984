//! Probes on functions of agents' processes, found in the files that they map. [`finder`] is the registry of who knows
//! what to probe in a file; the thread "uprobes" asks them once per content of a file, and attaches what they name to
//! each process of an agent that maps it, and to nobody else.
//!
//! `collect` tells who lives, `enrich` what files it has opened. It takes some milliseconds until probes are attached:
//! what a process calls in the first ones after an exec is not seen.

mod attached;
mod boring;
mod code;
mod cuda;
mod finder;
mod go;
#[cfg(test)]
mod hostile;
mod libc;
mod loader;
mod openssl;
mod openssl_stripped;
mod references;
mod ring;
mod rustls;
mod servers;
mod site;
mod unread;
mod version;
mod worker;

pub use worker::Attacher;

use self::finder::{Offer, findings};
use crate::unwind::table::ReadAt;

/// Where in a file of this path, with these bytes, something would be probed, by any finder: offsets. For those who try finders
/// on files that nobody maps.
pub fn offsets(path: &str, bytes: &dyn ReadAt) -> Vec<u64> {
    let findings = findings(path, bytes);
    let sites = findings.iter().filter_map(|finding| match &finding.offer {
        Offer::Sites(sites) => Some(sites),
        Offer::Nothing | Offer::Blind(_) | Offer::Part => None,
    });
    sites.flatten().map(|site| site.offset).collect()
}

//! The registry of finders. A finder knows one kind of file: it says which places of it are to be probed, or why there
//! are none. A new one is a file beside this and a row in [`FINDERS`].

use super::{boring, code::CodeImage, cuda, loader, openssl};
use crate::{
    kernel::Site,
    model::probe::{Probe, ProbeSet},
};

/// What a finder says of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// It is not of the kind that it knows.
    Nothing,
    /// It is, and these are to be probed.
    Sites(Vec<Site>),
    /// It is, and there is no place that could be: why.
    Blind(String),
}

/// Someone who knows one kind of file.
pub(super) struct Finder {
    /// Stable name.
    pub(super) name: &'static str,
    /// The probes that need it: an agent with none of them is not attached to.
    pub(super) probes: &'static [Probe],
    /// Looks at a file.
    pub(super) find: fn(&CodeImage<'_>) -> Offer,
}

impl Finder {
    /// Whether an agent that is watched by these needs it.
    pub(super) fn serves(&self, probes: ProbeSet) -> bool {
        self.probes.iter().any(|probe| probes.contains(*probe))
    }
}

/// All of them.
pub(super) static FINDERS: [Finder; 4] = [
    Finder { name: "loader", probes: &[Probe::Cuda, Probe::Wire], find: loader::find },
    Finder { name: "cuda", probes: &[Probe::Cuda], find: cuda::find },
    Finder { name: "openssl", probes: &[Probe::Wire], find: openssl::find },
    Finder { name: "boringssl", probes: &[Probe::Wire], find: boring::find },
];

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, fs::File};

    use super::*;
    use crate::model::attachment::TLS_FINDERS;

    #[test]
    fn every_finder_has_a_name_of_its_own_and_survives_any_file() {
        let names: HashSet<_> = FINDERS.iter().map(|finder| finder.name).collect();
        assert_eq!(names.len(), FINDERS.len());
        let of_tls = FINDERS.iter().filter(|f| f.probes == [Probe::Wire]).map(|f| f.name);
        assert!(of_tls.eq(TLS_FINDERS), "coverage knows them");
        let file = File::open("/proc/self/exe").unwrap();
        let image = CodeImage::read("/usr/bin/agent", &file).unwrap();
        for finder in &FINDERS {
            assert!(finder.serves(ProbeSet::ALL) && !finder.serves(ProbeSet::EMPTY), "{}", finder.name);
            assert_eq!((finder.find)(&image), Offer::Nothing, "{}", finder.name);
        }
    }
}

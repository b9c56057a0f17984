//! The registry of finders. A finder knows one kind of file: it says which places of it are to be probed, or why there
//! are none. A new one is a file beside this and a row in [`FINDERS`].

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    sync::Arc,
};

use super::{
    boring, code::CodeImage, cuda, go, libc, loader, openssl, openssl_stripped, ring, rustls, unread, version,
};
use crate::{
    kernel::Site,
    model::{
        attachment::LIBC_FINDER,
        probe::{Probe, ProbeSet},
    },
    unwind::{CodeFile, table::ReadAt},
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
    /// It is a part of what another file is, whose version it tells.
    Part,
}

/// Someone who knows one kind of file.
pub(super) struct Finder {
    /// Stable name.
    pub(super) name: &'static str,
    /// The probes that need it: an agent with none of them is not attached to.
    pub(super) probes: &'static [Probe],
    /// Looks at a file.
    pub(super) find: fn(&CodeImage<'_>) -> Offer,
    /// Tells the version of what it knows, of a file that has it.
    version: fn(&CodeImage<'_>) -> Option<String>,
}

impl Finder {
    /// The version of what it knows, of a file that has it.
    pub(super) fn version(&self, image: &CodeImage<'_>) -> Option<String> {
        (self.version)(image)
    }

    /// Whether only processes that are spoken to by pipes need it.
    pub(super) fn is_for_pipes(&self) -> bool {
        self.name == LIBC_FINDER
    }

    /// Whether an agent that is watched by these needs it.
    pub(super) fn serves(&self, probes: ProbeSet) -> bool {
        self.probes.iter().any(|probe| probes.contains(*probe))
    }
}

/// Who knows a part of a library, which coverage does not list.
const PART: &str = "libcrypto";

/// All of them.
pub(super) static FINDERS: [Finder; 16] = [
    Finder {
        name: "loader",
        probes: &[Probe::Cuda, Probe::Wire],
        find: loader::find,
        version: version::none,
    },
    Finder { name: "cuda", probes: &[Probe::Cuda], find: cuda::find, version: version::none },
    Finder { name: "openssl", probes: &[Probe::Wire], find: openssl::find, version: version::openssl },
    Finder {
        name: "openssl_stripped",
        probes: &[Probe::Wire],
        find: openssl_stripped::find,
        version: version::openssl,
    },
    Finder { name: PART, probes: &[Probe::Wire], find: openssl::crypto, version: version::openssl },
    Finder { name: "boringssl", probes: &[Probe::Wire], find: boring::find, version: version::none },
    Finder { name: "go", probes: &[Probe::Wire], find: go::find, version: version::go },
    Finder { name: "rustls", probes: &[Probe::Wire], find: rustls::find, version: version::rustls },
    Finder { name: "rustls_ring", probes: &[Probe::Wire], find: ring::find, version: version::rustls },
    Finder { name: "gnutls", probes: &[Probe::Wire], find: unread::gnutls, version: version::none },
    Finder { name: "nss", probes: &[Probe::Wire], find: unread::nss, version: version::none },
    Finder { name: "jsse", probes: &[Probe::Wire], find: unread::jsse, version: version::none },
    Finder { name: "mbedtls", probes: &[Probe::Wire], find: unread::mbedtls, version: version::none },
    Finder { name: "wolfssl", probes: &[Probe::Wire], find: unread::wolfssl, version: version::none },
    Finder { name: "s2n", probes: &[Probe::Wire], find: unread::s2n, version: version::none },
    Finder { name: LIBC_FINDER, probes: &[Probe::Wire], find: libc::find, version: version::none },
];

/// What a finder says of a file's content that it knows.
pub(super) struct Finding {
    pub(super) finder: &'static Finder,
    pub(super) offer: Offer,
    pub(super) version: Option<String>,
}

/// What the finders say of a file's content: of those that know it.
pub(super) type Verdict = Arc<[Finding]>;

/// Asks all of them; `None` where the file cannot be read now. In this program, which is what a command that is to be
/// watched begins as, nothing is looked for: it speaks to nobody by then.
pub(super) fn examine(file: &dyn CodeFile) -> Option<Verdict> {
    let bytes = file.open()?;
    Some(if is_own(file) { Arc::from([]) } else { findings(file.path(), &*bytes) })
}

/// Whether it is the file of this program.
fn is_own(file: &dyn CodeFile) -> bool {
    let is = |own: Metadata, other: Metadata| (own.dev(), own.ino()) == (other.dev(), other.ino());
    let other = file.file().and_then(|file| file.metadata().ok());
    fs::metadata("/proc/self/exe").ok().zip(other).is_some_and(|(own, other)| is(own, other))
}

/// What all of them say of these bytes, mapped as a file of this path.
pub(super) fn findings(path: &str, bytes: &dyn ReadAt) -> Verdict {
    let Ok(image) = CodeImage::read(path, bytes) else { return Arc::from([]) };
    let findings = FINDERS.iter().filter_map(|finder| match (finder.find)(&image) {
        Offer::Nothing => None,
        offer => Some(Finding { finder, offer, version: finder.version(&image) }),
    });
    findings.collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, fs::File};

    use super::*;
    use crate::model::attachment::{TLS_FINDERS, UNREAD_FINDERS};

    #[test]
    fn every_finder_has_a_name_of_its_own_and_survives_any_file() {
        let names: HashSet<_> = FINDERS.iter().map(|finder| finder.name).collect();
        assert_eq!(names.len(), FINDERS.len());
        let of_wire = FINDERS.iter().filter(|f| f.probes == [Probe::Wire] && !f.is_for_pipes());
        let of_tls = of_wire.map(|f| f.name).filter(|name| *name != PART);
        assert!(of_tls.eq(TLS_FINDERS.into_iter().chain(UNREAD_FINDERS)), "coverage knows them");
        let files = ["/proc/self/exe", "/bin/sh"].map(|path| File::open(path).unwrap());
        let [own, other] = files.each_ref().map(|file| CodeImage::read("/usr/bin/agent", file).unwrap());
        for finder in &FINDERS {
            assert!(finder.serves(ProbeSet::ALL) && !finder.serves(ProbeSet::EMPTY), "{}", finder.name);
            assert_eq!((finder.find)(&other), Offer::Nothing, "{}", finder.name);
            // This program has rustls itself, over ring.
            let found = (finder.find)(&own);
            assert_eq!(found != Offer::Nothing, finder.name == "rustls_ring", "{}: {found:?}", finder.name);
        }
    }
}

//! Finds TLS libraries that are known and not read, by the names of their files: coverage is to say of who speaks by them why
//! nothing is seen, and not that nothing is known. Linked into a program they are not found.
//!
//! Of NSS it is `libssl3.so` that speaks TLS: `libnspr4.so` is also a part of browsers that do so by other means.

use super::{code::CodeImage, finder::Offer};

pub(super) fn gnutls(image: &CodeImage<'_>) -> Offer {
    named(image, "libgnutls.so", "GnuTLS")
}

pub(super) fn nss(image: &CodeImage<'_>) -> Offer {
    named(image, "libssl3.so", "NSS")
}

pub(super) fn jsse(image: &CodeImage<'_>) -> Offer {
    named(image, "libjvm.so", "Java, whose own TLS is JSSE")
}

pub(super) fn mbedtls(image: &CodeImage<'_>) -> Offer {
    named(image, "libmbedtls.so", "Mbed TLS")
}

pub(super) fn wolfssl(image: &CodeImage<'_>) -> Offer {
    named(image, "libwolfssl.so", "wolfSSL")
}

pub(super) fn s2n(image: &CodeImage<'_>) -> Offer {
    named(image, "libs2n.so", "s2n-tls")
}

/// A library by its file's name, behind which a version may follow.
fn named(image: &CodeImage<'_>, file: &str, library: &str) -> Offer {
    let version = image.file_name().strip_prefix(file);
    if version.is_some_and(|version| version.is_empty() || version.starts_with('.')) {
        Offer::Blind(format!("it is {library}, which is not read"))
    } else {
        Offer::Nothing
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use crate::{model::attachment::UNREAD_FINDERS, uprobes::finder::findings};

    #[test]
    fn libraries_that_are_not_read_are_known_by_their_names() {
        let file = File::open("/bin/sh").unwrap();
        let found = |name: &str| {
            let findings = findings(&format!("/usr/lib/x86_64-linux-gnu/{name}"), &file);
            findings.iter().map(|f| (f.finder.name, format!("{:?}", f.offer))).collect::<Vec<_>>()
        };
        let files = [
            ("libgnutls.so.30.34.2", "GnuTLS"),
            ("libssl3.so", "NSS"),
            ("libjvm.so", "JSSE"),
            ("libmbedtls.so.14", "Mbed TLS"),
            ("libwolfssl.so.42", "wolfSSL"),
            ("libs2n.so.1", "s2n-tls"),
        ];
        for ((file, says), finder) in files.into_iter().zip(UNREAD_FINDERS) {
            let [(name, offer)] = &found(file)[..] else { panic!("{file}: {:?}", found(file)) };
            assert!(*name == finder && offer.contains(says) && offer.contains("not read"), "{offer}");
        }
        for other in ["libgnutls.sources", "libgnutlsxx.so.30", "libssl.so.3", "libnspr4.so", "java"] {
            assert_eq!(found(other), [], "{other}");
        }
    }
}

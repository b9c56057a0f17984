//! The version of a library, as far as a file tells it at little cost.

use memchr::memmem;

use super::code::CodeImage;

/// Longest version, bytes.
const MAX_VERSION: usize = 32;

/// What precedes OpenSSL's, as it tells its own: of the shared library that stands in another file.
const OPENSSL: &[u8] = b"OpenSSL ";
/// What is in the paths of sources in Rust, which panics name.
const RUSTLS: &[u8] = b"/rustls-";
const RING: &[u8] = b"/ring-";
const AWS_LC: &[u8] = b"/aws-lc-rs-";
/// Where Go's linker says by what it was made, and what that begins with.
const BUILD_INFO: &[u8] = b".go.buildinfo";
const BUILD_INFO_MAGIC: &[u8] = b"\xff Go buildinf:";
/// Where in it the flags are, the flag that the text itself follows, and where; a byte of length precedes that.
const FLAGS: usize = 15;
const INLINE: u8 = 2;
const TEXT: usize = 32;

/// A library whose version no file tells.
pub(super) fn none(_: &CodeImage<'_>) -> Option<String> {
    None
}

/// OpenSSL's, where it is linked in.
pub(super) fn openssl(image: &CodeImage<'_>) -> Option<String> {
    named(image, OPENSSL)
}

/// That of rustls.
pub(super) fn rustls(image: &CodeImage<'_>) -> Option<String> {
    named(image, RUSTLS)
}

/// That of ring.
pub(super) fn ring(image: &CodeImage<'_>) -> Option<String> {
    named(image, RING)
}

/// That of aws-lc, by the crate that binds it.
pub(super) fn aws_lc(image: &CodeImage<'_>) -> Option<String> {
    named(image, AWS_LC)
}

/// That of Go, whose library is part of it.
pub(super) fn go(image: &CodeImage<'_>) -> Option<String> {
    let (_, info) = image.section_part(BUILD_INFO, 0, TEXT + 1 + MAX_VERSION)?;
    if !info.starts_with(BUILD_INFO_MAGIC) || info.get(FLAGS)? & INLINE == 0 {
        return None;
    }
    let length = usize::from(*info.get(TEXT)?).min(MAX_VERSION);
    version(info.get(TEXT + 1..)?.get(..length)?.strip_prefix(b"go")?)
}

/// The first version that follows these words in the data of a file.
fn named(image: &CodeImage<'_>, words: &[u8]) -> Option<String> {
    let mut found = None;
    image.windows(b".rodata", words.len() + MAX_VERSION, |_, bytes| {
        let rest = |at: usize| bytes.get(at + words.len()..);
        let versions = memmem::find_iter(bytes, words).filter_map(|at| version(rest(at)?));
        // One of two numbers is none, as in `deprecated since OpenSSL 3.0`.
        let mut versions = versions.filter(|version| version.split('.').count() > 2);
        found = found.take().or_else(|| versions.next());
    });
    found
}

/// What stands at the beginning, if that are three numbers, and perhaps more without a space.
fn version(bytes: &[u8]) -> Option<String> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+');
    let length = bytes.iter().take(MAX_VERSION).take_while(|byte| is_part(byte)).count();
    let text = str::from_utf8(bytes.get(..length)?).ok()?;
    let numbers =
        text.split('.').take(3).filter(|part| part.starts_with(|c: char| c.is_ascii_digit())).count();
    (numbers == 3 || text.split('.').count() == 2 && numbers == 2).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_told_from_other_words() {
        let told = |text: &str| version(text.as_bytes());
        assert_eq!(told("3.0.17 1 Jul 2025").as_deref(), Some("3.0.17"));
        assert_eq!(told("0.23.46/src/lib.rs").as_deref(), Some("0.23.46"));
        assert_eq!(told("1.27.3").as_deref(), Some("1.27.3"));
        assert_eq!(told("1.28rc1").as_deref(), Some("1.28rc1"));
        assert_eq!((told("3's legacy provider"), told("native-certs-0.8"), told("")), (None, None, None));
    }
}

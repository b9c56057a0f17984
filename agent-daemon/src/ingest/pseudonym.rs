//! Names of users and sessions made unreadable: the same name gets the same pseudonym in one store, and who does not
//! have the store's secret cannot find out whose it is by trying names.

use ring::hmac;

/// Makes pseudonyms.
pub(super) struct Pseudonyms(hmac::Key);

impl Pseudonyms {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The pseudonym of a name in one project: 16 hexadecimal digits of HMAC-SHA-256.
    pub(super) fn of(&self, project: &str, name: &str) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        // A project's name has no zero.
        [project.as_bytes(), &[0], name.as_bytes()].iter().for_each(|part| context.update(part));
        context.sign().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl std::fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pseudonyms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_the_same_for_one_secret_and_project_only() {
        let (one, other) = (Pseudonyms::new(&[1; 32]), Pseudonyms::new(&[2; 32]));
        let pseudonym = one.of("shop", "ada@example.org");
        assert_eq!(pseudonym, one.of("shop", "ada@example.org"));
        assert_eq!(pseudonym.len(), 16);
        assert_ne!(pseudonym, one.of("other", "ada@example.org"));
        assert_ne!(pseudonym, other.of("shop", "ada@example.org"));
    }
}

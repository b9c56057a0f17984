//! Who we say we are: a bearer token, or a name and a password.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::secret::{Cleaner, Revealed, Secret};

/// As it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAuth {
    username: Option<String>,
    password_file: Option<PathBuf>,
    password_env: Option<String>,
    bearer_token_file: Option<PathBuf>,
    bearer_token_env: Option<String>,
}

/// Who we say we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Auth {
    Bearer(Secret),
    Basic(String, Secret),
}

impl RawAuth {
    /// # Errors
    /// Not exactly one of a token and a name with a password is given.
    pub(super) fn check(&self) -> Result<Auth, String> {
        let token =
            Secret::choose("bearer_token", self.bearer_token_file.as_ref(), self.bearer_token_env.as_ref())?;
        let password = Secret::choose("password", self.password_file.as_ref(), self.password_env.as_ref())?;
        match (token, &self.username, password) {
            (Some(token), None, None) => Ok(Auth::Bearer(token)),
            (None, Some(name), Some(password)) => Ok(Auth::Basic(name.clone(), password)),
            _ => Err("auth needs a bearer token, or a username with a password".to_owned()),
        }
    }
}

impl Auth {
    /// The value of the header `Authorization`.
    pub(super) fn header(&self, cleaner: &mut Cleaner) -> Result<String, String> {
        match self {
            Self::Bearer(secret) => Ok(format!("Bearer {}", reveal(secret, cleaner)?.expose())),
            Self::Basic(name, secret) => Ok(basic(&format!("{name}:{}", reveal(secret, cleaner)?.expose()))),
        }
    }
}

/// Reads a secret, and hides it from then on.
pub(super) fn reveal(secret: &Secret, cleaner: &mut Cleaner) -> Result<Revealed, String> {
    let revealed = secret.read().map_err(|error| error.to_string())?;
    cleaner.hide(revealed.expose());
    Ok(revealed)
}

/// `name:password` as a header has it.
pub(super) fn basic(user: &str) -> String {
    format!("Basic {}", STANDARD.encode(user))
}

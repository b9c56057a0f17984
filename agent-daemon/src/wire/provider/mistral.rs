//! Mistral.

use super::{COMPATIBLE, Host, Provider};

pub(super) static PROVIDER: Provider = Provider {
    name: "mistral_ai",
    hosts: &[Host::Is("api.mistral.ai"), Host::Is("codestral.mistral.ai")],
    routes: COMPATIBLE,
    server: None,
};

//! Groq.

use super::{COMPATIBLE, Host, Provider};

pub(super) static PROVIDER: Provider =
    Provider { name: "groq", hosts: &[Host::Is("api.groq.com")], routes: COMPATIBLE, server: None };

//! xAI.

use super::{COMPATIBLE, Host, Provider};

pub(super) static PROVIDER: Provider = Provider {
    name: "x_ai",
    hosts: &[Host::Is("api.x.ai"), Host::Below(".api.x.ai")],
    routes: COMPATIBLE,
    server: None,
};

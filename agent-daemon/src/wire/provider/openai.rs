//! OpenAI, and whoever speaks as it does and is not known better.

use super::{COMPATIBLE, Host, Provider};

pub(super) static PROVIDER: Provider = Provider {
    name: "openai",
    hosts: &[Host::Is("api.openai.com"), Host::Below(".api.openai.com"), Host::Is("chatgpt.com")],
    routes: COMPATIBLE,
    server: None,
};

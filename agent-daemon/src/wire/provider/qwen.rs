//! Qwen by Alibaba Cloud; OpenTelemetry has no name for it.

use super::{CHAT, COMPLETIONS, EMBEDDINGS, Host, Provider, RESPONSES, route::Route};
use crate::wire::dialect::anthropic;

pub(super) static PROVIDER: Provider = Provider {
    name: "qwen",
    hosts: &[
        Host::Is("dashscope.aliyuncs.com"),
        Host::Is("dashscope-intl.aliyuncs.com"),
        Host::Is("dashscope-us.aliyuncs.com"),
    ],
    routes: &[CHAT, RESPONSES, EMBEDDINGS, COMPLETIONS, Route::new("/v1/messages", &anthropic::DIALECT)],
    server: None,
};

//! Amazon Bedrock.

use super::{Host, Provider, route::Route};
use crate::wire::dialect::bedrock::{CONVERSE_DIALECT, INVOKE_DIALECT};

pub(super) static PROVIDER: Provider = Provider {
    name: "aws.bedrock",
    hosts: &[
        Host::Between("bedrock-runtime.", ".amazonaws.com"),
        Host::Between("bedrock-runtime-fips.", ".amazonaws.com"),
        Host::Between("bedrock-runtime.", ".amazonaws.com.cn"),
    ],
    routes: &[
        Route::streaming("/model/{model}/converse", &CONVERSE_DIALECT, false),
        Route::streaming("/model/{model}/converse-stream", &CONVERSE_DIALECT, true),
        Route::streaming("/model/{model}/invoke", &INVOKE_DIALECT, false),
        Route::streaming("/model/{model}/invoke-with-response-stream", &INVOKE_DIALECT, true),
    ],
    server: None,
};

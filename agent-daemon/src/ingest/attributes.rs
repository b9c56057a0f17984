//! Which attributes are kept: those on this list, and those that a project names. All others are left out, whatever they
//! hold.

/// Attributes of OpenTelemetry's conventions that say what sort of work it was, and hold no data of users.
pub const ALLOWED: [&str; 28] = [
    "db.collection.name",
    "db.operation.name",
    "db.system",
    "db.system.name",
    "deployment.environment",
    "deployment.environment.name",
    "error.type",
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.system",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "http.method",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "http.status_code",
    "messaging.operation.name",
    "messaging.system",
    "rpc.method",
    "rpc.service",
    "rpc.system",
    "server.address",
    "service.name",
    "service.version",
    "url.scheme",
];

/// Whether a label of this key is kept.
#[must_use]
pub fn is_allowed(key: &str, of_project: &[String]) -> bool {
    ALLOWED.contains(&key) || of_project.iter().any(|allowed| allowed == key)
}

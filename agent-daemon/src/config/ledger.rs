//! How the ledger tells calls to models: by the hosts that they lead to.

/// The most hosts that are looked up.
const MAX_HOSTS: usize = 64;
/// The port where none is given.
const HTTPS: u16 = 443;

/// Where well-known providers answer.
const WELL_KNOWN: [&str; 14] = [
    "api.anthropic.com",
    "api.openai.com",
    "chatgpt.com",
    "generativelanguage.googleapis.com",
    "api.mistral.ai",
    "api.deepseek.com",
    "api.x.ai",
    "api.groq.com",
    "api.together.xyz",
    "api.fireworks.ai",
    "api.cohere.com",
    "openrouter.ai",
    "api.githubcopilot.com",
    "127.0.0.1:11434",
];

/// How the ledger is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Hosts that models answer on.
    pub model_hosts: Vec<ModelHost>,
}

/// A host that models answer on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelHost {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { model_hosts: WELL_KNOWN.iter().filter_map(|text| host(text)).collect() }
    }
}

/// Reads hosts, separated by commas; `none` for none at all.
pub(super) fn parse_hosts(text: &str) -> Option<Vec<ModelHost>> {
    if text == "none" {
        return Some(Vec::new());
    }
    let hosts: Vec<_> = text.split(',').map(|item| host(item.trim())).collect::<Option<_>>()?;
    (hosts.len() <= MAX_HOSTS).then_some(hosts)
}

/// Writes hosts so that reading them gives the same.
pub(super) fn format_hosts(hosts: &[ModelHost]) -> String {
    if hosts.is_empty() {
        return "none".to_owned();
    }
    let host = |ModelHost { host, port }: &ModelHost| {
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        if *port == HTTPS { bracketed } else { format!("{bracketed}:{port}") }
    };
    hosts.iter().map(host).collect::<Vec<_>>().join(", ")
}

/// `host`, `host:port`, `[address]` or `[address]:port`.
fn host(text: &str) -> Option<ModelHost> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (address, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let named = !host.is_empty() && host.len() <= 253 && (text.starts_with('[') || host.chars().all(fine));
    let port = port.map_or(Some(HTTPS), |port| port.parse().ok().filter(|port| *port > 0))?;
    named.then(|| ModelHost { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_they_are_written() {
        for text in ["api.example.com", "127.0.0.1:8080, model.local", "[::1]:9, [2001:db8::1]", "none"] {
            assert_eq!(format_hosts(&parse_hosts(text).unwrap()), text);
        }
        let defaults = Ledger::default().model_hosts;
        assert_eq!(defaults.len(), WELL_KNOWN.len(), "each of them can be read");
        assert_eq!(parse_hosts(&format_hosts(&defaults)), Some(defaults));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let many = vec!["a"; MAX_HOSTS + 1].join(",");
        for text in
            ["", "a,,b", "a:0", "a:70000", "a:b", "https://a", "a b", "[1.2.3.4]", "[::1]x", "::1", &many]
        {
            assert_eq!(parse_hosts(text), None, "{text}");
        }
    }
}

//! How much of what processes say is seen, on the wire: by which probes, and why not.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::content::PartDto;
use crate::model::{
    attachment::{Attachment, AttachmentState},
    id::AgentId,
    process::Process,
    time::Timestamp,
    wire::{Seen, Unread},
};

/// What is seen of what processes say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Coverage)]
pub struct CoverageDto {
    /// The live processes that use TLS or serve by standard input and output, as far as is known, or that were seen to speak
    /// or to ask a model.
    pub processes: Vec<ProcessCoverageDto>,
    /// The other live processes: none of their files is a TLS library that is known, and nothing was seen of them.
    pub silent_processes: usize,
    /// Processes that have ended and had asked models, while what they said was not read: the last 1,024 of all agents, the
    /// first first. Their calls are in no report; `losses` in `/api/v1/status` counts them as `wire_unread`.
    pub ended: Vec<UnreadProcessDto>,
    /// The agents of whom what they say is kept, as the configuration has it (`content.agents`), and can be read at
    /// `/api/v1/agents/{id}/content`.
    #[serde(default)]
    pub content: Vec<ContentCoverageDto>,
}

/// An agent of whom what it says is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ContentCoverage)]
pub struct ContentCoverageDto {
    /// The agent.
    pub agent: String,
    /// What is kept.
    pub keeps: Vec<PartDto>,
}

/// A process that ended unread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = UnreadProcess)]
pub struct UnreadProcessDto {
    /// Whose process it was.
    pub agent: String,
    /// Its pid.
    pub pid: u32,
    /// The kernel's name for it.
    pub comm: String,
    /// When it ended.
    pub ended: Timestamp,
    /// Requests that it sent on sockets that lead to models (`ledger.model_hosts`), as the kernel counts them; of a tool, the
    /// connections on which it sent any.
    pub unread_model_requests: u64,
    /// Why they were not read.
    pub reason: String,
}

impl UnreadProcessDto {
    /// What is known of it.
    #[must_use]
    pub fn new(agent: &AgentId, process: &Process, unread: &Unread) -> Self {
        Self {
            agent: agent.to_string(),
            pid: process.id.pid(),
            comm: process.comm.clone(),
            ended: unread.ended,
            unread_model_requests: unread.seen.model_requests,
            reason: unread_because(unread),
        }
    }
}

fn unread_because(unread: &Unread) -> String {
    let seen = &unread.seen;
    if seen.is_told && (seen.is_read || seen.llm_calls > 0) {
        return "other requests of it were seen, these were not: its probes came while it asked, or it asks by other TLS too".to_owned();
    }
    if seen.is_told && seen.sent_bytes + seen.received_bytes > 0 {
        return "its probes came while it asked: no request of it was seen from its beginning".to_owned();
    }
    let tls: Vec<&Attachment> = unread.tls.iter().collect();
    match (&probed(&tls)[..], &unprobed(&tls)[..]) {
        ("", "") => {
            "it ended before its probes were attached, or uses no TLS library that is known".to_owned()
        }
        ("", why) => why.to_owned(),
        (files, "") => format!("it had asked before {files} was probed, or uses another TLS library"),
        (files, why) => format!("it had asked before {files} was probed, or by what is not: {why}"),
    }
}

/// The files that are probed.
fn probed(libraries: &[&Attachment]) -> String {
    let is_probed = |attachment: &&&Attachment| attachment.state == AttachmentState::Attached;
    let mut files: Vec<&str> =
        libraries.iter().filter(is_probed).map(|attachment| attachment.file.as_str()).collect();
    // More than one library may be linked into a program.
    files.dedup();
    files.join(", ")
}

/// Those that are not, and why.
fn unprobed(libraries: &[&Attachment]) -> String {
    let why =
        |attachment: &&Attachment| Some(format!("{}: {}", attachment.file, attachment.reason.as_deref()?));
    libraries.iter().filter_map(why).collect::<Vec<_>>().join("; ")
}

/// How a process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CoverageState)]
pub enum CoverageStateDto {
    /// What it says is seen.
    Seen,
    /// Probes are attached to its TLS library; it has said nothing by that yet.
    Attached,
    /// No probe is attached to any TLS library of it: none could be, or none that is known is among its files.
    Unattached,
    /// It sends requests to a model, and none of what it says is seen.
    Blind,
}

/// What is seen of what a process says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProcessCoverage)]
pub struct ProcessCoverageDto {
    /// Whose process it is.
    pub agent: String,
    /// Its pid.
    pub pid: u32,
    /// The kernel's name for it.
    pub comm: String,
    /// How it stands.
    pub state: CoverageStateDto,
    /// Why nothing, or not all, is seen of it; null where all is well.
    pub reason: Option<String>,
    /// What can be done about that.
    pub remedy: Option<String>,
    /// The TLS libraries among its files, and what a server is spoken to by (`libc`), and how probes on them stand.
    pub libraries: Vec<TlsLibraryDto>,
    /// Connections of which plaintext was seen.
    pub connections: u64,
    /// Those of them that were sockets without TLS.
    pub plain_connections: u64,
    /// Plaintext that it sent, as far as it was looked at: what carries no call is dismissed.
    pub sent_bytes: u64,
    /// Plaintext that it received likewise.
    pub received_bytes: u64,
    /// Calls of models that were seen whole or in part.
    pub llm_calls: u64,
    /// Calls of MCP servers likewise.
    pub mcp_calls: u64,
    /// When plaintext was seen last.
    pub last_seen: Option<Timestamp>,
    /// Requests that it sent on sockets that lead to models (`ledger.model_hosts`), as the kernel counts them; of a tool, the
    /// connections on which it sent any.
    pub model_requests: u64,
    /// When it sent the last of them.
    pub last_model_request: Option<Timestamp>,
}

/// A TLS library of a process, or what it is spoken to by as a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = TlsLibrary)]
pub struct TlsLibraryDto {
    /// Which one, and how it was found; `libc` for standard input and output. `gnutls`, `nss`, `jsse` (Java), `mbedtls`, `wolfssl`
    /// and `s2n` are known and not read.
    #[schema(example = "openssl")]
    pub library: String,
    /// Its version, where the file tells that: OpenSSL's, Go's, that of rustls.
    #[schema(example = "3.0.17")]
    pub version: Option<String>,
    /// The file, by its path in the process's own mount namespace, or what stands for standard input.
    pub file: String,
    /// `attached`, `blind` if no place to probe was found, or `refused` by the kernel.
    #[schema(example = "attached")]
    pub state: String,
    /// Places in it that are probed.
    pub sites: usize,
    /// Why it is not attached.
    pub reason: Option<String>,
}

impl From<&Attachment> for TlsLibraryDto {
    fn from(attachment: &Attachment) -> Self {
        Self {
            library: attachment.finder.to_owned(),
            version: attachment.version.clone(),
            file: attachment.file.clone(),
            state: attachment.state.name().to_owned(),
            sites: attachment.sites,
            reason: attachment.reason.clone(),
        }
    }
}

impl ProcessCoverageDto {
    /// What is known of a process; `None` where there is nothing to say.
    #[must_use]
    pub fn new(
        (agent, process): (&AgentId, &Process),
        attachments: &[Attachment],
        seen: Option<Seen>,
        (sockets, now): (&Sockets, Timestamp),
    ) -> Option<Self> {
        let is_shown = |attachment: &&Attachment| attachment.is_tls() || attachment.is_stdio();
        let shown: Vec<&Attachment> = attachments.iter().filter(is_shown).collect();
        if shown.is_empty() && seen.is_none() {
            return None;
        }
        let seen = seen.unwrap_or_default();
        let (state, why) = judge(&shown, &seen, (sockets, now));
        let (reason, remedy) = why.unzip();
        Some(Self {
            agent: agent.to_string(),
            pid: process.id.pid(),
            comm: process.comm.clone(),
            state,
            reason,
            remedy,
            libraries: shown.into_iter().map(TlsLibraryDto::from).collect(),
            connections: seen.connections,
            plain_connections: seen.plain_connections,
            sent_bytes: seen.sent_bytes,
            received_bytes: seen.received_bytes,
            llm_calls: seen.llm_calls,
            mcp_calls: seen.mcp_calls,
            last_seen: seen.last_seen,
            model_requests: seen.model_requests,
            last_model_request: seen.last_model_request,
        })
    }
}

/// Why sockets do not tell what is said without TLS; `None` where they do.
pub type Sockets = Option<String>;

/// A reason and a remedy.
type Why = Option<(String, String)>;

fn judge(
    shown: &[&Attachment],
    seen: &Seen,
    (sockets, now): (&Sockets, Timestamp),
) -> (CoverageStateDto, Why) {
    let is_attached = |attachment: &&Attachment| attachment.state == AttachmentState::Attached;
    if seen.is_blind(now) {
        let tls: Vec<&Attachment> = shown.iter().copied().filter(|attachment| attachment.is_tls()).collect();
        let attached = tls.iter().any(is_attached);
        return (CoverageStateDto::Blind, Some(blindness(&tls, attached, seen, sockets)));
    }
    match (seen.last_seen, shown.iter().any(is_attached)) {
        (Some(_), _) => (CoverageStateDto::Seen, None),
        (None, true) => (CoverageStateDto::Attached, None),
        (None, false) if shown.is_empty() => (CoverageStateDto::Unattached, None),
        (None, false) => (CoverageStateDto::Unattached, Some(unattached(shown))),
    }
}

fn unattached(shown: &[&Attachment]) -> (String, String) {
    let remedy = if are_unread(shown) {
        "run a build of the agent that speaks by OpenSSL, or have it tell of its calls by OpenTelemetry"
    } else if shown.iter().any(|attachment| attachment.is_tls()) {
        "run the agent with a build of that library which exports its functions, or have it tell of its calls by \
         OpenTelemetry"
    } else {
        "run a build of that server which links its C library dynamically, or speak to it by HTTP"
    };
    (unprobed(shown), remedy.to_owned())
}

/// Whether all the TLS libraries that there are are never read.
fn are_unread(shown: &[&Attachment]) -> bool {
    let mut tls = shown.iter().filter(|attachment| attachment.is_tls()).peekable();
    tls.peek().is_some() && tls.all(|attachment| attachment.is_unread())
}

fn blindness(tls: &[&Attachment], attached: bool, seen: &Seen, sockets: &Sockets) -> (String, String) {
    let telling = "have the agent tell of its calls by OpenTelemetry (projects in the configuration)";
    let or_none = sockets.as_ref().map_or_else(String::new, |why| {
        format!(", or it speaks without TLS, of which this kernel does not tell: {why}")
    });
    if tls.is_empty() {
        let reason = "no TLS library that is known is among its files: it is linked in under no names, or what it speaks is \
                      not HTTP";
        return (format!("{reason}{or_none}"), telling.to_owned());
    }
    if !attached {
        let (reason, remedy) = unattached(tls);
        return (reason, if are_unread(tls) { remedy } else { telling.to_owned() });
    }
    let (files, why) = (probed(tls), unprobed(tls));
    let is_late = tls.iter().all(|attachment| seen.last_model_request < attachment.since);
    let reason = match (seen.is_told, why.is_empty()) {
        (false, _) if is_late => format!(
            "it asked before {files} was probed, and not since: a file that nobody had mapped before is looked at first, the \
             larger the longer"
        ),
        (false, true) => format!(
            "probes are attached to {files}, yet it says nothing by that: it uses another TLS library, or speaks other than \
             HTTP{or_none}"
        ),
        (false, false) => format!(
            "probes are attached to {files}, yet it says nothing by that, but by what is not probed: {why}"
        ),
        (true, true) => format!("what it said by {files} was seen before, its latest requests were not"),
        (true, false) => format!(
            "what it said by {files} was seen before, its latest requests were not: it may speak by what is not probed: {why}"
        ),
    };
    (reason, telling.to_owned())
}

#[cfg(test)]
mod tests;

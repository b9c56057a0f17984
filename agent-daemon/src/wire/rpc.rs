//! JSON-RPC: which request or answer a message is, without parameters and results.

use std::sync::LazyLock;

use super::{
    dialect::{self, Dialect},
    facts::Facts,
    field::{Field, Speech},
    json::{Document, Hit, Paths, Spoken, Take, Value, Watch},
};
use crate::model::content::{Held, Keep, Part, Text, Unmasked};

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// A hash of the id that a request and its answer share; `None` for a notification.
    pub(super) id: Option<u64>,
    /// The method, of a request or notification.
    pub(super) method: Option<String>,
    /// The tool that is to be called.
    pub(super) tool: Option<String>,
    /// The server's name, as it calls itself in an answer.
    pub(super) server: Option<String>,
    /// The error's code, or `tool_error`.
    pub(super) error: Option<String>,
    /// A hash of the id of the sender's own request that it gives up.
    pub(super) cancels: Option<u64>,
    /// Whether it is an answer.
    pub(super) answers: bool,
    /// When it was complete, ns.
    pub(super) at_ns: u64,
    /// Whether it was read from its beginning to its end.
    pub(super) whole: bool,
    /// What the tool is to be called with, where that is kept.
    pub(super) said: Option<Box<Unmasked>>,
}

const WATCHES: &[Watch] = &[
    Watch::new("jsonrpc", Take::Word, Field::Rpc),
    Watch::new("id", Take::Hash, Field::Id),
    Watch::new("method", Take::Word, Field::Method),
    Watch::new("params.name", Take::Word, Field::ToolName),
    Watch::new("result", Take::Presence, Field::Result),
    Watch::new("result.serverInfo.name", Take::Word, Field::ServerName),
    // As of 2026-07-28, where there is no `initialize`.
    Watch::new("result._meta.'io.modelcontextprotocol/serverInfo'.name", Take::Word, Field::ServerName),
    Watch::new("result.isError", Take::Flag, Field::IsError),
    Watch::new("error.code", Take::Word, Field::RpcError),
    Watch::new("params.requestId", Take::Hash, Field::Cancels),
    Watch::new("error", Take::Presence, Field::Failed),
];

/// Where arguments stand.
const SPOKEN: &[Watch] = &[Watch::new("params.arguments", Take::Raw, Field::Said(Speech::WholeArguments))];

static PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[WATCHES]));
static SPOKEN_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[WATCHES, SPOKEN]));

/// How MCP speaks, in either direction.
pub(super) static RPC: Dialect = Dialect {
    name: "json_rpc",
    operation: None,
    request: &PATHS,
    response: &PATHS,
    fold_request: fold,
    fold_response: fold,
    counting: super::facts::Counting { cache_apart: false, reasoning_apart: false },
    spoken_request: Some(dialect::Spoken { paths: &SPOKEN_PATHS, parts: &[Part::ToolArguments] }),
    spoken_response: Some(dialect::Spoken { paths: &SPOKEN_PATHS, parts: &[Part::ToolArguments] }),
};

fn fold(facts: &mut Facts, document: &Document<'_>, at_ns: u64) {
    let is_rpc = |hit: &Hit| hit.field == Field::Rpc && hit.value == Value::Word("2.0".to_owned());
    // Half a message may lack the very id that tells it from a notification.
    if !document.whole || !document.hits.iter().any(is_rpc) {
        return;
    }
    let mut message = Message { at_ns, whole: document.whole, ..Message::default() };
    for hit in document.hits {
        take(&mut message, hit);
    }
    if message.method.as_deref() != Some("notifications/cancelled") {
        message.cancels = None;
    }
    // Only where a tool is called is the name that of a tool: prompts and templates have names, too.
    if message.method.as_deref() != Some("tools/call") {
        message.tool = None;
    } else if facts.said.is_some() {
        message.said = said(&message, document);
    }
    facts.message(message);
}

/// What the tool is to be called with. Whoever hands it on says what is kept.
fn said(message: &Message, document: &Document<'_>) -> Option<Box<Unmasked>> {
    let arguments = document.spoken.iter().find_map(|(_, spoken)| match spoken {
        Spoken::Text(text) => Some(text),
        _ => None,
    })?;
    let text = Text {
        part: Part::ToolArguments,
        role: None,
        tool: message.tool.clone(),
        text: arguments.text(),
        left_out: arguments.left_out(),
        masked: 0,
        is_broken: false,
    };
    let (keep, held) = (Keep::NOTHING, Held::default());
    Some(Box::new(Unmasked { keep, texts: vec![text], left_out: 0, held }))
}

fn take(message: &mut Message, hit: &Hit) {
    match (hit.field, &hit.value) {
        (Field::Id, Value::Hash(hash)) => message.id = Some(*hash),
        (Field::Method, Value::Word(word)) => message.method = Some(word.clone()),
        (Field::ToolName, Value::Word(word)) => message.tool = Some(word.clone()),
        (Field::ServerName, Value::Word(word)) => message.server = Some(word.clone()),
        (Field::Result | Field::Failed, _) => message.answers = true,
        (Field::IsError, Value::Flag(true)) => message.error = Some("tool_error".to_owned()),
        (Field::Cancels, Value::Hash(hash)) => message.cancels = Some(*hash),
        (Field::RpcError, Value::Word(code)) => message.error = Some(code.clone()),
        _ => {}
    }
}

//! journald, by its own protocol: a datagram of fields. One entry for each message, small enough for a datagram.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;
use tokio::{net::UnixDatagram, time::timeout};

use super::{
    message::Message,
    outcome::Outcome,
    text::Texts,
    way::{Common, Sending, Way},
};
use crate::{
    alert::rule::Severity,
    journald::{SOCKET, field},
};

/// What these entries are known by: `journalctl MESSAGE_ID=…`.
const MESSAGE_ID: &str = "6f1d0c2f6d7b4f4ba1f5a9d1c6e0a7b3";
/// The longest text of an entry, bytes. Whatever the system's bounds are, a datagram of that size goes.
const MAX_TEXT: usize = 32 << 10;

/// What journald needs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    socket: Option<PathBuf>,
}

/// journald.
#[derive(Debug)]
pub(super) struct Journald {
    socket: PathBuf,
    texts: Texts,
    timeout: Duration,
}

impl Journald {
    pub(super) fn open(config: &Config, common: &Common) -> Result<Self, String> {
        common.without_auth()?;
        let socket = config.socket.clone().unwrap_or_else(|| SOCKET.into());
        Ok(Self { socket, texts: common.texts.clone(), timeout: common.timeout })
    }

    async fn send(&self, message: &Message) -> Outcome {
        let entry = self.entry(message);
        let sent = async {
            // A socket of its own: journald may have been started anew.
            let socket = UnixDatagram::unbound()?;
            socket.send_to(&entry, &self.socket).await
        };
        match timeout(self.timeout, sent).await {
            Ok(Ok(bytes)) => Outcome::Taken(format!("an entry of {bytes} bytes")),
            Ok(Err(error)) => Outcome::unreached(format!("{}: {error}", self.socket.display())),
            Err(_) => Outcome::unreached(format!("journald does not read within {:?}", self.timeout)),
        }
    }

    fn entry(&self, message: &Message) -> Vec<u8> {
        let (told, rendered) = (&message.notification, self.texts.render(message));
        let priority = match (rendered.firing, rendered.severity) {
            (true, Severity::Critical) => "2",
            (true, Severity::Warning) => "4",
            (true, Severity::Info) => "6",
            (false, _) => "5",
        };
        let text = format!("{}\n{}", rendered.title, rendered.plain());
        let end = (0..=MAX_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        let text = text.get(..end.unwrap_or_default()).unwrap_or_default();
        let mut entry = Vec::with_capacity(text.len() + 512);
        field(&mut entry, "MESSAGE", text.trim_end());
        field(&mut entry, "MESSAGE_ID", MESSAGE_ID);
        field(&mut entry, "PRIORITY", priority);
        field(&mut entry, "SYSLOG_IDENTIFIER", "agentperf");
        field(&mut entry, "AGENTPERF_ALERTS_STATUS", if rendered.firing { "firing" } else { "resolved" });
        field(&mut entry, "AGENTPERF_ALERTS_SEVERITY", rendered.severity.name());
        field(&mut entry, "AGENTPERF_ALERTS_GROUP", &told.group.to_string());
        field(&mut entry, "AGENTPERF_ALERTS_ID", &told.id.to_string());
        entry
    }
}

impl Way for Journald {
    fn shown(&self) -> String {
        self.socket.display().to_string()
    }

    fn deliver<'a>(&'a self, message: &'a Message, _attempt: u32) -> Sending<'a> {
        Box::pin(self.send(message))
    }
}

//! The client's side of SMTP (RFC 5321), with STARTTLS (RFC 3207) and AUTH (RFC 4954).

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::pki_types::ServerName;
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::alert::channel::secret::Revealed;

/// The longest line of a reply, bytes, and the most lines of one. RFC 5321 asks for 512.
const MAX_LINE: usize = 4096;
const MAX_LINES: usize = 100;

/// How a connection is secured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Security {
    /// By a command at its beginning. Without it nothing is sent.
    #[default]
    Starttls,
    /// From its beginning.
    Implicit,
    /// Not at all.
    None,
}

impl Security {
    /// The port that is usual.
    pub(super) const fn port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

/// Why a mail was not sent.
#[derive(Debug)]
pub(super) enum Fault {
    Unreached(String),
    Later(String),
    Refused(String),
}

/// A name and a password.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) password: Revealed,
}

impl Account {
    /// What goes over the wire, to be hidden in what comes back.
    pub(super) fn forms(&self) -> [String; 2] {
        let password = self.password.expose();
        [STANDARD.encode(format!("\0{}\0{password}", self.name)), STANDARD.encode(password)]
    }
}

/// What became of a mail that the server took for some.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) said: String,
    /// What it said about those for whom it did not.
    pub(super) complaints: Vec<String>,
    /// Recipients of whom nothing more is to be expected: they have it, or never will.
    pub(super) settled: BTreeSet<String>,
    /// Whether there are others.
    pub(super) put_off: bool,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection to a server.
pub(super) struct Session {
    stream: Box<dyn Stream>,
    /// What was read and is not used yet.
    buffer: Vec<u8>,
    /// What the server can.
    abilities: Vec<String>,
}

struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl Reply {
    fn said(&self) -> String {
        format!("{} {}", self.code, self.lines.join(" "))
    }

    fn fault(&self) -> Fault {
        if (500..600).contains(&self.code) { Fault::Refused(self.said()) } else { Fault::Later(self.said()) }
    }
}

impl Session {
    /// Connects and says hello, over TLS unless there is to be none.
    pub(super) async fn open(
        server: &(String, u16),
        security: Security,
        connector: &TlsConnector,
        hello: &str,
    ) -> Result<Self, Fault> {
        let host = server.0.trim_matches(['[', ']']);
        let tcp = TcpStream::connect((host, server.1)).await.map_err(lost)?;
        let mut session = match security {
            Security::Implicit => Self::over(Self::tls(Box::new(tcp), connector, host).await?),
            Security::Starttls | Security::None => Self::over(Box::new(tcp)),
        };
        session.expect(220).await?;
        session.hello(hello).await?;
        if security == Security::Starttls {
            if !session.can("STARTTLS") {
                return Err(Fault::Later("the server offers no STARTTLS".to_owned()));
            }
            session.command("STARTTLS", 220).await?;
            // What came before TLS stands could be anybody's: it is forgotten.
            session = Self::over(Self::tls(session.stream, connector, host).await?);
            session.hello(hello).await?;
        }
        Ok(session)
    }

    fn over(stream: Box<dyn Stream>) -> Self {
        Self { stream, buffer: Vec::new(), abilities: Vec::new() }
    }

    async fn tls(
        stream: Box<dyn Stream>,
        connector: &TlsConnector,
        host: &str,
    ) -> Result<Box<dyn Stream>, Fault> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| Fault::Later(error.to_string()))?;
        let stream = connector.connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| Fault::Unreached(format!("TLS: {error}")))?))
    }

    async fn hello(&mut self, name: &str) -> Result<(), Fault> {
        let reply = self.command(&format!("EHLO {name}"), 250).await?;
        self.abilities = reply.lines.iter().skip(1).map(|line| line.to_ascii_uppercase()).collect();
        Ok(())
    }

    fn can(&self, ability: &str) -> bool {
        self.abilities.iter().any(|line| line.split(' ').next() == Some(ability))
    }

    /// Says who we are.
    pub(super) async fn authenticate(&mut self, account: &Account) -> Result<(), Fault> {
        let offered: Vec<&String> =
            self.abilities.iter().filter(|line| line.split(' ').next() == Some("AUTH")).collect();
        let offers = |way: &str| offered.iter().any(|line| line.split(' ').any(|word| word == way));
        let [plain, password] = account.forms();
        if offers("PLAIN") {
            self.command(&format!("AUTH PLAIN {plain}"), 235).await?;
        } else if offers("LOGIN") {
            self.command("AUTH LOGIN", 334).await?;
            self.command(&STANDARD.encode(&account.name), 334).await?;
            self.command(&password, 235).await?;
        } else {
            return Err(Fault::Later("the server takes no password by PLAIN or LOGIN".to_owned()));
        }
        Ok(())
    }

    /// Sends a mail, and says goodbye.
    pub(super) async fn send(&mut self, from: &str, to: &[&str], mail: &str) -> Result<Sent, Fault> {
        self.command(&format!("MAIL FROM:<{from}>"), 250).await?;
        let mut sent =
            Sent { said: String::new(), complaints: Vec::new(), settled: BTreeSet::new(), put_off: false };
        let mut taken = false;
        for recipient in to {
            self.write(&format!("RCPT TO:<{recipient}>\r\n")).await?;
            let reply = self.reply().await?;
            match reply.code {
                200..300 => taken = true,
                500..600 => sent.complaints.push(reply.said()),
                _ => {
                    sent.complaints.push(reply.said());
                    sent.put_off = true;
                    continue;
                }
            }
            sent.settled.insert((*recipient).to_owned());
        }
        if !taken {
            let why = sent.complaints.join("; ");
            self.goodbye().await;
            return Err(if sent.put_off { Fault::Later(why) } else { Fault::Refused(why) });
        }
        self.command("DATA", 354).await?;
        self.write(&stuffed(mail)).await?;
        sent.said = self.expect(250).await?.said();
        self.goodbye().await;
        Ok(sent)
    }

    /// The mail is the server's by now, or never: what it says to this makes no difference.
    async fn goodbye(&mut self) {
        let _ = self.write("QUIT\r\n").await;
    }

    async fn command(&mut self, line: &str, code: u16) -> Result<Reply, Fault> {
        self.write(&format!("{line}\r\n")).await?;
        self.expect(code).await
    }

    async fn write(&mut self, text: &str) -> Result<(), Fault> {
        self.stream.write_all(text.as_bytes()).await.map_err(lost)?;
        self.stream.flush().await.map_err(lost)
    }

    async fn expect(&mut self, code: u16) -> Result<Reply, Fault> {
        let reply = self.reply().await?;
        if reply.code == code { Ok(reply) } else { Err(reply.fault()) }
    }

    /// A reply, whole: lines of which all but the last have a `-` after the code.
    async fn reply(&mut self) -> Result<Reply, Fault> {
        let mut lines = Vec::new();
        while lines.len() < MAX_LINES {
            let line = self.line().await?;
            let parts = line.split_at_checked(3);
            let parts = parts.and_then(|(code, rest)| Some((code.parse::<u16>().ok()?, rest)));
            let Some((code, rest)) = parts.filter(|(code, _)| (200..600).contains(code)) else {
                return Err(Fault::Later("what the server says is no SMTP".to_owned()));
            };
            lines.push(rest.get(1..).unwrap_or_default().trim().to_owned());
            if !rest.starts_with('-') {
                return Ok(Reply { code, lines });
            }
        }
        Err(Fault::Later(format!("a reply of more than {MAX_LINES} lines")))
    }

    async fn line(&mut self) -> Result<String, Fault> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.buffer.len() > MAX_LINE {
                return Err(Fault::Later(format!("a line of more than {MAX_LINE} bytes")));
            }
            let mut some = [0; 1024];
            let length = self.stream.read(&mut some).await.map_err(lost)?;
            if length == 0 {
                return Err(Fault::Unreached("the server ended the connection".to_owned()));
            }
            self.buffer.extend(some.iter().take(length));
        }
    }
}

fn lost(error: std::io::Error) -> Fault {
    Fault::Unreached(error.to_string())
}

/// A mail as DATA takes it: lines that begin with a dot get another one, and a dot alone is the end.
fn stuffed(mail: &str) -> String {
    let mut out = String::with_capacity(mail.len() + 8);
    for line in mail.split_inclusive("\r\n") {
        if line.starts_with('.') {
            out.push('.');
        }
        out.push_str(line);
    }
    if !out.ends_with("\r\n") {
        out.push_str("\r\n");
    }
    out.push_str(".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::stuffed;

    #[test]
    fn dots_end_nothing_but_the_mail() {
        assert_eq!(stuffed("a\r\n.\r\n..b\r\n"), "a\r\n..\r\n...b\r\n.\r\n");
        assert_eq!(stuffed("a"), "a\r\n.\r\n");
    }
}

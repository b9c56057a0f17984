//! A mail server that does as it is told.

use std::sync::{Arc, Mutex};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{data, firing, open, report, secret_file, submit};
use crate::alert::{
    channel::{Channels, Outcome},
    route::Delivery,
};

/// What a server says to the beginning of a line; where nothing fits: `250 ok`. Of several replies that are divided
/// by a `|` it gives one after the other, then the last one again and again.
type Says = Vec<(&'static str, String)>;

/// A mail server.
#[derive(Clone, Default)]
pub(super) struct MailServer {
    pub(super) port: u16,
    heard: Arc<Mutex<String>>,
}

impl MailServer {
    pub(super) fn heard(&self) -> String {
        self.heard.lock().unwrap().clone()
    }

    async fn start(tls: &'static str, greeting: &'static str, says: Says) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), heard: Arc::default() };
        let (heard, says) = (Arc::clone(&server.heard), Arc::new(says));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (heard, says) = (Arc::clone(&heard), Arc::clone(&says));
                tokio::spawn(async move {
                    match tls {
                        "implicit" => {
                            if let Ok(stream) = acceptor().accept(stream).await {
                                talk(stream, greeting, &says, &heard).await;
                            }
                        }
                        _ => {
                            let stream = talk(stream, greeting, &says, &heard).await;
                            if tls == "starttls"
                                && let Some(stream) = stream
                                && let Ok(stream) = acceptor().accept(stream).await
                            {
                                heard.lock().unwrap().push_str("(TLS)\n");
                                talk(stream, "", &says, &heard).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }
}

pub(super) fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(data("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(data("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Talks until the client ends it, or wants TLS: then the stream comes back.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    greeting: &str,
    says: &Says,
    heard: &Mutex<String>,
) -> Option<S> {
    let mut stream = BufReader::new(stream);
    stream.write_all(greeting.as_bytes()).await.ok()?;
    stream.flush().await.ok()?;
    let (mut line, mut in_mail) = (String::new(), false);
    while stream.read_line(&mut line).await.ok()? > 0 {
        heard.lock().unwrap().push_str(&line);
        let told = if in_mail && line != ".\r\n" { "" } else { line.trim_end() };
        let answer = match (in_mail, told) {
            (true, "") => String::new(),
            (true, _) => {
                in_mail = false;
                said(says, heard, "END", line.trim_end())
            }
            (false, "DATA") => {
                in_mail = true;
                said(says, heard, "DATA", "")
            }
            (false, command) => said(says, heard, command, command),
        };
        line.clear();
        stream.write_all(answer.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
        if answer.starts_with("220") {
            return Some(stream.into_inner());
        }
    }
    None
}

fn said(says: &Says, heard: &Mutex<String>, command: &str, line: &str) -> String {
    let found = says.iter().find(|(begin, _)| command.starts_with(begin)).map(|(begin, answers)| {
        let times = heard.lock().unwrap().lines().filter(|line| line.starts_with(begin)).count();
        let answers: Vec<&str> = answers.split('|').collect();
        answers[times.saturating_sub(1).min(answers.len() - 1)].to_owned()
    });
    found.unwrap_or_else(|| match command {
        "DATA" => "354 go on\r\n".to_owned(),
        "END" => "250 queued\r\n".to_owned(),
        _ => format!("250 ok {}\r\n", line.len()),
    })
}

/// A server that repeats what it is told, and refuses it.
pub(super) async fn echoing_server() -> MailServer {
    let refuse = "535 no such account: AHVzZXI\r\n".to_owned();
    let mut says = vec![("EHLO", "250-hi\r\n250 AUTH PLAIN LOGIN\r\n".to_owned())];
    for form in ["joe", "u"] {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let plain = STANDARD.encode(format!("\0{form}\0p8ssword \"8\"/ä"));
        let line: &'static str = format!("AUTH PLAIN {plain}").leak();
        says.push((line, format!("535 what is {line} or p8ssword \"8\"/ä\r\n")));
    }
    says.push(("AUTH", refuse));
    MailServer::start("implicit", "220 hi\r\n", says).await
}

fn channel(server: &MailServer, tls: &str, to: &str, more: &str) -> Channels {
    open(&yaml(server, tls, to, more))
}

fn yaml(server: &MailServer, tls: &str, to: &str, more: &str) -> String {
    format!(
        "receivers: [{{ name: a, timeout: 2s, ca_file: {}, via: {{ email: {{ host: localhost, port: {}, tls: {tls}, \
         from: agentperf@example.org, to: [{to}] }} }}{more} }}]",
        data("ca.pem").display(),
        server.port,
    )
}

async fn outcome(greeting: &'static str, says: Says) -> Outcome {
    let server = MailServer::start("none", greeting, says).await;
    channel(&server, "none", "a@b", "").test("a").await.unwrap().outcome
}

const HELLO: (&str, &str) = ("EHLO", "250-hi\r\n250-STARTTLS\r\n250 AUTH LOGIN PLAIN\r\n");

fn hello() -> (&'static str, String) {
    (HELLO.0, HELLO.1.to_owned())
}

#[tokio::test]
async fn a_mail_goes_over_starttls_with_a_password_that_nobody_sees_before() {
    let says = vec![hello(), ("STARTTLS", "220 go\r\n".to_owned()), ("AUTH", "235 ok\r\n".to_owned())];
    let server = MailServer::start("starttls", "220 hi\r\n", says).await;
    let password = secret_file("s3cr3t");
    let auth = format!(", auth: {{ username: joe, password_file: {} }}", password.path().display());
    let mut channels = channel(&server, "starttls", "a@example.org, b@example.org", &auth);
    submit(&channels, firing("a", 1));
    assert_eq!(report(&mut channels).await.delivery, Delivery::Delivered);
    let heard = server.heard();
    let (before, after) = heard.split_once("(TLS)\n").expect("TLS");
    assert!(!before.contains("AUTH") && !before.contains("MAIL"), "{before}");
    assert!(after.contains("AUTH PLAIN AGpvZQBzM2NyM3Q=\r\n"), "{after}");
    assert!(
        after.contains(
            "MAIL FROM:<agentperf@example.org>\r\nRCPT TO:<a@example.org>\r\nRCPT TO:<b@example.org>"
        )
    );
    assert!(after.contains("Subject: =?utf-8?B?") || after.contains("Subject: [FIRING"), "{after}");
    assert!(
        after.contains("Auto-Submitted: auto-generated\r\n") && after.contains("Message-ID: <"),
        "{after}"
    );
}

#[tokio::test]
async fn without_starttls_nothing_is_sent() {
    let server = MailServer::start("none", "220 hi\r\n", vec![("EHLO", "250 hi\r\n".to_owned())]).await;
    let outcome = channel(&server, "starttls", "a@b", "").test("a").await.unwrap().outcome;
    assert!(matches!(&outcome, Outcome::Later(later) if later.why.contains("no STARTTLS")), "{outcome:?}");
    assert!(!server.heard().contains("MAIL"));
}

#[tokio::test]
async fn what_is_said_before_tls_counts_for_nothing_after_it() {
    // Somebody between adds answers to the last one that is not encrypted.
    let forged = "220 go\r\n250-hi\r\n250 AUTH PLAIN\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n";
    let says = vec![hello(), ("STARTTLS", forged.to_owned()), ("MAIL", "451 not now\r\n".to_owned())];
    let server = MailServer::start("starttls", "220 hi\r\n", says).await;
    let outcome = channel(&server, "starttls", "a@b", "").test("a").await.unwrap().outcome;
    assert!(!matches!(outcome, Outcome::Taken(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_ends_it() {
    let server = MailServer::start("implicit", "220 hi\r\n", vec![hello()]).await;
    let channels = open(&format!(
        "receivers: [{{ name: a, via: {{ email: {{ host: localhost, port: {}, tls: implicit, from: a@b, to: [c@d] }} }} }}]",
        server.port
    ));
    let outcome = channels.test("a").await.unwrap().outcome;
    assert!(matches!(&outcome, Outcome::Later(later) if later.why.contains("certificate")), "{outcome:?}");
}

#[tokio::test]
async fn replies_mean_what_they_say() {
    let one = |command, answer: &str| vec![(command, answer.to_owned())];
    assert!(matches!(outcome("220 hi\r\n", vec![]).await, Outcome::Taken(_)));
    assert!(matches!(outcome("554 go away\r\n", vec![]).await, Outcome::Refused(_)));
    assert!(matches!(outcome("220 hi\r\n", one("MAIL", "552 no\r\n")).await, Outcome::Refused(_)));
    assert!(matches!(outcome("220 hi\r\n", one("RCPT", "550 who\r\n")).await, Outcome::Refused(_)));
    assert!(matches!(outcome("220 hi\r\n", one("RCPT", "450 later\r\n")).await, Outcome::Later(_)));
    assert!(matches!(outcome("220 hi\r\n", one("END", "451 later\r\n")).await, Outcome::Later(_)));
    assert!(matches!(outcome("hello\r\n", vec![]).await, Outcome::Later(_)));
    let endless: &'static str = "2".repeat(10 << 20).leak();
    assert!(
        matches!(outcome(endless, vec![]).await, Outcome::Later(later) if later.why.contains("a line of"))
    );
    let lines: &'static str = "220-x\r\n".repeat(100_000).leak();
    assert!(matches!(outcome(lines, vec![]).await, Outcome::Later(later) if later.why.contains("lines")));
    assert!(matches!(outcome("", vec![]).await, Outcome::Later(later) if later.unreached));
}

#[tokio::test]
async fn who_has_a_mail_gets_no_second_one_when_another_was_put_off() {
    let server =
        MailServer::start("none", "220 hi\r\n", vec![("RCPT TO:<later@", "450 later\r\n".to_owned())]).await;
    let mut channels = channel(&server, "none", "now@b, later@b, never@b", "");
    submit(&channels, firing("a", 1));
    super::until("two tries", || channels.health()[0].counts.failed >= 2).await;
    let heard = server.heard();
    let count = |text: &str| heard.matches(text).count();
    assert_eq!((count("RCPT TO:<now@b>"), count("\r\n.\r\n")), (1, 1), "{heard}");
    assert!(count("RCPT TO:<later@b>") >= 2);
    assert_eq!(channels.reported(), None);
}

#[tokio::test]
async fn a_new_configuration_makes_no_second_mail() {
    let later = vec![("RCPT TO:<later@", "450 later\r\n".to_owned())];
    let server = MailServer::start("none", "220 hi\r\n", later).await;
    let mut channels = channel(&server, "none", "now@b, later@b", "");
    submit(&channels, firing("a", 1));
    super::until("a try", || channels.health()[0].counts.failed >= 1).await;
    let again = super::Config::parse(&yaml(&server, "none", "now@b, later@b, new@b", "")).unwrap();
    assert_eq!(channels.reload(again), []);
    super::until("another try", || channels.health()[0].counts.failed >= 2).await;
    let heard = server.heard();
    let count = |text: &str| heard.matches(text).count();
    assert_eq!((count("RCPT TO:<now@b>"), count("RCPT TO:<new@b>")), (1, 1), "{heard}");
}

#[tokio::test]
async fn one_that_is_put_off_and_then_refused_makes_no_second_message() {
    let later = vec![("RCPT TO:<later@", "450 later\r\n|550 never\r\n".to_owned())];
    let server = MailServer::start("none", "220 hi\r\n", later).await;
    let mut channels = channel(&server, "none", "now@b, later@b", "");
    submit(&channels, firing("a", 1));
    let told = report(&mut channels).await;
    assert_eq!(told.delivery, Delivery::Delivered, "not refused, for then it would be told anew");
    assert_eq!(server.heard().matches("RCPT TO:<now@b>").count(), 1);
}

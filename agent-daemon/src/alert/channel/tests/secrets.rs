//! Secrets that are planted in every place there is, and receivers that repeat all they are told: nothing of it in a
//! log, an error, a state.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing_subscriber::fmt::MakeWriter;

use super::{
    firing,
    http::{Does, Server},
    open, secret_file, submit, until,
};
use crate::alert::channel::Config;

/// What is planted. None is a part of anything else that might be said.
const PLANTED: [&str; 8] = [
    "t0ken-in-path-1",
    "qu3ry-key-2",
    "us3r-password-3",
    "hm4c-secret-4",
    "be5rer-token-5",
    "r6uting-key-6",
    "f7eld-secret-7",
    "p8ssword \"8\"/ä",
];

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn planted_secrets_are_found_nowhere() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let [path, query, user, hmac, bearer, routing, field, password] = PLANTED;
    let answers = [
        ("400 Bad Request", "alerts are refused"),
        ("500 Oops", "alerts cannot be told yet"),
        ("302 Found\r\nlocation: /elsewhere", "alerts are refused"),
    ];
    for (status, logged) in answers {
        let server = Server::start([Does::Echoes(status)]).await;
        let mail = super::email::echoing_server().await;
        let url = format!("http://joe:{user}@127.0.0.1:{}/{path}?key={query}", server.port);
        let files: Vec<_> =
            [&url, hmac, bearer, routing, field, password].into_iter().map(secret_file).collect();
        let [url, hmac, bearer, routing, field, password] =
            [0, 1, 2, 3, 4, 5].map(|index: usize| files[index].path().display().to_string());
        let base = server.url("/");
        let yaml = format!(
            "receivers:\n\
             - {{ name: hook, via: {{ webhook: {{ url_file: {url}, secret_file: {hmac} }} }} }}\n\
             - {{ name: bearer, via: {{ webhook: {{ url: '{base}' }} }}, auth: {{ bearer_token_file: {bearer} }} }}\n\
             - {{ name: basic, via: {{ alertmanager: {{ url: '{base}' }} }}, auth: {{ username: u, password_file: {password} }} }}\n\
             - {{ name: chat, via: {{ slack: {{ url_file: {url} }} }} }}\n\
             - {{ name: pager, via: {{ pagerduty: {{ routing_key_file: {routing}, url: '{base}' }} }} }}\n\
             - {{ name: sms, via: {{ sms: {{ url_file: {url}, as: query, fields: {{ a: b }}, secret_fields: {{ key_file: {field} }} }} }} }}\n\
             - {{ name: mail, via: {{ email: {{ host: localhost, port: {}, tls: implicit, from: a@b, to: [c@d] }} }}, \
                  ca_file: {}, auth: {{ username: joe, password_file: {password} }} }}\n",
            mail.port,
            super::data("ca.pem").display(),
        );
        let mut channels = open(&yaml);
        let names: Vec<String> = channels.health().into_iter().map(|health| health.name).collect();
        let mut said = format!("{:?}", Config::parse(&yaml).unwrap());
        for name in &names {
            submit(&channels, firing(name, 1));
            said.push_str(&format!("{:?}", channels.test(name).await));
        }
        until("it is logged", || log.text().contains(logged)).await;
        until("all were tried", || channels.health().iter().all(|health| health.last.is_some())).await;
        said.push_str(&format!("{channels:?} {:#?}", channels.health()));
        said.push_str(&serde_json::to_string(&channels.save()).unwrap());
        while let Some(report) = channels.reported() {
            said.push_str(&format!("{report:?}"));
        }
        assert!(said.contains("[redacted]"), "{said}");
        assert!(server.requests().iter().any(|request| request.head.contains(bearer_text())));
        assert!(mail.heard().contains("AUTH PLAIN"), "{}", mail.heard());
        check(&said);
    }
    check(&log.text());
}

fn bearer_text() -> &'static str {
    PLANTED[4]
}

#[track_caller]
fn check(text: &str) {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let joe = STANDARD.encode(format!("joe:{}", PLANTED[2]));
    let basic = STANDARD.encode(format!("u:{}", PLANTED[7]));
    let plain = STANDARD.encode(format!("\0joe\0{}", PLANTED[7]));
    let password = "p8ssword".to_owned();
    for secret in PLANTED.map(str::to_owned).into_iter().chain([joe, basic, plain, password]) {
        let found = text.find(&secret).map(|at| &text[text.floor_char_boundary(at.saturating_sub(200))..]);
        assert!(found.is_none(), "{secret} in: {}", found.unwrap_or_default());
    }
}

//! Channels and programs that others wrote: Alertmanager, and a mail server in Python. They must be there:
//! `prometheus-alertmanager`, and a `python3` with `aiosmtpd`; `cargo xtask setup` installs both.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::{
    data, firing,
    http::{Does, Server},
    open, report, resolved, secret_file, submit, until,
};
use crate::alert::{channel::Outcome, route::Delivery};

/// A program that is killed when the test is over.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn alertmanager(port: u16, folder: &Path, hook: &Server) -> Program {
    let config = folder.join("alertmanager.yml");
    let text = format!(
        "route: {{ receiver: hook, group_by: [alertname, agent], group_wait: 100ms, group_interval: 1s }}\n\
         receivers: [{{ name: hook, webhook_configs: [{{ url: '{}' }}] }}]\n",
        hook.url("/")
    );
    std::fs::write(&config, text).unwrap();
    let child = Command::new("prometheus-alertmanager")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join("log")).unwrap())
        .spawn();
    Program(child.expect("`prometheus-alertmanager` runs: install the package of that name"))
}

/// The alerts that the Alertmanager has; none while it is not there.
fn alerts(port: u16, query: &str) -> Vec<Value> {
    let get = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        write!(stream, "GET /api/v2/alerts{query} HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    let text = get().unwrap_or_default();
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).unwrap_or_default()
}

/// All keys of all objects within, with their paths.
fn keys(of: &Value, path: &str, into: &mut BTreeSet<String>) {
    match of {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            into.insert(format!("{path}.{key}"));
            if !path.to_lowercase().ends_with("labels") {
                keys(value, &format!("{path}.{key}"), into);
            }
        }),
        Value::Array(items) => items.iter().for_each(|item| keys(item, path, into)),
        _ => {}
    }
}

#[tokio::test]
async fn an_alertmanager_that_comes_late_has_each_alert_once_and_sees_them_end() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let theirs = Server::start([Does::Answers("200 OK")]).await;
    let mut channels = open(&format!(
        "receivers: [{{ name: am, via: {{ alertmanager: {{ url: 'http://127.0.0.1:{port}' }} }} }}]"
    ));
    for number in 0..5 {
        submit(&channels, firing("am", number));
    }
    until("it is missed", || channels.health()[0].counts.failed >= 5).await;
    let _alertmanager = alertmanager(port, folder.path(), &theirs);
    for _ in 0..5 {
        assert_eq!(report(&mut channels).await.delivery, Delivery::Delivered);
    }
    let has = alerts(port, "?active=true");
    let agents: BTreeSet<&str> = has.iter().filter_map(|alert| alert["labels"]["agent"].as_str()).collect();
    assert_eq!((has.len(), agents.len()), (5, 5), "{has:?}");
    assert_eq!(has[0]["annotations"]["diagnosis"], "on CPU:\n- 62.5 % main;parse;hash");
    assert_eq!(has[0]["generatorURL"], "http://127.0.0.1:9/alerts");

    // The same once more, as after a crash.
    submit(&channels, firing("am", 0));
    report(&mut channels).await;
    assert_eq!(alerts(port, "?active=true").len(), 5);
    for number in 0..5 {
        submit(&channels, resolved("am", number));
        assert_eq!(report(&mut channels).await.delivery, Delivery::Delivered);
    }
    until("all are over", || alerts(port, "?active=true").is_empty()).await;
    assert!(matches!(channels.test("am").await.unwrap().outcome, Outcome::Taken(_)));

    until("they tell", || theirs.requests().iter().any(|r| r.json()["status"] == "resolved")).await;
    let ours = Server::start([Does::Answers("200 OK")]).await;
    let mut hook =
        open(&format!("receivers: [{{ name: hook, via: {{ webhook: {{ url: '{}' }} }} }}]", ours.url("/")));
    submit(&hook, firing("hook", 0));
    report(&mut hook).await;
    let (mut expected, mut got) = (BTreeSet::new(), BTreeSet::new());
    keys(&theirs.requests()[0].json(), "", &mut expected);
    keys(&ours.requests()[0].json(), "", &mut got);
    let missing: Vec<&String> = expected.difference(&got).filter(|key| !key.contains("diagnosis")).collect();
    assert!(missing.is_empty(), "Alertmanager says more: {missing:?}");
}

/// A mail server that takes mail of `joe` only, and only over TLS; what it took is in a maildir.
const SERVER: &str = r#"
import ssl, sys
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import AuthResult

mode, certificate, key, folder = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)

def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"joe", b"s3cr3t of joe"), handled=False)

options = dict(hostname="127.0.0.1", port=0, authenticator=authenticate, auth_required=True)
if mode == "starttls":
    options.update(tls_context=context, require_starttls=True)
else:
    options.update(ssl_context=context, auth_require_tls=False)

class AnyPort(Controller):
    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()

controller = AnyPort(Mailbox(folder), **options)
controller.start()
print(controller.port, flush=True)
sys.stdin.read()
"#;

/// What another program reads in a maildir.
const READER: &str = r#"
import email, email.policy, json, mailbox, sys
parse = lambda file: email.message_from_binary_file(file, policy=email.policy.default)
mails = [dict(subject=m["Subject"], to=m["To"], id=m["Message-ID"], references=m["References"], date=str(m["Date"]),
              body=m.get_content()) for m in mailbox.Maildir(sys.argv[1], factory=parse)]
print(json.dumps(mails))
"#;

/// A Python that has the mail server: the one in `PATH`, or the distribution's.
fn python() -> &'static str {
    let has_it = |python: &&str| {
        let import = Command::new(python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
        import.is_ok_and(|status| status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has_it);
    found.expect("aiosmtpd is missing, cargo xtask setup installs it")
}

fn mail_server(mode: &str, folder: &Path) -> (Program, u16) {
    let child = Command::new(python())
        .args(["-c", SERVER, mode])
        .args([data("server.pem"), data("server.key")])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut program = Program(child.expect("`python3` runs"));
    let mut line = String::new();
    BufReader::new(program.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port = line.trim().parse().expect("a port");
    (program, port)
}

fn mails(folder: &Path) -> Vec<Value> {
    let output = Command::new("python3").args(["-c", READER]).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_real_mail_server_takes_each_mail_once_over_tls_of_either_kind() {
    for mode in ["starttls", "implicit"] {
        let folder = tempfile::tempdir().unwrap();
        let box_ = folder.path().join("mails");
        let (_server, port) = mail_server(mode, &box_);
        let receiver = |name: &str, password: &tempfile::NamedTempFile| {
            format!(
                "- {{ name: {name}, ca_file: {}, via: {{ email: {{ host: localhost, port: {port}, tls: {mode}, \
                 from: agentperf@example.org, to: [a@example.org, b@example.org] }} }}, \
                 auth: {{ username: joe, password_file: {} }} }}\n",
                data("ca.pem").display(),
                password.path().display(),
            )
        };
        let (right, wrong) = (secret_file("s3cr3t of joe"), secret_file("wr0ng"));
        let mut channels =
            open(&format!("receivers:\n{}{}", receiver("right", &right), receiver("wrong", &wrong)));
        for number in 0..3 {
            submit(&channels, firing("right", number));
            assert_eq!(report(&mut channels).await.delivery, Delivery::Delivered, "{:?}", channels.health());
        }
        let refused = channels.test("wrong").await.unwrap().outcome;
        assert!(matches!(&refused, Outcome::Refused(said) if said.starts_with("535")), "{refused:?}");
        let mails = mails(&box_);
        let ids: BTreeSet<&str> = mails.iter().filter_map(|mail| mail["id"].as_str()).collect();
        assert_eq!((mails.len(), ids.len()), (3, 3));
        assert_eq!(mails[0]["subject"], "[FIRING:1] AgentCpuHigh (warning) on host-1");
        assert_eq!(mails[0]["to"], "a@example.org, b@example.org");
        let body = mails.iter().map(|mail| mail["body"].as_str().unwrap()).collect::<String>();
        for number in 0..3 {
            assert!(body.contains(&format!("claude-{number} uses <7.5> CPUs & more — ☃")), "{body}");
        }
        assert!(body.contains("62.5 % main;parse;hash"), "{body}");
    }
}

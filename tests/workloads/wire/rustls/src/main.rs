//! Calls a model by rustls, as it is told line by line, and says what it saw of each call.
//!
//! Usage: client PORT CERTIFICATE. Commands: `chat MODEL`, `stream MODEL`, `messages MODEL`, `pieces MODEL`: a chat that goes in
//! records of many lengths, `update MODEL`: one under new keys, `many MODEL`: chats on 12 new
//! connections, some of them at once on four threads, each with a model of its own and a prompt of 100 kB; `noise BYTES`: an
//! answer of that length, of no model.
//!
//! What encrypts is what the features name; where they name both, connections take turns.

use std::{
    env,
    io::{self, BufRead, Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

#[cfg(feature = "aws_lc")]
use rustls::crypto::aws_lc_rs;
#[cfg(feature = "ring")]
use rustls::crypto::ring;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Takes the one certificate that it was given, which signs itself: of those rustls takes none by its own rules.
#[derive(Debug)]
struct Given(CertificateDer<'static>, WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Given {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let refused = || Error::General("another certificate".to_owned());
        (*certificate == self.0).then(ServerCertVerified::assertion).ok_or_else(refused)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.1)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.1)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.supported_schemes()
    }
}

/// What the next connection encrypts by.
fn cryptography() -> CryptoProvider {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let all: &[fn() -> CryptoProvider] = &[
        #[cfg(feature = "aws_lc")]
        aws_lc_rs::default_provider,
        #[cfg(feature = "ring")]
        ring::default_provider,
    ];
    all[TURN.fetch_add(1, Ordering::Relaxed) % all.len()]()
}

fn connect(port: u16, certificate: &str) -> Stream {
    let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate");
    let provider = cryptography();
    let verifier = Given(certificate, provider.signature_verification_algorithms);
    let config = ClientConfig::builder_with_provider(Arc::new(provider));
    let config = config.with_safe_default_protocol_versions().expect("versions").dangerous();
    let config = config.with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    let socket = TcpStream::connect(("127.0.0.1", port)).expect("the provider");
    socket.set_nodelay(true).expect("a socket");
    StreamOwned::new(connection, socket)
}

fn request(command: &str, model: &str) -> String {
    let words = if matches!(command, "large" | "pieces") { 20_000 } else { 2000 };
    let prompt = format!("PLANTED-PROMPT {}", "long ".repeat(words));
    let (path, options) = match command {
        "messages" => ("/v1/messages", r#","max_tokens":100,"stream":true"#),
        "stream" => ("/v1/chat/completions", r#","stream":true,"stream_options":{"include_usage":true}"#),
        _ => ("/v1/chat/completions", ""),
    };
    let body =
        format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"{prompt}"}}]{options}}}"#);
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer PLANTED-KEY\r\nContent-Type: \
         application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn call(stream: &mut Stream, command: &str, model: &str) -> String {
    let request = request(command, model);
    let (start, mut first) = (Instant::now(), None);
    if command == "update" {
        stream.conn.refresh_traffic_keys().expect("new keys");
    }
    let mut rest = request.as_bytes();
    for length in if command == "pieces" { lengths() } else { Vec::new() } {
        let (piece, behind) = rest.split_at(length);
        stream.write_all(piece).expect("it is sent");
        // Some go alone, some with others.
        if length % 3 > 0 {
            stream.flush().expect("it is sent");
        }
        rest = behind;
    }
    stream.write_all(rest).expect("it is sent");
    stream.flush().expect("it is sent");
    let (mut answer, mut piece) = (Vec::new(), [0; 16_384]);
    while !answer.ends_with(b"\r\n0\r\n\r\n") {
        let read = stream.read(&mut piece).expect("it answers");
        answer.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&answer);
        if first.is_none() && (text.contains(r#""content":"PLANTED"#) || text.contains(r#""text":"PLANTED"#))
        {
            first = Some(start.elapsed().as_secs_f64());
        }
    }
    let status = String::from_utf8_lossy(&answer[9..12]).into_owned();
    let first = first.filter(|_| matches!(command, "stream" | "messages"));
    let first = first.map_or("null".to_owned(), |first| first.to_string());
    let (seconds, sent, received) = (start.elapsed().as_secs_f64(), request.len(), answer.len());
    format!(
        r#"{{"status": {status}, "seconds": {seconds}, "first": {first}, "sent": {sent}, "received": {received}}}"#
    )
}

/// Lengths of records around all that there is: blocks, what is encrypted at once, and the longest.
fn lengths() -> Vec<usize> {
    let around = |length: usize| length - 2..length + 2;
    (1..40).chain(around(96)).chain(around(128)).chain(around(288)).chain(around(16_384)).collect()
}

/// How often ring has asked.
#[cfg(feature = "old_cpu")]
static ASKED: AtomicUsize = AtomicUsize::new(0);

/// Stands in for ring's function of that name, which tells what this CPU has: without VAES and VPCLMULQDQ.
///
/// # Safety
/// ring's: four numbers are there.
#[cfg(feature = "old_cpu")]
#[unsafe(no_mangle)]
unsafe extern "C" fn ring_core_0_17_14__OPENSSL_cpuid_setup(features: *mut [u32; 4]) {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    ASKED.fetch_add(1, Ordering::Relaxed);
    let (first, seventh) = (__cpuid(1), __cpuid_count(7, 0));
    // SAFETY: by contract.
    unsafe { *features = [first.edx, first.ecx, seventh.ebx, seventh.ecx & !(1 << 9 | 1 << 10)] };
}

fn noise(stream: &mut Stream, bytes: &str) -> String {
    let start = Instant::now();
    write!(stream, "GET /noise?bytes={bytes} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").expect("it is sent");
    stream.flush().expect("it is sent");
    let (mut head, mut piece) = (Vec::new(), vec![0; 1 << 20]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut piece[..1]).expect("it answers");
        head.push(piece[0]);
    }
    let mut left: usize = bytes.parse().expect("a number");
    while left > 0 {
        let most = left.min(piece.len());
        left -= stream.read(&mut piece[..most]).expect("it answers");
    }
    format!(r#"{{"bytes": {bytes}, "seconds": {}}}"#, start.elapsed().as_secs_f64())
}

/// Several connections on each of several threads, which take turns there.
fn many(port: u16, certificate: &str, model: &str) -> String {
    let of_thread = |thread: usize| {
        let mut streams: Vec<Stream> = (0..3).map(|_| connect(port, certificate)).collect();
        let each = streams.iter_mut().enumerate();
        each.map(|(n, stream)| call(stream, "large", &format!("{model}-{thread}-{n}"))).collect::<Vec<_>>()
    };
    let said: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || of_thread(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread")).collect()
    });
    format!("[{}]", said.join(", "))
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let port = arguments[1].parse().expect("a port");
    let mut stream = connect(port, &arguments[2]);
    #[cfg(feature = "old_cpu")]
    assert_eq!(ASKED.load(Ordering::Relaxed), 1, "ring has asked what the CPU has");
    println!(r#"{{"ready": true}}"#);
    for line in io::stdin().lock().lines() {
        let line = line.expect("a command");
        let (command, model) = line.split_once(' ').expect("a command");
        match command {
            "many" => println!("{}", many(port, &arguments[2], model)),
            "noise" => println!("{}", noise(&mut stream, model)),
            _ => println!("{}", call(&mut stream, command, model)),
        }
    }
}

//! A receiver of HTTP that does as it is told, one behaviour for each request, the last one for all after it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    time::sleep,
};

/// What a receiver does with a request.
#[derive(Clone, Debug)]
pub(super) enum Does {
    /// Answers with this status line's end and headers, and a short body.
    Answers(&'static str),
    /// Answers that, and with all that it was sent.
    Echoes(&'static str),
    /// Never answers.
    Hangs,
    /// Ends the connection.
    Closes,
    /// Says that it has it, and then a body that never ends.
    TakesAndDrips,
    /// Says that it has it, with a body of that many bytes.
    TakesAndTalks(usize),
    /// Says headers that never end.
    TalksInHeaders,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) at: Instant,
    pub(super) head: String,
    pub(super) body: String,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.head.lines().filter_map(|line| line.split_once(": "));
        found.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).next().unwrap_or_default()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A receiver.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(super) async fn start(does: impl IntoIterator<Item = Does>) -> Self {
        Self::start_at(0, does).await
    }

    pub(super) async fn start_at(port: u16, does: impl IntoIterator<Item = Does>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut does: VecDeque<Does> = does.into_iter().collect();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let server = Self { port, requests: Arc::clone(&requests) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let next = if does.len() > 1 { does.pop_front() } else { does.front().cloned() };
                tokio::spawn(serve(stream, next.unwrap(), Arc::clone(&requests)));
            }
        });
        server
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// A port where nobody listens.
pub(super) async fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port()
}

/// Serves one request.
pub(super) async fn serve<S>(mut stream: S, does: Does, requests: Arc<Mutex<Vec<Request>>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = read(&mut stream).await;
    requests.lock().unwrap().push(request.clone());
    let _ = match does {
        Does::Answers(status) => {
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok");
            let _ = stream.write_all(answer.as_bytes()).await;
            stream.shutdown().await
        }
        Does::Echoes(status) => {
            let body = format!("{}\n{}", request.head, request.body);
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).await
        }
        Does::Hangs => {
            sleep(Duration::from_secs(60)).await;
            Ok(())
        }
        Does::Closes => Ok(()),
        Does::TakesAndDrips => drip(&mut stream).await,
        Does::TakesAndTalks(bytes) => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
            stream.write_all(&vec![b'x'; bytes]).await
        }
        Does::TalksInHeaders => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            while stream.write_all(&[b'x'; 65536]).await.is_ok() {}
            Ok(())
        }
    };
}

async fn drip(stream: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await?;
    loop {
        stream.write_all(b"x").await?;
        sleep(Duration::from_millis(50)).await;
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Request {
    let mut bytes = Vec::new();
    let mut buffer = [0; 65536];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Request { at: Instant::now(), head: head.to_owned(), body: body.to_owned() };
            }
        }
        let length = stream.read(&mut buffer).await.unwrap_or(0);
        if length == 0 {
            return Request { at: Instant::now(), head: text, body: String::new() };
        }
        bytes.extend(&buffer[..length]);
    }
}

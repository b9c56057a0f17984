//! A receiver over HTTP that keeps what it gets, and answers what a test wants.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri},
    response::{IntoResponse, Response},
};

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Got {
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What to answer: status, `Retry-After`, body.
#[derive(Clone, Debug)]
pub(super) struct Script(pub(super) u16, pub(super) Option<&'static str>, pub(super) String);

#[derive(Debug, Default)]
struct Book {
    got: Vec<Got>,
    scripts: VecDeque<Script>,
}

/// The receiver.
#[derive(Clone, Debug)]
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    book: Arc<Mutex<Book>>,
}

impl Receiver {
    /// Starts one that answers by these scripts in turn, and then always 200.
    pub(super) async fn start(scripts: impl IntoIterator<Item = Script>) -> Self {
        let book = Arc::new(Mutex::new(Book { got: Vec::new(), scripts: scripts.into_iter().collect() }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(keep).with_state(Arc::clone(&book));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, book }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All that came so far.
    pub(super) fn got(&self) -> Vec<Got> {
        self.book.lock().unwrap().got.clone()
    }
}

async fn keep(State(book): State<Arc<Mutex<Book>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut book = book.lock().unwrap();
    book.got.push(Got { uri, headers, body });
    let Some(Script(status, retry_after, body)) = book.scripts.pop_front() else {
        return StatusCode::OK.into_response();
    };
    let mut answer = (StatusCode::from_u16(status).unwrap(), body).into_response();
    if let Some(text) = retry_after {
        answer.headers_mut().insert("retry-after", HeaderValue::from_static(text));
    }
    answer
}

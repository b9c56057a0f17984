//! A webhook that keeps what it is told.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use serde_json::Value;

/// A server of this process; it ends with it.
pub(crate) struct Hook {
    pub(crate) url: String,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Hook {
    /// One that takes whatever comes.
    pub(crate) fn start() -> Self {
        Self::failing(0)
    }

    /// One that hangs up on so many requests first.
    pub(crate) fn failing(failures: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bodies);
        thread::spawn(move || {
            for stream in listener.incoming().skip(failures) {
                let mut stream = BufReader::new(stream.unwrap());
                let mut length = 0;
                for line in stream.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty())
                {
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let body = serde_json::from_slice(&body).unwrap();
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(body);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.get_mut().write_all(answer).unwrap();
            }
        });
        Self { url, bodies }
    }

    /// The bodies of this status.
    pub(crate) fn told(&self, status: &str) -> Vec<Value> {
        let bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        bodies.iter().filter(|body| body["status"] == status).cloned().collect()
    }
}

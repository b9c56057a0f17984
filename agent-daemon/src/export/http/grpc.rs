//! One unary call of gRPC over HTTP/2: a message with five bytes before it, and the status in the trailers. That is all
//! of gRPC that sending needs.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use hyper::{HeaderMap, Uri, header::HeaderValue};

use super::{Answer, Client, Credentials, Outcome, retry::MAX_ASKED};

/// Before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// What a call gave: the message of the answer, or what to do.
pub(in crate::export) async fn call(
    client: &Client,
    method: &Uri,
    mut headers: HeaderMap,
    message: &[u8],
    gzipped: bool,
) -> Result<Bytes, Outcome> {
    let secrets = headers.clone();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("te", HeaderValue::from_static("trailers"));
    if gzipped {
        headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
    }
    let answer = client.post(method, headers, frame(message, gzipped)).await;
    judge(answer, &secrets)
}

fn frame(message: &[u8], gzipped: bool) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(u8::from(gzipped));
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.extend_from_slice(message);
    frame.freeze()
}

fn judge(answer: Result<Answer, String>, sent: &HeaderMap) -> Result<Bytes, Outcome> {
    let answer = answer.map_err(|why| Outcome::Later(None, Credentials::clean(sent, &why)))?;
    if !answer.status.is_success() {
        return Err(Outcome::of(Ok(&answer), sent));
    }
    // A call that fails at once has its status among the headers.
    let field = |name: &str| answer.trailers.get(name).or_else(|| answer.headers.get(name));
    let text = |name: &str| field(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match text("grpc-status").parse::<u8>() {
        Ok(0) => Ok(answer.body.slice(PREFIX.min(answer.body.len())..)),
        Ok(code) => {
            let why = format!("grpc status {code}: {}", Credentials::clean(sent, text("grpc-message")));
            Err(if may_be_retried(code) {
                later(field("grpc-retry-pushback-ms"), why)
            } else {
                Outcome::Refused(why)
            })
        }
        Err(_) => Err(Outcome::Later(None, "the answer is none of gRPC's".to_owned())),
    }
}

/// When to try again; never, where the receiver asks for a negative pause or for one that is no number: that is how
/// gRPC says it.
fn later(pushback: Option<&HeaderValue>, why: String) -> Outcome {
    let Some(pushback) = pushback else { return Outcome::Later(None, why) };
    match pushback.to_str().ok().and_then(|text| text.trim().parse().ok()) {
        Some(ms) => Outcome::Later(Some(Duration::from_millis(ms).min(MAX_ASKED)), why),
        None => Outcome::Refused(why),
    }
}

/// By OTLP's own list: cancelled, deadline exceeded, resource exhausted, aborted, out of range, unavailable, data loss.
fn may_be_retried(code: u8) -> bool {
    matches!(code, 1 | 4 | 8 | 10 | 11 | 14 | 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_may_ask_for_a_pause_but_not_for_ever() {
        let asked = |ms: &'static str| later(Some(&HeaderValue::from_static(ms)), "busy".to_owned());
        let after = |pause| Outcome::Later(pause, "busy".to_owned());
        assert_eq!(later(None, "busy".to_owned()), after(None));
        assert_eq!(asked("1500"), after(Some(Duration::from_millis(1500))));
        assert_eq!(asked("18446744073709551615"), after(Some(MAX_ASKED)));
        for never in ["-1", "", "soon"] {
            assert_eq!(asked(never), Outcome::Refused("busy".to_owned()), "{never}");
        }
    }
}

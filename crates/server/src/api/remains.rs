//! What of a request's body nobody read is read before the answer goes out.
//!
//! Many answers are known by the head of a request: wrong credentials, no such address, too large. A server that answers
//! and closes while the client still sends breaks the connection under it: the client sees no answer, and one that keeps
//! its connection finds it gone at its next request. So the rest is read, within limits; behind them the connection is
//! closed, which the answer says.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody};
use axum::extract::Request;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, EXPECT};
use axum::http::{HeaderValue, Version};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{StreamExt, stream};

/// As much is read for nothing. Who shows no credentials may make the server read this.
const REMAINS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Of a body that is announced as longer than this, nothing is read: no request is that large.
const ANNOUNCED_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// How long that may take.
const REMAINS_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers a request, and reads what the answer did not need.
pub(super) async fn read_remains(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    // Who waits for `100 Continue` sends nothing until somebody reads.
    let waits = request.headers().contains_key(EXPECT);
    let version = request.version();
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let too_long = length
        .is_some_and(|length| length.parse().is_ok_and(|length: u64| length > ANNOUNCED_BYTES_MAX));
    let (parts, body) = request.into_parts();
    let body = Arc::new(Mutex::new(body.into_data_stream()));
    let shared = Arc::clone(&body);
    let pieces = stream::poll_fn(move |context| lock(&shared).poll_next_unpin(context));
    let mut response = next.run(Request::from_parts(parts, Body::from_stream(pieces))).await;
    let is_read = lock(&body).is_end_stream();
    if !is_read && (waits || too_long || !drained(&body).await) && version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether the body ended within the limits.
async fn drained(body: &Mutex<BodyDataStream>) -> bool {
    let reading = async {
        let mut left = REMAINS_BYTES_MAX;
        let mut pieces = stream::poll_fn(|context| match lock(body).poll_next_unpin(context) {
            // What failed is over, too.
            Poll::Ready(Some(Err(_))) => Poll::Ready(None),
            polled => polled,
        });
        while let Some(Ok(piece)) = pieces.next().await {
            match left.checked_sub(piece.len()) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    };
    tokio::time::timeout(REMAINS_TIMEOUT, reading).await.unwrap_or(false)
}

fn lock(body: &Mutex<BodyDataStream>) -> std::sync::MutexGuard<'_, BodyDataStream> {
    body.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::post;
    use axum::{Router, middleware};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn serving() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        // It answers by the head alone.
        let routes = Router::new().route("/", post(|| async { "no" }));
        let routes = routes.layer(middleware::from_fn(read_remains));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        address
    }

    async fn head(stream: &mut TcpStream) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\nno") {
            head.push(stream.read_u8().await.expect("an answer"));
        }
        String::from_utf8(head).expect("a head")
    }

    /// Sends a head, and then the body in pieces; the head of the answer.
    async fn ask(stream: &mut TcpStream, length: usize, sent: usize, header: &str) -> String {
        let head_sent =
            format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{header}\r\n");
        stream.write_all(head_sent.as_bytes()).await.expect("it is read");
        let mut left = sent;
        while left > 0 {
            // The server is ahead: it may have answered before the next piece comes.
            tokio::task::yield_now().await;
            let piece = vec![b'x'; left.min(10_000)];
            stream.write_all(&piece).await.expect("it is read");
            left -= piece.len();
        }
        head(stream).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn more_than_is_read_is_not_waited_for() {
        let mut stream = TcpStream::connect(serving().await).await.expect("it listens");
        let asked = ask(&mut stream, 99_999_999_999, 0, "");
        let answer =
            tokio::time::timeout(REMAINS_TIMEOUT / 2, asked).await.expect("it is answered");
        assert!(answer.contains("connection: close"), "{answer}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_connection_outlives_answers_that_need_no_body() {
        let address = serving().await;
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        for _ in 0..50 {
            let answer = ask(&mut stream, 100_000, 100_000, "").await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(!answer.contains("connection: close"), "{answer}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_too_much_to_read_ends_the_connection_as_is_said() {
        let address = serving().await;
        for (length, sent, header) in [
            // Nothing is left unread, which might break the connection before the answer is read.
            (REMAINS_BYTES_MAX * 2, REMAINS_BYTES_MAX + 1, ""),
            (1_000, 0, "expect: 100-continue\r\n"),
        ] {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            let answer = ask(&mut stream, length, sent, header).await;
            assert!(answer.contains("connection: close"), "{answer}");
        }
    }
}

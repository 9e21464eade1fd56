//! Connections that say more about a request that is too long.
//!
//! hyper refuses an address of more than 64 KiB, and more than 100 headers or too long ones, before a request is made of
//! it, with a status and nothing else. Here its answer gets a body that clients of FHIR can read; the connection is closed
//! all the same.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// What hyper refuses, and what is told.
const REFUSALS: [Refusal; 2] = [
    Refusal {
        start: b"HTTP/1.1 414 ",
        status: "414 URI Too Long",
        text: "the address is too long: send the search by POST to _search",
    },
    Refusal {
        start: b"HTTP/1.1 431 ",
        status: "431 Request Header Fields Too Large",
        text: "a request has at most 100 headers, of 400 KB together: send fewer",
    },
];

/// A refusal of hyper's.
struct Refusal {
    /// How it begins.
    start: &'static [u8],
    status: &'static str,
    /// What to do.
    text: &'static str,
}

/// The refusal has no body, which hyper says so.
const NO_BODY: &[u8] = b"content-length: 0\r\n";

/// hyper's refusal is shorter than this.
const REFUSAL_BYTES_MAX: usize = 256;

/// A listener for TCP.
pub(super) struct OutcomeListener(pub(super) TcpListener);

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

impl Listener for OutcomeListener {
    type Io = OutcomeStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (OutcomeStream, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.0).await;
        // The last piece of a large answer would wait for the client to acknowledge the one before.
        let _ = stream.set_nodelay(true);
        (OutcomeStream { stream, refusal: None }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, OutcomeListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, OutcomeListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// A connection.
pub(super) struct OutcomeStream {
    stream: TcpStream,
    /// What of a refusal is still to be sent.
    refusal: Option<Vec<u8>>,
}

/// The whole refusal, where this is hyper's.
fn refusal(bytes: &[u8]) -> Option<Vec<u8>> {
    let Refusal { status, text, .. } =
        REFUSALS.iter().find(|refusal| bytes.starts_with(refusal.start))?;
    let is_refusal = bytes.len() <= REFUSAL_BYTES_MAX
        && bytes.ends_with(b"\r\n\r\n")
        && memchr::memmem::find(bytes, NO_BODY).is_some();
    if !is_refusal {
        return None;
    }
    let outcome = format!(
        r#"{{"resourceType":"OperationOutcome","issue":[{{"severity":"error","code":"too-long","details":{{"text":"{text}"}}}}]}}"#
    );
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/fhir+json; charset=utf-8\r\ncache-control: \
         no-store\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{outcome}",
        outcome.len()
    );
    Some(answer.into_bytes())
}

impl OutcomeStream {
    /// Sends a refusal whole in the place of `length` bytes.
    fn refuse(&mut self, context: &mut Context<'_>, length: usize) -> Poll<io::Result<usize>> {
        while let Some(left) = &mut self.refusal {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(context, left))?;
            left.drain(..sent.min(left.len()));
            if left.is_empty() || sent == 0 {
                self.refusal = None;
            }
        }
        Poll::Ready(Ok(length))
    }
}

impl AsyncRead for OutcomeStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for OutcomeStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.refusal.is_none() {
            self.refusal = refusal(bytes);
        }
        if self.refusal.is_some() {
            return self.refuse(context, bytes.len());
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = slices {
            return self.poll_write(context, only);
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::ConnectInfo;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(address: SocketAddr, path: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.expect("it is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it is answered");
        answer
    }

    fn check(answer: &str, status: &str, text: &str) {
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        let outcome: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(outcome["resourceType"], "OperationOutcome");
        assert_eq!(outcome["issue"][0]["details"]["text"], text);
    }

    #[tokio::test]
    async fn what_is_too_long_is_answered_with_an_outcome() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let peer =
            |ConnectInfo(Peer(peer)): ConnectInfo<Peer>| async move { peer.ip().to_string() };
        let routes = Router::new().route("/", get(peer));
        let routes = routes.into_make_service_with_connect_info::<Peer>();
        let serving = axum::serve(OutcomeListener(listener), routes);
        let serving = tokio::spawn(async move { serving.await });
        // Beside `host` and `connection`.
        let headers =
            |count: usize| (2..count).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
        assert!(ask(address, "/", &headers(100)).await.ends_with("127.0.0.1"));
        let long = ask(address, &format!("/?name={}", "a".repeat(70_000)), "").await;
        let [address_refused, headers_refused] = &REFUSALS;
        check(&long, address_refused.status, address_refused.text);
        let many = ask(address, "/", &headers(101)).await;
        check(&many, headers_refused.status, headers_refused.text);
        serving.abort();
    }

    #[test]
    fn nothing_else_is_taken_for_a_refusal() {
        let refused = b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        assert!(refusal(refused).is_some());
        let refused = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert!(refusal(refused).is_some());
        assert!(refusal(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").is_none());
        assert!(refusal(b"HTTP/1.1 414 URI Too Long\r\ncontent-length: 2\r\n\r\n{}").is_none());
    }
}

//! What a source answers, takes, and declines.

use std::sync::Arc;

use bytes::Bytes;
use pipehat_config::Diagnostics;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{CONNECTOR, Spoken, acknowledgment, listen_to, post, say, source_with};
use crate::contract::{FakeEngine, Gate, Heard, SourceCase, check_source, message, not_yet, soon};
use crate::tls::testing::{Project, settings};
use crate::tls::{CLIENT_TLS, ClientTls};
use crate::{Health, Inbound, LinkState, ReceiptOutcome, Source};

struct Posting;

impl SourceCase for Posting {
    fn descriptor(&self) -> &'static crate::Descriptor {
        &CONNECTOR
    }

    fn source(&self, place: Option<&str>) -> Arc<dyn Source> {
        let yaml = format!("{{ listen: \"{}\" }}", place.unwrap_or("127.0.0.1:0"));
        source_with(&Project::empty(), &yaml).expect("the settings are sound")
    }

    fn reply(_: &Inbound, outcome: ReceiptOutcome) -> Option<Bytes> {
        let code = if outcome == ReceiptOutcome::Kept { "AA" } else { "AR" };
        Some(acknowledgment("1", code))
    }

    #[allow(clippy::manual_async_fn, reason = "the future must not borrow the case")]
    fn send(
        &self,
        address: Option<String>,
        payloads: Vec<Bytes>,
    ) -> impl Future<Output = Heard> + Send + 'static {
        async move {
            let address = address.expect("a listener has an address");
            let Ok(mut stream) = TcpStream::connect(address).await else { return Heard::Nothing };
            let mut heard = Heard::Nothing;
            for payload in payloads {
                heard = match post(&mut stream, "", &payload).await {
                    Some(response) if response.status() == 200 => Heard::Kept,
                    Some(_) => Heard::Refused,
                    None => return Heard::Nothing,
                };
            }
            heard
        }
    }
}

#[tokio::test]
async fn the_source_keeps_the_contract() {
    check_source(Posting).await;
}

/// A source at work.
pub(super) struct Running {
    pub(super) engine: Arc<FakeEngine>,
    pub(super) health: Arc<Health>,
    pub(super) address: String,
    pub(super) stop: CancellationToken,
    pub(super) run: JoinHandle<()>,
}

impl Running {
    pub(super) async fn start(yaml: &str) -> Self {
        Self::start_in(&Project::empty(), yaml).await
    }

    pub(super) async fn start_in(project: &Project, more: &str) -> Self {
        let yaml = format!("{{ listen: \"127.0.0.1:0\", {more} }}");
        let source = source_with(project, &yaml).expect("the settings are sound");
        let bound = soon("bind", source.bind()).await.expect("the port is free");
        let engine = FakeEngine::new(Posting::reply).shared();
        let (health, stop) = (Arc::new(Health::default()), CancellationToken::new());
        let address = bound.address().expect("a listener has an address");
        let run = tokio::spawn(bound.run(engine.clone(), health.clone(), stop.clone()));
        Self { engine, health, address, stop, run }
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.expect("it listens")
    }

    pub(super) async fn post(&self, more: &str, body: &[u8]) -> Spoken {
        post(&mut self.connect().await, more, body).await.expect("a response")
    }

    pub(super) fn problem(&self) -> &'static str {
        self.health.snapshot().problem.map_or("", |problem| problem.code)
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        soon("the source's end", self.run).await.expect("the source does not panic");
        let health = self.health.snapshot();
        assert_eq!((health.connections, health.state), (0, LinkState::Stopped));
    }
}

#[tokio::test]
async fn the_reply_has_the_request_s_content_type() {
    let running = Running::start("path: /").await;
    for (sent, expected) in [
        ("Content-Type: application/hl7-v2\r\n", "application/hl7-v2"),
        (
            "Content-Type: x-application/hl7-v2+er7; charset=iso-8859-1\r\n",
            "x-application/hl7-v2+er7; charset=iso-8859-1",
        ),
        ("content-type: text/plain;charset=UTF-8\r\n", "text/plain;charset=UTF-8"),
        ("Content-Type: application/x-www-form-urlencoded\r\n", "application/hl7-v2"),
        ("", "application/hl7-v2"),
    ] {
        let response = running.post(sent, &message("TYPE")).await;
        assert_eq!((response.status(), response.header("content-type")), (200, Some(expected)));
        assert_eq!(response.body, acknowledgment("1", "AA"));
    }
    running.stop().await;
}

#[tokio::test]
async fn outcomes_have_their_status_and_the_acknowledgment_as_body() {
    for (yaml, outcome, status) in [
        ("path: /", ReceiptOutcome::Rejected, 400),
        ("rejected_status: \"422\"", ReceiptOutcome::Rejected, 422),
        ("rejected_status: \"200\"", ReceiptOutcome::Rejected, 200),
        ("path: /", ReceiptOutcome::Busy, 503),
    ] {
        let running = Running::start(yaml).await;
        running.engine.outcome(outcome);
        let response = running.post("", &message("NO")).await;
        assert_eq!((response.status(), &response.body), (status, &acknowledgment("1", "AR")));
        let is_busy = outcome == ReceiptOutcome::Busy;
        assert_eq!(response.header("retry-after"), is_busy.then_some("5"));
        running.stop().await;
    }
}

#[tokio::test]
async fn what_is_no_message_is_declined_and_not_handed_over() {
    let running = Running::start("path: /hl7").await;
    let cases = [
        ("POST /HL7", "", "x", 404),
        ("POST /hl7/", "", "x", 404),
        ("GET /hl7", "", "", 405),
        ("PUT /hl7", "", "x", 405),
        ("POST /hl7", "Content-Encoding: gzip\r\n", "x", 415),
        ("POST /hl7", "Content-Type: multipart/form-data; boundary=b\r\n", "x", 415),
        ("POST /hl7", "", "", 400),
        ("POST /hl7?from=lab", "", "x", 200),
    ];
    for (line, more, body, status) in cases {
        let mut stream = running.connect().await;
        let length = body.len();
        let head = format!("{line} HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n{more}\r\n");
        say(&mut stream, &head, body.as_bytes()).await;
        let response = soon("a response", listen_to(&mut stream)).await.expect("a response");
        assert_eq!(response.status(), status, "{line} {more}");
        assert_eq!(response.header("allow"), (status == 405).then_some("POST"));
    }
    assert_eq!(running.engine.payloads(), [Bytes::from("x")]);
    running.stop().await;
}

#[tokio::test]
async fn a_token_is_needed_before_anything_is_told() {
    let project = Project::empty();
    project.write("adt.key", "opensesame\n");
    let running = Running::start_in(&project, "token: secret:adt, path: /hl7").await;
    for wrong in ["", "Authorization: Bearer opensesam\r\n", "Authorization: opensesame\r\n"] {
        let response = running.post(wrong, b"x").await;
        assert_eq!((response.status(), response.header("www-authenticate")), (401, Some("Bearer")));
        assert_eq!(running.problem(), "http.unauthorised");
    }
    let response = running.post("Authorization: Bearer opensesame\r\n", b"x").await;
    assert_eq!(response.status(), 404, "the token is taken, the path is not");
    running.stop().await;

    let running = Running::start_in(&project, "token: secret:adt, token_header: X-Key").await;
    assert_eq!(running.post("X-Key: opensesame\r\n", b"x").await.status(), 200);
    assert_eq!(running.post("Authorization: Bearer opensesame\r\n", b"x").await.status(), 401);
    running.stop().await;
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_limit() {
    let running = Running::start("message_bytes_max: 100B").await;
    assert_eq!(running.post("", &[b'x'; 100]).await.status(), 200);
    // Announced too large: refused unread.
    let mut stream = running.connect().await;
    say(&mut stream, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 101\r\n\r\n", b"").await;
    let response = soon("a response", listen_to(&mut stream)).await.expect("a response");
    assert_eq!(response.status(), 413);
    assert_eq!(running.problem(), "http.body-too-large");
    // Chunked: found too large while it is read.
    for (size, status) in [(50, 200), (51, 413)] {
        let mut stream = running.connect().await;
        let head = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (first, second) = ("x".repeat(50), "y".repeat(size));
        let body = format!("32\r\n{first}\r\n{size:x}\r\n{second}\r\n0\r\n\r\n");
        say(&mut stream, head, body.as_bytes()).await;
        let response = soon("a response", listen_to(&mut stream)).await.expect("a response");
        assert_eq!(response.status(), status);
    }
    let sizes: Vec<usize> = running.engine.payloads().iter().map(Bytes::len).collect();
    assert_eq!(sizes, [100, 100]);
    running.stop().await;
}

#[tokio::test]
async fn a_large_body_of_unknown_size_waits_for_room() {
    let running = Running::start("path: /").await;
    running.engine.admissions(Gate::Shut);
    let mut stream = running.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "x".repeat(200_000);
    let sending = tokio::spawn(async move {
        let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        say(&mut stream, head, chunk.as_bytes()).await;
        listen_to(&mut stream).await
    });
    not_yet("a payload", running.engine.given(1)).await;
    running.engine.admissions(Gate::Open);
    let response = soon("a response", sending).await.expect("no panic").expect("a response");
    assert_eq!(response.status(), 200);
    assert_eq!(running.engine.payloads().first().map(Bytes::len), Some(200_000));
    running.stop().await;
}

#[tokio::test]
async fn slow_senders_are_let_go() {
    let running = Running::start("header_timeout: 100ms, body_timeout: 100ms").await;
    let mut slow_head = running.connect().await;
    say(&mut slow_head, "POST / HT", b"").await;
    let mut slow_body = running.connect().await;
    say(&mut slow_body, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n", b"x").await;
    let response = soon("a response", listen_to(&mut slow_body)).await.expect("a response");
    assert_eq!((response.status(), running.problem()), (408, "http.connection-failed"));
    let mut rest = Vec::new();
    let closed = soon("the end", slow_head.read_to_end(&mut rest)).await;
    assert!(closed.is_ok() || closed.is_err(), "either way it is over");
    assert_eq!(running.engine.payloads(), [] as [Bytes; 0]);
    running.stop().await;
}

#[tokio::test]
async fn more_connections_than_allowed_wait() {
    let running = Running::start("connections_max: 1").await;
    let mut first = running.connect().await;
    assert!(post(&mut first, "", b"first").await.is_some());
    let mut second = running.connect().await;
    let second = tokio::spawn(async move { post(&mut second, "", b"second").await });
    not_yet("a second connection's message", running.engine.given(2)).await;
    drop(first);
    let response = soon("a response", second).await.expect("no panic").expect("a response");
    assert_eq!(response.status(), 200);
    running.stop().await;
}

#[tokio::test]
async fn an_idle_connection_ends_with_the_source() {
    let running = Running::start("path: /").await;
    let mut idle = running.connect().await;
    assert!(post(&mut idle, "", b"x").await.is_some());
    running.stop().await;
    assert_eq!(soon("the end", idle.read_u8()).await.ok(), None);
}

#[tokio::test]
async fn chosen_headers_and_the_address_are_kept() {
    let running = Running::start("headers: [X-Request-Id, X-Site]").await;
    let long = "n".repeat(2_000);
    let more = format!("x-request-id: 7\r\nX-Site: {long}\r\nX-Other: no\r\n");
    assert_eq!(running.post(&more, b"x").await.status(), 200);
    let received = running.engine.received();
    let peer = &received.first().expect("one was received").peer;
    let expected =
        [("x-request-id".to_owned(), "7".to_owned()), ("x-site".to_owned(), "n".repeat(1_000))];
    assert_eq!(peer.headers, expected);
    assert!(peer.address.is_some_and(|address| address.ip().is_loopback()));
    running.stop().await;
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate() {
    let project = Project::with(&["adt", "lab"]);
    let tls = "tls: { cert: adt.pem, key: adt.key, client_ca: ca.pem }";
    let running = Running::start_in(&project, tls).await;
    let connect = async |yaml: &str| {
        let mut diagnostics = Diagnostics::new();
        let settings = settings(yaml, CLIENT_TLS);
        let tls = ClientTls::read(&settings, "localhost", &project.context(), &mut diagnostics);
        tls.expect("sound").connect(running.connect().await).await
    };
    let mut known = connect("{ ca: ca.pem, cert: lab.pem, key: lab.key }").await.expect("trusted");
    let response = post(&mut known, "", b"x").await.expect("a response");
    assert_eq!(response.status(), 200);
    let received = running.engine.received();
    let identity = received.first().and_then(|inbound| inbound.peer.identity.clone());
    assert_eq!(identity.as_deref(), Some("CN=lab"));

    if let Ok(mut stranger) = connect("{ ca: ca.pem }").await {
        assert!(post(&mut stranger, "", b"x").await.is_none(), "a stranger was answered");
    }
    running.stop().await;
}

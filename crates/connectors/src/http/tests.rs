//! The HTTP connector over real connections on this machine, with partners that speak HTTP by hand.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use pipehat_config::Diagnostics;
use pipehat_message::Acknowledgment;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::CONNECTOR;
use crate::contract::{
    Behaviour, DestinationCase, FakeEngine, Gate, Heard, Partner, SourceCase, check_descriptor,
    check_destination, check_source, message, not_yet, outbound, soon,
};
use crate::tls::testing::{Project, settings};
use crate::tls::{CLIENT_TLS, ClientTls, SERVER_TLS, ServerTls};
use crate::{Attempt, Destination, Health, Inbound, LinkState, ReceiptOutcome, Source};

#[test]
fn the_descriptor_is_sound() {
    check_descriptor(&CONNECTOR);
}

/// A request or response as it was on the wire.
#[derive(Debug, Clone)]
struct Spoken {
    head: String,
    body: Bytes,
}

impl Spoken {
    fn status(&self) -> u16 {
        let word = self.head.split(' ').nth(1).unwrap_or_default();
        word.parse().expect("a status")
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Reads a head and the body it announces; none when the other side closes before.
async fn listen_to<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Spoken> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let mut spoken = Spoken { head: String::from_utf8(head).ok()?, body: Bytes::new() };
    let length = spoken.header("content-length").unwrap_or("0").parse().expect("a length");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    spoken.body = body.into();
    Some(spoken)
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, head: &str, body: &[u8]) {
    // Whoever is gone does not hear it; what comes of that shows elsewhere.
    let _ = stream.write_all(&[head.as_bytes(), body].concat()).await;
    let _ = stream.flush().await;
}

async fn post<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    more: &str,
    body: &[u8],
) -> Option<Spoken> {
    let length = body.len();
    let head = format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n{more}\r\n");
    say(stream, &head, body).await;
    soon("a response", listen_to(stream)).await
}

fn acknowledgment(control_id: &str, code: &str) -> Bytes {
    format!("MSH|^~\\&|R|T|S|H|20260101||ACK|1|P|2.5.1\rMSA|{code}|{control_id}\r").into()
}

fn source_with(project: &Project, yaml: &str) -> Result<Arc<dyn Source>, String> {
    let descriptor = CONNECTOR.source.as_ref().expect("it receives");
    let mut diagnostics = Diagnostics::new();
    (descriptor.build)(&settings(yaml, descriptor.schema), &project.context(), &mut diagnostics)
        .ok_or_else(|| diagnostics.to_string())
}

fn destination_with(
    project: &Project,
    yaml: &str,
    health: Arc<Health>,
) -> Result<(Arc<dyn Destination>, String), String> {
    let descriptor = CONNECTOR.destination.as_ref().expect("it sends");
    let mut diagnostics = Diagnostics::new();
    let settings = settings(yaml, descriptor.schema);
    (descriptor.build)(&settings, &project.context(), health, &mut diagnostics)
        .map(|destination| (destination, diagnostics.to_string()))
        .ok_or_else(|| diagnostics.to_string())
}

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
struct Running {
    engine: Arc<FakeEngine>,
    health: Arc<Health>,
    address: String,
    stop: CancellationToken,
    run: JoinHandle<()>,
}

impl Running {
    async fn start(yaml: &str) -> Self {
        Self::start_in(&Project::empty(), yaml).await
    }

    async fn start_in(project: &Project, more: &str) -> Self {
        let yaml = format!("{{ listen: \"127.0.0.1:0\", {more} }}");
        let source = source_with(project, &yaml).expect("the settings are sound");
        let bound = soon("bind", source.bind()).await.expect("the port is free");
        let engine = FakeEngine::new(Posting::reply).shared();
        let (health, stop) = (Arc::new(Health::default()), CancellationToken::new());
        let address = bound.address().expect("a listener has an address");
        let run = tokio::spawn(bound.run(engine.clone(), health.clone(), stop.clone()));
        Self { engine, health, address, stop, run }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.expect("it listens")
    }

    async fn post(&self, more: &str, body: &[u8]) -> Spoken {
        post(&mut self.connect().await, more, body).await.expect("a response")
    }

    fn problem(&self) -> &'static str {
        self.health.snapshot().problem.map_or("", |problem| problem.code)
    }

    async fn stop(self) {
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

/// What a partner does with the requests it reads.
#[derive(Clone)]
struct Script {
    /// The response; none to die before it.
    response: Option<String>,
    /// What the response's connection does afterwards.
    stays_open: bool,
}

impl Script {
    fn answers(status: &str, more: &str, body: &str) -> Self {
        let length = body.len();
        let response = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{more}\r\n{body}");
        Self { response: Some(response), stays_open: true }
    }

    fn of(behaviour: Behaviour) -> Self {
        let acknowledged = |code| String::from_utf8_lossy(&acknowledgment("1", code)).into_owned();
        match behaviour {
            Behaviour::Accept => Self::answers("200 OK", "", &acknowledged("AA")),
            Behaviour::Refuse => Self::answers("400 Bad Request", "", &acknowledged("AE")),
            Behaviour::DieBeforeAnswer | Behaviour::Absent => {
                Self { response: None, stays_open: false }
            }
        }
    }
}

/// A partner on this machine.
struct Server {
    address: String,
    state: Arc<Mutex<ServerState>>,
    running: Option<JoinHandle<()>>,
}

struct ServerState {
    script: Script,
    got: Vec<Spoken>,
    connections: usize,
}

impl Server {
    async fn start(script: Script) -> Self {
        Self::start_with(script, None).await
    }

    async fn start_with(script: Script, tls: Option<ServerTls>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it listens").to_string();
        let state = ServerState { script, got: Vec::new(), connections: 0 };
        let mut server = Self { address, state: Arc::new(Mutex::new(state)), running: None };
        server.serve(listener, tls);
        server
    }

    fn serve(&mut self, listener: TcpListener, tls: Option<ServerTls>) {
        let state = self.state.clone();
        self.running = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls) = (state.clone(), tls.clone());
                state.lock().expect("unpoisoned").connections += 1;
                connections.spawn(async move {
                    match tls {
                        None => converse(stream, state).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(stream, state).await;
                            }
                        }
                    }
                });
            }
        }));
    }

    async fn absent() -> Self {
        let mut server = Self::start(Script::of(Behaviour::Accept)).await;
        server.end().await;
        server
    }

    async fn end(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            assert!(running.await.is_err_and(|error| error.is_cancelled()));
        }
    }

    fn script(&self, script: Script) {
        self.state.lock().expect("unpoisoned").script = script;
    }

    fn requests(&self) -> Vec<Spoken> {
        self.state.lock().expect("unpoisoned").got.clone()
    }

    fn connections(&self) -> usize {
        self.state.lock().expect("unpoisoned").connections
    }

    fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    state: Arc<Mutex<ServerState>>,
) {
    while let Some(request) = listen_to(&mut stream).await {
        let script = {
            let mut state = state.lock().expect("unpoisoned");
            if state.script.response.is_some() {
                state.got.push(request);
            }
            state.script.clone()
        };
        let Some(response) = script.response else { return };
        say(&mut stream, &response, b"").await;
        if !script.stays_open {
            return;
        }
    }
}

impl Partner for Server {
    fn got(&self) -> Vec<Bytes> {
        self.requests().into_iter().map(|request| request.body).collect()
    }
}

struct Servers;

impl DestinationCase for Servers {
    type Partner = Server;

    fn descriptor(&self) -> &'static crate::Descriptor {
        &CONNECTOR
    }

    async fn partner(&self, behaviour: Behaviour) -> Option<Server> {
        Some(match behaviour {
            Behaviour::Absent => Server::absent().await,
            present => Server::start(Script::of(present)).await,
        })
    }

    async fn change(&self, partner: &mut Server, behaviour: Behaviour) {
        partner.script(Script::of(behaviour));
        if partner.running.is_none() {
            let listener = TcpListener::bind(&partner.address).await.expect("the port is free");
            partner.serve(listener, None);
        }
    }

    fn destination(&self, partner: &Server, health: Arc<Health>) -> Arc<dyn Destination> {
        out_with(&Project::empty(), partner, "method: POST", health)
    }
}

#[tokio::test]
async fn the_destination_keeps_the_contract() {
    check_destination(Servers).await;
}

fn out_with(
    project: &Project,
    server: &Server,
    more: &str,
    health: Arc<Health>,
) -> Arc<dyn Destination> {
    let yaml = format!("{{ url: \"{}\", {more} }}", server.url());
    destination_with(project, &yaml, health).expect("the settings are sound").0
}

fn out(server: &Server, more: &str) -> Arc<dyn Destination> {
    out_with(&Project::empty(), server, more, Arc::default())
}

async fn deliver(destination: &Arc<dyn Destination>) -> Attempt {
    soon("an attempt", destination.deliver(outbound("SENT"))).await
}

/// What became of a delivery, in short.
fn told(attempt: &Attempt) -> String {
    match attempt {
        Attempt::Delivered { reply } => {
            format!("delivered {}", reply.as_ref().map_or(0, Bytes::len))
        }
        Attempt::Refused { code, answer, .. } => format!("{code} {}", answer.name),
        Attempt::NotSent { code, .. } => format!("not sent: {code}"),
        Attempt::Interrupted { code, .. } => format!("interrupted: {code}"),
        Attempt::Impossible { code, .. } => format!("impossible: {code}"),
    }
}

#[tokio::test]
async fn a_request_is_as_configured_and_connections_are_used_again() {
    let project = Project::empty();
    project.write("lab.key", "opensesame\n");
    let server = Server::start(Script::answers("204 No Content", "", "")).await;
    let more = "method: PUT, content_type: \"text/plain; charset=utf-8\", token: secret:lab, \
                headers: { X-Sender: us }, secret_headers: { X-Api-Key: secret:lab }";
    let destination = out_with(&project, &server, more, Arc::default());
    for _ in 0..3 {
        assert_eq!(deliver(&destination).await, Attempt::Delivered { reply: None });
    }
    assert_eq!(server.connections(), 1);
    let requests = server.requests();
    let request = requests.last().expect("a request");
    assert!(request.head.starts_with("PUT /in HTTP/1.1\r\n"), "{}", request.head);
    for (name, value) in [
        ("content-type", "text/plain; charset=utf-8"),
        ("authorization", "Bearer opensesame"),
        ("x-api-key", "opensesame"),
        ("x-sender", "us"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert_eq!(request.body, message("SENT"));

    let basic = out_with(&project, &server, "user: us, password: secret:lab", Arc::default());
    deliver(&basic).await;
    let requests = server.requests();
    let request = requests.last().expect("a request");
    assert_eq!(request.header("authorization"), Some("Basic dXM6b3BlbnNlc2FtZQ=="));
    assert_eq!(request.header("content-type"), Some("application/hl7-v2"));
}

#[tokio::test]
async fn responses_are_judged_by_acknowledgment_and_status() {
    let server = Server::start(Script::answers("200 OK", "", "")).await;
    let [accept, error] = ["AA", "AE"].map(|code| {
        let body = acknowledgment("SENT", code);
        String::from_utf8_lossy(&body).into_owned()
    });
    let length = accept.len();
    let cases = [
        ("honour", "200 OK", accept.as_str(), format!("delivered {length}")),
        ("honour", "200 OK", error.as_str(), "http.refused AE".to_owned()),
        ("honour", "500 Oh", error.as_str(), "http.refused AE".to_owned()),
        ("honour", "202 Accepted", "ok", "delivered 2".to_owned()),
        ("honour", "404 Not Found", "", "http.refused 404".to_owned()),
        ("honour", "418 Teapot", "", "http.refused 4xx".to_owned()),
        ("require", "200 OK", "ok", "interrupted: http.response-unreadable".to_owned()),
        ("require", "200 OK", accept.as_str(), format!("delivered {length}")),
        ("ignore", "200 OK", error.as_str(), format!("delivered {}", error.len())),
        ("ignore", "503 Busy", accept.as_str(), "http.refused 503".to_owned()),
    ];
    for (rule, status, body, expected) in cases {
        server.script(Script::answers(status, "", body));
        let destination = out(&server, &format!("acknowledgment: {rule}"));
        assert_eq!(told(&deliver(&destination).await), expected, "{rule} {status}");
    }
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    let elsewhere = Server::start(Script::answers("200 OK", "", "")).await;
    let location = format!("Location: {}\r\n", elsewhere.url());
    let server = Server::start(Script::answers("307 Temporary Redirect", &location, "")).await;
    assert_eq!(told(&deliver(&out(&server, "method: POST")).await), "http.refused 3xx");
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_partner_that_asks_us_to_wait_is_left_alone() {
    let server = Server::start(Script::answers("503 Busy", "Retry-After: 600\r\n", "")).await;
    let destination = out(&server, "method: POST");
    assert_eq!(told(&deliver(&destination).await), "http.refused 503");
    assert_eq!(told(&deliver(&destination).await), "not sent: http.asked-to-wait");
    assert_eq!(server.requests().len(), 1);

    let server = Server::start(Script::answers("503 Busy", "Retry-After: 0\r\n", "")).await;
    let destination = out(&server, "method: POST");
    deliver(&destination).await;
    assert_eq!(told(&deliver(&destination).await), "http.refused 503");
}

#[tokio::test]
async fn a_reply_is_kept_up_to_its_limit() {
    let body = acknowledgment("SENT", "AA");
    let text = String::from_utf8_lossy(&body).into_owned();
    let server = Server::start(Script::answers("200 OK", "", &text)).await;
    let health = Arc::new(Health::default());
    let limit = |bytes: usize| format!("reply_bytes_max: {bytes}B");
    let exact = out_with(&Project::empty(), &server, &limit(body.len()), health.clone());
    assert_eq!(deliver(&exact).await, Attempt::Delivered { reply: Some(body.clone()) });
    assert_eq!(health.snapshot().problem, None);
    let less = out_with(&Project::empty(), &server, &limit(body.len() - 1), health.clone());
    assert_eq!(deliver(&less).await, Attempt::Delivered { reply: None });
    let problem = health.snapshot().problem.map(|problem| problem.code);
    assert_eq!(problem, Some("http.reply-too-large"));
}

#[tokio::test]
async fn no_answer_in_time_leaves_it_open() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = silent.local_addr().expect("it listens");
    let yaml = format!("{{ url: \"http://{address}/\", timeout: 200ms, connect_timeout: 100ms }}");
    let (destination, _) =
        destination_with(&Project::empty(), &yaml, Arc::default()).expect("sound");
    assert_eq!(told(&deliver(&destination).await), "interrupted: http.response-timeout");
}

#[tokio::test]
async fn a_response_that_breaks_off_leaves_it_open() {
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nMSH";
    let script = Script { response: Some(response.to_owned()), stays_open: false };
    let server = Server::start(script).await;
    let attempt = deliver(&out(&server, "method: POST")).await;
    assert_eq!(told(&attempt), "interrupted: http.response-lost");
}

#[tokio::test]
async fn errors_hold_no_part_of_the_url_but_the_address() {
    let server = Server::absent().await;
    let yaml = format!("{{ url: \"http://{}/in?key=opensesame\" }}", server.address);
    let health = Arc::new(Health::default());
    let (destination, _) =
        destination_with(&Project::empty(), &yaml, health.clone()).expect("sound");
    match deliver(&destination).await {
        Attempt::NotSent { detail, .. } => {
            let expected = format!("{} can't be reached: connection refused", server.address);
            assert_eq!(detail, expected);
            assert_eq!(health.snapshot().problem.map(|problem| problem.detail), Some(detail));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn tls_trusts_only_whom_it_is_told_to() {
    let project = Project::with(&["lab", "us"]);
    let mut diagnostics = Diagnostics::new();
    let server = settings("{ cert: lab.pem, key: lab.key, client_ca: ca.pem }", SERVER_TLS);
    let tls = ServerTls::read(&server, &project.context(), &mut diagnostics);
    let script = Script::answers("200 OK", "", "");
    let server = Server::start_with(script, Some(tls.expect("sound"))).await;
    let port = server.address.rsplit(':').next().expect("a port");
    let send = async |host: &str, tls: &str| {
        let yaml = format!("{{ url: \"https://{host}:{port}/in\", {tls} }}");
        let (destination, _) =
            destination_with(&project, &yaml, Arc::default()).expect("the settings are sound");
        deliver(&destination).await
    };
    let own = "ca: ca.pem, cert: us.pem, key: us.key";
    let delivered = "delivered 0";
    assert_eq!(told(&send("localhost", &format!("tls: {{ {own} }}")).await), delivered);
    // The certificate names `localhost` only.
    let by_address = send("127.0.0.1", &format!("tls: {{ {own} }}")).await;
    assert_eq!(told(&by_address), "not sent: http.connect-failed");
    assert!(matches!(&by_address, Attempt::NotSent { detail, .. } if detail.contains("TLS")));
    let named = format!("tls: {{ {own}, server_name: localhost }}");
    assert_eq!(told(&send("127.0.0.1", &named).await), delivered);
    let requests = server.requests();
    let host = requests.last().and_then(|request| request.header("host").map(str::to_owned));
    assert_eq!(host, Some(format!("127.0.0.1:{port}")));

    assert_eq!(told(&send("localhost", "method: POST").await), "not sent: http.connect-failed");
    let without_certificate = told(&send("localhost", "tls: { ca: ca.pem }").await);
    assert_ne!(without_certificate, delivered);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn listening_for_others_needs_tls_and_a_proof_of_who_sends() {
    let project = Project::with(&["adt"]);
    let source = |more: &str| {
        source_with(&project, &format!("{{ listen: \"0.0.0.0:0\", {more} }}")).map(|_| ())
    };
    let cert = "cert: adt.pem, key: adt.key";
    let risk = "accepted_risk: { reason: r, date: 2026-01-31 }";
    let refused = |more: &str, code: &str| {
        let text = source(more).expect_err("a mistake");
        assert!(text.contains(code), "{more}: {text}");
    };
    refused("token: secret:adt", "tls.plaintext-listener");
    refused(&format!("tls: {{ {cert} }}"), "http.no-authentication");
    refused(risk, "http.no-authentication");
    assert_eq!(source(&format!("tls: {{ {cert} }}, token: secret:adt")), Ok(()));
    assert_eq!(source(&format!("tls: {{ {cert}, client_ca: ca.pem }}")), Ok(()));
    assert_eq!(source(&format!("{risk}, token: secret:adt")), Ok(()));
}

#[test]
fn settings_that_make_no_sense_are_explained() {
    let project = Project::empty();
    project.write("lab.key", "opensesame");
    project.write("empty.key", "\n");
    let check = |made: Result<(), String>, expected: &str| {
        let text = made.expect_err("a mistake");
        assert!(text.contains(expected) && text.contains("http.setting"), "{text}");
        assert!(!text.contains("opensesame"), "{text}");
    };
    let source = |more: &str| {
        source_with(&project, &format!("{{ listen: \"127.0.0.1:0\", {more} }}")).map(|_| ())
    };
    check(source("path: hl7"), "begins with");
    check(source("path: \"/hl7?a\""), "begins with");
    check(source("token: secret:absent"), "there is no secret");
    check(source("token: secret:empty"), "is empty");
    check(source("token_header: X-Key"), "no meaning");
    check(source("headers: [Authorization]"), "signs somebody in");
    check(source("token: secret:lab, token_header: X-Key, headers: [x-key]"), "signs somebody in");
    check(source("headers: [\"a b\"]"), "name of a header");
    check(source("message_bytes_max: 0B"), "between");
    check(source("body_timeout: 0s"), "no time");

    let destination = |url: &str, more: &str| {
        let yaml = format!("{{ url: \"{url}\", {more} }}");
        destination_with(&project, &yaml, Arc::default()).map(|(_, warnings)| warnings)
    };
    let local = |more: &str| destination("http://127.0.0.1/", more).map(|_| ());
    check(destination("ftp://lab/", "").map(|_| ()), "begins with");
    check(destination("lab:8080/x", "").map(|_| ()), "begins with");
    check(destination("https://u:opensesame@lab/", "").map(|_| ()), "do not belong");
    check(destination("https://lab/#x", "").map(|_| ()), "never sent");
    check(local("tls: {}"), "https");
    check(local("content_type: hl7"), "content type");
    check(local("headers: { Content-Length: 7 }"), "by Pipehat itself");
    check(local("headers: { Authorization: Bearer }"), "must not stand in a file");
    check(local("user: us"), "belong together");
    check(local("token: secret:lab, user: us, password: secret:lab"), "either");
    check(local("timeout: 1s, connect_timeout: 2s"), "includes it");
    check(
        destination("http://lab/", "accepted_risk: { reason: r, date: soon }").map(|_| ()),
        "date",
    );
    check(
        destination("https://lab/", "tls: { server_name: 10.0.0.1 }").map(|_| ()),
        "must be a host name",
    );

    assert_eq!(destination("http://127.0.0.1:1/", ""), Ok(String::new()));
    let warned = destination("http://lab.example/", "").expect("only a warning");
    assert!(warned.contains("warning[http.plaintext-connection]"), "{warned}");
    let accepted = "accepted_risk: { reason: r, date: 2026-01-31 }";
    assert_eq!(destination("http://lab.example/", accepted), Ok(String::new()));
}

/// Ours to ours: what one side answers, the other understands.
#[tokio::test]
async fn both_sides_understand_each_other() {
    let running = Running::start("path: /in").await;
    let yaml = format!("{{ url: \"http://{}/in\" }}", running.address);
    let (destination, _) =
        destination_with(&Project::empty(), &yaml, Arc::default()).expect("sound");
    let Attempt::Delivered { reply: Some(reply) } = deliver(&destination).await else {
        panic!("it was kept");
    };
    assert!(Acknowledgment::read(&reply).is_ok());
    running.engine.outcome(ReceiptOutcome::Rejected);
    assert_eq!(told(&deliver(&destination).await), "http.refused AR");
    drop(destination);
    running.stop().await;
}

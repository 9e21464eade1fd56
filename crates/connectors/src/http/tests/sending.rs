//! What a destination sends, and what it makes of the answers.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use pipehat_config::Diagnostics;
use pipehat_message::Acknowledgment;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::receiving::Running;
use super::{CONNECTOR, Spoken, acknowledgment, destination_with, listen_to, say};
use crate::contract::{
    Behaviour, DestinationCase, Partner, check_destination, message, outbound, soon,
};
use crate::tls::testing::{Project, settings};
use crate::tls::{SERVER_TLS, ServerTls};
use crate::{Attempt, ChangeKind, Destination, Health, Outbound, ReceiptOutcome, ResourceChange};

/// What a partner does with the requests it reads.
#[derive(Clone)]
pub(crate) struct Script {
    /// The response; none to die before it.
    pub(crate) response: Option<String>,
    /// What the response's connection does afterwards.
    pub(crate) stays_open: bool,
}

impl Script {
    pub(crate) fn answers(status: &str, more: &str, body: &str) -> Self {
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
pub(crate) struct Server {
    pub(crate) address: String,
    state: Arc<Mutex<ServerState>>,
    pub(crate) running: Option<JoinHandle<()>>,
}

struct ServerState {
    script: Script,
    got: Vec<Spoken>,
    connections: usize,
}

impl Server {
    pub(crate) async fn start(script: Script) -> Self {
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

    pub(crate) fn serve(&mut self, listener: TcpListener, tls: Option<ServerTls>) {
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

    pub(crate) async fn absent() -> Self {
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

    pub(crate) fn script(&self, script: Script) {
        self.state.lock().expect("unpoisoned").script = script;
    }

    pub(crate) fn requests(&self) -> Vec<Spoken> {
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
async fn a_change_of_a_resource_is_told_in_headers() {
    let project = Project::empty();
    let server = Server::start(Script::answers("204 No Content", "", "")).await;
    let check = async |more: &str, change: Option<ResourceChange>, expected: [Option<&str>; 4]| {
        let destination = out_with(&project, &server, more, Arc::default());
        let outbound = Outbound { change: change.map(Arc::new), ..outbound("SENT") };
        let attempt = soon("an attempt", destination.deliver(outbound)).await;
        assert_eq!(attempt, Attempt::Delivered { reply: None });
        let request = server.requests().pop().expect("a request");
        assert_eq!(ResourceChange::NAMES.map(|name| request.header(name)), expected, "{more}");
    };
    let change = ResourceChange {
        kind: ChangeKind::Delete,
        resource_type: "Patient".to_owned(),
        id: "p-1.2".to_owned(),
        version: 3,
    };
    check("", None, [None; 4]).await;
    let told = ["delete", "Patient", "p-1.2", "3"].map(Some);
    check("", Some(change.clone()), told).await;
    let told = ["delete", "Patient", "-", "3"].map(Some);
    check("headers: { Fhir-Id: \"-\" }", Some(change), told).await;
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
async fn a_proxy_goes_between() {
    let proxy = Server::start(Script::answers("200 OK", "", "")).await;
    let yaml = format!("{{ url: \"http://lab.invalid/in\", proxy: \"http://{}\" }}", proxy.address);
    let (destination, _) =
        destination_with(&Project::empty(), &yaml, Arc::default()).expect("sound");
    assert_eq!(told(&deliver(&destination).await), "delivered 0");
    let requests = proxy.requests();
    let head = requests.first().map(|request| request.head.clone()).unwrap_or_default();
    assert!(head.starts_with("POST http://lab.invalid/in HTTP/1.1"), "{head}");
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

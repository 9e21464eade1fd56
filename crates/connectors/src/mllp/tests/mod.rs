//! Both directions over loopback, with partners that behave and partners that don't.

mod contract;
mod destination;
mod source;
mod tls;
mod unreliable;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pipehat_config::Diagnostics;
use pipehat_message::Header;
use pipehat_message::mllp::{Decoder, Event, Limits, encode_frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::contract::{FakeEngine, MARKER, soon};
use crate::mllp::CONNECTOR;
use crate::tls::testing::{Project, settings};
use crate::{Destination, Health, Inbound, ReceiptOutcome, Source};

/// The acknowledgment of the message with this control id.
fn acknowledgment(code: &str, control_id: &str) -> Bytes {
    format!("MSH|^~\\&|||||||ACK|R{control_id}|P|2.5.1\rMSA|{code}|{control_id}\r").into()
}

/// MSH-10.
fn control_id(message: &[u8]) -> String {
    let header = Header::read(message).expect("a header");
    String::from_utf8(header.control_id().to_vec()).expect("ASCII")
}

/// What the test engine replies.
fn reply(inbound: &Inbound, outcome: ReceiptOutcome) -> Option<Bytes> {
    let code = match outcome {
        ReceiptOutcome::Kept => "AA",
        ReceiptOutcome::Rejected => "AE",
        ReceiptOutcome::Busy => "AR",
    };
    let control_id = Header::read(&inbound.bytes).map_or_else(
        |_| String::new(),
        |header| String::from_utf8_lossy(header.control_id()).into_owned(),
    );
    Some(acknowledgment(code, &control_id))
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    encode_frame(payload, &mut framed);
    framed
}

fn build_source(yaml: &str, project: &Project) -> Arc<dyn Source> {
    let source = CONNECTOR.source.as_ref().expect("it receives");
    let mut diagnostics = Diagnostics::new();
    let built =
        (source.build)(&settings(yaml, source.schema), &project.context(), &mut diagnostics);
    built.unwrap_or_else(|| panic!("{diagnostics}"))
}

fn build_destination(yaml: &str, project: &Project, health: Arc<Health>) -> Arc<dyn Destination> {
    let destination = CONNECTOR.destination.as_ref().expect("it sends");
    let settings = settings(yaml, destination.schema);
    let mut diagnostics = Diagnostics::new();
    let built = (destination.build)(&settings, &project.context(), health, &mut diagnostics);
    built.unwrap_or_else(|| panic!("{diagnostics}"))
}

/// A running source.
struct Receiver {
    engine: Arc<FakeEngine>,
    health: Arc<Health>,
    address: String,
    stop: CancellationToken,
    run: JoinHandle<()>,
}

impl Receiver {
    /// A source on a port of its own with these further settings.
    async fn start(further: &str) -> Self {
        Self::start_with(further, &Project::empty(), FakeEngine::new(reply)).await
    }

    async fn start_with(further: &str, project: &Project, engine: FakeEngine) -> Self {
        let source = build_source(&format!("{{ listen: 127.0.0.1:0, {further} }}"), project);
        let bound = soon("bind", source.bind()).await.expect("a free port");
        let address = bound.address().expect("a listener has an address");
        let (engine, health) = (engine.shared(), Arc::new(Health::default()));
        let stop = CancellationToken::new();
        let run = tokio::spawn(bound.run(engine.clone(), health.clone(), stop.clone()));
        Self { engine, health, address, stop, run }
    }

    async fn connect(&self) -> Partner<TcpStream> {
        let stream = soon("connect", TcpStream::connect(&self.address)).await;
        Partner::new(stream.expect("it listens"))
    }

    /// Waits until an operator sees this problem.
    async fn problem(&self, code: &str) {
        problem(&self.health, code).await;
    }

    async fn finish(self) {
        self.stop.cancel();
        soon("the source's end", self.run).await.expect("no panic");
        assert_eq!(self.health.snapshot().connections, 0);
    }
}

/// Waits until an operator sees this problem; none of its words is out of a message.
async fn problem(health: &Health, code: &str) {
    let seen = eventually(|| {
        let problem = health.snapshot().problem;
        problem.filter(|problem| problem.code == code)
    });
    let problem = soon(code, seen).await;
    assert!(!problem.detail.contains(MARKER), "{problem:?}");
    let listed = CONNECTOR.codes.iter().any(|known| known.code == problem.code);
    assert!(listed, "{code} is not listed");
}

/// Asks again until there is an answer.
async fn eventually<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    loop {
        match ask() {
            Some(answer) => return answer,
            None => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

/// The other end of a connection.
struct Partner<S> {
    stream: S,
    decoder: Decoder,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Partner<S> {
    fn new(stream: S) -> Self {
        Self { stream, decoder: Decoder::new(Limits::new(usize::MAX / 2)) }
    }

    async fn write(&mut self, bytes: &[u8]) {
        soon("a write", self.stream.write_all(bytes)).await.expect("the connection is open");
    }

    async fn send(&mut self, payload: &[u8]) {
        self.write(&frame(payload)).await;
    }

    /// What comes next; none at the end of the connection.
    async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.decoder.next() {
                return Some(event);
            }
            let read = self.stream.read_buf(self.decoder.buffer_mut(4096));
            match soon("a read", read).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    async fn frame(&mut self) -> Bytes {
        match self.event().await {
            Some(Event::Frame(payload)) => payload.into(),
            other => panic!("a frame was expected, not {other:?}"),
        }
    }

    async fn expect(&mut self, code: &str, control_id: &str) {
        assert_eq!(self.frame().await, acknowledgment(code, control_id));
    }

    async fn expect_end(&mut self) {
        assert_eq!(self.event().await, None);
    }
}

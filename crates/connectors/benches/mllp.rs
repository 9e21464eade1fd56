//! How many messages the MLLP connector moves on this machine, beside a bare loop that does the least there is to do.
//!
//! `cargo bench -p pipehat-connectors --bench mllp`. Partners, engine and connector share one process and its two worker
//! threads, as they would share a small machine; nothing is made durable here.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all, ready};
use pipehat_config::{Diagnostics, Node, Settings, SourceFile};
use pipehat_connectors::{
    Admission, Attempt, BuildContext, Destination, Health, Inbound, Intake, IntakeClosed, Outbound,
    Receipt, ReceiptOutcome, Secrets, UnknownSecret, connector,
};
use pipehat_message::Header;
use pipehat_message::mllp::{Decoder, Event, Limits, encode_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// How long each case is measured, after as long a start that is not counted.
const MEASURED: Duration = Duration::from_secs(2);

struct NoSecrets;

impl Secrets for NoSecrets {
    fn secret(&self, name: &str) -> Result<Vec<u8>, UnknownSecret> {
        Err(UnknownSecret { name: name.to_owned(), remedy: String::new() })
    }
}

fn settings(yaml: &str, schema: &'static [pipehat_config::FieldSchema]) -> Settings {
    let mut diagnostics = Diagnostics::new();
    let node = Node::parse(&SourceFile::new("bench", yaml), &mut diagnostics).expect("valid YAML");
    Settings::read(&node, "mllp", schema, &mut diagnostics).expect("valid settings")
}

fn acknowledgment(message: &[u8]) -> Bytes {
    let control_id = Header::read(message).map(|header| header.control_id()).unwrap_or_default();
    let head = b"MSH|^~\\&|||||20260101120000||ACK^A01^ACK|R1|P|2.5.1\rMSA|AA|";
    [&head[..], control_id, b"\r"].concat().into()
}

/// Takes everything at once.
struct Sink;

impl Intake for Sink {
    fn admit(&self, _bytes: usize) -> BoxFuture<'static, Result<Admission, IntakeClosed>> {
        ready(Ok(Admission::unlimited())).boxed()
    }

    fn receive(&self, _admission: Admission, inbound: Inbound) -> BoxFuture<'static, Receipt> {
        let reply = Some(acknowledgment(&inbound.bytes));
        ready(Receipt { outcome: ReceiptOutcome::Kept, reply, later: None }).boxed()
    }

    fn parts_kept(&self, _key: &str) -> u64 {
        0
    }
}

/// Sends everything on, and answers when the next has it.
struct Relay(Arc<dyn Destination>);

impl Intake for Relay {
    fn admit(&self, _bytes: usize) -> BoxFuture<'static, Result<Admission, IntakeClosed>> {
        ready(Ok(Admission::unlimited())).boxed()
    }

    fn receive(&self, _admission: Admission, inbound: Inbound) -> BoxFuture<'static, Receipt> {
        let outbound = Outbound {
            bytes: inbound.bytes,
            channel: "relay".into(),
            message: 1,
            ordinal: 1,
            attempt: 1,
            file: None,
            number: None,
            change: None,
        };
        let attempt = self.0.deliver(outbound);
        async move {
            match attempt.await {
                Attempt::Delivered { reply } => {
                    Receipt { outcome: ReceiptOutcome::Kept, reply, later: None }
                }
                other => panic!("not delivered: {other:?}"),
            }
        }
        .boxed()
    }

    fn parts_kept(&self, _key: &str) -> u64 {
        0
    }
}

async fn listen(intake: Arc<dyn Intake>, stop: &CancellationToken) -> String {
    let source = connector("mllp").and_then(|mllp| mllp.source.as_ref()).expect("it receives");
    let context = BuildContext {
        project: Path::new("."),
        secrets: &NoSecrets,
        channel: "bench",
        datastore: None,
    };
    let settings = settings("{ listen: 127.0.0.1:0 }", source.schema);
    let source = (source.build)(&settings, &context, &mut Diagnostics::new()).expect("a source");
    let bound = source.bind().await.expect("a free port");
    let address = bound.address().expect("a listener has an address");
    tokio::spawn(bound.run(intake, Arc::new(Health::default()), stop.clone()));
    address
}

fn destination(address: &str, further: &str) -> Arc<dyn Destination> {
    let mllp = connector("mllp").and_then(|mllp| mllp.destination.as_ref()).expect("it sends");
    let context = BuildContext {
        project: Path::new("."),
        secrets: &NoSecrets,
        channel: "bench",
        datastore: None,
    };
    let settings = settings(&format!("{{ connect: \"{address}\", {further} }}"), mllp.schema);
    let health = Arc::new(Health::default());
    (mllp.build)(&settings, &context, health, &mut Diagnostics::new()).expect("a destination")
}

/// What any server at least does: read, find the end, answer.
async fn bare() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(async move {
                let mut framed = Vec::new();
                encode_frame(
                    b"MSH|^~\\&|||||20260101120000||ACK^A01^ACK|R1|P|2.5.1\rMSA|AA|1\r",
                    &mut framed,
                );
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    let ends = buffer.iter().take(read).filter(|byte| **byte == 0x1C).count();
                    for _ in 0..ends {
                        if stream.write_all(&framed).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}

/// One partner that sends `window` messages at a time; the times of its rounds.
async fn partner(
    address: String,
    window: usize,
    message: Bytes,
    until: [Instant; 2],
) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.set_nodelay(true).expect("an option");
    let mut framed = Vec::new();
    (0..window).for_each(|_| encode_frame(&message, &mut framed));
    let mut decoder = Decoder::new(Limits::new(1 << 20));
    let mut rounds = Vec::new();
    loop {
        let start = Instant::now();
        if start >= until[1] {
            return rounds;
        }
        stream.write_all(&framed).await.expect("the connection is open");
        let mut answers = 0;
        while answers < window {
            match decoder.next() {
                Some(Event::Frame(_)) => answers += 1,
                Some(other) => panic!("{other:?}"),
                None => {
                    let read = stream.read_buf(decoder.buffer_mut(4096)).await;
                    assert_ne!(read.expect("the connection is open"), 0);
                }
            }
        }
        if start >= until[0] {
            rounds.push(start.elapsed());
        }
    }
}

async fn measure(name: &str, address: &str, connections: usize, window: usize, bytes: usize) {
    let head = "MSH|^~\\&|ADT|HERE|LAB|THERE|20260101120000||ADT^A01^ADT_A01|ID000001|P|2.5.1\r";
    let message = format!("{head}NTE|1||{}\r", "x".repeat(bytes - head.len() - 8));
    let message = Bytes::from(message);
    let start = Instant::now() + MEASURED / 2;
    let until = [start, start + MEASURED];
    let partners = (0..connections)
        .map(|_| tokio::spawn(partner(address.to_owned(), window, message.clone(), until)));
    let rounds = join_all(partners).await.into_iter().flat_map(|rounds| rounds.expect("no panic"));
    let mut rounds: Vec<Duration> = rounds.collect();
    rounds.sort_unstable();
    let at = |part: usize| rounds.get(rounds.len() * part / 100).copied().unwrap_or_default();
    let rate = (rounds.len() * window) as f64 / MEASURED.as_secs_f64();
    println!(
        "{name:<34} {connections:>3} connections {rate:>9.0}/s   p50 {:>6.0} µs   p99 {:>6.0} µs",
        at(50).as_secs_f64() * 1e6,
        at(99).as_secs_f64() * 1e6
    );
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let stop = CancellationToken::new();
        let bare = bare().await;
        let sink = listen(Arc::new(Sink), &stop).await;
        for connections in [1, 8, 32] {
            measure("bare loop, 2 KB", &bare, connections, 1, 2048).await;
            measure("source, 2 KB", &sink, connections, 1, 2048).await;
        }
        measure("bare loop, 2 KB, 16 in a row", &bare, 8, 16, 2048).await;
        measure("source, 2 KB, 16 in a row", &sink, 8, 16, 2048).await;
        for (further, connections) in
            [("connections: 1", 1), ("connections: 8", 8), ("connections: 32", 32)]
        {
            let relay = listen(Arc::new(Relay(destination(&sink, further))), &stop).await;
            measure("source and destination, 2 KB", &relay, connections, 1, 2048).await;
        }
        let relay = listen(Arc::new(Relay(destination(&sink, "window: 128"))), &stop).await;
        measure("the same, one connection, window", &relay, 32, 1, 2048).await;
        stop.cancel();
    });
}

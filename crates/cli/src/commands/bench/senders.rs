//! The senders of the bench: connections that each send a message, wait for its acknowledgment, and send the next.
//!
//! All run on one thread, with one task for each connection and nothing made for each message, so that what is
//! measured is the other side.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::node::Span;
use super::sample::{Clock, Kind, Sample};
use crate::exit::Failure;
use crate::latency::Latencies;

/// How long an acknowledgment may take.
const ACKNOWLEDGMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Acknowledgments are a few hundred bytes.
const REPLY_BYTES_MAX: usize = 16 * 1024;

/// What the senders do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) address: SocketAddr,
    pub(super) connections: usize,
    pub(super) kind: Kind,
    /// Messages sent from then on are measured.
    pub(super) measure_from: u64,
    /// The last message is sent before.
    pub(super) until: u64,
}

impl Plan {
    /// Begins now.
    pub(super) fn of(
        address: SocketAddr,
        connections: usize,
        kind: Kind,
        span: Span,
        clock: Clock,
    ) -> Self {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let measure_from = clock.now().saturating_add(nanoseconds(span.warm_up));
        let until = measure_from.saturating_add(nanoseconds(span.measured));
        Self { address, connections, kind, measure_from, until }
    }
}

/// What came of it.
#[derive(Debug, Default, Clone)]
pub(super) struct Sent {
    /// Messages acknowledged positively.
    pub(super) all: u64,
    /// Those sent after the warm-up, and their bytes.
    pub(super) measured: u64,
    pub(super) latencies: Latencies,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("a connection to the process under test failed")]
    Connection(#[source] io::Error),
    #[error("a message was not acknowledged within {} s", ACKNOWLEDGMENT_TIMEOUT.as_secs())]
    Late,
    #[error("a message was refused: {0}")]
    Refused(String),
    #[error("the senders failed")]
    Panicked,
}

/// Sends until time is up, on a thread of its own that is waited for.
pub(super) fn in_thread(plan: Plan, clock: Clock) -> Result<Sent, Failure> {
    let thread = std::thread::Builder::new()
        .name("senders".to_owned())
        .spawn(move || send(plan, clock))
        .map_err(Failure::could_not)?;
    let sent = thread.join().map_err(|_| Failure::could_not(SendError::Panicked))?;
    sent.map_err(Failure::could_not)
}

fn send(plan: Plan, clock: Clock) -> Result<Sent, SendError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(SendError::Connection)?;
    let sent = Arc::new(Mutex::new(Sent::default()));
    runtime.block_on(async {
        let mut senders = tokio::task::JoinSet::new();
        for number in 0..plan.connections {
            senders.spawn(converse(plan, number, clock, Arc::clone(&sent)));
        }
        while let Some(ended) = senders.join_next().await {
            ended.map_err(|error| SendError::Connection(io::Error::other(error)))??;
        }
        Ok::<_, SendError>(())
    })?;
    let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(sent.clone())
}

async fn converse(
    plan: Plan,
    number: usize,
    clock: Clock,
    sent: Arc<Mutex<Sent>>,
) -> Result<(), SendError> {
    let mut stream = TcpStream::connect(plan.address).await.map_err(SendError::Connection)?;
    stream.set_nodelay(true).map_err(SendError::Connection)?;
    let mut sample = Sample::new(plan.kind, number);
    let mut reply = vec![0; REPLY_BYTES_MAX];
    let mut late = Box::pin(tokio::time::sleep(ACKNOWLEDGMENT_TIMEOUT));
    loop {
        let start = clock.now();
        if start >= plan.until {
            return Ok(());
        }
        // The timer is set anew now and then, not for each message.
        if late.deadline().duration_since(tokio::time::Instant::now()) < ACKNOWLEDGMENT_TIMEOUT / 2
        {
            late.as_mut().reset(tokio::time::Instant::now() + ACKNOWLEDGMENT_TIMEOUT);
        }
        stream.write_all(sample.next(start)).await.map_err(SendError::Connection)?;
        let length = tokio::select! {
            biased;
            read = read_reply(&mut stream, &mut reply) => read.map_err(SendError::Connection)?,
            () = &mut late => return Err(SendError::Late),
        };
        let latency = Duration::from_nanos(clock.now().saturating_sub(start));
        let reply = reply.get(..length).unwrap_or_default();
        if memchr::memmem::find(reply, b"\rMSA|AA|").is_none() {
            return Err(SendError::Refused(reason(reply)));
        }
        let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.all += 1;
        if start >= plan.measure_from {
            sent.measured += 1;
            sent.latencies.record(latency);
        }
    }
}

/// One reply, whole: no other can follow, for only one message is under way.
async fn read_reply(stream: &mut TcpStream, reply: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    loop {
        let room = reply.get_mut(length..).filter(|room| !room.is_empty());
        let read = stream.read(room.ok_or(io::ErrorKind::InvalidData)?).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        length += read;
        if reply.get(..length).is_some_and(|reply| reply.ends_with(b"\x1c\r")) {
            return Ok(length);
        }
    }
}

/// What a refusal says; its text is our own.
fn reason(reply: &[u8]) -> String {
    let text = String::from_utf8_lossy(reply);
    let lines = text.split('\r').filter(|line| line.starts_with("MSA") || line.starts_with("ERR"));
    lines.collect::<Vec<_>>().join(" ")
}

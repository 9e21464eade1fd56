//! Application acknowledgments that come by a connection of their own (HL7 v2.5.1 §2.9.3).
//!
//! After its commit accept (CA) a delivery waits here, off the connection it was sent by, which may end meanwhile. The
//! partner connects to us and brings the application acknowledgment as a message of its own; MSA-2 says which delivery it
//! is about, in whatever order. Where it asks for an accept acknowledgment (MSH-15), it gets one.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pipehat_config::Address;
use pipehat_message::mllp::{Decoder, Event, Limits, encode_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::mllp::acknowledgment::{self, Verdict};
use crate::mllp::link::Delivery;
use crate::mllp::{codes, refusal, socket};
use crate::{Attempt, Health, Problem};

/// Connections of one partner: it needs one.
const CONNECTIONS_MAX: usize = 64;

/// The most bytes read at once.
const READ_BYTES: usize = 16 * 1024;

/// An acknowledgment is short; one with many ERR segments is longer.
const ACKNOWLEDGMENT_BYTES_MAX: usize = 1024 * 1024;

/// How long the partner may take to read an accept acknowledgment.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long listening rests when the port is not free.
const LISTEN_PAUSE: Duration = Duration::from_secs(1);

/// When nothing waits, the listener looks so seldom.
const NOTHING_DUE: Duration = Duration::from_secs(3_600);

/// The deliveries that wait, and the listener that serves them.
pub(super) struct Applications {
    shared: Arc<Shared>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    listen: Address,
    timeout: Duration,
    health: Arc<Health>,
    waiting: Mutex<HashMap<Bytes, Waiting>>,
    added: Notify,
    stop: CancellationToken,
}

struct Waiting {
    delivery: Delivery,
    until: Instant,
}

impl Applications {
    pub(super) fn new(listen: Address, timeout: Duration, health: Arc<Health>) -> Self {
        let (waiting, added, stop) = (Mutex::default(), Notify::new(), CancellationToken::new());
        let shared = Shared { listen, timeout, health, waiting, added, stop };
        Self { shared: Arc::new(shared), task: Mutex::new(None) }
    }

    /// Listens from the first delivery on.
    pub(super) fn start(&self) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.is_none() && !self.shared.stop.is_cancelled() {
            *task = Some(tokio::spawn(Arc::clone(&self.shared).run()));
        }
    }

    /// Ends the listener; no delivery is under way.
    pub(super) async fn close(&self) {
        self.shared.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // It has ended, whichever way.
            let _ = task.await;
        }
    }

    /// Lets a delivery wait for its application acknowledgment.
    pub(super) fn wait(&self, delivery: Delivery) {
        let until = Instant::now() + self.shared.timeout;
        let control_id = Bytes::copy_from_slice(delivery.control_id());
        self.shared.lock().insert(control_id, Waiting { delivery, until });
        self.shared.added.notify_one();
    }

    /// Gives an answer to the delivery it is about; whether one waited for it.
    pub(super) fn answer(&self, control_id: &[u8], verdict: Verdict, reply: &Bytes) -> bool {
        self.shared.answer(control_id, verdict, reply)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<Bytes, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, control_id: &[u8], verdict: Verdict, reply: &Bytes) -> bool {
        let reply = Some(reply.clone());
        let attempt = match verdict {
            // A second commit accept says nothing new.
            Verdict::Committed => return self.lock().contains_key(control_id),
            Verdict::Accepted => Attempt::Delivered { reply },
            Verdict::Refused(answer) => Attempt::Refused { code: codes::REFUSED, answer, reply },
        };
        let Some(waiting) = self.lock().remove(control_id) else { return false };
        waiting.delivery.answer(attempt);
        true
    }

    async fn run(self: Arc<Self>) {
        let mut connections = JoinSet::new();
        let mut listener = None;
        while !self.stop.is_cancelled() {
            if listener.is_none() {
                listener = self.listen().await;
            }
            let due = self.expire(Instant::now());
            let due = if listener.is_none() { due.min(Instant::now() + LISTEN_PAUSE) } else { due };
            let accept = async {
                match &listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            // Each arm may be dropped at any time: none of them holds anything.
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                () = self.added.notified() => {}
                () = sleep_until(due) => {}
                Some(_) = connections.join_next() => {}
                accepted = accept => match accepted {
                    Ok(_) if connections.len() >= CONNECTIONS_MAX => {
                        let detail = format!("{}: {CONNECTIONS_MAX} connections are open", self.listen);
                        self.report(codes::CONNECTIONS_EXCEEDED, detail);
                    }
                    Ok((stream, _)) => {
                        connections.spawn(Arc::clone(&self).serve(stream));
                    }
                    Err(error) => {
                        self.report(codes::ACCEPT_FAILED, error.to_string());
                        listener = None;
                    }
                },
            }
        }
        connections.shutdown().await;
        for (_, waiting) in self.lock().drain() {
            let detail = format!("{}: the destination is closed", self.listen);
            let reply = None;
            waiting.delivery.answer(Attempt::Interrupted { code: codes::CLOSED, detail, reply });
        }
    }

    async fn listen(&self) -> Option<TcpListener> {
        let bound = async {
            let addresses = lookup_host((self.listen.host(), self.listen.port())).await?;
            let address = addresses.min_by_key(std::net::SocketAddr::is_ipv6);
            socket::listen(address.ok_or(io::ErrorKind::NotFound)?)
        };
        match bound.await {
            Ok(listener) => Some(listener),
            Err(error) => {
                self.report(codes::LISTEN_FAILED, format!("{}: {error}", self.listen));
                None
            }
        }
    }

    /// Ends what has waited long enough; when the next is due.
    fn expire(&self, now: Instant) -> Instant {
        let mut waiting = self.lock();
        let due = |one: &mut Waiting| one.until <= now || one.delivery.is_given_up();
        let late: Vec<Waiting> =
            waiting.extract_if(|_, one| due(one)).map(|(_, waiting)| waiting).collect();
        let next = waiting.values().map(|one| one.until).min();
        drop(waiting);
        for one in late {
            let detail =
                format!("{}: no application acknowledgment within {:?}", self.listen, self.timeout);
            one.delivery.answer(Attempt::Interrupted {
                code: codes::ACKNOWLEDGMENT_TIMEOUT,
                detail,
                reply: None,
            });
        }
        next.unwrap_or(now + NOTHING_DUE)
    }

    /// One connection of the partner, to its end.
    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let mut decoder = Decoder::new(Limits::new(ACKNOWLEDGMENT_BYTES_MAX));
        loop {
            let mut output = Vec::new();
            for event in decoder.by_ref() {
                if let Event::Frame(frame) = event
                    && let Some(reply) = self.take(&Bytes::from(frame))
                {
                    encode_frame(&reply, &mut output);
                }
            }
            let written = timeout(WRITE_TIMEOUT, stream.write_all(&output)).await;
            if !matches!(written, Ok(Ok(()))) {
                return;
            }
            // An ended connection loses nothing: what was not accepted is sent again.
            match stream.read_buf(decoder.buffer_mut(READ_BYTES)).await {
                Ok(0) | Err(_) => return,
                Ok(bytes) => self.health.received(bytes),
            }
        }
    }

    /// Takes one message; gives the accept acknowledgment if it asks for one.
    fn take(&self, bytes: &Bytes) -> Option<Vec<u8>> {
        let known = match acknowledgment::read(bytes) {
            Ok(reply) => self.answer(reply.control_id, reply.verdict, bytes),
            Err(error) => {
                let detail = format!("{}: {error}", self.listen);
                self.report(codes::ACKNOWLEDGMENT_UNREADABLE, detail);
                return refusal::no_acknowledgment(bytes);
            }
        };
        if !known {
            let detail =
                format!("{}: an answer to a message that does not wait for one", self.listen);
            self.report(codes::ACKNOWLEDGMENT_LATE, detail);
        }
        refusal::accepted(bytes)
    }

    fn report(&self, code: &'static str, detail: String) {
        tracing::warn!(code, detail, "mllp destination had a problem");
        self.health.problem(Problem { code, detail });
    }
}

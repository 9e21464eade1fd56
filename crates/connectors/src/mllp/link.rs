//! One connection's task: it opens the connection when there is something to send, and again when it was lost.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use crate::mllp::applications::Applications;
use crate::mllp::config::DestinationRules;
use crate::mllp::exchange::{Ending, Exchange};
use crate::mllp::numbers::Numbered;
use crate::mllp::{codes, socket};
use crate::{Attempt, Health, Problem};

/// So many messages back an acknowledgment is recognised as late.
const SETTLED_MAX: usize = 256;

/// One message on its way to a connection, and who waits for what comes of it.
pub(super) struct Delivery {
    bytes: Bytes,
    /// MSH-10, a part of `bytes`.
    control_id: Bytes,
    /// Its number in the sequence number protocol.
    number: Option<Numbered>,
    answer: oneshot::Sender<Attempt>,
    claim: Claim,
}

impl Delivery {
    pub(super) fn new(
        bytes: Bytes,
        control_id: Bytes,
        number: Option<Numbered>,
        claim: Claim,
    ) -> (Self, oneshot::Receiver<Attempt>) {
        let (answer, attempt) = oneshot::channel();
        (Self { bytes, control_id, number, answer, claim }, attempt)
    }

    pub(super) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    pub(super) fn number(&self) -> Option<Numbered> {
        self.number
    }

    pub(super) fn control_id(&self) -> &[u8] {
        &self.control_id
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.answer.is_closed()
    }

    /// Says what came of it. The place in the window is free before whoever waits can use it.
    pub(super) fn answer(self, attempt: Attempt) {
        let Self { answer, claim, bytes, control_id, number: _ } = self;
        drop((claim, bytes, control_id));
        // Nobody waits: the attempt was given up, and what came of it is not wanted.
        let _ = answer.send(attempt);
    }
}

/// A place in a connection's window, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Claim(Arc<AtomicUsize>);

impl Claim {
    /// Takes a place if fewer than `most` are taken.
    pub(super) fn take(taken: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let one_more = |count: usize| (count < most).then_some(count.saturating_add(1));
        let claimed = taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        claimed.is_ok().then(|| Self(taken.clone()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The control ids that were settled last, to recognise acknowledgments that come too late.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Hashes are enough: one that is the same by chance makes an answer ignored, and never credits it.
    hashes: VecDeque<u64>,
    /// Those whose application may still say more.
    committed: VecDeque<u64>,
    state: RandomState,
}

impl Settled {
    pub(super) fn note(&mut self, control_id: &[u8]) {
        if self.hashes.len() >= SETTLED_MAX {
            self.hashes.pop_front();
        }
        self.hashes.push_back(self.state.hash_one(control_id));
    }

    /// Notes one that ended by its commit accept.
    pub(super) fn note_committed(&mut self, control_id: &[u8]) {
        if self.committed.len() >= SETTLED_MAX {
            self.committed.pop_front();
        }
        self.committed.push_back(self.state.hash_one(control_id));
    }

    /// Whether one ended by its commit accept and its application has not spoken yet.
    pub(super) fn take_committed(&mut self, control_id: &[u8]) -> bool {
        let hash = self.state.hash_one(control_id);
        let place = self.committed.iter().position(|known| *known == hash);
        place.is_some_and(|place| self.committed.remove(place).is_some())
    }

    pub(super) fn contains(&self, control_id: &[u8]) -> bool {
        !control_id.is_empty() && self.hashes.contains(&self.state.hash_one(control_id))
    }
}

/// Runs until the mailbox is closed.
pub(super) async fn run(
    rules: Arc<DestinationRules>,
    health: Arc<Health>,
    applications: Option<Arc<Applications>>,
    mut mailbox: mpsc::Receiver<Delivery>,
) {
    let mut settled = Settled::default();
    while let Some(first) = mailbox.recv().await {
        if first.is_given_up() {
            continue;
        }
        let shared =
            Shared { rules: &rules, health: &health, applications: applications.as_deref() };
        match connect_and_exchange(shared, &mut settled, first, &mut mailbox).await {
            Ending::Idle => {}
            Ending::Closed => return,
            Ending::Lost(problem) => {
                let Problem { code, detail } = &problem;
                tracing::warn!(code, detail, "mllp destination had a problem");
                health.down(problem.clone());
                // What waits behind a lost message may not overtake it.
                while let Ok(delivery) = mailbox.try_recv() {
                    delivery.answer(Attempt::NotSent { code, detail: detail.clone() });
                }
            }
        }
    }
}

/// What all connections of a destination share.
#[derive(Clone, Copy)]
struct Shared<'l> {
    rules: &'l DestinationRules,
    health: &'l Health,
    applications: Option<&'l Applications>,
}

async fn connect_and_exchange(
    shared: Shared<'_>,
    settled: &mut Settled,
    first: Delivery,
    mailbox: &mut mpsc::Receiver<Delivery>,
) -> Ending {
    let Shared { rules, health, applications } = shared;
    let deadline = tokio::time::Instant::now() + rules.connect_timeout;
    let connecting = tokio::time::timeout_at(deadline, connect(rules)).await;
    let stream = match connecting.unwrap_or_else(|_| Err(too_slow(rules))) {
        Ok(stream) => stream,
        Err(problem) => return not_sent(first, problem),
    };
    let _connected = health.connected();
    let Some(tls) = &rules.tls else {
        let exchange = Exchange::new(stream, rules, health, settled, applications);
        return exchange.run(first, mailbox).await;
    };
    match tokio::time::timeout_at(deadline, tls.connect(stream)).await {
        Ok(Ok(stream)) => {
            let exchange = Exchange::new(stream, rules, health, settled, applications);
            exchange.run(first, mailbox).await
        }
        Ok(Err(error)) => {
            let detail = format!("{}: {error}", rules.connect);
            not_sent(first, Problem { code: codes::SECURE_FAILED, detail })
        }
        Err(_) => not_sent(first, too_slow(rules)),
    }
}

async fn connect(rules: &DestinationRules) -> Result<TcpStream, Problem> {
    let address = &rules.connect;
    match TcpStream::connect((address.host(), address.port())).await {
        Ok(stream) => {
            socket::prepare(&stream, rules.keep_alive);
            Ok(stream)
        }
        Err(error) => {
            Err(Problem { code: codes::CONNECT_FAILED, detail: format!("{address}: {error}") })
        }
    }
}

fn too_slow(rules: &DestinationRules) -> Problem {
    let detail = format!("{}: no connection within {:?}", rules.connect, rules.connect_timeout);
    Problem { code: codes::CONNECT_TIMEOUT, detail }
}

fn not_sent(delivery: Delivery, problem: Problem) -> Ending {
    delivery.answer(Attempt::NotSent { code: problem.code, detail: problem.detail.clone() });
    Ending::Lost(problem)
}

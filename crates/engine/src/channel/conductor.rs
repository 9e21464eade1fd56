//! The task of one channel: what follows when something has become durable.
//!
//! Everything that happens to a channel arrives in one mailbox, in journal order, and is handled
//! here by one owner: process, journal, deliver, settle. The head of the path (receive, journal,
//! acknowledge) is [`super::intake`]. The decisions themselves are the ledger's, the lanes' and
//! the outboxes'; this file performs them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use jiff::Timestamp;
use pipehat_connectors::{Attempt, LookupAttempt, ResourceChange};
use pipehat_journal::{AppendError, Failures, Position};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::asking::{Asking, FailedAt};
use super::decide::Standing;
use super::intake::{Incoming, ReceivedFacts};
use super::load::Loaded;
use super::outbox::{LoadRequest, NOTHING_DUE};
use super::post::{self, Post};
use super::processing::Ran;
use super::reply::Answer;
use super::status::ChannelStatus;
use crate::control_id::ControlIds;
use crate::duplicates::DuplicateWindow;
use crate::engine::Doors;
use crate::lanes::{Lanes, Ticket};
use crate::ledger::{DeliveryKey, Ledger};
use crate::log::Log;
use crate::names::{DestinationName, MessageId};
use crate::project::{ChannelSpec, ReplyMode};
use crate::record::{Decided, Processed, Settled};

/// How long a channel waits after a failed append before it tries again.
pub(super) const STALL: Duration = Duration::from_millis(500);

/// How long a channel that ends waits for its connections to close in good order.
const CLOSING: Duration = Duration::from_secs(2);

/// Inputs handled before deliveries are started: enough to share the work of a whole group.
const INPUTS_AT_ONCE: usize = 256;

/// Everything that can happen to a channel.
pub(crate) enum Input {
    /// A message is durable.
    Received {
        message: MessageId,
        incoming: Incoming,
        facts: ReceivedFacts,
        answer: Option<oneshot::Sender<Answer>>,
    },
    /// The outcome of processing is durable.
    Processed {
        position: Position,
        record: Box<Processed>,
        bytes: Bytes,
        change: Option<Arc<ResourceChange>>,
    },
    /// The outcome of processing could not be kept.
    NotProcessed { work: Work, error: AppendError },
    /// A message processed aside is through.
    ProcessedAside { work: Work, ran: Ran, failures: u32 },
    /// A try to get an answer for a message, the channel's so many'th, ended.
    LookedUp { message: MessageId, number: u64, attempt: LookupAttempt },
    /// A try of a delivery ended.
    Tried { destination: DestinationName, key: DeliveryKey, attempt: Attempt },
    /// The end of a delivery, the channel's so many'th, is durable or could not be kept.
    Settled { end: u64, record: Box<Settled>, result: Result<Position, AppendError> },
    /// Deliveries were read from the journal.
    Loaded { destination: DestinationName, request: LoadRequest, result: Result<Loaded, String> },
    /// A person decided something.
    Decide { decided: Box<Decided>, answer: oneshot::Sender<Result<(), DecideError>> },
    /// The decision is durable, or could not be kept.
    Decided {
        decided: Box<Decided>,
        result: Result<Position, AppendError>,
        answer: oneshot::Sender<Result<(), DecideError>>,
        again: Option<Box<Incoming>>,
    },
    /// The message a decision is about can't be read.
    NotDecided { message: MessageId, answer: oneshot::Sender<Result<(), DecideError>> },
    /// The configuration changed.
    Apply { spec: Arc<ChannelSpec>, answer: oneshot::Sender<()> },
    /// Somebody is about to decide about a message.
    Standing { message: MessageId, answer: oneshot::Sender<Standing> },
    /// Somebody looks.
    Inspect { answer: oneshot::Sender<ChannelStatus> },
    /// The books are wanted for a checkpoint.
    Books { answer: oneshot::Sender<(Position, Ledger)> },
    /// Send what pauses at once.
    Knock,
    /// Finish what is under way and end.
    Stop { grace: Duration },
}

/// Why a decision was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecideError {
    /// The message is not in a state the decision is for.
    #[error("message {message} is not {expected}")]
    NotSo {
        /// The message.
        message: MessageId,
        /// What it should be.
        expected: &'static str,
    },
    /// There is no such channel.
    #[error("there is no channel `{channel}`")]
    NoChannel {
        /// Its name.
        channel: String,
    },
    /// The journal does not have the message.
    #[error("message {message} is not in the journal")]
    NoMessage {
        /// The message.
        message: MessageId,
    },
    /// The decision could not be kept.
    #[error("the journal can't keep the decision now")]
    NotKept,
    /// The channel is stopping.
    #[error("the channel is stopping")]
    Stopping,
}

/// What all channels share.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    pub(crate) log: Log,
    pub(crate) ids: Arc<ControlIds>,
    /// The ways into the channels.
    pub(crate) doors: Doors,
    /// Sets the lanes' hashes apart from those of any other installation: patient identifiers
    /// must not be guessed from them.
    pub(crate) lane_key: u64,
}

/// A message on its way through the steps.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) message: MessageId,
    pub(crate) incoming: Incoming,
    pub(crate) lanes: Vec<u64>,
    /// What it failed at under the configuration before.
    pub(super) failed_at: Option<Box<FailedAt>>,
}

impl Work {
    pub(super) fn new(message: MessageId, incoming: Incoming, lanes: Vec<u64>) -> Self {
        Self { message, incoming, lanes, failed_at: None }
    }
}

/// A message whose failure, or whose question, holds its lanes.
#[derive(Debug)]
pub(super) struct Blocked {
    pub(super) work: Work,
    pub(super) ticket: Ticket,
    pub(super) code: String,
    pub(super) why: String,
    pub(super) retry_at: Option<Instant>,
    pub(super) failures: u32,
    /// What it waits for, where that is an answer.
    pub(super) asking: Option<Asking>,
}

/// How others reach a channel.
#[derive(Clone, Debug)]
pub(crate) struct ChannelHandle {
    pub(crate) mailbox: mpsc::UnboundedSender<Input>,
}

/// The owner of a running channel.
pub(crate) struct Conductor {
    pub(super) spec: Arc<ChannelSpec>,
    pub(super) services: Services,
    pub(super) mailbox: mpsc::UnboundedReceiver<Input>,
    pub(super) sender: mpsc::UnboundedSender<Input>,
    pub(super) ledger: Ledger,
    pub(super) applied: Position,
    /// What the channel knows of its senders' messages; the door's.
    pub(super) window: Arc<Mutex<DuplicateWindow>>,
    pub(super) processing: Lanes<Work>,
    /// Messages processed aside, which hold their lanes meanwhile.
    pub(super) aside: HashMap<MessageId, Ticket>,
    pub(super) blocked: BTreeMap<MessageId, Blocked>,
    /// Questions under way. Those that are when the channel ends are given up, and asked again by the next start.
    pub(super) asking: JoinSet<()>,
    /// How many there have been.
    pub(super) questions: u64,
    /// Messages a decision about which is on its way to the disk: another must wait for it, or
    /// it would be made against books that do not know of the first.
    pub(super) deciding: HashSet<MessageId>,
    pub(super) posts: BTreeMap<DestinationName, Post>,
    pub(super) answers: HashMap<MessageId, Waiting>,
    pub(super) answers_due: BTreeMap<(Instant, MessageId), ()>,
    /// The failed appends it knows of: what it appends does not overtake others.
    pub(super) known_failures: Failures,
    pub(super) stalled: Option<Instant>,
    /// Messages to be processed again after a stall, in order.
    pub(super) again: BTreeMap<MessageId, Work>,
    /// Settlements to be appended again after a stall, in order.
    pub(super) unrecorded: BTreeMap<u64, Settled>,
    pub(super) reloads: BTreeMap<DestinationName, Instant>,
    pub(super) stopping: Option<Instant>,
    /// Outcomes of processing on their way to the disk.
    pub(super) processing_kept: usize,
    /// Settlements on their way to the disk.
    pub(super) settling: usize,
    /// How many settlements have been on their way.
    pub(super) ends: u64,
    pub(super) jitter: u64,
}

/// Senders that wait for what becomes of their message.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) bytes: Bytes,
    pub(super) at: Timestamp,
    /// What they wait for: the reply mode when the first of them came. A later one is not theirs.
    pub(super) mode: ReplyMode,
    /// When they have waited long enough.
    pub(super) due: Option<Instant>,
    pub(super) senders: Vec<oneshot::Sender<Answer>>,
}

impl Conductor {
    pub(crate) fn new(
        spec: Arc<ChannelSpec>,
        services: Services,
        ledger: Ledger,
        applied: Position,
        window: Arc<Mutex<DuplicateWindow>>,
        mailbox: (mpsc::UnboundedSender<Input>, mpsc::UnboundedReceiver<Input>),
    ) -> Self {
        let known_failures = services.log.failures();
        let mut conductor = Self {
            posts: BTreeMap::new(),
            jitter: services.lane_key | 1,
            services,
            mailbox: mailbox.1,
            sender: mailbox.0,
            ledger,
            applied,
            window,
            processing: Lanes::new(),
            aside: HashMap::new(),
            blocked: BTreeMap::new(),
            asking: JoinSet::new(),
            questions: 0,
            answers: HashMap::new(),
            answers_due: BTreeMap::new(),
            known_failures,
            stalled: None,
            again: BTreeMap::new(),
            deciding: HashSet::new(),
            unrecorded: BTreeMap::new(),
            reloads: BTreeMap::new(),
            stopping: None,
            processing_kept: 0,
            settling: 0,
            ends: 0,
            spec: Arc::clone(&spec),
        };
        conductor.install_all();
        conductor
    }

    /// Messages received before a restart and not processed: they go through the steps first.
    pub(crate) fn resume(&mut self, work: impl IntoIterator<Item = (MessageId, Incoming)>) {
        for (message, incoming) in work {
            self.enter(message, incoming);
        }
    }

    /// Serves the channel until it is stopped.
    pub(crate) async fn run(&mut self) {
        loop {
            self.pump();
            if self.is_done() {
                break;
            }
            let due = self.next_due();
            tokio::select! {
                biased;
                input = self.mailbox.recv() => {
                    let Some(input) = input else { break };
                    self.handle(input);
                    for _ in 0..INPUTS_AT_ONCE {
                        let Ok(input) = self.mailbox.try_recv() else { break };
                        self.handle(input);
                    }
                }
                () = tokio::time::sleep_until(due.into()) => {}
            }
        }
        // A delivery that ends now is found open at the next start.
        let posts = std::mem::take(&mut self.posts).into_values();
        let close = join_all(posts.map(|post| post::close(post.connection)));
        // What is still being sent after that is sent again by the next start.
        let _ = tokio::time::timeout(CLOSING, close).await;
    }

    /// The books at the end, and the last record they know of: all that was answered until now
    /// stands in the mailbox.
    pub(crate) fn into_books(mut self) -> (Position, Ledger) {
        let answered = self.services.log.answered();
        while let Ok(input) = self.mailbox.try_recv() {
            if let Input::Received { message, facts, .. } = input {
                // It goes through the steps at the next start.
                let (duplicate_of, part) = (facts.duplicate_of, facts.part.as_ref());
                let sequence = facts.sequence.as_ref();
                self.ledger.received(message, duplicate_of, facts.refused, part, sequence);
                self.applied = message.0;
            }
        }
        (answered.map_or(self.applied, |answered| answered.max(self.applied)), self.ledger)
    }

    fn handle(&mut self, input: Input) {
        match input {
            Input::Received { message, incoming, facts, answer } => {
                self.received(message, incoming, &facts, answer);
            }
            Input::Processed { position, record, bytes, change } => {
                self.processed(position, *record, &bytes, change.as_ref());
            }
            Input::NotProcessed { work, error } => self.not_processed(work, &error),
            Input::ProcessedAside { work, ran, failures } => {
                self.processed_aside(work, ran, failures);
            }
            Input::LookedUp { message, number, attempt } => {
                self.looked_up(message, number, attempt);
            }
            Input::Tried { destination, key, attempt } => self.tried(&destination, key, attempt),
            Input::Settled { end, record, result } => self.settled(end, *record, result),
            Input::Loaded { destination, request, result } => {
                self.loaded(&destination, &request, result);
            }
            Input::Decide { decided, answer } => self.decide(*decided, answer),
            Input::Decided { decided, result, answer, again } => {
                self.decided(*decided, result, answer, again);
            }
            Input::NotDecided { message, answer } => self.not_decided(message, answer),
            Input::Apply { spec, answer } => {
                self.apply(spec);
                self.ask_anew();
                let _ = answer.send(());
            }
            Input::Standing { message, answer } => {
                let _ = answer.send(self.standing(message));
            }
            Input::Inspect { answer } => {
                let _ = answer.send(self.status());
            }
            Input::Books { answer } => {
                let _ = answer.send((self.applied, self.ledger.clone()));
            }
            Input::Knock => {
                self.posts.values_mut().for_each(|post| post.outbox.knock());
                self.knock_at_lookups();
            }
            Input::Stop { grace } => self.stopping = Some(Instant::now() + grace),
        }
    }

    // --- time ----------------------------------------------------------------------------------

    /// What is due without an event.
    pub(super) fn next_due(&self) -> Instant {
        // Nothing is sent or read while a stop waits for what is under way.
        let runs = self.stopping.is_none();
        let outboxes = self.posts.values().filter_map(|post| post.outbox.next_due());
        let outboxes = outboxes.chain(self.reloads.values().copied()).filter(|_| runs);
        // A stall ends only when the journal has answered everything.
        let stalled = self.stalled.filter(|_| !self.is_keeping());
        let blocked = self.blocked.values().filter_map(|blocked| blocked.retry_at);
        let answers = self.answers_due.keys().map(|(due, _)| *due);
        outboxes
            .chain(blocked)
            .chain(answers.take(1))
            .chain(stalled)
            .chain(self.stopping.filter(|due| *due > Instant::now()))
            .min()
            .unwrap_or_else(|| Instant::now() + NOTHING_DUE)
    }

    /// Whether a stop may complete: nothing waits for the disk, for the books must know of it, and
    /// nothing is being sent, or no longer in time.
    fn is_done(&self) -> bool {
        let Some(deadline) = self.stopping else { return false };
        let keeping = self.is_keeping() || !self.deciding.is_empty();
        let sending = self.posts.values().any(|post| post.outbox.sending() > 0);
        !keeping && ((!sending && self.aside.is_empty()) || Instant::now() >= deadline)
    }

    /// Whether the journal has yet to answer for an outcome or a settlement.
    pub(super) fn is_keeping(&self) -> bool {
        self.processing_kept > 0 || self.settling > 0
    }

    /// A random number for jitter: spread matters, secrecy does not (xorshift).
    pub(super) fn jitter(&mut self) -> u64 {
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        self.jitter
    }
}

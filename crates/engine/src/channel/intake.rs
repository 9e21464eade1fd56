//! The head of the path: receive, journal, acknowledge.

mod turn;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use pipehat_connectors::{
    Admission, FilePart, Inbound, Intake, IntakeClosed, Numbering, PayloadFormat, Peer, Receipt,
    ReceiptOutcome, ResourceChange,
};
use pipehat_journal::{AppendError, Flush};
use pipehat_message::{
    AcknowledgmentCode, AcknowledgmentCondition, AcknowledgmentMode, ErrorCode, Outcome,
    acknowledgment_mode, is_query, wants_accept_acknowledgment, wants_application_acknowledgment,
};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use self::turn::{Parts, after};
use super::conductor::Input;
use super::json;
use super::reply::{self, Answer, Refusal};
use crate::control_id::ControlIds;
use crate::duplicates::{self, DuplicateWindow, Known};
use crate::ledger::Ledger;
use crate::log::Log;
use crate::names::{ChannelName, MessageId};
use crate::project::ReplyMode;
use crate::record::{PeerRecord, Received, Record};
use crate::sequence::{LinkNumber, Links};

/// Messages of one channel received and not yet processed: more are not read from senders.
pub(crate) const UNPROCESSED_MAX: usize = 4_096;

/// Their bytes. One message larger than this is admitted alone.
pub(crate) const UNPROCESSED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes are counted in units of this size, so that large messages fit a semaphore's count.
const BYTES_UNIT: usize = 1024;

/// A message that is kept and waits to be processed.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) bytes: Bytes,
    pub(crate) peer: Arc<Peer>,
    pub(crate) at: Timestamp,
    /// Its sender used the same control id for another message.
    pub(crate) control_id_reused: bool,
    /// Its number, where its sender numbers its messages (MSH-13).
    pub(crate) sequence: Option<i64>,
    /// The message it is the application acknowledgment of: one of ours, on its way out.
    pub(crate) acknowledges: Option<MessageId>,
    /// The change of a resource that it tells of.
    pub(crate) change: Option<Arc<ResourceChange>>,
    /// Its share of the channel's memory; given back when processed.
    pub(crate) admission: Option<Admission>,
}

impl Incoming {
    /// Whether it only speaks of the link (MSH-13 0 or -1; HL7 v2.5.1 §2.10.1 b, e).
    pub(crate) fn is_control(&self) -> bool {
        self.sequence.is_some_and(|number| number <= 0)
    }
}

/// One channel's door.
pub(crate) struct ChannelIntake {
    channel: ChannelName,
    log: Log,
    ids: Arc<ControlIds>,
    mailbox: mpsc::UnboundedSender<Input>,
    window: Arc<Mutex<DuplicateWindow>>,
    /// Rung whenever a message became durable or was lost, for those that repeat it.
    kept: Notify,
    terms: RwLock<Terms>,
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    parts: Mutex<Vec<Parts>>,
    links: Mutex<Links>,
    closed: AtomicBool,
    /// Messages on their way to the disk.
    under_way: AtomicUsize,
    failed: AtomicBool,
}

/// What the channel's file says of how messages are received.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) format: PayloadFormat,
    pub(crate) mode: ReplyMode,
}

/// A message on stable storage: only this can be acknowledged positively (promise 1).
#[derive(Clone, Copy)]
struct Persisted {
    message: MessageId,
    at: Timestamp,
    /// MSA-4, where the sender numbers its messages.
    expected: Option<i64>,
}

/// What the journal said of a message.
enum Kept {
    Persisted(Persisted),
    Repeats(Persisted),
    /// It only speaks of the link, and is answered at once.
    Control(Persisted),
    Refused(Persisted, Refusal),
    Not(AppendError),
    /// The channel has failed: it was not even tried.
    ChannelFailed,
}

impl ChannelIntake {
    pub(crate) fn new(
        channel: ChannelName,
        log: Log,
        ids: Arc<ControlIds>,
        mailbox: mpsc::UnboundedSender<Input>,
        window: Arc<Mutex<DuplicateWindow>>,
        terms: Terms,
        ledger: &Ledger,
    ) -> Arc<Self> {
        let parts = ledger.files.iter().cloned();
        Arc::new(Self {
            channel,
            log,
            ids,
            mailbox,
            window,
            kept: Notify::new(),
            terms: RwLock::new(terms),
            messages: Arc::new(Semaphore::new(UNPROCESSED_MAX)),
            bytes: Arc::new(Semaphore::new(UNPROCESSED_BYTES_MAX / BYTES_UNIT)),
            parts: Mutex::new(parts.map(|(key, kept)| Parts { key, kept, next: kept }).collect()),
            links: Mutex::new(Links::new(&ledger.links)),
            closed: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
        })
    }

    /// Takes on a changed configuration.
    pub(crate) fn reconfigure(&self, terms: Terms, window: Option<Duration>) {
        *self.terms.write().unwrap_or_else(PoisonError::into_inner) = terms;
        self.window().resize(window);
    }

    /// Refuses everything from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.messages.close();
    }

    /// Waits, once the door is shut, until nothing is on its way to the disk; whether that was so
    /// in time.
    pub(crate) async fn drained(&self) -> bool {
        const LOOK_EVERY: Duration = Duration::from_millis(5);
        const PATIENCE: Duration = Duration::from_secs(60);
        let wait = async {
            while self.under_way.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.is_ok()
    }

    /// Refuses everything from now on, for nobody would process it.
    pub(crate) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Whether the answers of a destination go back to the senders.
    fn answers_queries(&self) -> bool {
        matches!(self.terms().mode, ReplyMode::Delivered { .. })
    }

    fn terms(&self) -> RwLockReadGuard<'_, Terms> {
        self.terms.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn window(&self) -> MutexGuard<'_, DuplicateWindow> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn parts(&self) -> MutexGuard<'_, Vec<Parts>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Receives one message: hands it to the journal, in the order of the calls.
    fn persist(
        self: &Arc<Self>,
        admission: Admission,
        inbound: &Inbound,
        answer: Option<oneshot::Sender<Answer>>,
    ) -> Persisting {
        let at = now();
        if inbound.part.as_ref().is_some_and(|part| !self.take_part(part)) {
            return Persisting::OutOfTurn;
        }
        let mut received = Received {
            channel: Arc::clone(&self.channel),
            at,
            peer: PeerRecord::from(&*inbound.peer),
            part: inbound.part.clone(),
            sender_hash: 0,
            content_hash: 0,
            duplicate_of: None,
            refused: None,
            sequence: None,
            acknowledges: None,
            bytes: inbound.bytes.clone(),
        };
        if self.terms().format == PayloadFormat::Json {
            let purpose = match json::check(&inbound.bytes) {
                Ok(()) => Purpose::New,
                Err(why) => {
                    received.refused = Some(("receive.json".to_owned(), why.clone()));
                    Purpose::Refused(Refusal::busy(why))
                }
            };
            return self.append(received, inbound, admission, purpose, answer);
        }
        let header = match reply::header_of(&inbound.bytes) {
            Ok(header) => header,
            Err(error) => {
                let refusal = Refusal {
                    error: ErrorCode::SegmentSequenceError,
                    ..Refusal::busy(format!("the header can't be read: {error}"))
                };
                received.refused = Some(("receive.header".to_owned(), error.to_string()));
                return self.append(
                    received,
                    inbound,
                    admission,
                    Purpose::Refused(refusal),
                    answer,
                );
            }
        };
        let mut expected = None;
        if inbound.numbering == Numbering::Followed {
            match self.judge(&header, inbound) {
                Ok((number, said)) => {
                    let control = number.as_ref().is_some_and(LinkNumber::is_control);
                    (received.sequence, expected) = (number, Some(said));
                    if control {
                        let purpose = Purpose::Control(said);
                        return self.append(received, inbound, admission, purpose, answer);
                    }
                }
                Err((code, refusal)) => {
                    received.refused = Some((code.to_owned(), refusal.text.clone()));
                    let purpose = Purpose::Refused(refusal);
                    return self.append(received, inbound, admission, purpose, answer);
                }
            }
        }
        if header.message_code().is_empty() {
            // Nobody can say what it is; most likely it was cut off.
            let refusal = Refusal {
                error: ErrorCode::RequiredFieldMissing,
                location: Some("MSH-9".to_owned()),
                ..Refusal::busy("MSH-9, the message type, is missing")
            };
            received.refused = Some(("receive.header".to_owned(), refusal.text.clone()));
            let refusal = Refusal { expected: expected.map(after), ..refusal };
            return self.append(received, inbound, admission, Purpose::Refused(refusal), answer);
        }
        // A query that is asked again wants to know how things stand now.
        if header.control_id().is_empty() || (self.answers_queries() && is_query(&header)) {
            return self.append(received, inbound, admission, Purpose::New, answer);
        }
        (received.sender_hash, received.content_hash) = duplicates::hashes(&header, &inbound.bytes);
        let known = self.window().meet(received.sender_hash, received.content_hash, at);
        match known {
            Known::New => self.append(received, inbound, admission, Purpose::New, answer),
            Known::ControlIdReused => {
                self.append(received, inbound, admission, Purpose::ControlIdReused, answer)
            }
            Known::Repeats(original, original_at) => {
                received.duplicate_of = Some(original);
                let original = Persisted { message: original, at: original_at, expected };
                self.append(received, inbound, admission, Purpose::Repeats(original), answer)
            }
            Known::RepeatsPending => {
                if let Some(part) = &inbound.part {
                    self.part_lost(part);
                }
                if let Some(number) = &received.sequence {
                    self.links().lost(number);
                }
                Persisting::Pending(admission, answer)
            }
        }
    }

    fn append(
        self: &Arc<Self>,
        received: Received,
        inbound: &Inbound,
        admission: Admission,
        purpose: Purpose,
        answer: Option<oneshot::Sender<Answer>>,
    ) -> Persisting {
        let (kept, waiting) = oneshot::channel();
        let intake = Arc::clone(self);
        let incoming = Incoming {
            bytes: inbound.bytes.clone(),
            peer: Arc::clone(&inbound.peer),
            at: received.at,
            control_id_reused: matches!(purpose, Purpose::ControlIdReused),
            sequence: received.sequence.as_ref().map(|sequence| sequence.number),
            acknowledges: None,
            change: ResourceChange::kept(inbound.part.as_ref(), &inbound.peer.headers),
            admission: Some(admission),
        };
        let facts = ReceivedFacts {
            duplicate_of: received.duplicate_of,
            refused: received.refused.is_some(),
            part: received.part.clone(),
            sequence: received.sequence.clone(),
        };
        let hashes = (received.sender_hash, received.content_hash);
        let record = Record::Received(received);
        let keep = move |result| {
            let result = match result {
                Ok(position) => {
                    let message = MessageId(position);
                    let expected = match &purpose {
                        Purpose::Control(expected) => Some(*expected),
                        Purpose::Refused(refusal) => refusal.expected,
                        _ => incoming.sequence,
                    };
                    let persisted = Persisted { message, at: incoming.at, expected };
                    if matches!(purpose, Purpose::New | Purpose::ControlIdReused) {
                        intake.window().kept(hashes.0, hashes.1, message);
                        intake.kept.notify_waiters();
                    }
                    if let Some(part) = &facts.part {
                        intake.part_kept(part);
                    }
                    if let Some(number) = &facts.sequence {
                        intake.links().kept(number);
                    }
                    let input = Input::Received { message, incoming, facts, answer };
                    // Only a conductor that has stopped does not take it; then the record
                    // itself brings the message back at the next start.
                    let _ = intake.mailbox.send(input);
                    match purpose {
                        Purpose::New | Purpose::ControlIdReused => Kept::Persisted(persisted),
                        Purpose::Control(_) => Kept::Control(persisted),
                        Purpose::Repeats(original) => Kept::Repeats(original),
                        Purpose::Refused(refusal) => Kept::Refused(persisted, refusal),
                    }
                }
                Err(error) => {
                    if let Some(part) = &facts.part {
                        intake.part_lost(part);
                    }
                    if let Some(number) = &facts.sequence {
                        intake.links().lost(number);
                    }
                    if matches!(purpose, Purpose::New | Purpose::ControlIdReused) {
                        intake.window().lost(hashes.0, hashes.1);
                        intake.kept.notify_waiters();
                    }
                    Kept::Not(error)
                }
            };
            // The sender may have gone meanwhile.
            let _ = kept.send(result);
            intake.under_way.fetch_sub(1, Ordering::SeqCst);
        };
        // Counted before it is asked whether the door is shut, so that whoever shuts it and then
        // finds nothing under way knows that nothing follows.
        self.under_way.fetch_add(1, Ordering::SeqCst);
        if self.closed.load(Ordering::SeqCst) {
            keep(Err(AppendError::Closed));
        } else {
            self.log.append(record, Flush::Now, move |result, _| keep(result));
        }
        Persisting::Appended(waiting)
    }

    /// Builds the receipt when the channel's reply mode says it is time.
    async fn acknowledge(
        self: Arc<Self>,
        mut persisting: Persisting,
        inbound: Inbound,
        Terms { format, mode }: Terms,
        answer: Option<oneshot::Receiver<Answer>>,
    ) -> Receipt {
        let kept = loop {
            match persisting {
                Persisting::Appended(waiting) => {
                    break waiting.await.unwrap_or(Kept::Not(AppendError::Closed));
                }
                Persisting::OutOfTurn => break Kept::Not(AppendError::Full),
                Persisting::Pending(admission, sender) => {
                    // The first of two equal messages is on its way to the disk.
                    let rung = self.kept.notified();
                    let _ = tokio::time::timeout(Duration::from_millis(50), rung).await;
                    persisting = self.persist(admission, &inbound, sender);
                }
            }
        };
        if format == PayloadFormat::Json {
            // What the source says to that is its protocol's affair: there is no acknowledgment in JSON.
            return Receipt { outcome: outcome_of(&kept), reply: None, later: None };
        }
        match mode {
            ReplyMode::None => Receipt { outcome: outcome_of(&kept), reply: None, later: None },
            ReplyMode::Received => self.acknowledge_receipt(&kept, &inbound, Level::Application),
            ReplyMode::Processed { .. } | ReplyMode::Delivered { .. } => match (&kept, answer) {
                (Kept::Persisted(_) | Kept::Repeats(_), Some(answer)) => {
                    self.answered(answer, &inbound).await
                }
                _ => self.acknowledge_receipt(&kept, &inbound, Level::Application),
            },
            ReplyMode::Enhanced { application, .. } => {
                // One that goes to a destination is the conductor's care.
                let own = if application.is_some() { Later::Elsewhere } else { Later::Here };
                self.acknowledge_enhanced(&kept, &inbound, answer, own).await
            }
        }
    }

    /// Enhanced mode (HL7 v2.5.1 §2.9.3): the accept acknowledgment now, the application
    /// acknowledgment later; a sender who asks for neither field gets original mode.
    async fn acknowledge_enhanced(
        &self,
        kept: &Kept,
        inbound: &Inbound,
        answer: Option<oneshot::Receiver<Answer>>,
        later: Later,
    ) -> Receipt {
        let Ok(header) = reply::header_of(&inbound.bytes) else {
            return self.acknowledge_receipt(kept, inbound, Level::Accept);
        };
        if acknowledgment_mode(&header) == AcknowledgmentMode::Original {
            return match (kept, answer) {
                (Kept::Persisted(_) | Kept::Repeats(_), Some(answer)) => {
                    self.answered(answer, inbound).await
                }
                _ => self.acknowledge_receipt(kept, inbound, Level::Application),
            };
        }
        let mut receipt = self.acknowledge_receipt(kept, inbound, Level::Accept);
        let went = match receipt.outcome {
            ReceiptOutcome::Kept => Outcome::Success,
            ReceiptOutcome::Rejected | ReceiptOutcome::Busy => Outcome::Failure,
        };
        if !wants_accept_acknowledgment(&header, went) {
            receipt.reply = None;
        }
        let on_success = wants_application_acknowledgment(&header, Outcome::Success);
        let on_failure = wants_application_acknowledgment(&header, Outcome::Failure);
        let answered = match kept {
            Kept::Persisted(_) | Kept::Repeats(_) => answer,
            Kept::Control(_) | Kept::Refused(..) | Kept::Not(_) | Kept::ChannelFailed => None,
        };
        let wanted = later == Later::Here && (on_success || on_failure);
        if let (Some(answer), true) = (answered, wanted) {
            receipt.later = Some(
                async move {
                    let answer = answer.await.ok()?.reply?;
                    let wanted = if reply::is_positive(&answer) { on_success } else { on_failure };
                    wanted.then(|| reply::asking(&answer, AcknowledgmentCondition::Never))
                }
                .boxed(),
            );
        }
        receipt
    }

    /// The acknowledgment of durability itself.
    fn acknowledge_receipt(&self, kept: &Kept, inbound: &Inbound, level: Level) -> Receipt {
        let code = |application, accept| match level {
            Level::Application => application,
            Level::Accept => accept,
        };
        let reply = match kept {
            Kept::Persisted(persisted) | Kept::Repeats(persisted) | Kept::Control(persisted) => {
                let control_id = self.ids.acknowledgment(persisted.message);
                let code = code(AcknowledgmentCode::Aa, AcknowledgmentCode::Ca);
                let Persisted { at, expected, .. } = *persisted;
                reply::positive(&inbound.bytes, code, &control_id, at, expected)
            }
            Kept::Refused(persisted, refusal) => {
                let control_id = self.ids.acknowledgment(persisted.message);
                let code = code(refusal.code, AcknowledgmentCode::Cr);
                let refusal = Refusal { code, ..refusal.clone() };
                Some(reply::negative(&inbound.bytes, &refusal, &control_id, persisted.at))
            }
            Kept::Not(_) | Kept::ChannelFailed => {
                let at = now();
                let mut refusal = Refusal::busy(not_kept_text(kept));
                refusal.code = code(AcknowledgmentCode::Ar, AcknowledgmentCode::Ce);
                Some(reply::negative(&inbound.bytes, &refusal, &self.ids.fresh(at), at))
            }
        };
        Receipt { outcome: outcome_of(kept), reply, later: None }
    }

    /// Waits for the answer of the channel's task.
    async fn answered(&self, answer: oneshot::Receiver<Answer>, inbound: &Inbound) -> Receipt {
        if let Ok(answer) = answer.await {
            return Receipt { outcome: answer.outcome, reply: answer.reply, later: None };
        }
        // The message is kept, and its sender, who will send it again, gets the answer then. A
        // stop says nothing: the sender sees its connection end.
        let reply = self.has_failed().then(|| {
            let (at, refusal) = (now(), Refusal::busy("this channel has failed; send it again"));
            reply::negative(&inbound.bytes, &refusal, &self.ids.fresh(at), at)
        });
        Receipt { outcome: ReceiptOutcome::Busy, reply, later: None }
    }
}

/// Where a message stands on its way to the journal.
enum Persisting {
    Appended(oneshot::Receiver<Kept>),
    /// It repeats one that is not durable yet.
    Pending(Admission, Option<oneshot::Sender<Answer>>),
    /// A part of a file before it has not been taken.
    OutOfTurn,
}

enum Purpose {
    New,
    ControlIdReused,
    /// It only speaks of the link; MSA-4 is this.
    Control(i64),
    Repeats(Persisted),
    Refused(Refusal),
}

/// Which of the two acknowledgments of enhanced mode.
#[derive(Clone, Copy)]
enum Level {
    Application,
    Accept,
}

/// Where the application acknowledgment of enhanced mode goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Later {
    /// Back on the connection the message came by.
    Here,
    /// To a destination, as a message of its own.
    Elsewhere,
}

/// What the ledger enters of a received message.
#[derive(Debug)]
pub(crate) struct ReceivedFacts {
    pub(crate) duplicate_of: Option<MessageId>,
    pub(crate) refused: bool,
    pub(crate) part: Option<FilePart>,
    pub(crate) sequence: Option<LinkNumber>,
}

/// The door as a source sees it.
pub(crate) struct Door(pub(crate) Arc<ChannelIntake>);

impl Intake for Door {
    fn admit(&self, bytes: usize) -> BoxFuture<'static, Result<Admission, IntakeClosed>> {
        let most = UNPROCESSED_BYTES_MAX / BYTES_UNIT;
        let units = (bytes / BYTES_UNIT + 1).min(most);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let (messages, bytes) = (Arc::clone(&self.0.messages), Arc::clone(&self.0.bytes));
        async move {
            let message = messages.acquire_owned().await.map_err(|_| IntakeClosed)?;
            let bytes = bytes.acquire_many_owned(units).await.map_err(|_| IntakeClosed)?;
            Ok(Admission::new(vec![message, bytes]))
        }
        .boxed()
    }

    fn receive(&self, admission: Admission, inbound: Inbound) -> BoxFuture<'static, Receipt> {
        let closed = self.0.closed.load(Ordering::Acquire);
        if closed || self.0.has_failed() {
            let kept = if closed { Kept::Not(AppendError::Closed) } else { Kept::ChannelFailed };
            let receipt = match self.0.terms().format {
                PayloadFormat::Hl7 => {
                    self.0.acknowledge_receipt(&kept, &inbound, Level::Application)
                }
                PayloadFormat::Json => {
                    Receipt { outcome: outcome_of(&kept), reply: None, later: None }
                }
            };
            return std::future::ready(receipt).boxed();
        }
        let terms = self.0.terms().clone();
        let (answer, answered) = match terms.mode {
            ReplyMode::None | ReplyMode::Received => (None, None),
            ReplyMode::Processed { .. }
            | ReplyMode::Delivered { .. }
            | ReplyMode::Enhanced { .. } => {
                let (answer, answered) = oneshot::channel();
                (Some(answer), Some(answered))
            }
        };
        let persisting = self.0.persist(admission, &inbound, answer);
        Arc::clone(&self.0).acknowledge(persisting, inbound, terms, answered).boxed()
    }

    fn parts_kept(&self, key: &str) -> u64 {
        self.0.file_begins_anew(key)
    }
}

fn outcome_of(kept: &Kept) -> ReceiptOutcome {
    match kept {
        Kept::Persisted(_) | Kept::Repeats(_) | Kept::Control(_) => ReceiptOutcome::Kept,
        Kept::Refused(..) => ReceiptOutcome::Rejected,
        Kept::Not(AppendError::TooLarge { .. }) => ReceiptOutcome::Rejected,
        Kept::Not(_) | Kept::ChannelFailed => ReceiptOutcome::Busy,
    }
}

fn not_kept_text(kept: &Kept) -> &'static str {
    match kept {
        Kept::ChannelFailed => "not kept: this channel has failed; send it again later",
        Kept::Not(AppendError::TooLarge { .. }) => {
            "not kept: the message is larger than this system takes"
        }
        Kept::Not(AppendError::Closed) => "not kept: this system is stopping; send it again later",
        _ => "not kept: this system can't store it now; send it again later",
    }
}

/// The time, to the microsecond that records keep, so that what is built now and what is built
/// again from the record are the same.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

//! The path behind the door: process, journal, deliver, settle.
//!
//! Read together with [`super::intake`] (receive, journal, acknowledge) and [`super::processing`] (what the program makes of a
//! message) this is the whole life of a message. Each step below begins when the one before it is on stable storage.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use pipehat_connectors::{Attempt, Outbound, ResourceChange};
use pipehat_journal::{AppendError, Flush, Position};
use tokio::sync::oneshot;

use super::conductor::{Blocked, Conductor, Input, STALL, Work};
use super::intake::{Incoming, ReceivedFacts, now};
use super::load::{self, Loaded, Unreadable};
use super::outbox::{Delivery, LoadRequest, Verdict};
use super::post::Connection;
use super::processing::{Ran, run_program};
use super::reply::{self, Answer};
use crate::duplicates::{self, DuplicateWindow};
use crate::effects::Effect;
use crate::lanes::Ticket;
use crate::ledger::{DeliveryKey, Queue};
use crate::names::{DestinationName, MessageId};
use crate::program;
use crate::project::OnFailure;
use crate::record::{
    Attempted, BodyRef, Disposition, Processed, ProcessedOutcome, Record, Settled, SettledOutcome,
};
use crate::sequence;

/// Messages larger than this are processed aside, so that other lanes do not wait for them.
const INLINE_BYTES_MAX: usize = 256 * 1024;

/// Open deliveries whose settled state a reading from the journal is told.
type SettledBeyond = std::collections::BTreeSet<DeliveryKey>;

impl Conductor {
    // --- process -------------------------------------------------------------------------------

    /// A message is durable: it goes through the channel's steps.
    pub(super) fn received(
        &mut self,
        message: MessageId,
        incoming: Incoming,
        facts: &ReceivedFacts,
        answer: Option<oneshot::Sender<Answer>>,
    ) {
        let (part, sequence) = (facts.part.as_ref(), facts.sequence.as_ref());
        self.ledger.received(message, facts.duplicate_of, facts.refused, part, sequence);
        self.applied = message.0;
        // Who is refused, or only speaks of the link, has been answered by the door.
        if let Some(answer) = answer.filter(|_| !facts.refused && !incoming.is_control()) {
            self.wait_for_answer(message, facts.duplicate_of, &incoming, answer);
        }
        if facts.duplicate_of.is_none() && !facts.refused {
            self.enter(message, incoming);
        }
    }

    /// Puts a message into its lanes; processes it when nothing is before it.
    pub(super) fn enter(&mut self, message: MessageId, incoming: Incoming) {
        if incoming.acknowledges.is_some() {
            // It waits for no message, and none waits for it.
            let (ticket, ready) =
                self.processing.enter(&[], Work::new(message, incoming, Vec::new()));
            if let Some(work) = ready {
                self.process(ticket, work);
            }
            return;
        }
        let (spec, lane_key) = (&self.spec, self.services.lane_key);
        let lanes =
            catch_unwind(AssertUnwindSafe(|| spec.program.lane_keys(&incoming.bytes, lane_key)));
        // Where the key can't be told the message has a lane of its own kind.
        let lanes = lanes.unwrap_or_else(|_| vec![lane_key]);
        let work = Work::new(message, incoming, lanes);
        if self.stalled.is_some() {
            self.again.insert(message, work);
            return;
        }
        let lanes = work.lanes.clone();
        if let (ticket, Some(work)) = self.processing.enter(&lanes, work) {
            self.process(ticket, work);
        }
    }

    pub(super) fn process(&mut self, ticket: Ticket, work: Work) {
        let mut next = vec![(ticket, work)];
        while let Some((ticket, work)) = next.pop() {
            self.run_steps(ticket, work, Vec::new(), 0, &mut next);
        }
    }

    /// Runs the program on a message, with what it was answered before, and how often it failed before.
    pub(super) fn run_steps(
        &mut self,
        ticket: Ticket,
        work: Work,
        known: Vec<Effect>,
        failures: u32,
        next: &mut Vec<(Ticket, Work)>,
    ) {
        if work.incoming.bytes.len() > INLINE_BYTES_MAX {
            self.process_aside(ticket, work, known, failures);
            return;
        }
        let ran = run_program(&self.spec, &self.services, &work, known);
        self.ran(ticket, work, ran, failures, next);
    }

    /// A large message is processed on a thread of its own; its lanes wait.
    fn process_aside(&mut self, ticket: Ticket, work: Work, known: Vec<Effect>, failures: u32) {
        let (spec, services) = (Arc::clone(&self.spec), self.services.clone());
        let sender = self.sender.clone();
        self.aside.insert(work.message, ticket);
        tokio::task::spawn_blocking(move || {
            let ran = run_program(&spec, &services, &work, known);
            // A conductor that has stopped processes the message again at the next start.
            let _ = sender.send(Input::ProcessedAside { work, ran, failures });
        });
    }

    pub(super) fn processed_aside(&mut self, work: Work, ran: Ran, failures: u32) {
        let Some(ticket) = self.aside.remove(&work.message) else { return };
        let mut next = Vec::new();
        self.ran(ticket, work, ran, failures, &mut next);
        for (ticket, work) in next.into_iter().rev() {
            self.process(ticket, work);
        }
    }

    /// Hands the outcome to the journal and lets the next of the lanes begin. Their outcomes
    /// follow in the journal, for appends are kept in order. The message failed so often before.
    pub(super) fn processed_again(
        &mut self,
        ticket: Ticket,
        work: Work,
        record: Processed,
        failures: u32,
        next: &mut Vec<(Ticket, Work)>,
    ) {
        let failure = match &record.outcome {
            ProcessedOutcome::Ended(ended)
                if ended.disposition == Disposition::Parked && program::is_failure(&ended.code) =>
            {
                Some(ended)
            }
            _ => None,
        };
        if let (Some(ended), OnFailure::Stop | OnFailure::Retry) = (failure, self.spec.on_failure) {
            let (code, why) = (ended.code.clone(), ended.detail.clone());
            let (retry_at, asking) = (None, None);
            self.block(Blocked { work, ticket, code, why, retry_at, failures, asking });
            return;
        }
        self.end_work(ticket, work, record, next);
    }

    pub(super) fn end_work(
        &mut self,
        ticket: Ticket,
        work: Work,
        record: Processed,
        next: &mut Vec<(Ticket, Work)>,
    ) {
        self.keep_processed(work, record);
        let mut ready = Vec::new();
        self.processing.leave(ticket, &mut ready);
        ready.reverse();
        next.extend(ready);
    }

    pub(super) fn keep_processed(&mut self, work: Work, mut record: Processed) {
        record.reply = self.reply_after_processing(&work, &record);
        self.keep_application_acknowledgment(&work, &record);
        // A message that ends here and that nobody waits for needs no sync of its own: were its
        // outcome lost, it would go through the steps again.
        let waited_for =
            record.reply.is_some() || matches!(record.outcome, ProcessedOutcome::Routed(_));
        let flush = if waited_for { Flush::Now } else { Flush::Later };
        let refused = self.refused_sender(&work, &record);
        let record = Record::Processed(record);
        let sender = self.sender.clone();
        self.processing_kept += 1;
        self.services.log.append_in_order(
            self.known_failures,
            record,
            flush,
            move |result, record| {
                let Record::Processed(record) = record else { return };
                let input = match result {
                    Ok(position) => {
                        // Before the sender hears of it, who may send it again at once.
                        if let Some((window, sender_hash)) = refused {
                            let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
                            window.refused(sender_hash, record.message);
                        }
                        let Incoming { bytes, change, admission, .. } = work.incoming;
                        drop(admission);
                        Input::Processed { position, record: Box::new(record), bytes, change }
                    }
                    Err(error) => Input::NotProcessed { work, error },
                };
                // A conductor that has stopped finds the record at the next start.
                let _ = sender.send(input);
            },
        );
    }

    /// Where a sender is told that its message is refused: the channel's window, and the sender's
    /// hash in it, to be forgotten. A number stays used up (HL7 v2.5.1 §2.10.1): sent again under
    /// it, the message is the same one.
    fn refused_sender(
        &self,
        work: &Work,
        record: &Processed,
    ) -> Option<(Arc<Mutex<DuplicateWindow>>, u64)> {
        if !record.refuses_sender() || work.incoming.sequence.is_some() {
            return None;
        }
        let header = reply::header_of(&work.incoming.bytes).ok()?;
        Some((Arc::clone(&self.window), duplicates::sender_hash(&header)))
    }

    // --- deliver -------------------------------------------------------------------------------

    /// The outcome is durable: its outputs are open deliveries from now on.
    pub(super) fn processed(
        &mut self,
        position: Position,
        record: Processed,
        bytes: &Bytes,
        change: Option<&Arc<ResourceChange>>,
    ) {
        self.processing_kept = self.processing_kept.saturating_sub(1);
        self.ledger.processed(position, &record);
        self.applied = position;
        self.answer_processed(&record);
        let ProcessedOutcome::Routed(outputs) = &record.outcome else {
            self.posts.values_mut().for_each(|post| post.outbox.forget(record.message));
            return;
        };
        for (ordinal, output) in (1..).zip(outputs) {
            let key = DeliveryKey { processed: position, ordinal };
            // One that is made now loads what the books say is open, this delivery among it.
            self.ensure_post(&output.destination);
            let Some(post) = self.posts.get_mut(&output.destination) else { continue };
            let queue = self.ledger.queues.get(&output.destination);
            if !queue.is_some_and(|queue| queue.open.contains_key(&key)) {
                continue;
            }
            post.outbox.offer(Delivery {
                key,
                message: record.message,
                bytes: match &output.bytes {
                    BodyRef::AsReceived => bytes.clone(),
                    BodyRef::Own(bytes) => bytes.clone(),
                },
                lanes: record.lanes.clone(),
                siblings: load::siblings(outputs, ordinal),
                file: record.file.clone(),
                change: change.cloned(),
            });
        }
    }

    /// Starts what may be sent, and reads on where there is room.
    pub(super) fn pump(&mut self) {
        let now = Instant::now();
        self.resume_after_stall(now);
        self.retry_blocked(now);
        self.answer_late(now);
        if self.stopping.is_some() {
            return;
        }
        for (name, post) in &mut self.posts {
            while let Some((delivery, attempt)) = post.outbox.next(now) {
                let (name, key) = (Arc::clone(name), delivery.key);
                if post.outbox.is_overdue(delivery.message) {
                    let attempt = Attempt::NotSent {
                        code: "delivery.query-overdue",
                        detail: "its asker has been told that there is no answer".to_owned(),
                    };
                    // We hold the other end of the mailbox.
                    let _ = self.sender.send(Input::Tried { destination: name, key, attempt });
                    continue;
                }
                let number = numbered(&post.connection, self.ledger.queues.get(&name));
                let outbound = Outbound {
                    bytes: delivery.bytes,
                    channel: Arc::clone(&self.spec.name),
                    message: delivery.message.0.get(),
                    ordinal: key.ordinal,
                    attempt,
                    file: delivery.file,
                    number,
                    change: delivery.change,
                };
                let replies_to = post.replies_to.clone().map(|to| {
                    let headers = [
                        ("x-pipehat-channel", self.spec.name.to_string()),
                        ("x-pipehat-destination", name.to_string()),
                        ("x-pipehat-message", delivery.message.0.get().to_string()),
                    ];
                    let headers = headers.map(|(name, value)| (name.to_owned(), value));
                    (to, headers, self.services.doors.clone())
                });
                let destination = Arc::clone(&post.connection.destination);
                let sending = catch_unwind(AssertUnwindSafe(|| destination.deliver(outbound)));
                let sender = self.sender.clone();
                let (told, before) = if post.outbox.is_windowed() {
                    let (told, latest) = oneshot::channel();
                    (Some(told), post.latest.replace(latest))
                } else {
                    (None, None)
                };
                post.connection.sends.spawn(async move {
                    let attempt = match sending {
                        Ok(sending) => AssertUnwindSafe(sending).catch_unwind().await,
                        Err(panicked) => Err(panicked),
                    };
                    // What the panic says is not shown: it may hold values.
                    let attempt = attempt.unwrap_or_else(|_| Attempt::Impossible {
                        code: "delivery.failed",
                        detail: "a defect of Pipehat: the connector ended in a panic".to_owned(),
                    });
                    // Before the books know of it: behind a crash it is sent, and answered, once more.
                    if let (Some((to, headers, doors)), Some(reply)) = (replies_to, attempt.reply())
                        && let Err(error) = doors.pass_reply(&to, reply, &headers).await
                    {
                        tracing::warn!(
                            channel = &*to,
                            code = "delivery.reply-not-taken",
                            error = &error as &dyn std::error::Error,
                            "a partner's reply was not taken by the channel that is to have it"
                        );
                    }
                    if let Some(before) = before {
                        // It is dropped when the one before has been told.
                        let _ = before.await;
                    }
                    // A conductor that has stopped finds the delivery open at the next start.
                    let _ = sender.send(Input::Tried { destination: name, key, attempt });
                    drop(told);
                });
            }
            if self.reloads.get(name).is_some_and(|due| *due > now) {
                continue;
            }
            self.reloads.remove(name);
            let Some(queue) = self.ledger.queues.get(name) else { continue };
            let Some(request) = post.outbox.wants(queue) else { continue };
            let (log, sender) = (self.services.log.clone(), self.sender.clone());
            let (channel, destination) = (Arc::clone(&self.spec.name), Arc::clone(name));
            let settled: SettledBeyond = queue.settled_beyond.clone();
            let applied = self.applied;
            tokio::task::spawn_blocking(move || {
                let is_settled = |key| settled.contains(&key);
                let result =
                    load::load(&log, &channel, &destination, &request, applied, &is_settled);
                let result = result.map_err(|error| error.to_string());
                let _ = sender.send(Input::Loaded { destination, request, result });
            });
        }
    }

    /// Deliveries were read back from the journal.
    pub(super) fn loaded(
        &mut self,
        destination: &DestinationName,
        request: &LoadRequest,
        result: Result<Loaded, String>,
    ) {
        let Some(post) = self.posts.get_mut(destination) else { return };
        match result {
            Ok(_) if post.outbox.is_stale() && matches!(request, LoadRequest::From(_)) => {
                post.outbox.load_failed();
            }
            Ok(loaded) => {
                if let (LoadRequest::From(from), Some(queue)) =
                    (request, self.ledger.queues.get_mut(destination))
                {
                    let keys = loaded.deliveries.iter();
                    let keys = keys.map(|delivery| (delivery.key, delivery.message));
                    let unreadable = loaded.unreadable.iter();
                    let unreadable =
                        unreadable.filter_map(|other| Some((other.key, other.known.as_ref()?.0)));
                    let keys: Vec<_> = keys.chain(unreadable).collect();
                    queue.advance(&keys, Some(loaded.next));
                    if keys.is_empty() && queue.frontier == Some(*from) {
                        let due = Instant::now() + STALL;
                        self.reloads.insert(Arc::clone(destination), due);
                    }
                }
                let queue = self.ledger.queues.get(destination);
                let open =
                    |key: &DeliveryKey| queue.is_some_and(|queue| queue.open.contains_key(key));
                post.outbox.give_up(loaded.unreadable.iter().map(|unreadable| unreadable.key));
                post.outbox.loaded(request, loaded.deliveries, open);
                for unreadable in loaded.unreadable {
                    self.park_unreadable(destination, unreadable);
                }
            }
            Err(error) => {
                tracing::error!(
                    channel = &*self.spec.name,
                    destination = &**destination,
                    error,
                    "failed to read deliveries back from the journal; trying again"
                );
                post.outbox.load_failed();
                self.reloads.insert(Arc::clone(destination), Instant::now() + STALL);
            }
        }
    }

    /// A delivery whose bytes can't be read any more is set aside; its destination goes on.
    fn park_unreadable(&mut self, destination: &DestinationName, unreadable: Unreadable) {
        let Unreadable { key, known } = unreadable;
        let queue = self.ledger.queues.get(destination);
        let Some(open) = queue.and_then(|queue| queue.open.get(&key)) else { return };
        let (message, siblings) =
            known.unwrap_or_else(|| (*open, self.ledger.siblings(key, destination)));
        let delivery = Delivery {
            key,
            message,
            bytes: Bytes::new(),
            lanes: Vec::new(),
            siblings,
            file: None,
            change: None,
        };
        let outcome = SettledOutcome::Parked {
            code: "delivery.unreadable".to_owned(),
            detail: "what was to be sent can't be read from the journal any more".to_owned(),
        };
        self.settle(delivery, destination, outcome, None, 0, None);
    }

    // --- settle --------------------------------------------------------------------------------

    /// A try ended: the delivery settles, or is tried again later.
    pub(super) fn tried(
        &mut self,
        destination: &DestinationName,
        key: DeliveryKey,
        attempt: Attempt,
    ) {
        let jitter = self.jitter();
        let Some(post) = self.posts.get_mut(destination) else { return };
        let sent = sequence::may_be_sent(&attempt);
        match post.outbox.tried(key, attempt, Instant::now(), jitter) {
            Some(Verdict::Settle { outcome, reply, attempts }) => {
                if post.connection.destination.is_numbered() {
                    // The next has its number from what the books say of this one.
                    let Some(delivery) = post.outbox.end(key) else { return };
                    let number = numbered(&post.connection, self.ledger.queues.get(destination));
                    let used = number
                        .filter(|number| sent && sequence::is_used_up(*number, reply.as_deref()));
                    self.settle(delivery, destination, outcome, reply, attempts, used);
                    return;
                }
                let Some(delivery) = post.outbox.settle(key) else { return };
                self.settle(delivery, destination, outcome, reply, attempts, None);
            }
            Some(Verdict::Retry { code, detail, attempt }) => {
                let Some(message) = post.outbox.message_of(key) else { return };
                tracing::warn!(
                    channel = &*self.spec.name,
                    destination = &**destination,
                    message_id = message.0.get(),
                    attempt,
                    code,
                    detail,
                    "delivery failed, will retry"
                );
                let record = Record::Attempted(Attempted {
                    channel: Arc::clone(&self.spec.name),
                    message,
                    ordinal: key.ordinal,
                    attempt,
                    at: now(),
                    code: code.to_owned(),
                    detail,
                });
                // Only told for the record: nothing depends on it.
                self.services.log.append(record, Flush::Later, |_, _| ());
            }
            None => {}
        }
    }

    pub(super) fn settle(
        &mut self,
        delivery: Delivery,
        destination: &DestinationName,
        outcome: SettledOutcome,
        reply: Option<Bytes>,
        attempts: u32,
        sequence: Option<u64>,
    ) {
        if let SettledOutcome::Parked { code, detail } = &outcome {
            tracing::error!(
                channel = &*self.spec.name,
                destination = &**destination,
                message_id = delivery.message.0.get(),
                code,
                detail,
                "delivery parked"
            );
        }
        if let SettledOutcome::GivenUp { code, detail } = &outcome {
            tracing::warn!(
                channel = &*self.spec.name,
                destination = &**destination,
                message_id = delivery.message.0.get(),
                code,
                detail,
                "query given up"
            );
        }
        self.keep_settled(Settled {
            channel: Arc::clone(&self.spec.name),
            message: delivery.message,
            processed: delivery.key.processed,
            ordinal: delivery.key.ordinal,
            destination: Arc::clone(destination),
            siblings: delivery.siblings,
            at: now(),
            attempts,
            outcome,
            sequence,
            reply,
        });
    }

    /// Journals the end of a delivery. Nobody waits for it but a sender in reply mode
    /// `delivered`: were it lost, the same bytes would be sent again. Not so those of a later one
    /// of its lane, were only its own end kept: none overtakes one that was refused.
    pub(super) fn keep_settled(&mut self, record: Settled) {
        let numbered = self
            .posts
            .get(&record.destination)
            .is_some_and(|post| post.connection.destination.is_numbered());
        let awaited = numbered || self.answers.contains_key(&record.message);
        let flush = if awaited { Flush::Now } else { Flush::Later };
        let sender = self.sender.clone();
        self.settling += 1;
        self.ends += 1;
        let (end, record) = (self.ends, Record::Settled(record));
        self.services.log.append_in_order(
            self.known_failures,
            record,
            flush,
            move |result, record| {
                let Record::Settled(record) = record else { return };
                let _ = sender.send(Input::Settled { end, record: Box::new(record), result });
            },
        );
    }

    pub(super) fn settled(
        &mut self,
        end: u64,
        record: Settled,
        result: Result<Position, AppendError>,
    ) {
        self.settling = self.settling.saturating_sub(1);
        match result {
            Ok(position) => {
                self.ledger.settled(position, &record);
                self.applied = position;
                self.answer_settled(&record);
                if let Some(post) = self.posts.get_mut(&record.destination) {
                    let (processed, ordinal) = (record.processed, record.ordinal);
                    post.outbox.ended(DeliveryKey { processed, ordinal });
                }
            }
            Err(_) => {
                self.unrecorded.insert(end, record);
                self.stall_for_a_while();
            }
        }
    }
}

/// The number of the next delivery, where the destination follows the sequence number protocol: it
/// stands firm until that delivery's end is in the books, so every try of it carries the same.
fn numbered(connection: &Connection, queue: Option<&Queue>) -> Option<u64> {
    let last = queue.map_or(0, |queue| queue.numbered);
    connection.destination.is_numbered().then(|| last.saturating_add(1))
}

//! Senders that wait for more than durability: who is answered, when, and with what.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use pipehat_connectors::{BotFailure, ReceiptOutcome};
use pipehat_journal::Flush;
use pipehat_message::{AcknowledgmentCode, ErrorCode};
use tokio::sync::oneshot;

use super::conductor::{Conductor, Input, Waiting, Work};
use super::intake::{Incoming, ReceivedFacts};
use super::reply::{self, Answer, Refusal};
use crate::log::Log;
use crate::names::MessageId;
use crate::program::BOT_FAILED;
use crate::project::{ChannelSpec, ReplyMode, Unanswered};
use crate::record::{
    Disposition, PeerRecord, Processed, ProcessedOutcome, Received, Record, Settled, SettledOutcome,
};

/// How far behind a message its outcome is looked for when the message is sent again.
const SEARCHED_MAX: usize = 100_000;

impl Conductor {
    /// Notes a sender who waits. One who repeats a message waits with the first, or gets the
    /// answer that was given.
    pub(super) fn wait_for_answer(
        &mut self,
        message: MessageId,
        duplicate_of: Option<MessageId>,
        incoming: &Incoming,
        answer: oneshot::Sender<Answer>,
    ) {
        let awaited = duplicate_of.unwrap_or(message);
        if let Some(waiting) = self.answers.get_mut(&awaited) {
            // Those who gave up and sent it again.
            waiting.senders.retain(|sender| !sender.is_closed());
            waiting.senders.push(answer);
            return;
        }
        let goes_on = self.ledger.unprocessed.contains(&awaited) || self.is_due(awaited);
        if duplicate_of.is_some() && !goes_on {
            self.answer_again(awaited, incoming.bytes.clone(), answer);
            return;
        }
        let waiting = Waiting {
            bytes: incoming.bytes.clone(),
            at: incoming.at,
            mode: self.spec.reply.clone(),
            due: self.spec.reply.timeout().map(|timeout| Instant::now() + timeout),
            senders: vec![answer],
        };
        if let Some(due) = waiting.due {
            self.answers_due.insert((due, awaited), ());
        }
        self.answers.insert(awaited, waiting);
    }

    /// Those who wait for this message, who are answered now.
    fn take_waiting(&mut self, message: MessageId) -> Option<Waiting> {
        let waiting = self.answers.remove(&message)?;
        if let Some(due) = waiting.due {
            self.answers_due.remove(&(due, message));
        }
        Some(waiting)
    }

    /// Whether the destination whose reply senders wait for has not got this message yet.
    fn is_due(&self, message: MessageId) -> bool {
        let ReplyMode::Delivered { from, .. } = &self.spec.reply else { return false };
        let queue = self.ledger.queues.get(from);
        queue.is_some_and(|queue| queue.open.values().any(|open| *open == message))
    }

    /// The reply that is kept with the outcome of processing, where the reply mode waits for it.
    pub(super) fn reply_after_processing(&self, work: &Work, record: &Processed) -> Option<Bytes> {
        if work.incoming.acknowledges.is_some() {
            return None;
        }
        let waiting = self.answers.get(&work.message);
        let mode = waiting.map_or(&self.spec.reply, |waiting| &waiting.mode);
        let waits_for_destination = match (mode, &record.outcome) {
            (ReplyMode::None | ReplyMode::Received, _) => return None,
            (ReplyMode::Delivered { from, .. }, ProcessedOutcome::Routed(outputs)) => {
                outputs.iter().any(|output| output.destination == *from)
            }
            _ => false,
        };
        if waits_for_destination {
            return None;
        }
        let delivered = matches!(mode, ReplyMode::Delivered { .. });
        let control_id = self.services.ids.application_acknowledgment(work.message);
        let received = &work.incoming.bytes;
        if record.reply.is_some()
            && work.incoming.sequence.is_none()
            && !(delivered && reply::asks(received))
        {
            // The step that refused it has said why.
            return record.reply.clone();
        }
        let refusal = refusal_of(record);
        // A query that went nowhere has no answer, and a positive acknowledgment would be none.
        let refusal = refusal.or_else(|| (delivered && reply::asks(received)).then(not_asked));
        match refusal {
            None => {
                let expected = work.incoming.sequence;
                reply::positive(received, AcknowledgmentCode::Aa, &control_id, record.at, expected)
            }
            Some(refusal) => {
                // The number is used up: the message is kept, whatever became of it.
                let expected = work.incoming.sequence.map(|number| number.saturating_add(1));
                let refusal = Refusal { expected, ..refusal };
                Some(reply::negative(received, &refusal, &control_id, record.at))
            }
        }
    }

    /// Makes the application acknowledgment a message of its own, where it goes to a destination and
    /// the sender asked for it (HL7 v2.5.1 §2.9.3). Its record stands before the outcome's: should
    /// only the first be kept, the message is processed again, and acknowledged twice rather than
    /// not at all.
    pub(super) fn keep_application_acknowledgment(&self, work: &Work, record: &Processed) {
        let received = &work.incoming.bytes;
        let (Some(reply), Some(_)) = (&record.reply, self.spec.reply.application()) else { return };
        let Some(bytes) = reply::wanted_application(received, reply) else { return };
        let received = Received {
            channel: Arc::clone(&self.spec.name),
            at: record.at,
            peer: PeerRecord::default(),
            part: None,
            sender_hash: 0,
            content_hash: 0,
            duplicate_of: None,
            refused: None,
            sequence: None,
            acknowledges: Some(work.message),
            bytes,
        };
        let (sender, record) = (self.sender.clone(), Record::Received(received));
        self.services.log.append_in_order(
            self.known_failures,
            record,
            Flush::Now,
            move |result, record| {
                // What follows in the journal fails with it: the message is processed again.
                let (Ok(position), Record::Received(record)) = (result, record) else { return };
                let incoming = Incoming {
                    bytes: record.bytes,
                    peer: Arc::default(),
                    at: record.at,
                    control_id_reused: false,
                    sequence: None,
                    acknowledges: record.acknowledges,
                    change: None,
                    admission: None,
                };
                let facts = ReceivedFacts {
                    duplicate_of: None,
                    refused: false,
                    part: None,
                    sequence: None,
                };
                let message = MessageId(position);
                // A conductor that has stopped finds the record at the next start.
                let _ = sender.send(Input::Received { message, incoming, facts, answer: None });
            },
        );
    }

    /// The outcome of processing is durable: whoever waits for no more is answered.
    pub(super) fn answer_processed(&mut self, record: &Processed) {
        if record.reply.is_none() || self.answers.is_empty() {
            return;
        }
        if let Some(waiting) = self.take_waiting(record.message) {
            waiting.answer(&answer_of(record));
        }
    }

    /// A delivery has settled: whoever waits for its destination is answered.
    pub(super) fn answer_settled(&mut self, record: &Settled) {
        let from = match self.answers.get(&record.message).map(|waiting| &waiting.mode) {
            Some(ReplyMode::Delivered { from, .. }) => from,
            _ => return,
        };
        if record.destination != *from {
            return;
        }
        let Some(waiting) = self.take_waiting(record.message) else { return };
        let control_id = self.services.ids.application_acknowledgment(record.message);
        let answer = answer_of_delivery(&self.spec, record, &waiting.bytes, &control_id);
        waiting.answer(&answer);
    }

    /// Answers those who have waited long enough. The message itself goes on, unless it is a query:
    /// nobody would hear its answer.
    pub(super) fn answer_late(&mut self, now: Instant) {
        while let Some(entry) = self.answers_due.first_entry()
            && entry.key().0 <= now
        {
            let (_, message) = entry.remove_entry().0;
            let Some(waiting) = self.answers.remove(&message) else { continue };
            if let ReplyMode::Delivered { from, unanswered, .. } = &waiting.mode
                && reply::asks(&waiting.bytes)
                && *unanswered != Unanswered::Retry
                && let Some(post) = self.posts.get_mut(from)
            {
                post.outbox.note_overdue(message);
            }
            tracing::warn!(
                channel = &*self.spec.name,
                message_id = message.0.get(),
                code = "reply.late",
                "a sender waited too long and was told AE"
            );
            let control_id = self.services.ids.application_acknowledgment(message);
            let answer = waiting.late(&control_id);
            waiting.answer(&answer);
        }
    }

    /// Gives a sender who repeats a message the answer its first copy got.
    fn answer_again(&self, message: MessageId, bytes: Bytes, answer: oneshot::Sender<Answer>) {
        let (log, spec) = (self.services.log.clone(), Arc::clone(&self.spec));
        let ids = Arc::clone(&self.services.ids);
        tokio::task::spawn_blocking(move || {
            let control_id = ids.application_acknowledgment(message);
            if let Some(found) = find_answer(&log, &spec, message, &bytes, &control_id) {
                // The sender may have gone meanwhile.
                let _ = answer.send(found);
            }
        });
    }
}

impl Waiting {
    /// What the sender is told when its time is over: AE, and that the message is kept.
    fn late(&self, control_id: &str) -> Answer {
        let text = match self.mode {
            ReplyMode::Delivered { .. } if reply::asks(&self.bytes) => {
                "no answer from the destination in time"
            }
            ReplyMode::Delivered { .. } => {
                "no answer from the destination in time; the message is kept and goes on"
            }
            _ => "not processed in time; the message is kept and goes on",
        };
        let reply = reply::negative(&self.bytes, &Refusal::error(text), control_id, self.at);
        Answer { outcome: ReceiptOutcome::Kept, reply: Some(reply) }
    }

    fn answer(self, answer: &Answer) {
        for sender in self.senders {
            // The sender may have gone meanwhile.
            let _ = sender.send(answer.clone());
        }
    }
}

/// Looks for the answer to a message in the journal.
fn find_answer(
    log: &Log,
    spec: &ChannelSpec,
    message: MessageId,
    received: &Bytes,
    control_id: &str,
) -> Option<Answer> {
    log.records(message.0).take(SEARCHED_MAX).find_map(|entry| match entry.ok()?.1 {
        Record::Processed(record) if record.message == message && record.reply.is_some() => {
            Some(answer_of(&record))
        }
        Record::Settled(record) if record.message == message => match &spec.reply {
            ReplyMode::Delivered { from, .. } if record.destination == *from => {
                Some(answer_of_delivery(spec, &record, received, control_id))
            }
            _ => None,
        },
        _ => None,
    })
}

fn answer_of(record: &Processed) -> Answer {
    let outcome =
        if record.is_rejected() { ReceiptOutcome::Rejected } else { ReceiptOutcome::Kept };
    Answer { outcome, reply: record.reply.clone() }
}

fn answer_of_delivery(
    spec: &ChannelSpec,
    record: &Settled,
    received: &Bytes,
    control_id: &str,
) -> Answer {
    // What a FHIR server or a web service says is no acknowledgment: its outcome is.
    let reply = record.reply.as_ref().filter(|reply| reply::header_of(reply).is_ok());
    let (refusal, reply) = match (&record.outcome, reply) {
        (SettledOutcome::Delivered, None) if record.reply.is_some() && reply::asks(received) => {
            let text = "the destination's answer is no HL7 message";
            (Some(Refusal::error(text)), None)
        }
        (SettledOutcome::Delivered, None) => (None, None),
        (SettledOutcome::Delivered, Some(reply)) => {
            (reply::refusal_of_query(reply, received), Some(reply))
        }
        (
            SettledOutcome::Parked { code, .. } | SettledOutcome::GivenUp { code, .. },
            Some(reply),
        ) if is_answer(spec, &record.destination, code) => {
            (reply::refusal_of_query(reply, received), Some(reply))
        }
        (SettledOutcome::Parked { code, .. }, _) => {
            let text = format!("the destination could not take it ({code}); the message is kept");
            (Some(Refusal::error(text)), None)
        }
        (SettledOutcome::GivenUp { code, .. }, _) => {
            (Some(Refusal::error(format!("no answer from the destination ({code})"))), None)
        }
    };
    let reply = match (refusal, reply) {
        (Some(refusal), _) => Some(reply::negative(received, &refusal, control_id, record.at)),
        (None, Some(reply)) => Some(reply::forwarded(reply, received)),
        (None, None) => {
            reply::positive(received, AcknowledgmentCode::Aa, control_id, record.at, None)
        }
    };
    Answer { outcome: ReceiptOutcome::Kept, reply }
}

/// Whether what came back with a delivery that ended by this code is the answer to it. What can't
/// be read, or names another message, may be about another patient: it goes to nobody.
fn is_answer(spec: &ChannelSpec, destination: &str, code: &str) -> bool {
    let destination = spec.destinations.iter().find(|one| &*one.name == destination);
    let side = destination.and_then(|one| one.descriptor.destination.as_ref());
    side.is_some_and(|side| {
        side.interruptions.iter().all(|(interruption, _)| *interruption != code)
    })
}

fn not_asked() -> Refusal {
    Refusal {
        code: AcknowledgmentCode::Ar,
        error: ErrorCode::UnsupportedEventCode,
        location: Some("MSH-9".to_owned()),
        text: "this query is not taken here".to_owned(),
        expected: None,
    }
}

/// What the sender of a message is told when processing did not go well.
fn refusal_of(record: &Processed) -> Option<Refusal> {
    let ProcessedOutcome::Ended(ended) = &record.outcome else { return None };
    match ended.disposition {
        Disposition::Delivered | Disposition::Filtered | Disposition::Superseded => None,
        Disposition::Parked => {
            // The run of a bot, under which an operator finds what it logged and threw.
            let run = BotFailure::run_in(&ended.detail).filter(|_| ended.code == BOT_FAILED);
            let run = run.map(|run| format!(", run {run}")).unwrap_or_default();
            Some(Refusal::error(format!("set aside for a person ({}{run})", ended.code)))
        }
        Disposition::Rejected => Some(Refusal {
            code: AcknowledgmentCode::from_bytes(ended.code.as_bytes())
                .unwrap_or(AcknowledgmentCode::Ae),
            error: ErrorCode::ApplicationInternalError,
            location: None,
            text: ended.detail.clone(),
            expected: None,
        }),
    }
}

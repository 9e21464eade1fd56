//! Senders that wait for more than durability: who is answered, when, and with what.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use pipehat_connectors::ReceiptOutcome;
use pipehat_message::{AcknowledgmentCode, ErrorCode};
use tokio::sync::oneshot;

use super::conductor::{Conductor, Waiting, Work};
use super::intake::Incoming;
use super::reply::{self, Answer, Refusal};
use crate::log::Log;
use crate::names::MessageId;
use crate::project::ReplyMode;
use crate::record::{Disposition, Processed, ProcessedOutcome, Record, Settled, SettledOutcome};

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
            senders: vec![answer],
        };
        self.answers.insert(awaited, waiting);
        if let ReplyMode::Delivered { timeout, .. } = &self.spec.reply {
            self.answers_due.insert((Instant::now() + *timeout, awaited), ());
        }
    }

    /// Whether the destination whose reply senders wait for has not got this message yet.
    fn is_due(&self, message: MessageId) -> bool {
        let ReplyMode::Delivered { from, .. } = &self.spec.reply else { return false };
        let queue = self.ledger.queues.get(from);
        queue.is_some_and(|queue| queue.open.values().any(|open| *open == message))
    }

    /// The reply that is kept with the outcome of processing, where the reply mode waits for it.
    pub(super) fn reply_after_processing(&self, work: &Work, record: &Processed) -> Option<Bytes> {
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
        let control_id = self.services.ids.application_acknowledgment(work.message);
        let received = &work.incoming.bytes;
        if record.reply.is_some() {
            // The step that refused it has said why.
            return record.reply.clone();
        }
        match refusal_of(record) {
            None => reply::positive(received, AcknowledgmentCode::Aa, &control_id, record.at),
            Some(refusal) => Some(reply::negative(received, &refusal, &control_id, record.at)),
        }
    }

    /// The outcome of processing is durable: whoever waits for no more is answered.
    pub(super) fn answer_processed(&mut self, record: &Processed) {
        if record.reply.is_none() || self.answers.is_empty() {
            return;
        }
        if let Some(waiting) = self.answers.remove(&record.message) {
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
        let Some(waiting) = self.answers.remove(&record.message) else { return };
        let control_id = self.services.ids.application_acknowledgment(record.message);
        let answer = answer_of_delivery(record, &waiting.bytes, &control_id);
        waiting.answer(&answer);
    }

    /// Answers those for whom a destination was too slow. The message itself goes on.
    pub(super) fn answer_late(&mut self, now: Instant) {
        while let Some(entry) = self.answers_due.first_entry()
            && entry.key().0 <= now
        {
            let (_, message) = entry.remove_entry().0;
            let Some(waiting) = self.answers.remove(&message) else { continue };
            let refusal =
                Refusal::error("no answer from the destination in time; the message is kept");
            let control_id = self.services.ids.application_acknowledgment(message);
            let reply = reply::negative(&waiting.bytes, &refusal, &control_id, waiting.at);
            waiting.answer(&Answer { outcome: ReceiptOutcome::Kept, reply: Some(reply) });
        }
    }

    /// Gives a sender who repeats a message the answer its first copy got.
    fn answer_again(&self, message: MessageId, bytes: Bytes, answer: oneshot::Sender<Answer>) {
        let (log, spec) = (self.services.log.clone(), Arc::clone(&self.spec));
        let ids = Arc::clone(&self.services.ids);
        tokio::task::spawn_blocking(move || {
            let control_id = ids.application_acknowledgment(message);
            if let Some(found) = find_answer(&log, &spec.reply, message, &bytes, &control_id) {
                // The sender may have gone meanwhile.
                let _ = answer.send(found);
            }
        });
    }
}

impl Waiting {
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
    mode: &ReplyMode,
    message: MessageId,
    received: &Bytes,
    control_id: &str,
) -> Option<Answer> {
    log.records(message.0).take(SEARCHED_MAX).find_map(|entry| match entry.ok()?.1 {
        Record::Processed(record) if record.message == message && record.reply.is_some() => {
            Some(answer_of(&record))
        }
        Record::Settled(record) if record.message == message => match mode {
            ReplyMode::Delivered { from, .. } if record.destination == *from => {
                Some(answer_of_delivery(&record, received, control_id))
            }
            _ => None,
        },
        _ => None,
    })
}

fn answer_of(record: &Processed) -> Answer {
    let rejected = matches!(&record.outcome, ProcessedOutcome::Ended(ended)
        if ended.disposition == Disposition::Rejected);
    let outcome = if rejected { ReceiptOutcome::Rejected } else { ReceiptOutcome::Kept };
    Answer { outcome, reply: record.reply.clone() }
}

fn answer_of_delivery(record: &Settled, received: &Bytes, control_id: &str) -> Answer {
    let reply = match (&record.reply, &record.outcome) {
        (Some(reply), _) => Some(reply::forwarded(reply, received)),
        (None, SettledOutcome::Delivered) => {
            reply::positive(received, AcknowledgmentCode::Aa, control_id, record.at)
        }
        (None, SettledOutcome::Parked { code, .. }) => {
            let text = format!("the destination could not take it ({code}); the message is kept");
            Some(reply::negative(received, &Refusal::error(text), control_id, record.at))
        }
    };
    Answer { outcome: ReceiptOutcome::Kept, reply }
}

/// What the sender of a message is told when processing did not go well.
fn refusal_of(record: &Processed) -> Option<Refusal> {
    let ProcessedOutcome::Ended(ended) = &record.outcome else { return None };
    match ended.disposition {
        Disposition::Delivered | Disposition::Filtered | Disposition::Superseded => None,
        Disposition::Parked => {
            Some(Refusal::error(format!("set aside for a person ({})", ended.code)))
        }
        Disposition::Rejected => Some(Refusal {
            code: AcknowledgmentCode::from_bytes(ended.code.as_bytes())
                .unwrap_or(AcknowledgmentCode::Ae),
            error: ErrorCode::ApplicationInternalError,
            location: None,
            text: ended.detail.clone(),
        }),
    }
}

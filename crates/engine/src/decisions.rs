//! What people ask for about messages: release, discard, send again, and show.

use std::sync::Arc;

use jiff::Timestamp;
use pipehat_journal::Position;

use crate::channel::{DecideError, Input, Standing, siblings};
use crate::engine::{Engine, ask};
use crate::ledger::DeliveryKey;
use crate::log::{Log, LogError};
use crate::names::{ChannelName, MessageId};
use crate::record::{
    Decided, Decision, DeliveryRef, OutputRecord, Processed, ProcessedOutcome, Record, Settled,
};

/// Records looked through behind a message for what became of it.
const HISTORY_MAX: usize = 200_000;

/// Who decides, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deciding {
    /// An account, or the name of a rule.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
}

/// One record of a message's life, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The record's position.
    pub position: Position,
    /// The record.
    pub record: Record,
}

impl Engine {
    /// Lets a parked message go on: through the steps again when it was parked there, otherwise
    /// to the destinations it is parked for. Gives the number of deliveries released.
    ///
    /// # Errors
    /// When there is no such message or it is not parked.
    pub async fn release(&self, message: MessageId, who: &Deciding) -> Result<usize, DecideError> {
        let (channel, standing) = self.standing(message).await?;
        if standing.in_processing {
            self.decide(decided(&channel, message, who, Decision::Reprocess)).await?;
            return Ok(1);
        }
        for key in &standing.parked_deliveries {
            let delivery = self.delivery(message, *key).await?;
            self.decide(decided(&channel, message, who, Decision::Resend(delivery))).await?;
        }
        none_is_an_error(message, standing.parked_deliveries.len(), "parked")
    }

    /// Gives up a parked message. Gives the number of deliveries discarded.
    ///
    /// # Errors
    /// When there is no such message or it is not parked.
    pub async fn discard(&self, message: MessageId, who: &Deciding) -> Result<usize, DecideError> {
        let (channel, standing) = self.standing(message).await?;
        if standing.in_processing {
            self.decide(decided(&channel, message, who, Decision::Discard)).await?;
            return Ok(1);
        }
        for key in &standing.parked_deliveries {
            let delivery = self.delivery(message, *key).await?;
            let decision = Decision::DiscardDelivery(delivery);
            self.decide(decided(&channel, message, who, decision)).await?;
        }
        none_is_an_error(message, standing.parked_deliveries.len(), "parked")
    }

    /// Sends a message's outputs once more, the same bytes, to one destination or to all. Gives
    /// the number of deliveries opened.
    ///
    /// # Errors
    /// When there is no such message, it was never sent anywhere, or it is still being delivered.
    pub async fn resend(
        &self,
        message: MessageId,
        destination: Option<&str>,
        who: &Deciding,
    ) -> Result<usize, DecideError> {
        let (channel, _) = self.standing(message).await?;
        let log = self.log().clone();
        let find = move || latest_routed(&log, message);
        let found = tokio::task::spawn_blocking(find).await.ok().flatten();
        let Some((processed, outputs)) = found else {
            return none_is_an_error(message, 0, "one that was sent anywhere");
        };
        let mut opened = 0;
        for (ordinal, output) in (1..).zip(&outputs) {
            if destination.is_some_and(|wanted| wanted != &*output.destination) {
                continue;
            }
            let delivery = delivery_ref(processed, ordinal, &outputs, &output.destination);
            self.decide(decided(&channel, message, who, Decision::Resend(delivery))).await?;
            opened += 1;
        }
        none_is_an_error(message, opened, "one that was sent to that destination")
    }

    async fn standing(&self, message: MessageId) -> Result<(ChannelName, Standing), DecideError> {
        let log = self.log().clone();
        let fetch = move || log.fetch(message.0);
        let Ok(Ok(Record::Received(received))) = tokio::task::spawn_blocking(fetch).await else {
            return self.standing_by_the_books(message).await;
        };
        let handle = self.handle(&received.channel)?;
        let standing = ask(&handle, |answer| Input::Standing { message, answer }).await;
        Ok((received.channel, standing.ok_or(DecideError::Stopping)?))
    }

    /// A message that can't be read any more may still be parked in some channel's books.
    async fn standing_by_the_books(
        &self,
        message: MessageId,
    ) -> Result<(ChannelName, Standing), DecideError> {
        for (channel, handle) in self.all_handles() {
            let standing = ask(&handle, |answer| Input::Standing { message, answer }).await;
            if let Some(standing) = standing
                && (standing.in_processing || !standing.parked_deliveries.is_empty())
            {
                return Ok((channel, standing));
            }
        }
        Err(DecideError::NoMessage { message })
    }

    async fn delivery(
        &self,
        message: MessageId,
        key: DeliveryKey,
    ) -> Result<DeliveryRef, DecideError> {
        let log = self.log().clone();
        let find = move || routed(&log, key).or_else(|| parked(&log, key));
        let found = tokio::task::spawn_blocking(find).await.ok().flatten();
        found.ok_or(DecideError::NoMessage { message })
    }
}

/// The delivery as the outcome of processing has it.
fn routed(log: &Log, key: DeliveryKey) -> Option<DeliveryRef> {
    let Ok(Record::Processed(record)) = log.fetch(key.processed) else { return None };
    let ProcessedOutcome::Routed(outputs) = &record.outcome else { return None };
    let output = outputs.get(usize::from(key.ordinal).wrapping_sub(1))?;
    let destination = Arc::clone(&output.destination);
    Some(delivery_ref(key.processed, key.ordinal, outputs, &destination))
}

/// The delivery as the record that parked it has it: where the outcome of processing can't be
/// read any more.
fn parked(log: &Log, key: DeliveryKey) -> Option<DeliveryRef> {
    let settled = log.heads(key.processed.next()).filter_map(|entry| match entry {
        Ok((_, Record::Settled(settled))) => Some(settled),
        _ => None,
    });
    let mut settled = settled.filter(|settled| settled.processed == key.processed);
    let Settled { destination, siblings, .. } =
        settled.find(|settled| settled.ordinal == key.ordinal)?;
    Some(DeliveryRef { processed: key.processed, ordinal: key.ordinal, destination, siblings })
}

/// What became of a message: the records about it, in order. Looks from its Received record on,
/// and at the further positions the caller knows of. Blocks on the disk.
///
/// # Errors
/// When the journal can't be read.
pub fn history(log: &Log, message: MessageId, known: &[Position]) -> Result<Vec<Stage>, LogError> {
    let mut stages = vec![Stage { position: message.0, record: log.fetch(message.0)? }];
    if known.is_empty() {
        for entry in log.records(message.0.next()).take(HISTORY_MAX) {
            let (position, record) = entry?;
            if message_of(&record) == Some(message) {
                stages.push(Stage { position, record });
            }
        }
    } else {
        for position in known.iter().filter(|position| **position != message.0) {
            stages.push(Stage { position: *position, record: log.fetch(*position)? });
        }
    }
    Ok(stages)
}

/// The message a record is about.
pub fn message_of(record: &Record) -> Option<MessageId> {
    match record {
        Record::Received(_) | Record::Applied(_) => None,
        Record::Processed(record) => Some(record.message),
        Record::Attempted(record) => Some(record.message),
        Record::Settled(record) => Some(record.message),
        Record::Decided(record) => Some(record.message),
    }
}

fn latest_routed(log: &Log, message: MessageId) -> Option<(Position, Vec<OutputRecord>)> {
    log.heads(message.0.next()).take(HISTORY_MAX).find_map(|entry| match entry.ok()? {
        (position, Record::Processed(Processed { message: of, outcome, .. })) if of == message => {
            match outcome {
                ProcessedOutcome::Routed(outputs) => Some((position, outputs)),
                ProcessedOutcome::Ended(_) => None,
            }
        }
        _ => None,
    })
}

fn delivery_ref(
    processed: Position,
    ordinal: u16,
    outputs: &[OutputRecord],
    destination: &Arc<str>,
) -> DeliveryRef {
    let siblings = siblings(outputs, ordinal);
    DeliveryRef { processed, ordinal, destination: Arc::clone(destination), siblings }
}

fn decided(
    channel: &ChannelName,
    message: MessageId,
    who: &Deciding,
    decision: Decision,
) -> Decided {
    Decided {
        channel: Arc::clone(channel),
        message,
        at: Timestamp::now(),
        by: who.by.clone(),
        reason: who.reason.clone(),
        decision,
    }
}

fn none_is_an_error(
    message: MessageId,
    count: usize,
    expected: &'static str,
) -> Result<usize, DecideError> {
    if count == 0 { Err(DecideError::NotSo { message, expected }) } else { Ok(count) }
}

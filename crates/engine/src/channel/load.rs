//! Reading deliveries back from the journal.

use std::ops::RangeInclusive;
use std::sync::Arc;

use pipehat_journal::Position;

use super::outbox::{Delivery, LoadRequest};
use crate::ledger::DeliveryKey;
use crate::log::{Log, LogError};
use crate::names::MessageId;
use crate::record::{BodyRef, OutputRecord, Processed, ProcessedOutcome, Record, Sibling};

/// Records looked at in one reading: between them other channels may have their turn.
const RECORDS_MAX: usize = 20_000;

/// Deliveries taken in one reading.
const DELIVERIES_MAX: usize = 512;

/// Bytes taken in one reading.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a reading found.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) deliveries: Vec<Delivery>,
    /// Where the next reading goes on.
    pub(crate) next: Position,
}

/// Reads the deliveries of one destination, of records up to `applied`: what is in the journal
/// behind it the books do not know yet. Blocks on the disk.
pub(crate) fn load(
    log: &Log,
    channel: &str,
    destination: &str,
    request: &LoadRequest,
    applied: Position,
    is_settled: &dyn Fn(DeliveryKey) -> bool,
) -> Result<Loaded, LogError> {
    match request {
        LoadRequest::These(keys) => load_these(log, destination, keys),
        LoadRequest::From(from) => {
            load_from(log, channel, destination, *from..=applied, is_settled)
        }
    }
}

fn load_these(log: &Log, destination: &str, keys: &[DeliveryKey]) -> Result<Loaded, LogError> {
    let mut deliveries = Vec::new();
    let mut bytes = 0;
    let mut next = Position::new(1).unwrap_or_else(|| log.journal().first_position());
    let mut latest: Option<(Position, Processed)> = None;
    for key in keys {
        if bytes >= BYTES_MAX {
            break;
        }
        if latest.as_ref().is_none_or(|(position, _)| *position != key.processed) {
            let Record::Processed(record) = log.fetch(key.processed)? else {
                return Err(LogError::Kind { position: key.processed });
            };
            latest = Some((key.processed, record));
        }
        let Some((_, record)) = &latest else { continue };
        let found = deliveries_of(log, key.processed, record, destination)?;
        let Some(delivery) = found.into_iter().find(|delivery| delivery.key == *key) else {
            return Err(LogError::Kind { position: key.processed });
        };
        bytes += delivery.bytes.len();
        next = key.processed.next();
        deliveries.push(delivery);
    }
    Ok(Loaded { deliveries, next })
}

fn load_from(
    log: &Log,
    channel: &str,
    destination: &str,
    positions: RangeInclusive<Position>,
    is_settled: &dyn Fn(DeliveryKey) -> bool,
) -> Result<Loaded, LogError> {
    let mut loaded = Loaded { deliveries: Vec::new(), next: *positions.start() };
    let mut bytes = 0;
    for entry in log.records(*positions.start()).take(RECORDS_MAX) {
        if loaded.deliveries.len() >= DELIVERIES_MAX || bytes >= BYTES_MAX {
            break;
        }
        let (position, record) = entry?;
        if position > *positions.end() {
            break;
        }
        loaded.next = position.next();
        let Record::Processed(record) = record else { continue };
        if &*record.channel != channel {
            continue;
        }
        for delivery in deliveries_of(log, position, &record, destination)? {
            if !is_settled(delivery.key) {
                bytes += delivery.bytes.len();
                loaded.deliveries.push(delivery);
            }
        }
    }
    Ok(loaded)
}

/// The deliveries of one Processed record for one destination.
fn deliveries_of(
    log: &Log,
    position: Position,
    record: &Processed,
    destination: &str,
) -> Result<Vec<Delivery>, LogError> {
    let ProcessedOutcome::Routed(outputs) = &record.outcome else { return Ok(Vec::new()) };
    let mut received = None;
    let mut deliveries = Vec::new();
    for (ordinal, output) in (1..).zip(outputs) {
        if &*output.destination != destination {
            continue;
        }
        let bytes = match &output.bytes {
            BodyRef::Own(bytes) => bytes.clone(),
            BodyRef::AsReceived => match &received {
                Some(bytes) => bytes::Bytes::clone(bytes),
                None => received.insert(received_bytes(log, record.message)?).clone(),
            },
        };
        deliveries.push(Delivery {
            key: DeliveryKey { processed: position, ordinal },
            message: record.message,
            bytes,
            lanes: record.lanes.clone(),
            siblings: siblings(outputs, ordinal),
            file: record.file.clone(),
        });
    }
    Ok(deliveries)
}

/// The outputs of a message other than this one.
pub(crate) fn siblings(outputs: &[OutputRecord], ordinal: u16) -> Vec<Sibling> {
    (1..)
        .zip(outputs)
        .filter(|(other, _)| *other != ordinal)
        .map(|(ordinal, output)| Sibling { ordinal, destination: Arc::clone(&output.destination) })
        .collect()
}

fn received_bytes(log: &Log, message: MessageId) -> Result<bytes::Bytes, LogError> {
    match log.fetch(message.0)? {
        Record::Received(record) => Ok(record.bytes),
        _ => Err(LogError::Kind { position: message.0 }),
    }
}

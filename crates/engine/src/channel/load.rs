//! Reading deliveries back from the journal.

use std::ops::RangeInclusive;
use std::sync::Arc;

use pipehat_journal::{Position, Records};

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

/// Records passed over between two that are wanted: beyond them, finding the next one anew is
/// cheaper.
const PASSED_OVER_MAX: u64 = 256;

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
    let mut records = Ascending { log, reading: None };
    for key in keys {
        if bytes >= BYTES_MAX {
            break;
        }
        if latest.as_ref().is_none_or(|(position, _)| *position != key.processed) {
            let Record::Processed(record) = records.fetch(key.processed)? else {
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

/// Fetches records in ascending order. Neighbours come from one reading: fetched singly, each
/// would be looked for in its chunk, and its group expanded, anew.
struct Ascending<'l> {
    log: &'l Log,
    /// The position the reading goes on from.
    reading: Option<(Position, Records)>,
}

impl Ascending<'_> {
    fn fetch(&mut self, at: Position) -> Result<Record, LogError> {
        let is_near =
            |next: Position| next <= at && at.get().saturating_sub(next.get()) <= PASSED_OVER_MAX;
        let (mut next, mut entries) = match self.reading.take() {
            Some((next, entries)) if is_near(next) => (next, entries),
            _ => (at, self.log.journal().read(at)),
        };
        while next <= at {
            let Some(entry) = entries.next().transpose()? else { break };
            let position = entry.position;
            next = position.next();
            if position == at {
                self.reading = Some((next, entries));
                return self.log.decode(entry);
            }
        }
        // It is not there: the journal says why.
        self.log.fetch(at)
    }
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use jiff::Timestamp;
    use pipehat_journal::{Flush, MemoryJournal, Position, ReadError};

    use super::{Ascending, PASSED_OVER_MAX};
    use crate::log::{Log, LogError};
    use crate::record::{Applied, Record};

    fn record(number: u64) -> Record {
        let (channel, at) = (Arc::from("test"), Timestamp::UNIX_EPOCH);
        Record::Applied(Applied { channel, at, by: number.to_string(), revision: None })
    }

    fn at(number: u64) -> Position {
        Position::new(number).expect("from 1")
    }

    #[test]
    fn records_near_and_far_are_those_that_were_asked_for() {
        let log = Log::new(Arc::new(MemoryJournal::new()));
        let (sender, answer) = mpsc::channel();
        let end = 3 * PASSED_OVER_MAX;
        for number in 1..=end {
            let sender = sender.clone();
            log.append(record(number), Flush::Later, move |result, _| {
                sender.send(result.is_ok()).expect("the test waits");
            });
        }
        assert!(answer.iter().take(usize::try_from(end).expect("small")).all(|kept| kept));
        let mut records = Ascending { log: &log, reading: None };
        let near = 9 + PASSED_OVER_MAX;
        for number in [1, 2, 3, 7, 8, near, near + 1, end, end, 5, 6, end] {
            assert_eq!(records.fetch(at(number)).expect("a record"), record(number));
        }
        let missing = records.fetch(at(end + 1));
        assert!(matches!(missing, Err(LogError::Read(ReadError::NotWritten { .. }))));
    }
}

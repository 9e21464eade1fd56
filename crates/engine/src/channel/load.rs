//! Reading deliveries back from the journal.

use std::ops::RangeInclusive;
use std::sync::Arc;

use pipehat_connectors::ResourceChange;
use pipehat_journal::{Entry, Position, Records};

use super::outbox::{Delivery, LoadRequest};
use crate::ledger::DeliveryKey;
use crate::log::{Log, LogError};
use crate::names::MessageId;
use crate::record::{BodyRef, OutputRecord, ProcessedOutcome, Record, Sibling};

/// Records looked at in one reading: between them other channels may have their turn.
const RECORDS_MAX: usize = 20_000;

/// Deliveries taken in one reading.
const DELIVERIES_MAX: usize = 512;

/// Bytes taken in one reading.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// Records passed over between two that are wanted: beyond them, finding the next one anew is
/// cheaper.
const PASSED_OVER_MAX: u64 = 256;

/// Positions behind damage that are tried for one that can be read.
const PROBES_MAX: usize = 1_024;

/// What a reading found.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) deliveries: Vec<Delivery>,
    /// Deliveries whose bytes are damaged or gone for good.
    pub(crate) unreadable: Vec<Unreadable>,
    /// Where the next reading goes on.
    pub(crate) next: Position,
}

/// A delivery that can't be made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) key: DeliveryKey,
    /// What is known of it, unless not even that can be read.
    pub(crate) known: Option<(MessageId, Vec<Sibling>)>,
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
    let mut loaded = Loaded {
        deliveries: Vec::new(),
        unreadable: Vec::new(),
        next: Position::new(1).unwrap_or_else(|| log.journal().first_position()),
    };
    let mut bytes = 0;
    let mut latest: Option<(Position, Found)> = None;
    let mut records = Ascending { log, reading: None };
    for key in keys {
        if bytes >= BYTES_MAX {
            break;
        }
        if latest.as_ref().is_none_or(|(position, _)| *position != key.processed) {
            let mut found = Found::default();
            match records.fetch(key.processed) {
                Ok(entry) => found = deliveries_of(log, entry, None, destination)?,
                Err(error) if error.is_for_good() => {}
                Err(error) => return Err(error),
            }
            latest = Some((key.processed, found));
        }
        let Some((_, found)) = &mut latest else { continue };
        loaded.next = key.processed.next();
        if let Some(at) = found.deliveries.iter().position(|delivery| delivery.key == *key) {
            let delivery = found.deliveries.swap_remove(at);
            bytes += delivery.bytes.len();
            loaded.deliveries.push(delivery);
        } else if let Some(at) = found.unreadable.iter().position(|other| other.key == *key) {
            loaded.unreadable.push(found.unreadable.swap_remove(at));
        } else {
            loaded.unreadable.push(Unreadable { key: *key, known: None });
        }
    }
    Ok(loaded)
}

/// Fetches records in ascending order. Neighbours come from one reading: fetched singly, each
/// would be looked for in its chunk, and its group expanded, anew.
struct Ascending<'l> {
    log: &'l Log,
    /// The position the reading goes on from.
    reading: Option<(Position, Records)>,
}

impl Ascending<'_> {
    fn fetch(&mut self, at: Position) -> Result<Entry, LogError> {
        let is_near =
            |next: Position| next <= at && at.get().saturating_sub(next.get()) <= PASSED_OVER_MAX;
        let (mut next, mut entries) = match self.reading.take() {
            Some((next, entries)) if is_near(next) => (next, entries),
            _ => (at, self.log.journal().read(at)),
        };
        while next <= at {
            // Damage on the way says nothing about the record itself.
            let Some(Ok(entry)) = entries.next() else { break };
            let position = entry.position;
            next = position.next();
            if position == at {
                self.reading = Some((next, entries));
                return Ok(entry);
            }
        }
        // It is not there, or can't be read: the journal says why.
        Ok(self.log.journal().fetch(at)?)
    }
}

fn load_from(
    log: &Log,
    channel: &str,
    destination: &str,
    positions: RangeInclusive<Position>,
    is_settled: &dyn Fn(DeliveryKey) -> bool,
) -> Result<Loaded, LogError> {
    let mut loaded =
        Loaded { deliveries: Vec::new(), unreadable: Vec::new(), next: *positions.start() };
    let mut bytes = 0;
    let from = (*positions.start()).max(log.journal().first_position());
    for entry in log.journal().read(from).take(RECORDS_MAX) {
        if loaded.deliveries.len() >= DELIVERIES_MAX || bytes >= BYTES_MAX {
            break;
        }
        let entry = match entry.map_err(LogError::from) {
            Ok(entry) => entry,
            Err(error) if error.is_for_good() => {
                // Nobody can tell whose records these were: they stay open until a repair.
                let behind = behind_damage(log, loaded.next, *positions.end());
                tracing::error!(
                    from = loaded.next.get(),
                    to = behind.get(),
                    error = &error as &dyn std::error::Error,
                    "the journal is damaged; what can be read behind the damage goes on"
                );
                loaded.next = behind;
                break;
            }
            Err(error) => return Err(error),
        };
        if entry.position > *positions.end() {
            break;
        }
        loaded.next = entry.position.next();
        let found = deliveries_of(log, entry, Some(channel), destination)?;
        for delivery in found.deliveries {
            if !is_settled(delivery.key) {
                bytes += delivery.bytes.len();
                loaded.deliveries.push(delivery);
            }
        }
        let unreadable = found.unreadable.into_iter();
        loaded.unreadable.extend(unreadable.filter(|unreadable| !is_settled(unreadable.key)));
    }
    Ok(loaded)
}

/// The first position behind damage that can be read again, as far as one reading looks.
fn behind_damage(log: &Log, damaged: Position, last: Position) -> Position {
    let mut position = damaged;
    for _ in 0..PROBES_MAX {
        if position > last || log.journal().fetch(position).is_ok() {
            break;
        }
        position = position.next();
    }
    position
}

/// The deliveries of one outcome of processing for one destination.
#[derive(Default)]
struct Found {
    deliveries: Vec<Delivery>,
    unreadable: Vec<Unreadable>,
}

/// The deliveries of one record for one destination; none when it is no outcome of processing, or
/// one of another channel.
fn deliveries_of(
    log: &Log,
    entry: Entry,
    channel: Option<&str>,
    destination: &str,
) -> Result<Found, LogError> {
    let (position, mut found) = (entry.position, Found::default());
    let head = match Log::decode_head(entry.clone()) {
        Ok(Record::Processed(record)) => record,
        Ok(_) => return Ok(found),
        Err(error) if error.is_for_good() => {
            tracing::error!(
                position = position.get(),
                error = &error as &dyn std::error::Error,
                "a record can't be read; what it was to send stays open"
            );
            return Ok(found);
        }
        Err(error) => return Err(error),
    };
    if channel.is_some_and(|channel| channel != &*head.channel) {
        return Ok(found);
    }
    let whole = match log.decode(entry) {
        Ok(Record::Processed(record)) => Some(record),
        Ok(_) => None,
        Err(error) if error.is_for_good() => None,
        Err(error) => return Err(error),
    };
    let record = whole.as_ref().unwrap_or(&head);
    let ProcessedOutcome::Routed(outputs) = &record.outcome else { return Ok(found) };
    let mut received = None;
    for (ordinal, output) in (1..).zip(outputs) {
        if &*output.destination != destination {
            continue;
        }
        let bytes = match &output.bytes {
            BodyRef::Own(bytes) => whole.is_some().then(|| (bytes.clone(), None)),
            BodyRef::AsReceived => match &received {
                Some(known) => Option::clone(known),
                None => received.insert(as_received(log, record.message)?).clone(),
            },
        };
        let key = DeliveryKey { processed: position, ordinal };
        let siblings = siblings(outputs, ordinal);
        match bytes {
            Some((bytes, change)) => found.deliveries.push(Delivery {
                key,
                message: record.message,
                bytes,
                lanes: record.lanes.clone(),
                siblings,
                file: record.file.clone(),
                change,
            }),
            None => {
                let known = Some((record.message, siblings));
                found.unreadable.push(Unreadable { key, known });
            }
        }
    }
    Ok(found)
}

/// The outputs of a message other than this one.
pub(crate) fn siblings(outputs: &[OutputRecord], ordinal: u16) -> Vec<Sibling> {
    (1..)
        .zip(outputs)
        .filter(|(other, _)| *other != ordinal)
        .map(|(ordinal, output)| Sibling { ordinal, destination: Arc::clone(&output.destination) })
        .collect()
}

/// A message as it came in, and the change of a resource that it tells of: only messages that no step touches do.
type AsReceived = (bytes::Bytes, Option<Arc<ResourceChange>>);

/// A message as it came in; `None` when that can't be read for good.
fn as_received(log: &Log, message: MessageId) -> Result<Option<AsReceived>, LogError> {
    match log.fetch(message.0) {
        Ok(Record::Received(record)) => {
            let change = record.change();
            Ok(Some((record.bytes, change)))
        }
        Ok(_) => Ok(None),
        Err(error) if error.is_for_good() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use bytes::Bytes;
    use jiff::Timestamp;
    use pipehat_journal::{Flush, MemoryJournal, ReadError};

    use super::*;
    use crate::record::Applied;
    use crate::testing::TestJournal;

    fn routed(message: u64) -> Record {
        let output = |name: &str| OutputRecord {
            destination: name.into(),
            bytes: BodyRef::Own(Bytes::from(format!("{name} {message}"))),
            translation: None,
        };
        Record::Processed(crate::record::Processed {
            channel: "channel".into(),
            message: MessageId(Position::new(message).expect("not zero")),
            at: Timestamp::UNIX_EPOCH,
            revision: [0; 32],
            lanes: Vec::new(),
            file: None,
            effects: Vec::new(),
            findings: Vec::new(),
            outcome: ProcessedOutcome::Routed(vec![output("lab"), output("archive")]),
            reply: None,
            translations: Vec::new(),
        })
    }

    /// Reads on from the first of ten outcomes until nothing comes; gives what was found.
    #[track_caller]
    fn check(broken: &[u64], expected: &[u64]) {
        let journal = Arc::new(TestJournal::default());
        let log = Log::new(Arc::clone(&journal) as Arc<dyn pipehat_journal::Journal>);
        let (sender, kept) = mpsc::channel();
        for number in 1..=10 {
            let sender = sender.clone();
            log.append(routed(number), Flush::Now, move |result, _| {
                sender.send(result.expect("it is kept")).expect("the test waits");
            });
        }
        let last = (0..10).map(|_| kept.recv().expect("an answer")).max().expect("ten");
        for number in broken {
            journal.break_at(Position::new(*number).expect("not zero"));
        }
        let mut found = Vec::new();
        let mut next = Position::FIRST;
        while next <= last {
            let request = LoadRequest::From(next);
            let loaded = load(&log, "channel", "lab", &request, last, &|_| false).expect("reads");
            assert!(loaded.next > next, "it goes on");
            next = loaded.next;
            found.extend(loaded.deliveries.iter().map(|found| found.key.processed.get()));
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_behind_damage_goes_on() {
        check(&[], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        check(&[4], &[1, 2, 3, 5, 6, 7, 8, 9, 10]);
        check(&[1, 2, 3, 7], &[4, 5, 6, 8, 9, 10]);
        check(&[9, 10], &[1, 2, 3, 4, 5, 6, 7, 8]);
    }

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
            let entry = records.fetch(at(number)).expect("a record");
            assert_eq!(log.decode(entry).expect("a record"), record(number));
        }
        let missing = records.fetch(at(end + 1));
        assert!(matches!(missing, Err(LogError::Read(ReadError::NotWritten { .. }))));
    }
}

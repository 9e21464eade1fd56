//! The books against a model that keeps everything, for histories drawn at random.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use pipehat_journal::Position;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::TestCaseError;

use super::{Counters, DeliveryKey, Exception, Ledger, OPEN_MAX};
use crate::checkpoint::Books;
use crate::names::{DestinationName, MessageId};
use crate::record::{
    BodyRef, Decided, Decision, DeliveryRef, Disposition, Ended, OutputRecord, PeerRecord,
    Processed, ProcessedOutcome, Received, Record, Settled, SettledOutcome, Sibling,
};

mod lost;

const DESTINATIONS: [&str; 2] = ["lab", "archive"];

/// How a delivery stands in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Open,
    Delivered,
    Parked,
    Discarded,
}

/// How a message stands in the model.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Unprocessed,
    Ended(Disposition),
    Routed { processed: Position, deliveries: Vec<(DestinationName, Standing)> },
}

/// Everything there is to know about a channel.
#[derive(Debug, Default)]
struct Model {
    messages: BTreeMap<MessageId, Stage>,
    history: Vec<(Position, Record)>,
}

impl Model {
    fn next(&self) -> Position {
        Position::new(self.history.len() as u64 + 1).expect("not zero")
    }

    /// Does one thing that may happen; what is not possible now does not happen.
    fn step(&mut self, kind: u8, choice: usize) {
        match kind % 8 {
            0 | 1 => self.receive(choice),
            2 | 3 => self.process(choice),
            4 | 5 => self.settle(choice),
            6 => self.decide_message(choice),
            _ => self.decide_delivery(choice),
        }
    }

    fn record(&mut self, record: Record) -> Position {
        let position = self.next();
        self.history.push((position, record));
        position
    }

    fn receive(&mut self, choice: usize) {
        let duplicate_of =
            if choice.is_multiple_of(7) { self.messages.keys().next().copied() } else { None };
        let refused = (choice.is_multiple_of(11)).then(|| (String::new(), String::new()));
        let stage = match (&duplicate_of, &refused) {
            (Some(_), _) => Stage::Ended(Disposition::Superseded),
            (None, Some(_)) => Stage::Ended(Disposition::Rejected),
            (None, None) => Stage::Unprocessed,
        };
        let position = self.record(Record::Received(Received {
            channel: "channel".into(),
            at: Timestamp::UNIX_EPOCH,
            peer: PeerRecord::default(),
            part: None,
            sender_hash: 0,
            content_hash: 0,
            duplicate_of,
            refused,
            sequence: None,
            acknowledges: None,
            bytes: Bytes::new(),
        }));
        self.messages.insert(MessageId(position), stage);
    }

    /// The messages for which this holds.
    fn which(&self, is: impl Fn(&Stage) -> bool) -> Vec<MessageId> {
        let found = self.messages.iter().filter(|(_, stage)| is(stage));
        found.map(|(message, _)| *message).collect()
    }

    fn process(&mut self, choice: usize) {
        let waiting = self.which(|stage| *stage == Stage::Unprocessed);
        let Some(message) = waiting.get(choice % waiting.len().max(1)).copied() else { return };
        let wanted: Vec<DestinationName> = (0..choice % 4)
            .map(|output| Arc::from(DESTINATIONS[(output + choice) % DESTINATIONS.len()]))
            .collect();
        let disposition = Disposition::ALL[choice % Disposition::ALL.len()];
        let outcome = if wanted.is_empty() {
            ProcessedOutcome::Ended(Ended {
                disposition,
                code: String::new(),
                detail: String::new(),
            })
        } else {
            let output = |destination: &DestinationName| OutputRecord {
                destination: Arc::clone(destination),
                bytes: BodyRef::AsReceived,
                translation: None,
            };
            ProcessedOutcome::Routed(wanted.iter().map(output).collect())
        };
        let processed = self.record(Record::Processed(Processed {
            channel: "channel".into(),
            message,
            at: Timestamp::UNIX_EPOCH,
            revision: [0; 32],
            lanes: Vec::new(),
            file: None,
            effects: Vec::new(),
            findings: Vec::new(),
            outcome,
            reply: None,
            translations: Vec::new(),
        }));
        let deliveries: Vec<_> = wanted.into_iter().map(|name| (name, Standing::Open)).collect();
        let stage = if deliveries.is_empty() {
            Stage::Ended(disposition)
        } else {
            Stage::Routed { processed, deliveries }
        };
        self.messages.insert(message, stage);
    }

    /// The deliveries for which this holds: message, Processed record, place from 0.
    fn deliveries(&self, is: impl Fn(Standing) -> bool) -> Vec<(MessageId, Position, usize)> {
        let mut found = Vec::new();
        for (message, stage) in &self.messages {
            let Stage::Routed { processed, deliveries } = stage else { continue };
            for (place, (_, standing)) in deliveries.iter().enumerate() {
                if is(*standing) {
                    found.push((*message, *processed, place));
                }
            }
        }
        found
    }

    fn stands(&mut self, message: MessageId, place: usize, now: Standing) -> DeliveryRef {
        let Some(Stage::Routed { processed, deliveries }) = self.messages.get_mut(&message) else {
            panic!("only messages that were routed have deliveries");
        };
        deliveries[place].1 = now;
        let siblings = (1..).zip(deliveries.iter()).filter(|(other, _)| *other != place + 1).map(
            |(other, (destination, _))| Sibling {
                ordinal: u16::try_from(other).expect("few"),
                destination: Arc::clone(destination),
            },
        );
        DeliveryRef {
            processed: *processed,
            ordinal: u16::try_from(place + 1).expect("few"),
            destination: Arc::clone(&deliveries[place].0),
            siblings: siblings.collect(),
        }
    }

    fn settle(&mut self, choice: usize) {
        let open = self.deliveries(|standing| standing == Standing::Open);
        let Some((message, _, place)) = open.get(choice % open.len().max(1)).copied() else {
            return;
        };
        let parked = choice.is_multiple_of(3);
        let given_up = choice % 7 == 5;
        let now = match (parked, given_up) {
            (true, _) => Standing::Parked,
            (_, true) => Standing::Discarded,
            _ => Standing::Delivered,
        };
        let delivery = self.stands(message, place, now);
        let outcome = if parked {
            SettledOutcome::Parked { code: String::new(), detail: String::new() }
        } else if given_up {
            SettledOutcome::GivenUp { code: String::new(), detail: String::new() }
        } else {
            SettledOutcome::Delivered
        };
        self.record(Record::Settled(Settled {
            channel: "channel".into(),
            message,
            processed: delivery.processed,
            ordinal: delivery.ordinal,
            destination: delivery.destination,
            siblings: delivery.siblings,
            at: Timestamp::UNIX_EPOCH,
            attempts: 1,
            outcome,
            sequence: None,
            reply: None,
        }));
    }

    fn decided(&mut self, message: MessageId, decision: Decision) {
        self.record(Record::Decided(Decided {
            channel: "channel".into(),
            message,
            at: Timestamp::UNIX_EPOCH,
            by: String::new(),
            reason: String::new(),
            decision,
        }));
    }

    fn decide_message(&mut self, choice: usize) {
        let parked = self.which(|stage| *stage == Stage::Ended(Disposition::Parked));
        let Some(message) = parked.get(choice % parked.len().max(1)).copied() else { return };
        let (stage, decision) = if choice.is_multiple_of(2) {
            (Stage::Unprocessed, Decision::Reprocess)
        } else {
            (Stage::Ended(Disposition::Superseded), Decision::Discard)
        };
        self.messages.insert(message, stage);
        self.decided(message, decision);
    }

    fn decide_delivery(&mut self, choice: usize) {
        let discard = choice.is_multiple_of(2);
        let fit = self.deliveries(|standing| match standing {
            Standing::Open => false,
            Standing::Parked => true,
            Standing::Delivered | Standing::Discarded => !discard,
        });
        let Some((message, _, place)) = fit.get(choice % fit.len().max(1)).copied() else { return };
        let decision = if discard {
            Decision::DiscardDelivery(self.stands(message, place, Standing::Discarded))
        } else {
            Decision::Resend(self.stands(message, place, Standing::Open))
        };
        self.decided(message, decision);
    }

    fn counters(&self) -> Counters {
        let mut counters = Counters { received: self.messages.len() as u64, ..Counters::default() };
        for stage in self.messages.values() {
            let after = match stage {
                Stage::Unprocessed => None,
                Stage::Ended(disposition) => Some(*disposition),
                Stage::Routed { deliveries, .. } => {
                    let any = |wanted| deliveries.iter().any(|(_, standing)| *standing == wanted);
                    if any(Standing::Open) {
                        None
                    } else if any(Standing::Parked) {
                        Some(Disposition::Parked)
                    } else if any(Standing::Delivered) {
                        Some(Disposition::Delivered)
                    } else {
                        Some(Disposition::Superseded)
                    }
                }
            };
            counters.shift(None, after);
        }
        counters
    }

    /// What a reading of the journal finds for a destination from a position on.
    fn read(
        &self,
        destination: &str,
        from: Position,
        most: usize,
        settled: &BTreeSet<DeliveryKey>,
    ) -> (Vec<(DeliveryKey, MessageId)>, Position) {
        let mut found = Vec::new();
        let mut next = from;
        for (position, record) in self.history.iter().filter(|(position, _)| *position >= from) {
            if found.len() >= most {
                break;
            }
            next = position.next();
            let Record::Processed(record) = record else { continue };
            let ProcessedOutcome::Routed(outputs) = &record.outcome else { continue };
            for (ordinal, output) in (1..).zip(outputs) {
                let key = DeliveryKey { processed: *position, ordinal };
                if &*output.destination == destination && !settled.contains(&key) {
                    found.push((key, record.message));
                }
            }
        }
        (found, next)
    }

    /// Compares the books with all that is known.
    fn check(&self, ledger: &Ledger) -> Result<(), TestCaseError> {
        prop_assert_eq!(ledger.anomalies, 0);
        prop_assert_eq!(ledger.counters, self.counters());
        let unprocessed = self.which(|stage| *stage == Stage::Unprocessed);
        prop_assert_eq!(ledger.unprocessed.iter().copied().collect::<Vec<_>>(), unprocessed);
        let parked = self.which(|stage| *stage == Stage::Ended(Disposition::Parked));
        prop_assert_eq!(
            ledger.parked.iter().copied().collect::<BTreeSet<_>>(),
            parked.into_iter().collect()
        );
        let mut depth: BTreeMap<&str, u64> = BTreeMap::new();
        let mut oldest = ledger.unprocessed.first().copied();
        for (message, stage) in &self.messages {
            let Stage::Routed { processed, deliveries } = stage else { continue };
            for (ordinal, (destination, standing)) in (1..).zip(deliveries) {
                let key = DeliveryKey { processed: *processed, ordinal };
                let queue = ledger.queues.get(destination).expect("it has had deliveries");
                prop_assert_eq!(queue.is_open(key), *standing == Standing::Open, "{:?}", key);
                let exception = ledger.exceptions.get(&key).map(|(_, exception)| *exception);
                let expected = match standing {
                    Standing::Open | Standing::Delivered => None,
                    Standing::Parked => Some(Exception::Parked),
                    Standing::Discarded => Some(Exception::Discarded),
                };
                prop_assert_eq!(exception, expected);
                if matches!(standing, Standing::Open | Standing::Parked) {
                    oldest = Some(oldest.map_or(*message, |oldest| oldest.min(*message)));
                }
                *depth.entry(destination).or_default() += u64::from(*standing == Standing::Open);
            }
        }
        for (destination, queue) in &ledger.queues {
            prop_assert_eq!(queue.depth(), depth.get(&**destination).copied().unwrap_or(0));
            if let Some(frontier) = queue.frontier {
                prop_assert!(queue.open.keys().all(|key| key.processed < frontier));
            }
        }
        let parked = ledger.parked.iter().min().copied();
        let oldest = oldest.into_iter().chain(parked).min();
        // Never later than the truth: what is needed is not trimmed.
        let in_time = match (ledger.oldest_needed(), oldest) {
            (Some(needed), Some(oldest)) => needed <= oldest,
            (None, oldest) => oldest.is_none(),
            (Some(_), None) => true,
        };
        prop_assert!(in_time);
        Ok(())
    }
}

/// A checkpoint and back; how many deliveries are tracked is not in it.
fn through_a_file(ledger: &Ledger) -> Ledger {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("checkpoint.json");
    let mut books = Books::default();
    let through = Position::new(7);
    books.channels.insert("channel".into(), (through, ledger.clone()));
    books.times.push((1_767_225_600, Position::FIRST));
    books.write(&path).expect("it can be written");
    let mut read = Books::read(&path).expect("it can be read").expect("it is there");
    let (_, again) = read.channels.get_mut("channel").expect("the channel");
    assert_eq!(again.open_max, OPEN_MAX);
    again.open_max = ledger.open_max;
    assert_eq!(read, books);
    read.channels.remove("channel").expect("the channel").1
}

proptest! {
    /// As the engine runs: records are entered as they come, and what is beyond the frontier is
    /// read back now and then. A delivery can only settle while it is tracked.
    #[test]
    fn running_books_know_what_the_model_knows(
        open_max in 1_usize..6,
        steps in proptest::collection::vec((0_u8..10, any::<u16>()), 0..120),
    ) {
        let mut model = Model::default();
        let mut ledger = Ledger { open_max, ..Ledger::default() };
        for (kind, choice) in steps {
            if kind >= 8 {
                let destination = DESTINATIONS[usize::from(choice) % 2];
                let Some(queue) = ledger.queues.get_mut(destination) else { continue };
                let Some(frontier) = queue.frontier else { continue };
                let most = usize::from(choice % 3) + 1;
                let (found, next) = model.read(destination, frontier, most, &queue.settled_beyond);
                queue.advance(&found, Some(next));
            } else {
                let before = model.history.len();
                model.step(kind, usize::from(choice));
                for (position, record) in &model.history[before..] {
                    ledger.apply(*position, record);
                }
            }
            model.check(&ledger)?;
        }
        // Read to the end, nothing is left beyond.
        for destination in DESTINATIONS {
            let Some(queue) = ledger.queues.get_mut(destination) else { continue };
            let Some(frontier) = queue.frontier else { continue };
            let (found, next) = model.read(destination, frontier, usize::MAX, &queue.settled_beyond);
            queue.advance(&found, Some(next));
            prop_assert_eq!((queue.frontier, queue.beyond), (None, 0));
        }
        model.check(&ledger)?;
    }

    /// A restart: a checkpoint anywhere and the records since give the same as all records, and
    /// books that track everything count in flight what the totals say.
    #[test]
    fn books_made_again_are_the_same(
        open_max in 1_usize..6,
        steps in proptest::collection::vec((0_u8..8, any::<u16>()), 0..120),
        checkpoint in any::<proptest::sample::Index>(),
    ) {
        let mut model = Model::default();
        for (kind, choice) in steps {
            model.step(kind, usize::from(choice));
        }
        let mut straight = Ledger { open_max, ..Ledger::default() };
        let mut restarted = straight.clone();
        let mut all = Ledger::tracking_all();
        let at = checkpoint.index(model.history.len().max(1));
        for (number, (position, record)) in model.history.iter().enumerate() {
            if number == at {
                restarted = through_a_file(&restarted);
            }
            straight.apply(*position, record);
            restarted.apply(*position, record);
            all.apply(*position, record);
        }
        prop_assert_eq!(&straight, &restarted);
        model.check(&straight)?;
        model.check(&all)?;
        prop_assert_eq!(all.in_flight_counted(), all.counters.in_flight());
    }
}

#[test]
fn what_does_not_fit_is_an_anomaly_and_changes_no_total() {
    let mut model = Model::default();
    model.receive(1);
    model.process(1);
    model.settle(1);
    let mut ledger = Ledger::default();
    for (position, record) in &model.history {
        ledger.apply(*position, record);
    }
    let counters = ledger.counters;
    assert_eq!((counters.received, counters.delivered, ledger.anomalies), (1, 1, 0));
    // Processed again, settled again.
    for (number, (position, record)) in (1..).zip(&model.history[1..]) {
        ledger.apply(*position, record);
        assert_eq!((ledger.anomalies, ledger.counters), (number, counters));
    }
}

#[test]
fn a_queue_is_tracked_up_to_its_limit_and_counted_beyond() {
    let mut ledger = Ledger { open_max: 2, ..Ledger::default() };
    let mut model = Model::default();
    for _ in 0..4 {
        model.receive(1);
        model.process(1);
    }
    let mut shape = Vec::new();
    for (position, record) in &model.history {
        ledger.apply(*position, record);
        if matches!(record, Record::Processed(_)) {
            let queue = ledger.queues.values().next().expect("one destination");
            shape.push((queue.open.len(), queue.frontier.map(Position::get), queue.beyond));
        }
    }
    assert_eq!(shape, [(1, None, 0), (2, None, 0), (2, Some(6), 1), (2, Some(6), 2)]);
}

#[test]
fn a_checkpoint_of_a_later_release_or_a_damaged_one_is_refused() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("checkpoint.json");
    assert!(Books::read(&path).expect("no file is no error").is_none());
    Books::default().write(&path).expect("it can be written");
    let text = std::fs::read_to_string(&path).expect("it can be read");
    let wrong = [
        text.replace("\"format_version\":1", "\"format_version\":2"),
        text.replace("\"times\":[]", "\"times\":[[1,0]]"),
        text[..text.len() / 2].to_owned(),
        String::new(),
    ];
    for text in wrong {
        std::fs::write(&path, &text).expect("it can be written");
        assert!(Books::read(&path).is_err(), "{text}");
    }
}

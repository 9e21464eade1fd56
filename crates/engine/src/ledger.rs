//! The books of one channel: what was received, where it stands, and that nothing is missing.
//!
//! A ledger is a pure function of the channel's records in journal order. The running engine, the
//! recovery at start and `pipehat prove` all use this one; none keeps a count of its own.
//!
//! Its memory is bounded: a queue tracks up to [`OPEN_MAX`] deliveries one by one; behind its
//! `frontier` it only counts, for the journal has them in order.

mod lost;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use pipehat_connectors::FilePart;
use pipehat_journal::Position;

pub use self::lost::Lost;

use crate::names::{DestinationName, MessageId};
use crate::record::{
    Decided, Decision, DeliveryRef, Disposition, Processed, ProcessedOutcome, Record, Settled,
    SettledOutcome, Sibling,
};
use crate::sequence::LinkNumber;

/// Deliveries of one destination tracked one by one. Beyond it a backlog costs disk only.
pub(crate) const OPEN_MAX: usize = 20_000;

/// Files whose kept parts are remembered: a source takes hold of few at a time.
pub(crate) const FILES_MAX: usize = 4_096;

/// One delivery, by the Processed record it stems from and its number there, from 1.
///
/// Their order is the order of processing, which within a lane is the order of acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryKey {
    /// The Processed record.
    pub processed: Position,
    /// Which of its outputs, from 1.
    pub ordinal: u16,
}

/// How many messages stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Came in.
    pub received: u64,
    /// Ended delivered.
    pub delivered: u64,
    /// Ended filtered.
    pub filtered: u64,
    /// Set aside.
    pub parked: u64,
    /// Answered negatively.
    pub rejected: u64,
    /// Replaced by another message or a decision.
    pub superseded: u64,
}

impl Counters {
    /// Messages that have not ended (promise 4).
    pub fn in_flight(&self) -> u64 {
        let ended: u64 = Disposition::ALL.into_iter().map(|disposition| self.of(disposition)).sum();
        self.received.saturating_sub(ended)
    }

    /// The messages that ended so.
    pub fn of(&self, disposition: Disposition) -> u64 {
        match disposition {
            Disposition::Delivered => self.delivered,
            Disposition::Filtered => self.filtered,
            Disposition::Parked => self.parked,
            Disposition::Rejected => self.rejected,
            Disposition::Superseded => self.superseded,
        }
    }

    fn count(&mut self, disposition: Disposition) -> &mut u64 {
        match disposition {
            Disposition::Delivered => &mut self.delivered,
            Disposition::Filtered => &mut self.filtered,
            Disposition::Parked => &mut self.parked,
            Disposition::Rejected => &mut self.rejected,
            Disposition::Superseded => &mut self.superseded,
        }
    }

    /// Moves one message from where it stood to where it stands; `None` is in flight.
    fn shift(&mut self, before: Option<Disposition>, after: Option<Disposition>) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            let count = self.count(before);
            *count = count.saturating_sub(1);
        }
        if let Some(after) = after {
            *self.count(after) += 1;
        }
    }
}

/// One destination's open deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    /// Open deliveries tracked one by one, and their messages.
    pub open: BTreeMap<DeliveryKey, MessageId>,
    /// All deliveries from this Processed record on are open, but for `settled_beyond`.
    pub frontier: Option<Position>,
    /// How many are open beyond the frontier.
    pub beyond: u64,
    /// The oldest message with a delivery beyond the frontier.
    pub beyond_oldest: Option<MessageId>,
    /// Settled although beyond the frontier: seen when records are read after a checkpoint.
    pub settled_beyond: BTreeSet<DeliveryKey>,
    /// The last number used in the sequence number protocol; 0: none.
    pub numbered: u64,
}

impl Queue {
    /// How many deliveries are open.
    pub fn depth(&self) -> u64 {
        self.open.len() as u64 + self.beyond
    }

    /// Whether this delivery is open. Only meaningful for a delivery of this destination.
    pub fn is_open(&self, key: DeliveryKey) -> bool {
        self.open.contains_key(&key)
            || (self.frontier.is_some_and(|frontier| key.processed >= frontier)
                && !self.settled_beyond.contains(&key))
    }

    fn close(&mut self, key: DeliveryKey) {
        if self.open.remove(&key).is_none() && self.is_open(key) {
            self.beyond = self.beyond.saturating_sub(1);
        }
        // One that stands behind the frontier is not open for that reason any more.
        if self.is_open(key) {
            self.settled_beyond.insert(key);
        }
    }

    /// Moves the frontier behind what was read: `loaded` are the open deliveries found between
    /// the old frontier and `next`, where reading goes on; `None` when the end was reached.
    pub fn advance(&mut self, loaded: &[(DeliveryKey, MessageId)], next: Option<Position>) {
        self.open.extend(loaded.iter().copied());
        self.beyond = self.beyond.saturating_sub(loaded.len() as u64);
        self.frontier = if self.beyond == 0 { None } else { next };
        match self.frontier {
            None => {
                self.settled_beyond.clear();
                self.beyond_oldest = None;
            }
            Some(frontier) => {
                self.settled_beyond.retain(|key| key.processed >= frontier);
            }
        }
    }
}

/// What stands against a settled delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exception {
    /// Set aside.
    Parked,
    /// Given up, by a person or because nobody waits for it any more.
    Discarded,
}

/// The books of one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// How many deliveries of a destination are tracked one by one.
    pub open_max: usize,
    /// The totals.
    pub counters: Counters,
    /// Received and not yet processed.
    pub unprocessed: BTreeSet<MessageId>,
    /// Parked in processing.
    pub parked: HashSet<MessageId>,
    /// Open deliveries by destination.
    pub queues: BTreeMap<DestinationName, Queue>,
    /// Deliveries settled otherwise than delivered.
    pub exceptions: HashMap<DeliveryKey, (MessageId, Exception)>,
    /// Parts kept of each file lately read, oldest first.
    pub files: VecDeque<(String, u64)>,
    /// The last number kept of each sender that numbers its messages.
    pub links: BTreeMap<String, i64>,
    /// Records that do not fit what came before. Always 0, or the books are wrong.
    pub anomalies: u64,
    /// What the journal lost to repairs.
    pub lost: Arc<Lost>,
    /// Those of them that the books know of all the same.
    pub told: Lost,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            open_max: OPEN_MAX,
            counters: Counters::default(),
            unprocessed: BTreeSet::new(),
            parked: HashSet::new(),
            queues: BTreeMap::new(),
            exceptions: HashMap::new(),
            files: VecDeque::new(),
            links: BTreeMap::new(),
            anomalies: 0,
            lost: Arc::default(),
            told: Lost::default(),
        }
    }
}

impl Ledger {
    /// Books that track every open delivery: for counting them apart from the totals.
    pub fn tracking_all() -> Self {
        Self { open_max: usize::MAX, ..Self::default() }
    }

    /// Messages that have not ended, counted one by one; only of books that track everything.
    pub fn in_flight_counted(&self) -> u64 {
        let open: BTreeSet<MessageId> =
            self.queues.values().flat_map(|queue| queue.open.values().copied()).collect();
        let beyond: u64 = self.queues.values().map(|queue| queue.beyond).sum();
        (self.unprocessed.len() + open.len()) as u64 + beyond
    }

    /// Enters one record of this channel.
    pub fn apply(&mut self, position: Position, record: &Record) {
        match record {
            Record::Received(record) => self.received(
                MessageId(position),
                record.duplicate_of,
                record.refused.is_some(),
                record.part.as_ref(),
                record.sequence.as_ref(),
            ),
            Record::Processed(record) => self.processed(position, record),
            Record::Settled(record) => self.settled(position, record),
            Record::Decided(record) => self.decided(position, record),
            Record::Attempted(_) | Record::Applied(_) => {}
        }
    }

    /// Enters a message that came in.
    pub fn received(
        &mut self,
        message: MessageId,
        duplicate_of: Option<MessageId>,
        refused: bool,
        part: Option<&FilePart>,
        sequence: Option<&LinkNumber>,
    ) {
        self.counters.received += 1;
        if duplicate_of.is_some() {
            self.counters.superseded += 1;
        } else if refused {
            self.counters.rejected += 1;
        } else {
            self.unprocessed.insert(message);
        }
        if let Some(part) = part {
            self.file_part(part);
        }
        match sequence {
            Some(LinkNumber { link, number: -1 }) => {
                self.links.remove(link);
            }
            Some(LinkNumber { link, number: number @ 1.. }) => {
                self.links.insert(link.clone(), *number);
            }
            Some(_) | None => {}
        }
    }

    /// Enters the outcome of processing.
    pub fn processed(&mut self, position: Position, record: &Processed) {
        if !self.unprocessed.remove(&record.message)
            && !self.restore_unprocessed(record.message, position)
        {
            self.anomalies += 1;
            return;
        }
        match &record.outcome {
            ProcessedOutcome::Ended(ended) => {
                *self.counters.count(ended.disposition) += 1;
                if ended.disposition == Disposition::Parked {
                    self.parked.insert(record.message);
                }
            }
            ProcessedOutcome::Routed(outputs) => {
                for (ordinal, output) in (1..).zip(outputs) {
                    let key = DeliveryKey { processed: position, ordinal };
                    self.open(&output.destination, key, record.message);
                }
            }
        }
    }

    fn open(&mut self, destination: &Arc<str>, key: DeliveryKey, message: MessageId) {
        let open_max = self.open_max;
        let queue = self.queues.entry(Arc::clone(destination)).or_default();
        // All outputs of one record stand on the same side of the frontier.
        let last = queue.open.last_key_value();
        let started = last.is_some_and(|(last, _)| last.processed == key.processed);
        if queue.frontier.is_none() && (started || queue.open.len() < open_max) {
            queue.open.insert(key, message);
        } else {
            queue.frontier.get_or_insert(key.processed);
            queue.beyond += 1;
            let oldest = queue.beyond_oldest.get_or_insert(message);
            *oldest = message.min(*oldest);
        }
    }

    /// Enters the end of a delivery.
    pub fn settled(&mut self, position: Position, record: &Settled) {
        let key = DeliveryKey { processed: record.processed, ordinal: record.ordinal };
        let Settled { message, destination, siblings, .. } = record;
        self.restore_processed(*message, key, destination, siblings, position);
        let before = self.standing(key, &record.destination, &record.siblings);
        if !self.queues.get(&record.destination).is_some_and(|queue| queue.is_open(key)) {
            if !self.settled_again(record, position) {
                self.anomalies += 1;
            }
            return;
        }
        if let Some(queue) = self.queues.get_mut(&record.destination) {
            queue.close(key);
            queue.numbered = queue.numbered.max(record.sequence.unwrap_or(0));
        }
        let exception = match record.outcome {
            SettledOutcome::Delivered => None,
            SettledOutcome::Parked { .. } => Some(Exception::Parked),
            SettledOutcome::GivenUp { .. } => Some(Exception::Discarded),
        };
        if let Some(exception) = exception {
            self.exceptions.insert(key, (record.message, exception));
        }
        let after = self.standing(key, &record.destination, &record.siblings);
        self.counters.shift(before, after);
    }

    /// Enters a decision.
    pub fn decided(&mut self, position: Position, record: &Decided) {
        let message = record.message;
        match &record.decision {
            Decision::Reprocess
                if self.parked.contains(&message) && self.is_beyond_recall(message) => {}
            Decision::Reprocess if self.parked.remove(&record.message) => {
                self.counters.parked -= 1;
                self.unprocessed.insert(record.message);
            }
            Decision::Discard if self.parked.remove(&record.message) => {
                self.counters.shift(Some(Disposition::Parked), Some(Disposition::Superseded));
            }
            Decision::Reprocess | Decision::Discard => {
                let discard = record.decision == Decision::Discard;
                if !self.decided_unparked(message, discard, position) {
                    self.anomalies += 1;
                }
            }
            Decision::Resend(delivery) => self.redecide(position, message, delivery, None),
            Decision::DiscardDelivery(delivery) => {
                self.redecide(position, message, delivery, Some(Exception::Discarded));
            }
        }
    }

    /// A settled delivery opens again, or stands differently.
    fn redecide(
        &mut self,
        position: Position,
        message: MessageId,
        delivery: &DeliveryRef,
        exception: Option<Exception>,
    ) {
        let key = DeliveryKey { processed: delivery.processed, ordinal: delivery.ordinal };
        let DeliveryRef { destination, siblings, .. } = delivery;
        self.restore_processed(message, key, destination, siblings, position);
        let before = self.standing(key, &delivery.destination, &delivery.siblings);
        let out_of_line = self.is_out_of_line(key);
        let queue = self.queues.entry(Arc::clone(&delivery.destination)).or_default();
        if queue.is_open(key) {
            if !self.redecided_open(message, delivery, exception, position) {
                self.anomalies += 1;
            }
            return;
        }
        match exception {
            Some(exception) => {
                self.exceptions.insert(key, (message, exception));
            }
            None => {
                self.exceptions.remove(&key);
                if queue.settled_beyond.remove(&key) && !out_of_line {
                    queue.beyond += 1;
                } else {
                    queue.open.insert(key, message);
                }
            }
        }
        let after = self.standing(key, &delivery.destination, &delivery.siblings);
        self.counters.shift(before, after);
    }

    /// How the message of these deliveries stands; `None` while one of them is open.
    fn standing(
        &self,
        key: DeliveryKey,
        destination: &Arc<str>,
        siblings: &[Sibling],
    ) -> Option<Disposition> {
        let others = siblings.iter().map(|sibling| (sibling.ordinal, &sibling.destination));
        let (mut parked, mut delivered) = (false, false);
        for (ordinal, destination) in others.chain([(key.ordinal, destination)]) {
            let key = DeliveryKey { ordinal, ..key };
            if self.queues.get(destination).is_some_and(|queue| queue.is_open(key)) {
                return None;
            }
            match self.exceptions.get(&key).map(|(_, exception)| exception) {
                Some(Exception::Parked) => parked = true,
                Some(Exception::Discarded) => {}
                None => delivered = true,
            }
        }
        Some(match (parked, delivered) {
            (true, _) => Disposition::Parked,
            (false, true) => Disposition::Delivered,
            (false, false) => Disposition::Superseded,
        })
    }

    /// The other deliveries of the same outcome of processing, as far as the books still know of
    /// them: those that are open or stand out. Of the others nothing depends.
    pub(crate) fn siblings(&self, key: DeliveryKey, destination: &DestinationName) -> Vec<Sibling> {
        let mut siblings = Vec::new();
        for (name, queue) in &self.queues {
            let from = DeliveryKey { processed: key.processed, ordinal: 0 };
            let to = DeliveryKey { processed: key.processed, ordinal: u16::MAX };
            let others = queue.open.range(from..=to).map(|(other, _)| other.ordinal);
            let others = others.filter(|other| name != destination || *other != key.ordinal);
            siblings
                .extend(others.map(|ordinal| Sibling { ordinal, destination: Arc::clone(name) }));
        }
        siblings
    }

    /// How many parts of this file are kept.
    pub fn parts_kept(&self, key: &str) -> u64 {
        self.files.iter().find(|(file, _)| file == key).map_or(0, |(_, kept)| *kept)
    }

    fn file_part(&mut self, part: &FilePart) {
        if let Some((_, kept)) = self.files.iter_mut().find(|(file, _)| *file == part.key) {
            *kept = (*kept).max(part.index + 1);
            return;
        }
        if self.files.len() >= FILES_MAX {
            self.files.pop_front();
        }
        self.files.push_back((part.key.clone(), part.index + 1));
    }

    /// The oldest message the channel still needs the records of.
    pub fn oldest_needed(&self) -> Option<MessageId> {
        let queues = self
            .queues
            .values()
            .flat_map(|queue| queue.open.values().copied().chain(queue.beyond_oldest));
        let exceptions = self.exceptions.values();
        let parked = exceptions
            .filter(|(_, exception)| *exception == Exception::Parked)
            .map(|(message, _)| *message);
        queues
            .chain(parked)
            .chain(self.parked.iter().copied())
            .chain(self.unprocessed.first().copied())
            .min()
    }
}

#[cfg(test)]
mod tests;

//! Books of a journal that lost records to a repair.
//!
//! What no record tells of any more can't be accounted for, and is not counted. What other records
//! still tell of is: an outcome of processing says that its message came in, the end of a delivery
//! that its message was processed, and a decision that there was something to decide about. So the
//! books hold over what is there. A delivery whose end was lost is open again and sent once more:
//! at least once, as after a crash.

use std::ops::RangeInclusive;
use std::sync::Arc;

use pipehat_journal::{Loss, Position};

use super::{DeliveryKey, Exception, Ledger};
use crate::names::{DestinationName, MessageId};
use crate::record::{DeliveryRef, Disposition, Settled, SettledOutcome, Sibling};

/// Positions as ranges, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lost(Vec<RangeInclusive<Position>>);

impl Lost {
    /// Those of a journal's losses.
    pub fn of(losses: &[Loss]) -> Self {
        losses.iter().map(|loss| loss.positions.clone()).collect()
    }

    /// The ranges.
    pub(crate) fn ranges(&self) -> &[RangeInclusive<Position>] {
        &self.0
    }

    /// How many positions.
    pub fn records(&self) -> u64 {
        let count = |range: &RangeInclusive<Position>| {
            range.end().get().saturating_sub(range.start().get()).saturating_add(1)
        };
        self.0.iter().map(count).sum()
    }

    fn contains(&self, position: Position) -> bool {
        self.between(position, position)
    }

    /// Whether one of them lies from the first to the last of these positions.
    fn between(&self, first: Position, last: Position) -> bool {
        let after = self.0.partition_point(|range| *range.end() < first);
        self.0.get(after).is_some_and(|range| *range.start() <= last)
    }

    fn insert(&mut self, range: RangeInclusive<Position>) {
        let at = self.0.partition_point(|other| other.start() < range.start());
        self.0.insert(at, range);
    }

    fn remove(&mut self, range: &RangeInclusive<Position>) {
        let mut kept = Vec::with_capacity(self.0.len());
        for own in std::mem::take(&mut self.0) {
            let (first, last) = (*own.start(), *own.end());
            if last < *range.start() || first > *range.end() {
                kept.push(own);
                continue;
            }
            let before = Position::new(range.start().get() - 1).filter(|before| *before >= first);
            kept.extend(before.map(|before| first..=before));
            if *range.end() < last {
                kept.push(range.end().next()..=last);
            }
        }
        self.0 = kept;
    }
}

impl FromIterator<RangeInclusive<Position>> for Lost {
    fn from_iter<I: IntoIterator<Item = RangeInclusive<Position>>>(ranges: I) -> Self {
        let mut lost = Self::default();
        for range in ranges {
            lost.insert(range);
        }
        lost
    }
}

impl Ledger {
    /// Takes note of what the journal lost, all in all and before these books were written up to
    /// `through`. What was lost since they know of already; but a message that waits for its steps
    /// and is lost itself is not there any more.
    pub(crate) fn lose(&mut self, lost: &Arc<Lost>, before: &Lost, through: Option<Position>) {
        self.lost = Arc::clone(lost);
        let mut known = Lost::clone(lost);
        for range in before.ranges() {
            known.remove(range);
        }
        match through.map(Position::next) {
            Some(unknown) => known.remove(&(unknown..=unknown.after(u64::MAX))),
            None => known = Lost::default(),
        }
        let gone: Vec<MessageId> =
            self.unprocessed.iter().copied().filter(|message| lost.contains(message.0)).collect();
        for message in gone {
            self.unprocessed.remove(&message);
            self.counters.received = self.counters.received.saturating_sub(1);
            known.remove(&(message.0..=message.0));
        }
        for range in known.0 {
            self.told.insert(range);
        }
    }

    /// Whether this record is lost; true at most once for each.
    fn restores(&mut self, position: Position) -> bool {
        let is_new = self.lost.contains(position) && !self.told.contains(position);
        if is_new {
            self.told.insert(position..=position);
        }
        is_new
    }

    /// A message is told of that does not wait for its steps: whether a lost record explains it.
    /// It does wait for them from now on, as far as the totals go.
    pub(super) fn restore_unprocessed(&mut self, message: MessageId, at: Position) -> bool {
        if self.restores(message.0) {
            self.counters.received += 1;
            return true;
        }
        // It was parked, and the decision to process it again is lost.
        let decided = self.lost.between(message.0, at) && self.parked.remove(&message);
        if decided {
            self.counters.parked = self.counters.parked.saturating_sub(1);
        }
        decided
    }

    /// A delivery is told of whose outcome of processing is lost: it and its siblings are open.
    pub(super) fn restore_processed(
        &mut self,
        message: MessageId,
        key: DeliveryKey,
        destination: &DestinationName,
        siblings: &[Sibling],
        at: Position,
    ) {
        if !self.restores(key.processed) {
            return;
        }
        if !self.unprocessed.remove(&message) && !self.restore_unprocessed(message, at) {
            // Nothing tells that it waited: the totals must not know of it either.
            self.anomalies += 1;
            return;
        }
        let others = siblings.iter().map(|sibling| (sibling.ordinal, &sibling.destination));
        for (ordinal, destination) in others.chain([(key.ordinal, destination)]) {
            let queue = self.queues.entry(Arc::clone(destination)).or_default();
            queue.open.insert(DeliveryKey { ordinal, ..key }, message);
        }
    }

    /// A delivery ended that had ended before: whether the decision that opened it again is lost.
    pub(super) fn settled_again(&mut self, record: &Settled, at: Position) -> bool {
        let key = DeliveryKey { processed: record.processed, ordinal: record.ordinal };
        if !self.lost.between(key.processed, at) {
            return false;
        }
        let before = self.standing(key, &record.destination, &record.siblings);
        if let SettledOutcome::Parked { .. } = record.outcome {
            self.exceptions.insert(key, (record.message, Exception::Parked));
        } else {
            self.exceptions.remove(&key);
        }
        let after = self.standing(key, &record.destination, &record.siblings);
        self.counters.shift(before, after);
        true
    }

    /// A decision about an open delivery: whether the record of its end is lost.
    pub(super) fn redecided_open(
        &mut self,
        message: MessageId,
        delivery: &DeliveryRef,
        exception: Option<Exception>,
        at: Position,
    ) -> bool {
        if !self.lost.between(delivery.processed, at) {
            return false;
        }
        if let Some(exception) = exception {
            let key = DeliveryKey { processed: delivery.processed, ordinal: delivery.ordinal };
            if let Some(queue) = self.queues.get_mut(&delivery.destination) {
                queue.close(key);
            }
            self.exceptions.insert(key, (message, exception));
            let after = self.standing(key, &delivery.destination, &delivery.siblings);
            self.counters.shift(None, after);
        }
        true
    }

    /// A decision about a message that is not parked: whether the record that parked it is lost.
    pub(super) fn decided_unparked(
        &mut self,
        message: MessageId,
        discard: bool,
        at: Position,
    ) -> bool {
        let waits = self.unprocessed.contains(&message);
        let explained =
            if waits { self.lost.between(message.0, at) } else { self.restores(message.0) };
        if !explained {
            return false;
        }
        if !waits {
            self.counters.received += 1;
        }
        if discard {
            self.unprocessed.remove(&message);
            self.counters.shift(None, Some(Disposition::Superseded));
        } else if !waits {
            // It can't be processed again, for its bytes are lost.
            self.counters.shift(None, Some(Disposition::Parked));
            self.parked.insert(message);
        }
        true
    }

    /// Whether a message parked in processing is to go through the steps again although its bytes
    /// are lost: it stays parked.
    pub(super) fn is_beyond_recall(&self, message: MessageId) -> bool {
        self.lost.contains(message.0)
    }

    /// Whether a delivery's bytes are not where reading on from the frontier finds them.
    pub(super) fn is_out_of_line(&self, key: DeliveryKey) -> bool {
        self.lost.contains(key.processed)
    }
}

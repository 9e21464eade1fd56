//! What people decide about messages: send again, process again, give up.

use std::sync::Arc;

use pipehat_journal::{AppendError, Flush, Position};
use tokio::sync::oneshot;

use super::conductor::{Conductor, DecideError, Input};
use super::intake::Incoming;
use crate::ledger::{DeliveryKey, Exception};
use crate::log::Log;
use crate::names::MessageId;
use crate::record::{Decided, Decision, DeliveryRef, Record};

impl Conductor {
    /// Checks a decision against the books, and journals it.
    pub(super) fn decide(
        &mut self,
        decided: Decided,
        answer: oneshot::Sender<Result<(), DecideError>>,
    ) {
        if let Err(error) = self.may_decide(&decided) {
            let _ = answer.send(Err(error));
            return;
        }
        if let Decision::Reprocess | Decision::Discard = decided.decision
            && let Some(blocked) = self.blocked.remove(&decided.message)
        {
            self.decide_blocked(blocked, &decided, answer);
            return;
        }
        let message = decided.message;
        if !self.deciding.insert(message) {
            let expected = "free: another decision about it is being kept";
            let _ = answer.send(Err(DecideError::NotSo { message, expected }));
            return;
        }
        let (log, sender) = (self.services.log.clone(), self.sender.clone());
        tokio::task::spawn_blocking(move || {
            let again = match &decided.decision {
                Decision::Reprocess => match received_again(&log, decided.message) {
                    Some(incoming) => Some(Box::new(incoming)),
                    None => {
                        let _ = sender.send(Input::NotDecided { message, answer });
                        return;
                    }
                },
                _ => None,
            };
            log.append(Record::Decided(decided), Flush::Now, move |result, record| {
                let Record::Decided(decided) = record else { return };
                let decided = Box::new(decided);
                let _ = sender.send(Input::Decided { decided, result, answer, again });
            });
        });
    }

    fn may_decide(&self, decided: &Decided) -> Result<(), DecideError> {
        let not_so = |expected| DecideError::NotSo { message: decided.message, expected };
        match &decided.decision {
            Decision::Reprocess | Decision::Discard => {
                let known = self.ledger.parked.contains(&decided.message)
                    || self.blocked.contains_key(&decided.message);
                if known { Ok(()) } else { Err(not_so("parked")) }
            }
            Decision::Resend(delivery) => {
                if !self.posts.contains_key(&delivery.destination) {
                    return Err(not_so("for a destination this channel has"));
                }
                let open = self.is_open(delivery);
                if open { Err(not_so("settled: it is being delivered")) } else { Ok(()) }
            }
            Decision::DiscardDelivery(delivery) => {
                let key = DeliveryKey { processed: delivery.processed, ordinal: delivery.ordinal };
                let parked =
                    matches!(self.ledger.exceptions.get(&key), Some((_, Exception::Parked)));
                if parked { Ok(()) } else { Err(not_so("parked")) }
            }
        }
    }

    fn is_open(&self, delivery: &DeliveryRef) -> bool {
        let key = DeliveryKey { processed: delivery.processed, ordinal: delivery.ordinal };
        let queue = self.ledger.queues.get(&delivery.destination);
        queue.is_some_and(|queue| queue.is_open(key))
    }

    /// The decision is durable: it takes effect.
    pub(super) fn decided(
        &mut self,
        decided: Decided,
        result: Result<Position, AppendError>,
        answer: oneshot::Sender<Result<(), DecideError>>,
        again: Option<Box<Incoming>>,
    ) {
        self.deciding.remove(&decided.message);
        let Ok(position) = result else {
            let _ = answer.send(Err(DecideError::NotKept));
            return;
        };
        self.ledger.decided(position, &decided);
        self.applied = position;
        match &decided.decision {
            Decision::Reprocess => {
                if let Some(incoming) = again {
                    self.enter(decided.message, *incoming);
                }
            }
            Decision::Resend(delivery) => {
                let key = DeliveryKey { processed: delivery.processed, ordinal: delivery.ordinal };
                self.ensure_post(&delivery.destination);
                let queue = self.ledger.queues.get(&delivery.destination);
                let tracked = queue.is_some_and(|queue| queue.open.contains_key(&key));
                if let Some(post) = self.posts.get_mut(&delivery.destination) {
                    if tracked {
                        post.outbox.must_load([key]);
                    } else {
                        // Beyond the frontier it is read when its turn comes.
                        post.outbox.opened_beyond();
                    }
                }
            }
            Decision::Discard | Decision::DiscardDelivery(_) => {}
        }
        let _ = answer.send(Ok(()));
    }

    /// The message a decision is about can't be read any more.
    pub(super) fn not_decided(
        &mut self,
        message: MessageId,
        answer: oneshot::Sender<Result<(), DecideError>>,
    ) {
        self.deciding.remove(&message);
        let _ = answer.send(Err(DecideError::NoMessage { message }));
    }

    /// Where a message stands, for a decision about it.
    pub(super) fn standing(&self, message: MessageId) -> Standing {
        let parked = self
            .ledger
            .exceptions
            .iter()
            .filter(|(_, (of, exception))| *of == message && *exception == Exception::Parked);
        let mut parked_deliveries: Vec<DeliveryKey> = parked.map(|(key, _)| *key).collect();
        parked_deliveries.sort_unstable();
        Standing {
            in_processing: self.ledger.parked.contains(&message)
                || self.blocked.contains_key(&message),
            parked_deliveries,
        }
    }
}

/// Where a message waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Parked in processing, or holding its lane.
    pub(crate) in_processing: bool,
    /// Its parked deliveries, in order.
    pub(crate) parked_deliveries: Vec<DeliveryKey>,
}

/// A message as it was received, to go through the steps again.
pub(crate) fn received_again(log: &Log, message: MessageId) -> Option<Incoming> {
    match log.fetch(message.0) {
        Ok(Record::Received(received)) => Some(Incoming {
            change: received.change(),
            peer: Arc::new((&received.peer).into()),
            at: received.at,
            bytes: received.bytes,
            control_id_reused: false,
            sequence: received.sequence.map(|sequence| sequence.number),
            acknowledges: received.acknowledges,
            admission: None,
        }),
        _ => None,
    }
}

//! One destination's deliveries: which are in memory, which may be sent now, which wait to be
//! tried again.
//!
//! Decisions only: no clock, no I/O. The ledger knows which deliveries are open; the outbox holds
//! the next few of them with their bytes, in order, and asks for more as they settle. So a dead
//! destination costs a bounded amount of memory, whatever its backlog.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use pipehat_connectors::{Attempt, OnRefusal, Problem, ResourceChange};
use pipehat_journal::Position;
use pipehat_message::{Header, is_query};

use crate::lanes::{Lanes, Ticket};
use crate::ledger::{DeliveryKey, Queue};
use crate::names::MessageId;
use crate::project::Unanswered;
use crate::record::{SettledOutcome, Sibling};
use crate::retry::RetryPolicy;

/// Deliveries of one destination held in memory with their bytes: a second of a busy feed, so that a
/// destination that is a little slower than its senders is not fed from the disk.
pub(crate) const HELD_MAX: usize = 16_384;

/// Bytes of one destination's deliveries held in memory; one larger message is held alone.
pub(crate) const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Deliveries read from the journal at a time.
const LOAD_MAX: usize = 512;

/// A delivery with all that is needed to make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) key: DeliveryKey,
    pub(crate) message: MessageId,
    pub(crate) bytes: Bytes,
    pub(crate) lanes: Vec<u64>,
    pub(crate) siblings: Vec<Sibling>,
    pub(crate) file: Option<Arc<str>>,
    /// The change of a resource that it tells of.
    pub(crate) change: Option<Arc<ResourceChange>>,
}

/// What to read from the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LoadRequest {
    /// These deliveries.
    These(Vec<DeliveryKey>),
    /// The next ones from this Processed record on.
    From(Position),
}

/// How a destination treats what its peer does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) retry: RetryPolicy,
    pub(crate) on_interrupted: OnInterrupted,
    /// The channel file's `on:`, by the answer's name.
    pub(crate) answers: HashMap<String, OnRefusal>,
    /// What `on:` says about interruptions, by operator code.
    pub(crate) interruptions: HashMap<&'static str, OnRefusal>,
    /// What becomes of queries without an answer, where somebody waits for this destination's.
    pub(crate) queries: Option<Unanswered>,
}

impl Policy {
    fn after_interruption(&self) -> OnRefusal {
        match self.on_interrupted {
            OnInterrupted::Resend => OnRefusal::Retry,
            OnInterrupted::Park => OnRefusal::Park,
        }
    }

    /// How a query ends that is asked only once; none for what is delivered until it arrives.
    fn of_query(&self, bytes: &[u8]) -> Option<EndOfQuery> {
        let end = match self.queries? {
            Unanswered::GiveUp => EndOfQuery::GivenUp,
            Unanswered::Park => EndOfQuery::Parked,
            Unanswered::Retry => return None,
        };
        Header::read(bytes).is_ok_and(|header| is_query(&header)).then_some(end)
    }
}

/// How a query ends that was not answered.
#[derive(Debug, Clone, Copy)]
enum EndOfQuery {
    GivenUp,
    Parked,
}

impl EndOfQuery {
    fn settled(self, code: &str, detail: String) -> SettledOutcome {
        let code = code.to_owned();
        match self {
            Self::GivenUp => SettledOutcome::GivenUp { code, detail },
            Self::Parked => SettledOutcome::Parked { code, detail },
        }
    }
}

/// What to do when a send was interrupted and may or may not have arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnInterrupted {
    /// Send the same bytes again: at least once.
    #[default]
    Resend,
    /// Set it aside for a person.
    Park,
}

/// What follows from a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has reached its end.
    Settle { outcome: SettledOutcome, reply: Option<Bytes>, attempts: u32 },
    /// It is tried again later.
    Retry { code: &'static str, detail: String, attempt: u32 },
}

/// The live side of one destination's queue.
#[derive(Debug)]
pub(crate) struct Outbox {
    lanes: Lanes<DeliveryKey>,
    held: HashMap<DeliveryKey, Held>,
    held_bytes: usize,
    /// What may be sent now, the oldest first: a delivery that is tried again goes before those
    /// of its lane that were to follow it.
    ready: BTreeSet<DeliveryKey>,
    pausing: BTreeSet<(Instant, DeliveryKey)>,
    /// The pausing deliveries of each lane, and what is ready but for one of them. Only where
    /// several of a lane may be under way; otherwise the lane itself holds the others.
    paused: HashMap<u64, BTreeSet<DeliveryKey>>,
    behind: BTreeSet<DeliveryKey>,
    to_load: BTreeSet<DeliveryKey>,
    loading: bool,
    /// What is being read was asked for before a settled delivery among it was opened again.
    stale: bool,
    /// What had failed of the deliveries that are read anew into lanes of another width.
    failed: HashMap<DeliveryKey, (u32, Instant)>,
    /// Queries whose askers have been told that there is no answer in time.
    overdue: HashSet<MessageId>,
    /// Deliveries that have ended and hold their lanes until their end is in the books.
    ending: HashSet<DeliveryKey>,
    sending: usize,
    slots: usize,
    window: usize,
    /// What the window is to be.
    next_window: usize,
    policy: Policy,
    circuit: Circuit,
}

#[derive(Debug)]
struct Held {
    delivery: Delivery,
    ticket: Ticket,
    attempts: u32,
    first_failed: Option<Instant>,
    /// What the latest try came to, where it failed.
    failure: Option<Box<Failure>>,
}

/// Why a delivery waits to be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) problem: Problem,
    pub(crate) at: Timestamp,
}

/// Whether the peer is reached at all. While it is not, one delivery at a time knocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Circuit {
    /// Failures in a row.
    pub(crate) failures: u32,
    /// When the next try is due.
    pub(crate) retry_at: Option<Instant>,
}

impl Outbox {
    /// An outbox that sends `slots` deliveries at a time, `window` of them in one lane.
    pub(crate) fn new(policy: Policy, slots: usize, window: usize) -> Self {
        Self {
            lanes: Lanes::with_window(window),
            held: HashMap::new(),
            held_bytes: 0,
            ready: BTreeSet::new(),
            pausing: BTreeSet::new(),
            paused: HashMap::new(),
            behind: BTreeSet::new(),
            to_load: BTreeSet::new(),
            loading: false,
            stale: false,
            failed: HashMap::new(),
            overdue: HashSet::new(),
            ending: HashSet::new(),
            sending: 0,
            slots: slots.max(1),
            window: window.max(1),
            next_window: window.max(1),
            policy,
            circuit: Circuit::default(),
        }
    }

    /// Whether several deliveries of one lane may be under way.
    pub(crate) fn is_windowed(&self) -> bool {
        self.window > 1
    }

    /// Takes on changed settings. A changed window holds from the moment nothing is under way:
    /// several connections must not send what one connection was to keep in order.
    pub(crate) fn reconfigure(&mut self, policy: Policy, slots: usize, window: usize) {
        self.policy = policy;
        self.slots = slots.max(1);
        self.next_window = window.max(1);
        self.knock();
    }

    /// Whether the window is being changed; changes it when nothing is under way. Everything is
    /// read anew then, into lanes of the new width.
    fn is_changing_window(&mut self) -> bool {
        if self.next_window == self.window {
            return false;
        }
        if self.sending > 0 || self.loading || !self.ending.is_empty() {
            return true;
        }
        self.window = self.next_window;
        self.lanes = Lanes::with_window(self.window);
        for (key, held) in std::mem::take(&mut self.held) {
            self.to_load.insert(key);
            if let Some(first) = held.first_failed {
                self.failed.insert(key, (held.attempts, first));
            }
        }
        self.held_bytes = 0;
        self.ready.clear();
        self.pausing.clear();
        self.paused.clear();
        self.behind.clear();
        false
    }

    /// Forgets the pauses, so that everything is tried at once.
    pub(crate) fn knock(&mut self) {
        self.circuit = Circuit::default();
        self.ready.extend(std::mem::take(&mut self.pausing).into_iter().map(|(_, key)| key));
        self.paused.clear();
        self.ready.append(&mut self.behind);
    }

    /// Lets a delivery pause, and with it those of its lanes that come after it.
    fn pause(&mut self, key: DeliveryKey, due: Instant) {
        self.pausing.insert((due, key));
        if let (Some(held), true) = (self.held.get(&key), self.is_windowed()) {
            for lane in &held.delivery.lanes {
                self.paused.entry(*lane).or_default().insert(key);
            }
        }
    }

    /// Makes ready what has paused long enough.
    fn end_pauses(&mut self, now: Instant) {
        while let Some((due, key)) = self.pausing.first().copied()
            && due <= now
        {
            self.pausing.remove(&(due, key));
            self.ready.insert(key);
            if let (Some(held), true) = (self.held.get(&key), self.is_windowed()) {
                for lane in &held.delivery.lanes {
                    if let Some(paused) = self.paused.get_mut(lane) {
                        paused.remove(&key);
                        if paused.is_empty() {
                            self.paused.remove(lane);
                        }
                    }
                }
                self.ready.append(&mut self.behind);
            }
        }
    }

    /// Whether an older delivery of one of its lanes pauses.
    fn is_behind_paused(&self, held: &Held, key: DeliveryKey) -> bool {
        let older =
            |paused: &BTreeSet<DeliveryKey>| paused.first().is_some_and(|first| *first < key);
        !self.paused.is_empty()
            && held.delivery.lanes.iter().any(|lane| self.paused.get(lane).is_some_and(older))
    }

    /// Notes deliveries that are open but not in memory.
    pub(crate) fn must_load(&mut self, keys: impl IntoIterator<Item = DeliveryKey>) {
        self.to_load.extend(keys);
    }

    /// Takes a delivery that was just opened, or only notes it where others come first or there
    /// is no room.
    pub(crate) fn offer(&mut self, delivery: Delivery) {
        if self.to_load.is_empty() && !self.loading && self.has_room(delivery.bytes.len()) {
            self.hold(delivery);
        } else {
            self.to_load.insert(delivery.key);
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.held.is_empty()
            || (self.held.len() < HELD_MAX
                && self.held_bytes.saturating_add(bytes) <= HELD_BYTES_MAX)
    }

    fn hold(&mut self, delivery: Delivery) {
        let key = delivery.key;
        let (ticket, runs) = self.lanes.enter(&delivery.lanes, key);
        self.held_bytes = self.held_bytes.saturating_add(delivery.bytes.len());
        let (attempts, first_failed) =
            self.failed.remove(&key).map_or((0, None), |(attempts, first)| (attempts, Some(first)));
        self.held.insert(key, Held { delivery, ticket, attempts, first_failed, failure: None });
        self.ready.extend(runs);
    }

    /// What to read from the journal, if there is something and room for it.
    pub(crate) fn wants(&mut self, queue: &Queue) -> Option<LoadRequest> {
        if self.next_window != self.window {
            return None;
        }
        let room = self.held.len() < HELD_MAX / 2 && self.held_bytes < HELD_BYTES_MAX / 2;
        if self.loading || !room {
            return None;
        }
        let request = if self.to_load.is_empty() {
            LoadRequest::From(queue.frontier?)
        } else {
            LoadRequest::These(self.to_load.iter().copied().take(LOAD_MAX).collect())
        };
        self.loading = true;
        Some(request)
    }

    /// Forgets deliveries that can't be read from the journal.
    pub(crate) fn give_up(&mut self, keys: impl IntoIterator<Item = DeliveryKey>) {
        for key in keys {
            self.to_load.remove(&key);
            self.failed.remove(&key);
        }
    }

    /// Takes deliveries read from the journal, in order, as far as they are still open.
    pub(crate) fn loaded(
        &mut self,
        asked: &LoadRequest,
        deliveries: Vec<Delivery>,
        is_open: impl Fn(&DeliveryKey) -> bool,
    ) {
        self.loading = false;
        self.stale = false;
        if let LoadRequest::These(keys) = asked {
            // What did not fit into one reading stays to be loaded.
            let last = deliveries.last().map(|delivery| delivery.key);
            for key in keys.iter().filter(|key| last.is_some_and(|last| **key <= last)) {
                self.to_load.remove(key);
            }
        }
        for delivery in deliveries {
            // Held twice, it would be sent twice, and its lane never freed.
            if is_open(&delivery.key) && !self.held.contains_key(&delivery.key) {
                self.hold(delivery);
            }
        }
        if self.to_load.is_empty() {
            // Of what is left a person has decided meanwhile.
            self.failed.clear();
        }
    }

    /// Notes that a delivery which is not in memory was opened again: a reading under way may
    /// have passed it over.
    pub(crate) fn opened_beyond(&mut self) {
        self.stale = self.loading;
    }

    /// Whether what was read must be read again, for a delivery was opened meanwhile.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Notes that reading failed; it is asked for again.
    pub(crate) fn load_failed(&mut self) {
        self.loading = false;
        self.stale = false;
    }

    /// The next delivery to send now, if a slot is free.
    pub(crate) fn next(&mut self, now: Instant) -> Option<(Delivery, u32)> {
        if self.is_changing_window() {
            return None;
        }
        self.end_pauses(now);
        let slots = match self.circuit.retry_at {
            None => self.slots,
            Some(due) if due <= now => 1,
            Some(_) => 0,
        };
        if self.sending >= slots {
            return None;
        }
        loop {
            let key = self.ready.pop_first()?;
            if self.held.get(&key).is_some_and(|held| self.is_behind_paused(held, key)) {
                self.behind.insert(key);
                continue;
            }
            if let Some(held) = self.held.get_mut(&key) {
                held.attempts = held.attempts.saturating_add(1);
                self.sending += 1;
                return Some((held.delivery.clone(), held.attempts));
            }
        }
    }

    /// Decides what follows from a try.
    pub(crate) fn tried(
        &mut self,
        key: DeliveryKey,
        attempt: Attempt,
        now: Instant,
        jitter: u64,
    ) -> Option<Verdict> {
        self.sending = self.sending.saturating_sub(1);
        let held = self.held.get(&key)?;
        let attempts = held.attempts;
        // Whether it is a query is asked only when it can't be delivered.
        let (of_query, policy) = (held.delivery.bytes.clone(), &self.policy);
        let of_query = || policy.of_query(&of_query);
        let is_overdue = self.overdue.contains(&held.delivery.message);
        let settle = |outcome, reply| Verdict::Settle { outcome, reply, attempts };
        let park = |code: &str, detail| SettledOutcome::Parked { code: code.to_owned(), detail };
        if !matches!(attempt, Attempt::NotSent { .. }) {
            self.circuit = Circuit::default();
        }
        Some(match attempt {
            Attempt::Delivered { reply } => settle(SettledOutcome::Delivered, reply),
            Attempt::Refused { code, answer, reply } => {
                let named = |name: &str| self.policy.answers.get(name).copied();
                let then = named(answer.name).or_else(|| answer.class.and_then(named));
                let detail = format!("the peer answered {}", answer.name);
                // What the file says of an answer holds for queries too, as long as they are waited for.
                let open = then.is_none() || (is_overdue && then == Some(OnRefusal::Retry));
                if let (true, Some(end)) = (open, of_query()) {
                    return Some(settle(end.settled(code, detail), reply));
                }
                match then.unwrap_or(answer.default) {
                    OnRefusal::Accept => settle(SettledOutcome::Delivered, reply),
                    OnRefusal::Park => settle(park(code, detail), reply),
                    OnRefusal::Retry => self.later(key, code, detail, Pause::Delivery, now, jitter),
                }
            }
            Attempt::NotSent { code, detail } => match of_query() {
                Some(end) => settle(end.settled(code, detail), None),
                None => self.later(key, code, detail, Pause::Destination, now, jitter),
            },
            Attempt::Interrupted { code, detail, reply } => {
                let then = self.policy.interruptions.get(code).copied();
                let open = then.is_none() || (is_overdue && then == Some(OnRefusal::Retry));
                if let (true, Some(end)) = (open, of_query()) {
                    return Some(settle(end.settled(code, detail), reply));
                }
                match then.unwrap_or(self.policy.after_interruption()) {
                    OnRefusal::Accept => settle(SettledOutcome::Delivered, reply),
                    OnRefusal::Park => settle(park(code, detail), reply),
                    OnRefusal::Retry => self.later(key, code, detail, Pause::Delivery, now, jitter),
                }
            }
            Attempt::Impossible { code, detail } => match of_query() {
                Some(end) => settle(end.settled(code, detail), None),
                None => settle(park(code, detail), None),
            },
        })
    }

    fn later(
        &mut self,
        key: DeliveryKey,
        code: &'static str,
        detail: String,
        pause: Pause,
        now: Instant,
        jitter: u64,
    ) -> Verdict {
        let retry = self.policy.retry;
        let Some(held) = self.held.get_mut(&key) else {
            return Verdict::Retry { code, detail, attempt: 0 };
        };
        let attempt = held.attempts;
        let problem = Problem { code, detail: detail.clone() };
        held.failure = Some(Box::new(Failure { problem, at: Timestamp::now() }));
        let failing = now.saturating_duration_since(*held.first_failed.get_or_insert(now));
        if retry.gives_up_after(failing) {
            let detail = format!("{detail}; given up after {attempt} tries");
            let outcome = SettledOutcome::Parked { code: code.to_owned(), detail };
            return Verdict::Settle { outcome, reply: None, attempts: attempt };
        }
        match pause {
            Pause::Destination => {
                // Several connections that fail at once are one failure.
                if self.circuit.retry_at.is_none_or(|due| due <= now) {
                    self.circuit.failures = self.circuit.failures.saturating_add(1);
                    let due = now + retry.pause(self.circuit.failures, jitter);
                    self.circuit.retry_at = Some(due);
                }
                self.ready.insert(key);
            }
            Pause::Delivery => {
                self.pause(key, now + retry.pause(attempt, jitter));
            }
        }
        Verdict::Retry { code, detail, attempt }
    }

    /// Notes that the asker of a query has been told that there is no answer: it is not asked any
    /// more, wherever it waits.
    pub(crate) fn note_overdue(&mut self, message: MessageId) {
        self.overdue.insert(message);
    }

    /// Whether nobody waits for the answer to this query any more.
    pub(crate) fn is_overdue(&self, message: MessageId) -> bool {
        self.overdue.contains(&message)
    }

    /// Notes that a message does not come to this destination.
    pub(crate) fn forget(&mut self, message: MessageId) {
        self.overdue.remove(&message);
    }

    /// Ends a delivery; those that waited for it may be sent.
    pub(crate) fn settle(&mut self, key: DeliveryKey) -> Option<Delivery> {
        let held = self.held.remove(&key)?;
        self.held_bytes = self.held_bytes.saturating_sub(held.delivery.bytes.len());
        self.overdue.remove(&held.delivery.message);
        let mut ready = Vec::new();
        self.lanes.leave(held.ticket, &mut ready);
        self.ready.extend(ready.into_iter().map(|(_, key)| key));
        Some(held.delivery)
    }

    /// Ends a delivery that holds its lanes until [`ended`](Self::ended).
    pub(crate) fn end(&mut self, key: DeliveryKey) -> Option<Delivery> {
        let held = self.held.get(&key)?;
        self.ending.insert(key);
        Some(held.delivery.clone())
    }

    /// The end of a delivery is in the books; nothing happens when it was settled at once.
    pub(crate) fn ended(&mut self, key: DeliveryKey) {
        if self.ending.remove(&key) {
            self.settle(key);
        }
    }

    /// The message of a delivery in memory.
    pub(crate) fn message_of(&self, key: DeliveryKey) -> Option<MessageId> {
        self.held.get(&key).map(|held| held.delivery.message)
    }

    /// When something is due that no event announces. While the peer is not reached, only what
    /// is sent now decides when the next goes out.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let pausing = self.pausing.first().map(|(due, _)| *due);
        let waits = !self.ready.is_empty() && self.sending == 0;
        let circuit = self.circuit.retry_at.filter(|_| waits);
        pausing.into_iter().chain(circuit).min()
    }

    /// How many deliveries are under way.
    pub(crate) fn sending(&self) -> usize {
        self.sending
    }

    /// Whether the peer is reached.
    pub(crate) fn circuit(&self) -> Circuit {
        self.circuit
    }

    /// How many deliveries failed and wait to be tried again.
    pub(crate) fn retrying(&self) -> usize {
        self.pausing.len()
    }

    /// Why the delivery that is tried again next failed. The connection may work all the same: the peer answers, and does not
    /// take this one.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        let (_, key) = self.pausing.first()?;
        self.held.get(key)?.failure.as_deref()
    }
}

/// What pauses.
#[derive(Debug, Clone, Copy)]
enum Pause {
    /// This delivery and, by its lanes, those behind it.
    Delivery,
    /// All deliveries of the destination: its peer is not reached.
    Destination,
}

/// How long the conductor sleeps when nothing is due.
pub(crate) const NOTHING_DUE: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests;

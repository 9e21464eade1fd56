//! The journal as the path uses it: records in, answers in order, and after a failure nothing
//! overtakes what failed.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use pipehat_journal::{
    AppendError, Body, Entry, Failures, Flush, Journal, Loss, Order, Position, ReadError, Turn,
};

use crate::record::{Record, RecordError};

/// The journal of this engine. Clones count failures together; each channel has its own count
/// by [`of_channel`](Self::of_channel).
#[derive(Clone)]
pub struct Log {
    journal: Arc<dyn Journal>,
    order: Order,
    answered: Arc<AtomicU64>,
}

/// Why a record could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The journal could not give it.
    #[error("the journal could not be read")]
    Read(#[from] ReadError),
    /// It is not a record of this release.
    #[error("the record at position {position} can't be read")]
    Record {
        /// Where.
        position: Position,
        /// Why.
        #[source]
        source: RecordError,
    },
    /// Another record stands where this one was expected.
    #[error("the record at position {position} is not of the kind expected")]
    Kind {
        /// Where.
        position: Position,
    },
}

impl LogError {
    /// Whether reading again can't help: what stands there is damaged or gone.
    pub(crate) fn is_for_good(&self) -> bool {
        match self {
            Self::Read(error) => matches!(
                error,
                ReadError::Damaged { .. } | ReadError::Lost { .. } | ReadError::Trimmed { .. }
            ),
            Self::Record { .. } | Self::Kind { .. } => true,
        }
    }
}

impl Log {
    /// The log on this journal.
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        let before = journal.next_position().get() - 1;
        Self { journal, order: Order::default(), answered: Arc::new(AtomicU64::new(before)) }
    }

    /// The same log with a count of failures of its own: what is refused to one channel says
    /// nothing of the order of another.
    pub(crate) fn of_channel(&self) -> Self {
        Self { order: Order::default(), ..self.clone() }
    }

    /// The journal itself.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// The failures so far.
    pub fn failures(&self) -> Failures {
        self.order.failures()
    }

    /// Appends a record whose order does not matter to others of its channel. The record comes
    /// back with the answer.
    pub fn append(
        &self,
        record: Record,
        flush: Flush,
        done: impl FnOnce(Result<Position, AppendError>, Record) + Send + 'static,
    ) {
        self.submit(record, flush, self.order.at_any_time(), done);
    }

    /// Appends a record that must not overtake one that failed: refused when an append failed
    /// since `known`.
    pub fn append_in_order(
        &self,
        known: Failures,
        record: Record,
        flush: Flush,
        done: impl FnOnce(Result<Position, AppendError>, Record) + Send + 'static,
    ) {
        self.submit(record, flush, self.order.after(known), done);
    }

    fn submit(
        &self,
        record: Record,
        flush: Flush,
        turn: Turn,
        done: impl FnOnce(Result<Position, AppendError>, Record) + Send + 'static,
    ) {
        let answered = Arc::clone(&self.answered);
        let encoded = record.encode();
        let answer = move |result: Result<Position, AppendError>| {
            let position = result.as_ref().ok().copied();
            done(result, record);
            if let Some(position) = position {
                answered.store(position.get(), Ordering::Release);
            }
        };
        self.journal.append_in_turn(vec![encoded], flush, turn, Box::new(answer));
    }

    /// The newest record whose answer has been given: who waited for it or for one before has
    /// been told.
    pub fn answered(&self) -> Option<Position> {
        Position::new(self.answered.load(Ordering::Acquire))
    }

    /// What repairs gave up of the journal as far as it is kept.
    pub fn losses(&self) -> Vec<Loss> {
        let first = self.journal.first_position();
        let mut losses = self.journal.losses();
        losses.retain(|loss| *loss.positions.end() >= first);
        losses
    }

    /// Reads one record with its bodies.
    ///
    /// # Errors
    /// When it is gone, damaged, or not a record of this release.
    pub fn fetch(&self, at: Position) -> Result<Record, LogError> {
        self.decode(self.journal.fetch(at)?)
    }

    /// The records from a position on, with their bodies, up to the durable end.
    pub fn records(
        &self,
        from: Position,
    ) -> impl Iterator<Item = Result<(Position, Record), LogError>> + Send + use<> {
        let log = self.clone();
        self.journal.read(from.max(self.journal.first_position())).map(move |entry| {
            let entry = entry?;
            let position = entry.position;
            Ok((position, log.decode(entry)?))
        })
    }

    /// As [`records`](Self::records), but large payloads are left on the disk and appear empty:
    /// for reading what happened, not what was sent.
    pub fn heads(
        &self,
        from: Position,
    ) -> impl Iterator<Item = Result<(Position, Record), LogError>> + Send + use<> {
        self.journal.read(from.max(self.journal.first_position())).map(|entry| {
            let entry = entry?;
            Ok((entry.position, Self::decode_head(entry)?))
        })
    }

    /// As [`heads`](Self::heads), for one who lets go of each record before the next but one.
    pub fn follow(
        &self,
        from: Position,
    ) -> impl Iterator<Item = Result<(Position, Record), LogError>> + Send + use<> {
        self.journal.follow(from.max(self.journal.first_position())).map(|entry| {
            let entry = entry?;
            Ok((entry.position, Self::decode_head(entry)?))
        })
    }

    /// A record of an entry, with large payloads left on the disk.
    ///
    /// # Errors
    /// When the bytes are not a record of this release.
    pub(crate) fn decode_head(entry: Entry) -> Result<Record, LogError> {
        let Entry { position, kind, head, bodies } = entry;
        let inline = |body| match body {
            Body::Inline(bytes) => bytes,
            Body::Stored(_) => Bytes::new(),
        };
        let bodies = bodies.into_iter().map(inline).collect();
        Record::decode(kind, head, bodies).map_err(|source| LogError::Record { position, source })
    }

    /// Reads one record that has a single payload, such as one received, without holding the
    /// payload: it is given piece by piece, until `take` breaks off, and appears empty in the
    /// record. With the record comes how many bytes the payload has.
    ///
    /// # Errors
    /// When it is gone, damaged, or not a record of this release.
    pub fn fetch_in_pieces(
        &self,
        at: Position,
        take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(Record, u64), LogError> {
        let entry = self.journal.fetch(at)?;
        let length = match entry.bodies.first() {
            None => 0,
            Some(body) => {
                self.journal.load_pieces(body, take)?;
                body.len()
            }
        };
        let bodies = vec![Bytes::new(); entry.bodies.len()];
        let record = Record::decode(entry.kind, entry.head, bodies)
            .map_err(|source| LogError::Record { position: at, source })?;
        Ok((record, length))
    }

    /// A record of an entry.
    ///
    /// # Errors
    /// When a body is gone, or the bytes are not a record of this release.
    pub fn decode(&self, entry: Entry) -> Result<Record, LogError> {
        let bodies = entry
            .bodies
            .iter()
            .map(|body| match body {
                Body::Inline(bytes) => Ok(bytes.clone()),
                Body::Stored(_) => self.journal.load(body),
            })
            .collect::<Result<Vec<Bytes>, ReadError>>()?;
        Record::decode(entry.kind, entry.head, bodies)
            .map_err(|source| LogError::Record { position: entry.position, source })
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Log").field("failures", &self.failures()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    use jiff::Timestamp;
    use pipehat_journal::{AppendError, Failures, Flush, Journal, MemoryJournal, Position};

    use super::Log;
    use crate::record::{Applied, Record};

    fn record(by: &str) -> Record {
        let (channel, at) = (Arc::from("test"), Timestamp::UNIX_EPOCH);
        Record::Applied(Applied { channel, at, by: by.to_owned(), revision: None })
    }

    /// Appends, and waits for the answer.
    fn append(log: &Log, known: Failures, record: Record) -> Result<Position, AppendError> {
        let (sender, answer) = mpsc::channel();
        let log = log.clone();
        // On a thread of its own: were it to wait for itself, the test would fail and not hang.
        std::thread::spawn(move || {
            log.append_in_order(known, record, Flush::Now, move |result, _| {
                sender.send(result).expect("the test waits");
            });
        });
        answer.recv_timeout(Duration::from_secs(10)).expect("an answer")
    }

    #[test]
    fn nothing_overtakes_what_a_full_disk_refused_to_its_channel() {
        let journal = Arc::new(MemoryJournal::new());
        let log = Log::new(Arc::clone(&journal) as Arc<dyn Journal>);
        let (one, other) = (log.of_channel(), log.of_channel());
        let (known, others) = (one.failures(), other.failures());
        journal.fail_with(Some(AppendError::DiskFull));
        let refused = append(&one, known, record("a"));
        assert!(matches!(refused, Err(AppendError::DiskFull)));
        journal.fail_with(None);
        assert!(append(&one, known, record("b")).is_err());
        assert!(append(&other, others, record("c")).is_ok());
        assert!(append(&one, one.failures(), record("b")).is_ok());
    }

    #[test]
    fn what_no_journal_could_keep_holds_up_nothing() {
        let log = Log::new(Arc::new(MemoryJournal::with_waiting_bytes_max(1_000)));
        let known = log.failures();
        let large = record(&"x".repeat(2_000));
        assert!(matches!(append(&log, known, large), Err(AppendError::TooLarge { .. })));
        assert!(append(&log, known, record("b")).is_ok());
    }

    #[test]
    fn a_closed_journal_answers_and_does_not_wait_for_itself() {
        let log = Log::new(Arc::new(MemoryJournal::new()));
        log.journal().close();
        let refused = append(&log, log.failures(), record("a"));
        assert!(matches!(refused, Err(AppendError::Closed)));
    }
}

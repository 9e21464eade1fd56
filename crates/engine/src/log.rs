//! The journal as the path uses it: records in, answers in order, and after a failure nothing
//! overtakes what failed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pipehat_journal::{AppendError, Body, Entry, Flush, Journal, NewRecord, Position, ReadError};

use crate::record::{Record, RecordError};

/// The journal of this engine.
#[derive(Clone)]
pub struct Log {
    journal: Arc<dyn Journal>,
    epoch: Arc<Mutex<Epoch>>,
    answered: Arc<AtomicU64>,
}

/// Counts failures. Whoever appends in order says which epoch it knows of; an append of an older
/// epoch fails too, so that no record overtakes an earlier one of its lane that was refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Epoch(u64);

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

impl Log {
    /// The log on this journal.
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        let before = journal.next_position().get() - 1;
        Self { journal, epoch: Arc::default(), answered: Arc::new(AtomicU64::new(before)) }
    }

    /// The journal itself.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// The failures so far.
    pub fn epoch(&self) -> Epoch {
        *self.lock()
    }

    /// Appends a record whose order does not matter to others of its channel. The record comes
    /// back with the answer.
    pub fn append(
        &self,
        record: Record,
        flush: Flush,
        done: impl FnOnce(Result<Position, AppendError>, Record) + Send + 'static,
    ) {
        self.submit(record.encode(), flush, move |result| done(result, record));
    }

    /// Appends a record that must not overtake one that failed: refused when an append failed
    /// since `known`.
    pub fn append_in_order(
        &self,
        known: Epoch,
        record: Record,
        flush: Flush,
        done: impl FnOnce(Result<Position, AppendError>, Record) + Send + 'static,
    ) {
        let encoded = record.encode();
        let epoch = self.lock();
        if *epoch == known {
            self.submit(encoded, flush, move |result| done(result, record));
            drop(epoch);
        } else {
            drop(epoch);
            done(Err(AppendError::DiskFull), record);
        }
    }

    fn submit(
        &self,
        record: NewRecord,
        flush: Flush,
        done: impl FnOnce(Result<Position, AppendError>) + Send + 'static,
    ) {
        let (epoch, answered) = (Arc::clone(&self.epoch), Arc::clone(&self.answered));
        let answer = move |result: Result<Position, AppendError>| match &result {
            Ok(position) => {
                let position = *position;
                done(result);
                answered.store(position.get(), Ordering::Release);
            }
            Err(_) => {
                epoch.lock().unwrap_or_else(PoisonError::into_inner).0 += 1;
                done(result);
            }
        };
        self.journal.append(vec![record], flush, Box::new(answer));
    }

    /// The newest record whose answer has been given: who waited for it or for one before has
    /// been told.
    pub fn answered(&self) -> Option<Position> {
        Position::new(self.answered.load(Ordering::Acquire))
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
            let position = entry.position;
            let inline = |body: &Body| match body {
                Body::Inline(bytes) => bytes.clone(),
                Body::Stored(_) => Bytes::new(),
            };
            let bodies = entry.bodies.iter().map(inline).collect();
            let record = Record::decode(entry.kind, entry.head, bodies)
                .map_err(|source| LogError::Record { position, source })?;
            Ok((position, record))
        })
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

    fn lock(&self) -> MutexGuard<'_, Epoch> {
        self.epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Log").field("epoch", &self.epoch()).finish_non_exhaustive()
    }
}

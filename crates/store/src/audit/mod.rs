//! The audit log: one record for every access to the datastore, kept in a SQLite database of its own.
//!
//! Resources of the type AuditEvent are made from its records when somebody asks for them (the server does that):
//! a record is a row of some hundred bytes with an index for each of the usual questions, so that an access costs some
//! microseconds of the writer thread and no sync of its own.
//!
//! Guarantees:
//! - [`AuditLog::record`] answers when the record has its place in a bounded queue; the writer writes and syncs it
//!   within [`LINGER`] and the time of a sync. A kill or a power cut loses at most the records of that time.
//!   [`AuditLog::flush`] answers when everything recorded before is on stable storage, whoever recorded it.
//! - A record that can't be written is kept and tried again; meanwhile [`AuditLog::is_failing`] says so and nothing
//!   else is taken.
//! - Records only ever come; nothing here changes or deletes one. Each group carries a keyed hash over itself and the
//!   group before ([`AuditLog::verify`]): whoever has no key can't change one unseen.
//! - The file is sealed as a whole (`pipehat-vault`), and what was searched for once more, with its record's number.
//! - What may be used once ([`UsedOnce`]) is written with the record that used it.

mod chain;
mod database;
mod open;
mod record;
mod schema;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use database::Database;
pub use record::{
    Action, AuditQuery, AuditRecord, DETAIL_BYTES_MAX, Outcome, StoredRecord, UsedOnce, Verified,
};
use writer::{Order, Writer};

use crate::datastore::BodyKey;
use crate::datastore::body::Seal;

/// How long the writer lets records come together when nobody waits for them.
pub const LINGER: Duration = Duration::from_millis(20);

/// How many records may wait. With their texts at the limit that is some tens of megabytes.
const WAITING_MAX: u32 = 8192;

/// How long a record may wait for a place in the queue.
const PLACE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the audit log can't take or give records.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// It can't be written now.
    #[error("the audit log can't be written")]
    Unavailable,
    /// A question reads more records than one may.
    #[error("the search reads too many records of the audit; narrow it down by date")]
    TooMuch,
    /// The database does not answer, or answers with an error.
    #[error("the audit log's database failed")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The log is not what this key wrote.
    #[error("the audit log is of another version or another key")]
    Foreign,
    /// A record can't be read.
    #[error("record {0} of the audit log was changed or is damaged")]
    Damaged(u64),
}

impl From<rusqlite::Error> for AuditError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(Box::new(error))
    }
}

/// The audit log.
pub struct AuditLog {
    path: PathBuf,
    seal: Arc<Seal>,
    chain_key: [u8; 32],
    writer: Writer,
    places: Arc<Semaphore>,
    failing: Arc<AtomicBool>,
    reader: Arc<std::sync::Mutex<Database>>,
}

impl std::fmt::Debug for AuditLog {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AuditLog").field("path", &self.path).finish_non_exhaustive()
    }
}

impl AuditLog {
    /// Opens the log, or makes it. `key` seals what was searched for, `chain_key` marks the groups.
    ///
    /// # Errors
    /// When the file can't be opened, or is none of ours.
    pub fn open(path: &Path, key: BodyKey, chain_key: [u8; 32]) -> Result<Self, AuditError> {
        let seal =
            Seal::new(key).map_err(|error| AuditError::Database(error.to_string().into()))?;
        let seal = Arc::new(seal);
        let database = Database::write(path, Arc::clone(&seal), chain_key)?;
        let reader = Database::read(path, Arc::clone(&seal), chain_key)?;
        let places = Arc::new(Semaphore::new(WAITING_MAX as usize));
        let failing = Arc::new(AtomicBool::new(false));
        let writer = Writer::start(database, Arc::clone(&places), Arc::clone(&failing))
            .map_err(|error| AuditError::Database(Box::new(error)))?;
        Ok(Self {
            path: path.to_owned(),
            seal,
            chain_key,
            writer,
            places,
            failing,
            reader: Arc::new(std::sync::Mutex::new(reader)),
        })
    }

    /// Whether records can't be written now: nothing that needs one may happen.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    /// Takes a record.
    ///
    /// # Errors
    /// When records can't be written now, or none of those that wait was written in time.
    pub async fn record(&self, mut record: AuditRecord) -> Result<(), AuditError> {
        if self.is_failing() {
            return Err(AuditError::Unavailable);
        }
        let place = match self.places.try_acquire() {
            Ok(place) => place,
            Err(_) => tokio::time::timeout(PLACE_TIMEOUT, self.places.acquire())
                .await
                .ok()
                .and_then(Result::ok)
                .ok_or(AuditError::Unavailable)?,
        };
        // The writer gives it back when the record is written.
        place.forget();
        record.cut();
        self.writer.send(Order::Record(Box::new(record))).map_err(|()| AuditError::Unavailable)
    }

    /// Waits until everything recorded before is on stable storage, and can be found.
    ///
    /// # Errors
    /// When it can't be written.
    pub async fn flush(&self) -> Result<(), AuditError> {
        let (reply, written) = oneshot::channel();
        self.writer.send(Order::Flush(reply)).map_err(|()| AuditError::Unavailable)?;
        match written.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(AuditError::Unavailable),
        }
    }

    /// The records that a question asks for, in the order it asks for.
    ///
    /// # Errors
    /// When the database fails, or a record was changed.
    pub async fn find(&self, query: AuditQuery) -> Result<Vec<StoredRecord>, AuditError> {
        self.reading(move |database| database.find(&query)).await
    }

    /// How many records there are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count(&self) -> Result<u64, AuditError> {
        self.reading(|database| database.count()).await
    }

    /// What was used and must not be used again, at this time.
    ///
    /// # Errors
    /// When the database fails.
    pub fn used_once(&self, now: i64) -> Result<Vec<UsedOnce>, AuditError> {
        self.reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner).used_once(now)
    }

    /// Checks the marks of a log that nobody has open, and changes nothing.
    ///
    /// # Errors
    /// When the file can't be opened or read, or is none of ours.
    pub fn verify_file(
        path: &Path,
        key: BodyKey,
        chain_key: [u8; 32],
    ) -> Result<Verified, AuditError> {
        let seal =
            Seal::new(key).map_err(|error| AuditError::Database(error.to_string().into()))?;
        Database::read(path, Arc::new(seal), chain_key)?.verify()
    }

    /// Reads everything and checks the marks of the groups.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn verify(&self) -> Result<Verified, AuditError> {
        // A connection of its own: it reads for long, and nobody waits behind it.
        let (path, seal, key) = (self.path.clone(), Arc::clone(&self.seal), self.chain_key);
        let work = move || Database::read(&path, seal, key)?.verify();
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| AuditError::Database(Box::new(error)))?
    }

    async fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, AuditError> + Send + 'static,
    ) -> Result<T, AuditError> {
        let reader = Arc::clone(&self.reader);
        tokio::task::spawn_blocking(move || {
            work(&reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
        })
        .await
        .map_err(|error| AuditError::Database(Box::new(error)))?
    }
}

#[cfg(test)]
mod tests;

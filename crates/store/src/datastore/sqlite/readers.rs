//! A bounded pool of connections that read, each on a blocking thread while it does.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pipehat_vault::Key;
use tokio::sync::Semaphore;

use super::open::Reader;
use super::session::{Counters, SqliteSession};
use crate::datastore::error::DatastoreError;
use crate::datastore::sql::SessionError;

/// How many read at the same time.
pub(super) const READERS_MAX: usize = 8;

/// How many may wait for a reader; the next is told that the datastore is busy.
const WAITING_MAX: usize = 4096;

/// How long a search may hold up the requests that share its thread. Most take a fraction of it, and handing one to
/// another thread takes as long as it does.
const QUICK_TIME_MAX: Duration = Duration::from_millis(2);

/// How long one step of what takes long may take.
const LONG_TIME_MAX: Duration = Duration::from_secs(3600);

pub(super) struct Readers {
    path: PathBuf,
    key: Key,
    idle: Mutex<Vec<Reader>>,
    /// One permit for each that reads or waits.
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    time_max: Duration,
}

impl Readers {
    pub(super) fn new(path: PathBuf, key: Key, time_max: Duration) -> Arc<Self> {
        Arc::new(Self {
            path,
            key,
            idle: Mutex::new(Vec::new()),
            places: Arc::new(Semaphore::new(READERS_MAX + WAITING_MAX)),
            turns: Arc::new(Semaphore::new(READERS_MAX)),
            time_max,
        })
    }

    /// How much room the file takes, with its log and what the log's index takes.
    pub(super) fn disk_bytes(&self) -> u64 {
        let bytes = |ending: &str| {
            let mut name = self.path.clone().into_os_string();
            name.push(ending);
            std::fs::metadata(name).map_or(0, |file| file.len())
        };
        ["", "-wal", "-shm"].into_iter().map(bytes).fold(0, u64::saturating_add)
    }

    /// Reads with all statements seeing the same state.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut SqliteSession<'_>) -> Result<T, SessionError> + Send + 'static,
    ) -> Result<T, DatastoreError> {
        self.read_within(self.time_max, work).await
    }

    /// Reads what may take long: what a person asked for, with nobody else waiting for it.
    pub(super) async fn read_long<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut SqliteSession<'_>) -> Result<T, SessionError> + Send + 'static,
    ) -> Result<T, DatastoreError> {
        self.read_within(LONG_TIME_MAX, work).await
    }

    async fn read_within<T: Send + 'static>(
        self: &Arc<Self>,
        time: Duration,
        work: impl FnOnce(&mut SqliteSession<'_>) -> Result<T, SessionError> + Send + 'static,
    ) -> Result<T, DatastoreError> {
        let place =
            Arc::clone(&self.places).try_acquire_owned().map_err(|_| DatastoreError::Busy)?;
        let turn =
            Arc::clone(&self.turns).acquire_owned().await.map_err(|_| DatastoreError::Closed)?;
        let readers = Arc::clone(self);
        let seconds = time.as_secs();
        let read = tokio::task::spawn_blocking(move || {
            // Both are held until the work is done, also when nobody waits for it any more.
            let _held = (place, turn);
            readers.run(time, work)
        });
        match read.await {
            Ok(result) => result.map_err(|error| error.outwards(seconds)),
            Err(error) => Err(DatastoreError::Database(Box::new(error))),
        }
    }

    /// Reads at once where a reader is idle, on this thread: for what takes microseconds, handing it to another
    /// thread takes longer. `None` where none is idle.
    pub(super) fn read_now<T>(
        &self,
        work: impl FnOnce(&mut SqliteSession<'_>) -> Result<T, SessionError>,
    ) -> Option<Result<T, DatastoreError>> {
        let _turn = self.turns.try_acquire().ok()?;
        Some(self.run(self.time_max, work).map_err(|error| error.outwards(self.time_max.as_secs())))
    }

    /// Reads at once where a reader is idle, on this thread, as long as it is quick. `None` where none is idle, or it
    /// was not: then it is to be read again by [`Readers::read`].
    pub(super) fn read_quickly<T>(
        &self,
        work: impl FnOnce(&mut SqliteSession<'_>) -> Result<T, SessionError>,
    ) -> Option<Result<T, DatastoreError>> {
        let _turn = self.turns.try_acquire().ok()?;
        match self.run(QUICK_TIME_MAX, work) {
            Err(SessionError::TooLong) => None,
            result => Some(result.map_err(|error| error.outwards(self.time_max.as_secs()))),
        }
    }

    fn run<T>(
        &self,
        time: Duration,
        work: impl FnOnce(&mut SqliteSession<'_>) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => Reader::open(&self.path, &self.key)?,
        };
        reader.allow(time);
        let mut session = SqliteSession::new(&mut reader.connection, Counters::default());
        session.deadline = Instant::now().checked_add(time);
        session.connection.prepare_cached("BEGIN")?.execute([])?;
        let result = work(&mut session);
        let ended = session.connection.prepare_cached("COMMIT").and_then(|mut end| end.execute([]));
        // One that can't end its transaction is dropped.
        if ended.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        }
        result
    }
}

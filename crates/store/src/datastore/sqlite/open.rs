//! Opening the database: the only place where connections are made.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pipehat_vault::{Failure, Key, VaultError};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::session::{Counters, SqliteSession};
use crate::datastore::body::Seal;
use crate::datastore::core::{Opened, check_key, outdated};
use crate::datastore::schema::{SCHEMA_VERSION, migration};
use crate::datastore::sql::{Dialect, SessionError, ready};

/// Says of a file that it is a datastore.
const APPLICATION_ID: i64 = 0x5048_4453;

/// The log file is cut back to this after a burst.
const LOG_BYTES_MAX: i64 = 256 * 1024 * 1024;

const WRITER_CACHE_KIB: i64 = 64 * 1024;
const READER_CACHE_KIB: i64 = 8 * 1024;
/// Checkpoints don't go through the cache.
const CHECKPOINTER_CACHE_KIB: i64 = 64;

/// How many statements a connection keeps prepared.
const STATEMENTS_MAX: usize = 256;

/// How often a statement asks whether it ran long enough, in steps of SQLite's machine.
const DEADLINE_STEPS: i32 = 4096;

/// How long to wait for a lock; only checkpoints take some.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens the database for writing, and brings its schema up to date.
pub(super) fn writer(path: &Path, seal: &Seal) -> Result<(Connection, Counters), SessionError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = sealed(path, &seal.file_key(), flags)?;
    connection.busy_timeout(LOCK_TIMEOUT)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The writer checkpoints when it finds time, see `writer`.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES_MAX, |_| Ok(()))?;
    prepare(&connection, WRITER_CACHE_KIB)?;
    migrate(&mut connection)?;
    let mut session = SqliteSession::new(&mut connection, Counters::default());
    ready(check_key(&mut session, seal, Opened::ToWrite))?;
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let counters = Counters {
        key: number("SELECT coalesce(max(key), 0) FROM resources")?,
        change: u64::try_from(number("SELECT coalesce(max(change), 0) FROM versions")?)
            .unwrap_or(0),
    };
    Ok((connection, counters))
}

/// Opens a second connection, for copying the log into the database beside the writer.
pub(super) fn checkpointer(path: &Path, key: &Key) -> Result<Connection, SessionError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = sealed(path, key, flags)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    prepare(&connection, CHECKPOINTER_CACHE_KIB)?;
    // A checkpoint needs the log open, which the first read does.
    schema_version(&connection)?;
    Ok(connection)
}

/// Checks what is to be read and not changed; gives the number of its newest change.
pub(super) fn check(reader: &mut Reader, seal: &Seal) -> Result<u64, SessionError> {
    let connection = &mut reader.connection;
    if schema_version(connection)? < SCHEMA_VERSION {
        return Err(outdated());
    }
    let mut session = SqliteSession::new(connection, Counters::default());
    ready(check_key(&mut session, seal, Opened::ToRead))?;
    let newest = "SELECT coalesce(max(change), 0) FROM versions";
    let newest: i64 = connection.query_row(newest, [], |row| row.get(0))?;
    Ok(u64::try_from(newest).unwrap_or(0))
}

/// The version of its schema; 0 where it has none yet.
fn schema_version(connection: &Connection) -> Result<i64, SessionError> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, found) = (pragma("application_id")?, pragma("user_version")?);
    if (application, found) != (0, 0) && application != APPLICATION_ID {
        return Err(SessionError::Database("the file is no datastore of Pipehat".into()));
    }
    if found > SCHEMA_VERSION {
        return Err(SessionError::Database(
            "the datastore was written by a newer version of Pipehat".into(),
        ));
    }
    Ok(found)
}

fn migrate(connection: &mut Connection) -> Result<(), SessionError> {
    let found = schema_version(connection)?;
    for version in found.saturating_add(1)..=SCHEMA_VERSION {
        let Some(sql) = migration(Dialect::Sqlite, version) else { continue };
        let transaction = connection.transaction()?;
        transaction.execute_batch(&sql)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// A connection for reading, whose statements stop at a deadline.
pub(super) struct Reader {
    pub(super) connection: Connection,
    clock: Instant,
    /// Nanoseconds of `clock`; 0 for none.
    deadline: Arc<AtomicU64>,
}

impl Reader {
    pub(super) fn open(path: &Path, key: &Key) -> Result<Self, SessionError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = sealed(path, key, flags)?;
        connection.busy_timeout(LOCK_TIMEOUT)?;
        prepare(&connection, READER_CACHE_KIB)?;
        let clock = Instant::now();
        let deadline = Arc::new(AtomicU64::new(0));
        let of_handler = Arc::clone(&deadline);
        connection.progress_handler(
            DEADLINE_STEPS,
            Some(move || match of_handler.load(Ordering::Relaxed) {
                0 => false,
                deadline => nanos(clock.elapsed()) >= deadline,
            }),
        )?;
        Ok(Self { connection, clock, deadline })
    }

    /// From now on, statements stop after this time.
    pub(super) fn allow(&self, time: Duration) {
        let deadline = self.clock.elapsed().saturating_add(time);
        self.deadline.store(nanos(deadline).max(1), Ordering::Relaxed);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Opens the file, whose pages are sealed: the index tables hold names and identifiers. It is in WAL mode, and its
/// owner's only.
fn sealed(path: &Path, key: &Key, flags: OpenFlags) -> Result<Connection, SessionError> {
    pipehat_vault::open(path, key, flags).map_err(|error| match error {
        VaultError::Failure { failure: Failure::NotSealed, .. } => {
            SessionError::Database("the file is no datastore of Pipehat".into())
        }
        VaultError::Failure { failure: Failure::OtherKey, .. }
        | VaultError::OpenUnderOtherKey(_) => SessionError::Database(
            "the datastore was written with another key than the one given".into(),
        ),
        VaultError::Sqlite(error) => error.into(),
        error => SessionError::Database(Box::new(error)),
    })
}

fn prepare(connection: &Connection, cache_kib: i64) -> Result<(), rusqlite::Error> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Otherwise a statement is planned anew each time that a value is bound to it: SQLite looks whether an equality is
    // with -1, 0 or 1. All plans here are right for every value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "cache_size", cache_kib.saturating_neg())?;
    connection.pragma_update(None, "trusted_schema", false)
}

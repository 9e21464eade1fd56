//! Opening the database, or starting an empty one where it can't be used.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::atomic::AtomicU64,
    time::Duration,
};

use pipehat_vault::{Failure, VaultError, is_damage};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

use super::{
    index::SqliteMessageIndex,
    schema::{APPLICATION_ID, FORMAT_VERSION, TABLES},
};
use crate::{IndexError, IndexKeys, keys};

/// The log is copied into the database when it has this many pages (16 MiB): often enough that one
/// copy is a short disturbance for the journal on the same disk.
const CHECKPOINT_PAGES: i64 = 2048;

/// The log file is cut back to this after a burst.
const LOG_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// What the writer keeps of the database in memory: the ends of its tables.
const WRITER_CACHE_KIB: i64 = 8 * 1024;

/// What each reader keeps: enough for the pages that a search by identifier needs among ten million
/// messages.
const READER_CACHE_KIB: i64 = 4 * 1024;

/// How long to wait for a lock; readers and the writer hold them for moments only.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// How many statements each connection keeps prepared: all that there are.
const STATEMENTS_MAX: usize = 64;

/// An index as opened.
#[derive(Debug)]
pub struct Opened {
    /// The index.
    pub index: SqliteMessageIndex,
    /// Set when the index is empty although the journal may not be: why it is.
    pub rebuild: Option<RebuildReason>,
}

/// Why an index begins empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebuildReason {
    /// There was none.
    Missing,
    /// It was written by an older or newer format version, or is not ours.
    Format,
    /// It was written under other keys.
    Keys,
    /// It is damaged.
    Damaged,
}

/// Where an index is, shared by its writer and its readers.
pub(super) struct Location {
    pub(super) path: PathBuf,
    pub(super) keys: IndexKeys,
    /// Raised when the files are replaced: what was opened before is stale.
    pub(super) generation: AtomicU64,
}

/// Opens the database for writing; an unusable one is replaced by an empty one.
pub(super) fn open_writer(
    location: &Location,
) -> Result<(Connection, Option<RebuildReason>), IndexError> {
    let reason = if location.path.exists() {
        match examine(location)? {
            Ok(connection) => return Ok((connection, None)),
            Err(reason) => reason,
        }
    } else {
        RebuildReason::Missing
    };
    discard(&location.path)?;
    Ok((create(location)?, Some(reason)))
}

/// Opens the database for reading.
pub(super) fn open_reader(location: &Location) -> Result<Connection, IndexError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = sealed(location, flags).map_err(unavailable)?;
    prepare(&connection, READER_CACHE_KIB)?;
    Ok(connection)
}

/// Removes the database's files. The database goes first, by one rename: a log left alone is
/// removed at the next opening, while a database without its log would look sound and not be.
pub(super) fn discard(path: &Path) -> Result<(), IndexError> {
    let unavailable = |error: io::Error| IndexError::Unavailable(Box::new(error));
    let discarded = beside(path, "-discarded");
    match fs::rename(path, &discarded) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unavailable(error)),
        _ => {}
    }
    for file in [beside(path, "-wal"), beside(path, "-shm"), discarded] {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(unavailable(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Opens the file, which is sealed as a whole.
fn sealed(location: &Location, flags: OpenFlags) -> Result<Connection, VaultError> {
    pipehat_vault::open(&location.path, &keys::file_key(&location.keys), flags)
}

fn unavailable(error: VaultError) -> IndexError {
    match error {
        VaultError::Sqlite(error) => error.into(),
        VaultError::Failure { .. } => IndexError::Damaged(Some(Box::new(error))),
        error => IndexError::Unavailable(Box::new(error)),
    }
}

/// Opens what is there, or says why it can't be used.
pub(super) fn examine(
    location: &Location,
) -> Result<Result<Connection, RebuildReason>, IndexError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let examined = match sealed(location, flags) {
        Ok(connection) => try_examine(connection, location),
        Err(VaultError::Sqlite(error)) => Err(error),
        Err(VaultError::Failure { failure, .. }) => {
            return Ok(Err(match failure {
                Failure::OtherKey => RebuildReason::Keys,
                Failure::Format(_) => RebuildReason::Format,
                Failure::NotSealed if is_clear(&location.path) => RebuildReason::Format,
                _ => RebuildReason::Damaged,
            }));
        }
        Err(error) => return Err(unavailable(error)),
    };
    match examined {
        Ok(examined) => Ok(examined),
        // The content, though SQLite takes it for the place.
        Err(error) if is_damage(&error) => Ok(Err(RebuildReason::Damaged)),
        Err(error) => match error.sqlite_error_code() {
            // The place, not the content, is at fault: an empty database would fare no better.
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked,
            ) => Err(IndexError::Unavailable(Box::new(error))),
            _ => Ok(Err(RebuildReason::Damaged)),
        },
    }
}

/// Whether it is an index of a release that did not seal the file: a database of SQLite as it is.
fn is_clear(path: &Path) -> bool {
    let mut start = [0; SQLITE_START.len()];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *SQLITE_START
}

/// How every clear database begins ("SQLite Database File Format" §1.3.1).
const SQLITE_START: &[u8; 16] = b"SQLite format 3\0";

fn try_examine(
    connection: Connection,
    location: &Location,
) -> Result<Result<Connection, RebuildReason>, rusqlite::Error> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    if number("application_id")? != APPLICATION_ID || number("user_version")? != FORMAT_VERSION {
        return Ok(Err(RebuildReason::Format));
    }
    let key_check: Option<Vec<u8>> =
        connection.query_row("SELECT key_check FROM state", [], |row| row.get(0)).optional()?;
    match key_check {
        None => return Ok(Err(RebuildReason::Damaged)),
        Some(check) if check != keys::check_value(&location.keys) => {
            return Ok(Err(RebuildReason::Keys));
        }
        Some(_) => {}
    }
    prepare_writer(&connection)?;
    Ok(Ok(connection))
}

fn create(location: &Location) -> Result<Connection, IndexError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // Its pages have 8192 bytes, measured best for rows of a few hundred, and it is its owner's only.
    let mut connection = sealed(location, flags).map_err(unavailable)?;
    prepare_writer(&connection)?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.execute(
        "INSERT INTO state (id, through, floor, key_check) VALUES (1, 0, 0, ?1)",
        params![keys::check_value(&location.keys)],
    )?;
    transaction.execute(
        "INSERT INTO epoch (number, first, last, messages, from_micros, to_micros)
         VALUES (1, 0, ?1, 0, ?1, ?2)",
        params![i64::MAX, i64::MIN],
    )?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT_VERSION)?;
    transaction.commit()?;
    Ok(connection)
}

fn prepare_writer(connection: &Connection) -> Result<(), rusqlite::Error> {
    // Answers with the mode, so that it is a query.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES_MAX, |_| Ok(()))?;
    prepare(connection, WRITER_CACHE_KIB)
}

fn prepare(connection: &Connection, cache_kib: i64) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(LOCK_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "cache_size", cache_kib.saturating_neg())?;
    // Sorting must leave nothing in a temporary directory.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)
}

//! Opening the audit log's file, which is sealed as a whole; one that an earlier release wrote in the clear is sealed first.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pipehat_vault::{Failure, Key, VaultError};
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::AuditError;
use super::schema::{APPLICATION_ID, SCHEMA_VERSION, tables};

/// The schema of the logs that stood in the clear.
const CLEAR_VERSION: i64 = 1;

/// How long to wait for a lock; only checkpoints take some.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// What the writer keeps in memory: the ends of the table and its indexes.
const WRITER_CACHE_KIB: i64 = 8 * 1024;

/// Opens it for writing; makes it where there is none.
pub(super) fn for_writing(path: &Path, key: &Key) -> Result<Connection, AuditError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match pipehat_vault::open(path, key, flags) {
        Err(VaultError::Failure { failure: Failure::NotSealed, .. }) => {
            seal(path, key)?;
            pipehat_vault::open(path, key, flags)
        }
        opened => opened,
    };
    let connection = connection.map_err(refused)?;
    prepare_writer(&connection)?;
    match version(&connection)? {
        (0, 0) => make_tables(&connection)?,
        (APPLICATION_ID, SCHEMA_VERSION) => {}
        _ => return Err(AuditError::Foreign),
    }
    Ok(connection)
}

/// Opens it for reading, also one that stands in the clear still.
pub(super) fn for_reading(path: &Path, key: &Key) -> Result<Connection, AuditError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match pipehat_vault::open(path, key, flags) {
        Err(VaultError::Failure { failure: Failure::NotSealed, .. }) => {
            Connection::open_with_flags(path, flags)?
        }
        opened => opened.map_err(refused)?,
    };
    connection.busy_timeout(LOCK_TIMEOUT)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    match version(&connection) {
        Ok((APPLICATION_ID, CLEAR_VERSION | SCHEMA_VERSION)) => Ok(connection),
        Err(error) if error.sqlite_error_code() != Some(ErrorCode::NotADatabase) => {
            Err(error.into())
        }
        _ => Err(AuditError::Foreign),
    }
}

fn refused(error: VaultError) -> AuditError {
    match error {
        VaultError::Failure {
            failure: Failure::NotSealed | Failure::OtherKey | Failure::Format(_),
            ..
        }
        | VaultError::OpenUnderOtherKey(_) => AuditError::Foreign,
        VaultError::Sqlite(error) => error.into(),
        error => AuditError::Database(Box::new(error)),
    }
}

fn version(connection: &Connection) -> Result<(i64, i64), rusqlite::Error> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok((pragma("application_id")?, pragma("user_version")?))
}

fn prepare_writer(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(LOCK_TIMEOUT)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB.saturating_neg())?;
    connection.pragma_update(None, "trusted_schema", false)
}

fn make_tables(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.execute_batch(&format!(
        "BEGIN; {} PRAGMA application_id = {APPLICATION_ID};
         PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;",
        tables()
    ))
}

/// Puts a sealed log in the place of one that stands in the clear: its records, numbers and marks as they are.
///
/// Whatever happens, one of both stands there whole: the sealed one takes the place by one rename when it is on the disk,
/// and the other has no log beside it by then that could be taken for the new one's.
fn seal(path: &Path, key: &Key) -> Result<(), AuditError> {
    let clear = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    clear.busy_timeout(LOCK_TIMEOUT)?;
    match version(&clear) {
        Ok((APPLICATION_ID, CLEAR_VERSION)) => {}
        Err(error) if error.sqlite_error_code() != Some(ErrorCode::NotADatabase) => {
            return Err(error.into());
        }
        _ => return Err(AuditError::Foreign),
    }
    tracing::info!("the audit log is sealed: an earlier release wrote it in the clear");
    let made = beside(path, "-sealed");
    discard(&made)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sealed = pipehat_vault::open(&made, key, flags).map_err(refused)?;
    prepare_writer(&sealed)?;
    make_tables(&sealed)?;
    copy(&clear, &sealed)?;
    sealed.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    sealed.close().map_err(|(_, error)| error)?;
    clear.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    clear.close().map_err(|(_, error)| error)?;
    let io = |error: io::Error| AuditError::Database(Box::new(error));
    if beside(path, "-wal").exists() {
        return Err(AuditError::Database("the log of the audit log is in use".into()));
    }
    fs::rename(&made, path).map_err(io)?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()).map_err(io)
}

pub(super) fn copy(from: &Connection, to: &Connection) -> Result<(), rusqlite::Error> {
    /// The tables and how many columns they had.
    const TABLES: [(&str, &str, usize); 2] = [
        (
            "records",
            "number, at, request, client, client_name, address, interaction, type, id, status, query",
            11,
        ),
        ("groups", "last, mark", 2),
    ];
    let transaction = to.unchecked_transaction()?;
    for (table, columns, count) in TABLES {
        let places: Vec<String> = (1..=count).map(|number| format!("?{number}")).collect();
        let mut insert = transaction
            .prepare(&format!("INSERT INTO {table} ({columns}) VALUES ({})", places.join(", ")))?;
        let mut select = from.prepare(&format!("SELECT {columns} FROM {table} ORDER BY 1"))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..count {
                let value = ToSqlOutput::Borrowed(row.get_ref(column)?);
                insert.raw_bind_parameter(column.saturating_add(1), value)?;
            }
            insert.raw_execute()?;
        }
    }
    transaction.commit()
}

/// What was left of a sealing that was broken off.
fn discard(path: &Path) -> Result<(), AuditError> {
    for file in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(AuditError::Database(Box::new(error)));
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

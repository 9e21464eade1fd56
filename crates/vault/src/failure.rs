//! Why a sealed database can't be opened, read or written.

use std::ffi::{c_int, c_void};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, ffi};

/// What is wrong with a sealed database, or with what was asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The file is no sealed database: perhaps an ordinary one.
    #[error("the file is not a sealed database")]
    NotSealed,
    /// It was sealed by a newer version.
    #[error("the database is sealed in format {0}, which this version does not know")]
    Format(u8),
    /// It was sealed under another key.
    #[error("the database is sealed under another key")]
    OtherKey,
    /// A page does not open: its bytes were changed or are another page's.
    #[error("page {0} of the database was changed since it was sealed")]
    Page(u64),
    /// The log's header does not open.
    #[error("the header of the log was changed since it was sealed")]
    LogHeader,
    /// A frame of the log does not open, and is no torn end.
    #[error("frame {0} of the log was changed since it was sealed")]
    LogFrame(u32),
    /// A block of a temporary file does not open.
    #[error("block {0} of a temporary file was changed since it was sealed")]
    Temporary(u64),
    /// Something that a sealed database never does.
    #[error("a sealed database refuses {0}")]
    Refused(&'static str),
}

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// Its content, or the key.
    #[error("{}: {failure}", path.display())]
    Failure {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        failure: Failure,
    },
    /// It is open in this process under another key.
    #[error("{}: the database is open under another key", .0.display())]
    OpenUnderOtherKey(PathBuf),
    /// The file can't be found or made.
    #[error("{}: the file can't be opened", path.display())]
    File {
        /// The database.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no randomness for a session's key.
    #[error("the system gives no random bytes")]
    Randomness(#[source] getrandom::Error),
    /// SQLite refused.
    #[error("the database can't be opened")]
    Sqlite(#[from] rusqlite::Error),
}

/// What the file system answers to SQLite when sealed bytes do not open.
pub(crate) const DAMAGED: c_int = ffi::SQLITE_IOERR_DATA;

/// Whether a statement failed because sealed bytes do not open; [`failure`] then says which.
pub fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(error, _) if error.extended_code == DAMAGED)
}

/// What was last found wrong with this connection's database, by any of its connections in this process. `None` for
/// a database that is not sealed.
pub fn failure(connection: &Connection) -> Option<Failure> {
    let mut answer: Option<Failure> = None;
    // SAFETY: the handle is open as long as `connection` is borrowed, the name ends with NUL, and `LAST_FAILURE` is
    // answered by our file, which writes an `Option<Failure>`; every other file system ignores unknown operations.
    let _code = unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            LAST_FAILURE,
            (&raw mut answer).cast::<c_void>(),
        )
    };
    answer
}

/// The file-control operation that asks for the last failure: SQLite leaves those above 100 to others.
pub(crate) const LAST_FAILURE: c_int = 0x5048_5641;

/// The last failure of a database.
#[derive(Default)]
pub(crate) struct LastFailure(Mutex<Option<Failure>>);

impl LastFailure {
    pub(crate) fn set(&self, failure: Failure) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    pub(crate) fn get(&self) -> Option<Failure> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

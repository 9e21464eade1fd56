//! Opening and creating sealed databases.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::database::sealed_page;
use crate::failure::VaultError;
use crate::key::Key;
use crate::layout::first_page;
use crate::registry;
use crate::seal::Seal;
use crate::vfs;

/// Creations are one after another, so that no two make the same file.
static CREATING: Mutex<()> = Mutex::new(());

/// Opens a sealed database. With `SQLITE_OPEN_CREATE` one that is missing, or an empty file without a log,
/// becomes an empty database, in WAL mode, with pages of 8192 bytes.
///
/// All connections of a process to one database share what seals it; they may be on different threads. Nothing in
/// `path` is taken for a URI.
///
/// ```
/// use pipehat_vault::Key;
/// use rusqlite::OpenFlags;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("registry.db");
/// let key = Key::new([7; 32]); // in earnest: derived from the installation's key
/// let database = pipehat_vault::open(&path, &key, OpenFlags::default())?;
/// database.execute_batch("CREATE TABLE person (name TEXT); INSERT INTO person VALUES ('CHALMERS')")?;
/// # drop(database);
///
/// let other = pipehat_vault::open(&path, &Key::new([8; 32]), OpenFlags::default());
/// assert!(other.unwrap_err().to_string().ends_with("the database is sealed under another key"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Says whether the file, the key or SQLite is at fault.
pub fn open(path: &Path, key: &Key, flags: OpenFlags) -> Result<Connection, VaultError> {
    let vfs = vfs::register()?;
    let writes = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let file = |source| VaultError::File { path: path.to_owned(), source };
    if flags.contains(writes) {
        let _one = CREATING.lock().unwrap_or_else(PoisonError::into_inner);
        // Never opened to look into it: closing a file drops all locks that the process has on it.
        if is_to_be_made(path).map_err(file)? {
            create(path, key)?;
        }
    }
    // The name that SQLite will use.
    let path = fs::canonicalize(path).map_err(file)?;
    let seal = registry::register(&path, key)?;
    let flags = flags - OpenFlags::SQLITE_OPEN_URI - OpenFlags::SQLITE_OPEN_CREATE;
    let connection = Connection::open_with_flags_and_vfs(&path, flags, vfs).map_err(|error| {
        match (error.sqlite_error_code(), seal.last_failure.get()) {
            // Our file system's answer when it looked at the first bytes.
            (Some(ErrorCode::NotADatabase), Some(failure)) => VaultError::Failure { path, failure },
            _ => VaultError::Sqlite(error),
        }
    })?;
    // What is temporary would be sealed on the disk; it is better there not at all.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

/// An empty file with a log was cut off, and is no database to be.
fn is_to_be_made(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len() == 0 && !beside(path, "-wal").exists()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Makes an empty database, whole or not at all. Made by us and not by SQLite, it is in WAL mode from the start, and
/// there is never a rollback journal.
fn create(path: &Path, key: &Key) -> Result<(), VaultError> {
    let seal = Seal::new(key).map_err(VaultError::Randomness)?;
    let page = sealed_page(&seal, 1, &first_page())
        .map_err(|failure| VaultError::Failure { path: path.to_owned(), failure })?;
    create_file(path, &page).map_err(|source| VaultError::File { path: path.to_owned(), source })
}

fn create_file(path: &Path, page: &[u8]) -> io::Result<()> {
    // A log of a database that was here before must not be taken for this one's.
    for suffix in ["-wal", "-shm"] {
        match fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let made = beside(path, "-made");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&made)?;
    file.write_all(page)?;
    file.sync_all()?;
    fs::rename(&made, path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

//! The file system that SQLite is given: names, deletions, clocks and randomness are those of SQLite's own; files that
//! are opened become sealed ones.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rusqlite::ffi;

use crate::below::{Below, Code};
use crate::database::DatabaseFile;
use crate::failure::VaultError;
use crate::file::{Content, SealedFile};
use crate::log::LogFile;
use crate::registry;
use crate::scratch::Scratch;
use crate::seal::Seal;

const NAME: &CStr = c"pipehat-vault";

/// Registers the file system, once for the process, and gives its name.
pub(crate) fn register() -> Result<&'static CStr, VaultError> {
    static REGISTERED: OnceLock<c_int> = OnceLock::new();
    match *REGISTERED.get_or_init(make) {
        ffi::SQLITE_OK => Ok(NAME),
        code => {
            Err(VaultError::Sqlite(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)))
        }
    }
}

fn make() -> c_int {
    // SAFETY: SQLite may be asked for its own file system at any time; what it gives stays valid, and is only read.
    // Ours is given to SQLite for good.
    unsafe {
        let initialized = ffi::sqlite3_initialize();
        if initialized != ffi::SQLITE_OK {
            return initialized;
        }
        let below = ffi::sqlite3_vfs_find(std::ptr::null());
        let Some(own) = below.as_ref() else { return ffi::SQLITE_NOTFOUND };
        let Some(bytes) = SealedFile::bytes(own.szOsFile) else { return ffi::SQLITE_NOTFOUND };
        let vfs = ffi::sqlite3_vfs {
            iVersion: 2,
            szOsFile: bytes,
            mxPathname: own.mxPathname,
            pNext: std::ptr::null_mut(),
            zName: NAME.as_ptr(),
            pAppData: below.cast::<c_void>(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            xDlOpen: Some(no_library),
            xDlError: Some(no_library_error),
            xDlSym: Some(no_symbol),
            xDlClose: Some(close_no_library),
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: Some(current_time),
            xGetLastError: Some(last_error),
            xCurrentTimeInt64: Some(current_time_milliseconds),
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        };
        ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 0)
    }
}

/// SQLite's own file system.
///
/// # Safety
///
/// `vfs` is ours.
unsafe fn own(vfs: *mut ffi::sqlite3_vfs) -> *mut ffi::sqlite3_vfs {
    // SAFETY: `make` put it there.
    unsafe { (*vfs).pAppData.cast() }
}

/// What kinds of files SQLite opens; the other flags say how.
const KINDS: c_int = ffi::SQLITE_OPEN_MAIN_DB
    | ffi::SQLITE_OPEN_TEMP_DB
    | ffi::SQLITE_OPEN_TRANSIENT_DB
    | ffi::SQLITE_OPEN_MAIN_JOURNAL
    | ffi::SQLITE_OPEN_TEMP_JOURNAL
    | ffi::SQLITE_OPEN_SUBJOURNAL
    | ffi::SQLITE_OPEN_SUPER_JOURNAL
    | ffi::SQLITE_OPEN_WAL;

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives memory for the file, which is not open; `own` is registered, and the memory behind ours is
    // for its file.
    let (own, place) = unsafe {
        SealedFile::leave_closed(file);
        (own(vfs), SealedFile::below(file))
    };
    let content = match flags & KINDS {
        kind @ (ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_WAL) => {
            // SAFETY: these two have a name, which ends with NUL.
            let Some(seal) = (unsafe { seal_of(name) }) else { return ffi::SQLITE_CANTOPEN };
            // SAFETY: as above; name and flags are SQLite's.
            match unsafe { Below::open(own, name, place, flags, out_flags) } {
                Err(Code(code)) => Err(code),
                Ok(below) if kind == ffi::SQLITE_OPEN_WAL => {
                    Ok(Content::Log(LogFile::new(below, seal)))
                }
                Ok(below) => match DatabaseFile::new(below, seal) {
                    Ok(file) => Ok(Content::Database(file)),
                    Err((mut below, Code(code))) => {
                        // Why it is refused says more than that it could not be closed.
                        let _closed = below.close();
                        Err(code)
                    }
                },
            }
        }
        ffi::SQLITE_OPEN_TEMP_DB
        | ffi::SQLITE_OPEN_TRANSIENT_DB
        | ffi::SQLITE_OPEN_TEMP_JOURNAL
        | ffi::SQLITE_OPEN_SUBJOURNAL => {
            let place = Place { own, file: place, flags };
            Ok(Content::Scratch(Scratch::new(Box::new(move || place.open()))))
        }
        // A rollback journal holds pages as they were, and must be read after a crash: there is none in WAL mode, which
        // a sealed database never leaves. A super-journal is for several databases with such.
        _ => Err(ffi::SQLITE_CANTOPEN),
    };
    match content {
        Ok(content) => {
            // SAFETY: the memory is SQLite's for this file, which is not open; its flags, if it wants any, are what it
            // asked for where the file below has not said others.
            unsafe {
                if matches!(content, Content::Scratch(_))
                    && let Some(out_flags) = out_flags.as_mut()
                {
                    *out_flags = flags;
                }
                SealedFile::fill(file, content);
            }
            ffi::SQLITE_OK
        }
        Err(code) => code,
    }
}

/// What seals the database of this name, or of the log of this name.
///
/// # Safety
///
/// `name` is what SQLite gives to open a database or a log.
unsafe fn seal_of(name: ffi::sqlite3_filename) -> Option<Arc<Seal>> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the caller's; SQLite finds the database's name before the log's, and it ends with NUL.
    let path = unsafe { CStr::from_ptr(ffi::sqlite3_filename_database(name)) };
    registry::find(Path::new(OsStr::from_bytes(path.to_bytes())))
}

/// Where a temporary file will be opened if it becomes large.
struct Place {
    own: *mut ffi::sqlite3_vfs,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
}

// SAFETY: the file system is SQLite's own, which any thread may call, and the file's memory belongs to the file, whose
// functions are called by one thread at a time.
unsafe impl Send for Place {}

impl Place {
    fn open(&self) -> Result<Below, Code> {
        // As one that has no name, and that nobody else can find.
        let flags = (self.flags & KINDS)
            | ffi::SQLITE_OPEN_READWRITE
            | ffi::SQLITE_OPEN_CREATE
            | ffi::SQLITE_OPEN_EXCLUSIVE
            | ffi::SQLITE_OPEN_DELETEONCLOSE;
        let (name, out_flags) = (std::ptr::null(), std::ptr::null_mut());
        // SAFETY: `own` is registered for good; the memory is behind ours and lives as long as the file that asks.
        unsafe { Below::open(self.own, name, self.file, flags, out_flags) }
    }
}

/// Passes a call to SQLite's own file system.
macro_rules! pass {
    ($vfs:expr, $function:ident($($argument:expr),*), else $otherwise:expr) => {{
        // SAFETY: `vfs` is ours; SQLite's arguments are passed as they are.
        unsafe {
            let own = own($vfs);
            match (*own).$function {
                Some(function) => function(own, $($argument),*),
                None => $otherwise,
            }
        }
    }};
}

unsafe extern "C" fn delete(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_directory: c_int,
) -> c_int {
    pass!(vfs, xDelete(name, sync_directory), else ffi::SQLITE_IOERR_DELETE)
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    answer: *mut c_int,
) -> c_int {
    pass!(vfs, xAccess(name, flags, answer), else ffi::SQLITE_IOERR_ACCESS)
}

unsafe extern "C" fn full_pathname(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    bytes: c_int,
    answer: *mut c_char,
) -> c_int {
    pass!(vfs, xFullPathname(name, bytes, answer), else ffi::SQLITE_CANTOPEN)
}

unsafe extern "C" fn randomness(
    vfs: *mut ffi::sqlite3_vfs,
    bytes: c_int,
    answer: *mut c_char,
) -> c_int {
    pass!(vfs, xRandomness(bytes, answer), else 0)
}

unsafe extern "C" fn sleep(vfs: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    pass!(vfs, xSleep(microseconds), else 0)
}

unsafe extern "C" fn current_time(vfs: *mut ffi::sqlite3_vfs, answer: *mut f64) -> c_int {
    pass!(vfs, xCurrentTime(answer), else ffi::SQLITE_ERROR)
}

unsafe extern "C" fn current_time_milliseconds(
    vfs: *mut ffi::sqlite3_vfs,
    answer: *mut i64,
) -> c_int {
    pass!(vfs, xCurrentTimeInt64(answer), else ffi::SQLITE_ERROR)
}

unsafe extern "C" fn last_error(
    vfs: *mut ffi::sqlite3_vfs,
    bytes: c_int,
    answer: *mut c_char,
) -> c_int {
    pass!(vfs, xGetLastError(bytes, answer), else 0)
}

/// A connection to a sealed database loads no extensions.
unsafe extern "C" fn no_library(_: *mut ffi::sqlite3_vfs, _: *const c_char) -> *mut c_void {
    std::ptr::null_mut()
}

unsafe extern "C" fn no_library_error(_: *mut ffi::sqlite3_vfs, bytes: c_int, answer: *mut c_char) {
    if bytes > 0 {
        // SAFETY: SQLite gives `bytes` bytes for a text, which ends with NUL.
        unsafe { *answer = 0 };
    }
}

type Symbol = unsafe extern "C" fn(*mut ffi::sqlite3_vfs, *mut c_void, *const c_char);

unsafe extern "C" fn no_symbol(
    _: *mut ffi::sqlite3_vfs,
    _: *mut c_void,
    _: *const c_char,
) -> Option<Symbol> {
    None
}

unsafe extern "C" fn close_no_library(_: *mut ffi::sqlite3_vfs, _: *mut c_void) {}

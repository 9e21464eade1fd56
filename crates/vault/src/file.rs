//! An open file as SQLite sees it: C functions that find ours behind a pointer, and pass on what is not about bytes.
//!
//! SQLite calls the functions of one file from one thread at a time: so each of them has its file alone.

use std::ffi::{c_int, c_void};
use std::mem::{align_of, size_of};
use std::slice;

use rusqlite::ffi;

use crate::below::{Below, Code, Extent};
use crate::database::DatabaseFile;
use crate::failure::{Failure, LAST_FAILURE};
use crate::log::LogFile;
use crate::scratch::Scratch;

/// What an open file is.
pub(crate) enum Content {
    Database(DatabaseFile),
    Log(LogFile),
    Scratch(Scratch),
}

impl Content {
    fn read(&mut self, bytes: &mut [u8], offset: u64) -> Result<Extent, Code> {
        match self {
            Content::Database(file) => file.read(bytes, offset),
            Content::Log(file) => file.read(bytes, offset),
            Content::Scratch(file) => file.read(bytes, offset),
        }
    }

    fn write(&mut self, bytes: &[u8], offset: u64) -> Result<(), Code> {
        match self {
            Content::Database(file) => file.write(bytes, offset),
            Content::Log(file) => file.write(bytes, offset),
            Content::Scratch(file) => file.write(bytes, offset),
        }
    }

    fn truncate(&mut self, bytes: u64) -> Result<(), Code> {
        match self {
            Content::Database(file) => file.below.truncate(bytes),
            Content::Log(file) => file.truncate(bytes),
            Content::Scratch(file) => file.truncate(bytes),
        }
    }

    fn sync(&mut self, flags: c_int) -> Result<(), Code> {
        match self {
            Content::Database(file) => file.below.sync(flags),
            Content::Log(file) => file.sync(flags),
            Content::Scratch(_) => Ok(()),
        }
    }

    fn size(&mut self) -> Result<u64, Code> {
        match self {
            Content::Database(file) => file.below.size(),
            Content::Log(file) => file.size(),
            Content::Scratch(file) => Ok(file.size()),
        }
    }

    fn close(&mut self) -> Result<(), Code> {
        match self {
            Content::Database(file) => file.below.close(),
            Content::Log(file) => file.close(),
            Content::Scratch(file) => file.close(),
        }
    }

    fn below(&self) -> Option<&Below> {
        match self {
            Content::Database(file) => Some(&file.below),
            Content::Log(file) => Some(&file.below),
            Content::Scratch(_) => None,
        }
    }

    fn last_failure(&self) -> Option<Failure> {
        match self {
            Content::Database(file) => file.seal.last_failure.get(),
            Content::Log(_) | Content::Scratch(_) => None,
        }
    }
}

/// The memory that SQLite gives for a file: this, and behind it the file below.
#[repr(C)]
pub(crate) struct SealedFile {
    base: ffi::sqlite3_file,
    content: *mut Content,
}

const _: () = assert!(align_of::<SealedFile>() <= 8 && size_of::<SealedFile>() == 16);

impl SealedFile {
    /// How much memory SQLite must give for a file, when the one below needs this much.
    pub(crate) fn bytes(below: c_int) -> Option<c_int> {
        below.checked_add(c_int::try_from(size_of::<SealedFile>()).ok()?)
    }

    /// Where the file below stands.
    ///
    /// # Safety
    ///
    /// `file` was given by SQLite for a file of ours.
    pub(crate) unsafe fn below(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
        // SAFETY: SQLite gave `szOsFile` bytes, which are ours and then those of the file below.
        unsafe { file.cast::<SealedFile>().add(1).cast() }
    }

    /// Says that the file is not open, so that SQLite does not close it.
    ///
    /// # Safety
    ///
    /// `file` was given by SQLite for a file of ours.
    pub(crate) unsafe fn leave_closed(file: *mut ffi::sqlite3_file) {
        // SAFETY: the caller's.
        unsafe { (*file).pMethods = std::ptr::null() };
    }

    /// Makes it an open file.
    ///
    /// # Safety
    ///
    /// `file` was given by SQLite for a file of ours, and is not open.
    pub(crate) unsafe fn fill(file: *mut ffi::sqlite3_file, content: Content) {
        let methods = if content.below().is_some() { &FILE } else { &SCRATCH };
        let content = Box::into_raw(Box::new(content));
        // SAFETY: the memory is large enough and aligned for it, and nothing that needs dropping is in it.
        unsafe {
            file.cast::<SealedFile>().write(SealedFile {
                base: ffi::sqlite3_file { pMethods: std::ptr::from_ref(methods) },
                content,
            });
        }
    }

    /// # Safety
    ///
    /// `file` is open, and no other function uses it.
    unsafe fn content<'a>(file: *mut ffi::sqlite3_file) -> &'a mut Content {
        // SAFETY: `fill` made the content, and `close` alone drops it; the caller has it alone.
        unsafe { &mut *(*file.cast::<SealedFile>()).content }
    }
}

/// Of a file whose bytes are on the disk. Version 2: with the log's index, without memory-mapped pages.
static FILE: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Of a temporary file, which nobody else can open: without locks.
static SCRATCH: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

fn code(result: Result<(), Code>) -> c_int {
    match result {
        Ok(()) => ffi::SQLITE_OK,
        Err(Code(code)) => code,
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: the file is open; `fill` made the box, and SQLite does not use the file any more.
    let mut content = unsafe {
        SealedFile::leave_closed(file);
        Box::from_raw((*file.cast::<SealedFile>()).content)
    };
    code(content.close())
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    bytes: *mut c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    let (Ok(length), Ok(offset)) = (usize::try_from(length), u64::try_from(offset)) else {
        return ffi::SQLITE_IOERR_READ;
    };
    // SAFETY: the file is open, and SQLite gives `length` bytes to read into. They may not have been written before;
    // no function of ours reads them before it wrote them.
    let (content, bytes) = unsafe {
        (SealedFile::content(file), slice::from_raw_parts_mut(bytes.cast::<u8>(), length))
    };
    match content.read(bytes, offset) {
        Ok(Extent::Whole) => ffi::SQLITE_OK,
        Ok(Extent::Short) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(Code(code)) => code,
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    let (Ok(length), Ok(offset)) = (usize::try_from(length), u64::try_from(offset)) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    // SAFETY: the file is open, and SQLite gives `length` bytes to write.
    let (content, bytes) =
        unsafe { (SealedFile::content(file), slice::from_raw_parts(bytes.cast::<u8>(), length)) };
    code(content.write(bytes, offset))
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, bytes: i64) -> c_int {
    let Ok(bytes) = u64::try_from(bytes) else { return ffi::SQLITE_IOERR_TRUNCATE };
    // SAFETY: the file is open.
    code(unsafe { SealedFile::content(file) }.truncate(bytes))
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: the file is open.
    code(unsafe { SealedFile::content(file) }.sync(flags))
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, bytes: *mut i64) -> c_int {
    // SAFETY: the file is open.
    match unsafe { SealedFile::content(file) }.size() {
        Ok(size) => {
            // SAFETY: SQLite gives a place for the answer.
            unsafe { *bytes = i64::try_from(size).unwrap_or(i64::MAX) };
            ffi::SQLITE_OK
        }
        Err(Code(code)) => code,
    }
}

/// Passes a call to the file below, if there is one and it knows the function.
macro_rules! pass {
    ($file:expr, $function:ident($($argument:expr),*), else $otherwise:expr) => {{
        // SAFETY: the file is open; SQLite's arguments are passed as they are.
        unsafe {
            match SealedFile::content($file).below().and_then(Below::raw) {
                Some((below, methods)) => match methods.$function {
                    Some(function) => function(below, $($argument),*),
                    None => $otherwise,
                },
                None => $otherwise,
            }
        }
    }};
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    pass!(file, xLock(level), else ffi::SQLITE_OK)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    pass!(file, xUnlock(level), else ffi::SQLITE_OK)
}

unsafe extern "C" fn check_reserved_lock(
    file: *mut ffi::sqlite3_file,
    answer: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives a place for the answer.
    unsafe { *answer = 0 };
    pass!(file, xCheckReservedLock(answer), else ffi::SQLITE_OK)
}

unsafe extern "C" fn file_control(
    file: *mut ffi::sqlite3_file,
    operation: c_int,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: the file is open.
    let content = unsafe { SealedFile::content(file) };
    match operation {
        LAST_FAILURE => {
            // SAFETY: `failure` alone knows the operation, and gives a place for the answer.
            unsafe { *argument.cast::<Option<Failure>>() = content.last_failure() };
            ffi::SQLITE_OK
        }
        ffi::SQLITE_FCNTL_MMAP_SIZE => {
            // Pages mapped from the disk are sealed ones. SAFETY: the argument is a number of bytes, where the former
            // is expected as the answer.
            unsafe { *argument.cast::<i64>() = 0 };
            ffi::SQLITE_OK
        }
        // These speak of bytes of the file, and the log's are not as many as SQLite thinks.
        ffi::SQLITE_FCNTL_SIZE_HINT | ffi::SQLITE_FCNTL_CHUNK_SIZE
            if matches!(content, Content::Log(_)) =>
        {
            ffi::SQLITE_OK
        }
        _ => pass!(file, xFileControl(operation, argument), else ffi::SQLITE_NOTFOUND),
    }
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    pass!(file, xSectorSize(), else 4096)
}

/// A page is no longer written in one go with its neighbours, nor read in parts. A write changes no bytes beside it:
/// else SQLite would write frames of the log in parts.
unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    let below = pass!(file, xDeviceCharacteristics(), else 0);
    let kept = ffi::SQLITE_IOCAP_SAFE_APPEND
        | ffi::SQLITE_IOCAP_SEQUENTIAL
        | ffi::SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN
        | ffi::SQLITE_IOCAP_IMMUTABLE;
    (below & kept) | ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    bytes: c_int,
    extend: c_int,
    place: *mut *mut c_void,
) -> c_int {
    pass!(file, xShmMap(region, bytes, extend, place), else ffi::SQLITE_IOERR_SHMMAP)
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    let done = pass!(file, xShmLock(offset, count, flags), else ffi::SQLITE_IOERR_SHMLOCK);
    // The first of the locks is that of whoever writes (SQLite's `wal.c`).
    if done == ffi::SQLITE_OK
        && offset == 0
        // SAFETY: the file is open.
        && let Content::Database(file) = unsafe { SealedFile::content(file) }
    {
        file.seal.end_turn();
    }
    done
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    pass!(file, xShmBarrier(), else ());
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    pass!(file, xShmUnmap(delete), else ffi::SQLITE_OK)
}

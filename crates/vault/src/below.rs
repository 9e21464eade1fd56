//! A file of SQLite's own file system: the only one that touches the disk.

use std::ffi::{c_int, c_void};

use rusqlite::ffi;

/// A result code of SQLite that is not `SQLITE_OK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) c_int);

/// How much was there to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Extent {
    /// All that was asked for.
    Whole,
    /// The file ends before; the rest is zeros.
    Short,
}

/// An open file. It is closed by [`Below::close`], not when dropped: SQLite's answer to closing matters.
pub(crate) struct Below {
    file: *mut ffi::sqlite3_file,
}

impl Below {
    /// Opens a file by the file system `vfs`.
    ///
    /// # Safety
    ///
    /// `vfs` is registered with SQLite; `place` has `szOsFile` bytes of it, aligned for pointers, which nobody else
    /// uses while the file is open; `name` is what SQLite gave for it, or null; `out_flags` is null or valid.
    pub(crate) unsafe fn open(
        vfs: *mut ffi::sqlite3_vfs,
        name: ffi::sqlite3_filename,
        place: *mut ffi::sqlite3_file,
        flags: c_int,
        out_flags: *mut c_int,
    ) -> Result<Self, Code> {
        // SAFETY: the caller answers for `vfs` and `place`; the first member of a file is its methods, and null means
        // that it is not open.
        let code = unsafe {
            (*place).pMethods = std::ptr::null();
            match (*vfs).xOpen {
                Some(open) => open(vfs, name, place, flags, out_flags),
                None => ffi::SQLITE_CANTOPEN,
            }
        };
        let mut below = Self { file: place };
        match checked(code) {
            Ok(()) => Ok(below),
            Err(code) => {
                // A file system may fail and want to be closed all the same.
                let _failed_anyway = below.close();
                Err(code)
            }
        }
    }

    fn methods(&self) -> Option<&ffi::sqlite3_io_methods> {
        // SAFETY: `file` was opened and is ours; its methods are static, or null when it is closed.
        unsafe { (*self.file).pMethods.as_ref() }
    }

    pub(crate) fn read(&mut self, bytes: &mut [u8], offset: u64) -> Result<Extent, Code> {
        const FAILED: Code = Code(ffi::SQLITE_IOERR_READ);
        let read = self.methods().and_then(|methods| methods.xRead).ok_or(FAILED)?;
        let length = c_int::try_from(bytes.len()).map_err(|_| FAILED)?;
        let offset = i64::try_from(offset).map_err(|_| FAILED)?;
        // SAFETY: the file is open and `bytes` has `length` bytes.
        match unsafe { read(self.file, bytes.as_mut_ptr().cast::<c_void>(), length, offset) } {
            ffi::SQLITE_OK => Ok(Extent::Whole),
            ffi::SQLITE_IOERR_SHORT_READ => Ok(Extent::Short),
            code => Err(Code(code)),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8], offset: u64) -> Result<(), Code> {
        const FAILED: Code = Code(ffi::SQLITE_IOERR_WRITE);
        let write = self.methods().and_then(|methods| methods.xWrite).ok_or(FAILED)?;
        let length = c_int::try_from(bytes.len()).map_err(|_| FAILED)?;
        let offset = i64::try_from(offset).map_err(|_| FAILED)?;
        // SAFETY: the file is open and `bytes` has `length` bytes.
        checked(unsafe { write(self.file, bytes.as_ptr().cast::<c_void>(), length, offset) })
    }

    pub(crate) fn truncate(&mut self, bytes: u64) -> Result<(), Code> {
        const FAILED: Code = Code(ffi::SQLITE_IOERR_TRUNCATE);
        let truncate = self.methods().and_then(|methods| methods.xTruncate).ok_or(FAILED)?;
        let bytes = i64::try_from(bytes).map_err(|_| FAILED)?;
        // SAFETY: the file is open.
        checked(unsafe { truncate(self.file, bytes) })
    }

    pub(crate) fn size(&mut self) -> Result<u64, Code> {
        const FAILED: Code = Code(ffi::SQLITE_IOERR_FSTAT);
        let size = self.methods().and_then(|methods| methods.xFileSize).ok_or(FAILED)?;
        let mut bytes: i64 = 0;
        // SAFETY: the file is open and `bytes` lives through the call.
        checked(unsafe { size(self.file, &raw mut bytes) })?;
        u64::try_from(bytes).map_err(|_| FAILED)
    }

    pub(crate) fn sync(&mut self, flags: c_int) -> Result<(), Code> {
        let sync = self.methods().and_then(|methods| methods.xSync);
        let sync = sync.ok_or(Code(ffi::SQLITE_IOERR_FSYNC))?;
        // SAFETY: the file is open.
        checked(unsafe { sync(self.file, flags) })
    }

    /// The last use of it.
    pub(crate) fn close(&mut self) -> Result<(), Code> {
        let Some(close) = self.methods().and_then(|methods| methods.xClose) else { return Ok(()) };
        // SAFETY: the file is open; then it has no methods any more and no function here uses it.
        let code = unsafe {
            let code = close(self.file);
            (*self.file).pMethods = std::ptr::null();
            code
        };
        checked(code)
    }

    /// The file and its methods, for what is passed through.
    pub(crate) fn raw(&self) -> Option<(*mut ffi::sqlite3_file, &ffi::sqlite3_io_methods)> {
        self.methods().map(|methods| (self.file, methods))
    }
}

fn checked(code: c_int) -> Result<(), Code> {
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(Code(code)),
    }
}

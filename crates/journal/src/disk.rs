//! The few things the journal does to files, each counted, and each able to fail on purpose in
//! tests.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
    time::Instant,
};

use crate::statistics::Counters;

/// What is about to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Allocate,
    Write,
    Sync,
}

/// Asked before each operation; an error stands for the operation's.
pub(crate) type Fault = Arc<dyn Fn(Operation) -> io::Result<()> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Disk {
    counters: Arc<Counters>,
    fault: Option<Fault>,
}

impl Disk {
    pub(crate) fn new(counters: Arc<Counters>, fault: Option<Fault>) -> Disk {
        Disk { counters, fault }
    }

    pub(crate) fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check(Operation::Write)?;
        file.write_all_at(bytes, offset)?;
        self.counters.bytes_written(bytes.len() as u64);
        Ok(())
    }

    /// Makes a file's content, and its size where that changed, durable.
    pub(crate) fn sync(&self, file: &File) -> io::Result<()> {
        self.check(Operation::Sync)?;
        file.sync_data()
    }

    /// The same, measured: for the syncs that appends wait for.
    pub(crate) fn sync_timed(&self, file: &File) -> io::Result<()> {
        let start = Instant::now();
        self.sync(file)?;
        self.counters.synced(start.elapsed());
        Ok(())
    }

    /// Makes a file of this size whose blocks are reserved, so that writing inside of it can't run
    /// out of space.
    pub(crate) fn allocate(&self, path: &Path, bytes: u64) -> io::Result<File> {
        self.check(Operation::Allocate)?;
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        reserve(&file, bytes)?;
        Ok(file)
    }

    fn check(&self, operation: Operation) -> io::Result<()> {
        self.fault.as_ref().map_or(Ok(()), |fault| fault(operation))
    }
}

#[cfg(target_os = "linux")]
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::{
        fs::{FallocateFlags, fallocate},
        io::Errno,
    };

    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        // Some file systems (NFS before 4.2, some overlays) can't reserve.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => file.set_len(bytes),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    file.set_len(bytes)
}

/// Whether an error means that space, and nothing else, is missing.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Makes names created, removed or changed in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The same for the directory that a file is in.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent),
        _ => sync_directory(Path::new(".")),
    }
}

/// Creates a directory, and makes it durable, when there is none.
pub(crate) fn create_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    sync_parent(directory)
}

//! Prepares the next chunk ahead of need, on a thread of its own, so that rolling to it costs the
//! writer next to nothing.
//!
//! A prepared chunk is reserved, filled with zeroes and synced: writing into it later changes no
//! metadata, which more than halves the time of an `fdatasync`.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use crate::disk::Disk;

const PIECE_BYTES: usize = 1024 * 1024;

/// Synced now and then, so that zeroes don't pile up before the syncs that appends wait for.
const PIECES_PER_SYNC: u64 = 8;

const PREFIX: &str = "spare.";

/// Whether a file is a prepared chunk, of this process or of one that died.
pub(crate) fn is_spare(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX))
}

/// A chunk's file under a passing name.
pub(crate) struct Spare {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
}

pub(crate) struct Preallocator {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    directory: PathBuf,
    bytes: u64,
    disk: Disk,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    wanted: bool,
    ready: Option<Spare>,
    made: u64,
    stopping: bool,
}

impl Preallocator {
    pub(crate) fn start(directory: &Path, bytes: u64, disk: Disk) -> io::Result<Preallocator> {
        let shared = Arc::new(Shared {
            directory: directory.to_owned(),
            bytes,
            disk,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let thread = thread::Builder::new().name("journal-prepare".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.run()
        })?;
        Ok(Preallocator { shared, thread: Some(thread) })
    }

    /// Has a chunk prepared, unless one is.
    pub(crate) fn request(&self) {
        let mut state = self.shared.lock();
        if !state.wanted && state.ready.is_none() {
            state.wanted = true;
            self.shared.changed.notify_one();
        }
    }

    /// The prepared chunk; when the writer has outrun the preparation, one that is only reserved.
    pub(crate) fn take(&self) -> io::Result<Spare> {
        if let Some(spare) = self.shared.lock().ready.take() {
            return Ok(spare);
        }
        let path = self.shared.next_path();
        let file = remove_on_error(&path, self.shared.disk.allocate(&path, self.shared.bytes))?;
        Ok(Spare { path, file })
    }

    /// A prepared chunk, made here and now.
    pub(crate) fn make(&self) -> io::Result<Spare> {
        self.shared.make(|| false)
    }
}

impl Drop for Preallocator {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic there has been reported by its hook
        }
        if let Some(spare) = self.shared.lock().ready.take() {
            let _ = fs::remove_file(&spare.path); // else the next opening removes it
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut state = self.lock();
        while !state.stopping {
            if !state.wanted {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            drop(state);
            let made = self.make(|| self.lock().stopping);
            state = self.lock();
            state.wanted = false;
            match made {
                Ok(spare) => state.ready = Some(spare),
                Err(_) if state.stopping => {}
                // The writer makes one itself when it gets there, and reports what that meets.
                Err(error) => tracing::warn!(%error, "preparing the next chunk failed"),
            }
        }
    }

    fn make(&self, stop: impl Fn() -> bool) -> io::Result<Spare> {
        let path = self.next_path();
        let file = remove_on_error(&path, self.disk.allocate(&path, self.bytes))?;
        remove_on_error(&path, self.fill(&file, stop))?;
        Ok(Spare { path, file })
    }

    fn fill(&self, file: &File, stop: impl Fn() -> bool) -> io::Result<()> {
        let zeroes = vec![0; PIECE_BYTES];
        let (mut offset, mut pieces) = (0, 0_u64);
        while offset < self.bytes {
            if stop() {
                return Err(io::Error::from(io::ErrorKind::Interrupted));
            }
            let length =
                PIECE_BYTES.min(usize::try_from(self.bytes - offset).unwrap_or(PIECE_BYTES));
            self.disk.write_at(file, zeroes.get(..length).unwrap_or(&zeroes), offset)?;
            offset += length as u64;
            pieces += 1;
            if pieces.is_multiple_of(PIECES_PER_SYNC) {
                self.disk.sync(file)?;
            }
        }
        self.disk.sync(file)
    }

    fn next_path(&self) -> PathBuf {
        let mut state = self.lock();
        state.made += 1;
        self.directory.join(format!("{PREFIX}{}", state.made))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove_on_error<T>(path: &Path, result: io::Result<T>) -> io::Result<T> {
    if result.is_err() {
        let _ = fs::remove_file(path); // else the next opening removes it
    }
    result
}

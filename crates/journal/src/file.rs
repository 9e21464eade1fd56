//! The journal in a directory of files.

use std::{
    fs::{self, File},
    io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    AppendError, BODIES_MAX, BODY_BYTES_MAX, Body, Compression, Damage, Durable, Entry, Flush,
    HEAD_BYTES_MAX, Journal, KeyRing, Loss, NewRecord, Position, ReadError, Records, Statistics,
    TrimError, Trimmed, Turn,
    catalog::Catalog,
    chunk::Previous,
    disk::{self, Disk, Fault},
    losses,
    preallocate::{self, Preallocator},
    queue::{Queue, Waiting},
    read::{InOrder, Reader},
    recover,
    statistics::Counters,
    writer::{self, Newest, Settings, Writer},
};

const LOCK_FILE: &str = "lock";

/// Smaller chunks would be mostly headers and directory syncs.
const CHUNK_BYTES_MIN: u64 = 4096;

/// How a journal is opened. Start from [`OpenOptions::new`] and change what differs.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Where the chunks are; made when there is none.
    pub directory: PathBuf,
    /// What seals the records; without it they are written in clear.
    pub key: Option<KeyRing>,
    /// The size of a chunk; at least 4096. A single append that needs more makes its chunk larger.
    pub chunk_bytes: u64,
    /// What is done to records before they are sealed.
    pub compression: Compression,
    /// A write takes no more appends than this holds, but always one.
    pub group_bytes_max: usize,
    /// Appends are refused while so many bytes wait. No append can be larger than this.
    pub waiting_bytes_max: usize,
    /// How long an append with [`Flush::Later`] may wait for others.
    pub later_max: Duration,
}

impl OpenOptions {
    /// The defaults: 64 MiB chunks, LZ4, no key, 8 MiB a write, 256 MiB waiting, 20 ms.
    pub fn new(directory: impl Into<PathBuf>) -> OpenOptions {
        OpenOptions {
            directory: directory.into(),
            key: None,
            chunk_bytes: 64 * 1024 * 1024,
            compression: Compression::Lz4,
            group_bytes_max: 8 * 1024 * 1024,
            waiting_bytes_max: 256 * 1024 * 1024,
            later_max: Duration::from_millis(20),
        }
    }
}

/// What opening found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// How many chunks.
    pub chunks: u64,
    /// The oldest position.
    pub first_position: Position,
    /// The next position.
    pub next_position: Position,
    /// The write that a crash interrupted, which was cut off. No append of it had been answered.
    pub torn: Option<TornTail>,
}

impl Recovery {
    /// How many records there are, those that a repair gave up included.
    pub fn records(&self) -> u64 {
        self.next_position.get().saturating_sub(self.first_position.get())
    }
}

/// What was cut off the newest chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The chunk, by its first position.
    pub chunk: u64,
    /// From where in its file.
    pub offset: u64,
    /// How many bytes, up to the last that is not zero.
    pub bytes: u64,
}

/// A journal in a directory.
pub struct FileJournal {
    catalog: Arc<Catalog>,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    reader: Arc<Reader>,
    losses: Vec<Loss>,
    directory: PathBuf,
    waiting_bytes_max: usize,
    trimming: Mutex<()>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Held as long as the journal is open, by the writer as well: it may outlive this.
    _lock: Arc<File>,
}

impl FileJournal {
    /// Opens the journal in a directory, or begins one. Cuts off what a crash left unfinished;
    /// refuses when anything else is wrong.
    pub fn open(options: OpenOptions) -> Result<(FileJournal, Recovery), OpenError> {
        open(options, None)
    }
}

/// Opens, with a disk that fails on purpose in tests.
pub(crate) fn open(
    options: OpenOptions,
    fault: Option<Fault>,
) -> Result<(FileJournal, Recovery), OpenError> {
    if options.chunk_bytes < CHUNK_BYTES_MIN {
        return Err(OpenError::ChunkBytes);
    }
    let directory = options.directory;
    let failed = |source| OpenError::Io { path: directory.clone(), source };
    disk::create_directory(&directory).map_err(failed)?;
    let lock = Arc::new(lock(&directory)?);
    remove_spares(&directory).map_err(failed)?;
    let losses = losses::read(&directory).map_err(failed)?;

    let counters = Arc::new(Counters::default());
    let disk = Disk::new(Arc::clone(&counters), fault);
    let preallocator =
        Preallocator::start(&directory, options.chunk_bytes, disk.clone()).map_err(failed)?;
    let settings = Settings {
        directory: directory.clone(),
        keys: options.key.clone(),
        compression: options.compression,
    };
    let mut chunks: Vec<_> =
        recover::chunks(&directory, options.key.as_ref())?.into_iter().map(Arc::new).collect();
    let key_id = options.key.as_ref().map_or(0, KeyRing::current_id);
    let (newest, next_position, torn) = match chunks.last() {
        None => {
            let newest =
                begin(&settings, &disk, &preallocator, Position::FIRST, None).map_err(failed)?;
            chunks.push(Arc::clone(&newest.chunk));
            (newest, Position::FIRST, None)
        }
        Some(chunk) => {
            let tail = recover::tail(chunk)?;
            if let Some(torn) = &tail.torn {
                cut(&chunk.path, tail.end, tail.dirty_end)
                    .map_err(|source| OpenError::Io { path: chunk.path.clone(), source })?;
                let TornTail { chunk, offset, bytes } = torn;
                tracing::warn!(chunk, offset, bytes, "cut off an interrupted write");
            }
            chunk.set_end(tail.end);
            let newest = if chunk.header.key_id == key_id && chunk.header.repaired.is_none() {
                Newest {
                    file: File::options()
                        .read(true)
                        .write(true)
                        .open(&chunk.path)
                        .map_err(|source| OpenError::Io { path: chunk.path.clone(), source })?,
                    chunk: Arc::clone(chunk),
                    end: tail.end,
                    number: tail.number,
                    write: tail.write,
                    link: tail.link,
                }
            } else {
                // Sealed with another key, or stands in for a damaged one: complete as it is.
                let next = tail.next_position;
                let previous = if next == chunk.first_position() {
                    // Empty: the new chunk takes its name and with it its place.
                    chunk.header.previous.clone()
                } else {
                    let own = chunk.header.repaired.as_ref();
                    Some(Previous {
                        first_position: chunk.first_position(),
                        end: tail.end,
                        link: own.map_or(tail.link, |own| own.link),
                    })
                };
                let newest =
                    begin(&settings, &disk, &preallocator, next, previous).map_err(failed)?;
                chunks.pop_if(|last| last.first_position() == next);
                chunks.push(Arc::clone(&newest.chunk));
                newest
            };
            (newest, tail.next_position, tail.torn)
        }
    };

    let catalog = Arc::new(Catalog::new(chunks, next_position));
    let recovery = Recovery {
        chunks: catalog.all().len() as u64,
        first_position: catalog.first_position(),
        next_position,
        torn,
    };
    let queue =
        Arc::new(Queue::new(options.waiting_bytes_max, options.group_bytes_max, options.later_max));
    let writer = Writer::new(
        settings,
        disk,
        Arc::clone(&counters),
        Arc::clone(&catalog),
        Arc::clone(&queue),
        preallocator,
        newest,
    )
    .map_err(failed)?;
    let writer = thread::Builder::new()
        .name("journal-write".to_owned())
        .spawn({
            let lock = Arc::clone(&lock);
            move || {
                writer.run();
                drop(lock);
            }
        })
        .map_err(failed)?;
    let reader = Arc::new(Reader::new(Arc::clone(&catalog), options.key));
    let journal = FileJournal {
        catalog,
        queue,
        counters,
        reader,
        losses,
        directory,
        waiting_bytes_max: options.waiting_bytes_max,
        trimming: Mutex::new(()),
        writer: Mutex::new(Some(writer)),
        _lock: lock,
    };
    Ok((journal, recovery))
}

fn begin(
    settings: &Settings,
    disk: &Disk,
    preallocator: &Preallocator,
    first_position: Position,
    previous: Option<Previous>,
) -> io::Result<Newest> {
    let spare = preallocator.make()?;
    writer::begin_chunk(settings, disk, spare, first_position, previous)
}

/// A journal's lock alone: as long as it is held, nobody opens the journal. Nothing of it is read or changed.
#[derive(Debug)]
pub struct JournalLock {
    _held: File,
}

impl JournalLock {
    /// Takes the lock on a journal's directory, which must be there.
    ///
    /// # Errors
    /// The journal is open, or the system refuses.
    pub fn take(directory: &Path) -> Result<Self, OpenError> {
        Ok(Self { _held: lock(directory)? })
    }
}

/// Takes the lock on a directory, which the system gives back however the process ends.
pub(crate) fn lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join(LOCK_FILE);
    let failed = |source| OpenError::Io { path: path.clone(), source };
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            Err(OpenError::Locked { directory: directory.to_owned() })
        }
        Err(fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn remove_spares(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if preallocate::is_spare(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Puts zeroes over what an interrupted write left, so that the next crash finds nothing of it.
fn cut(path: &Path, end: u64, dirty_end: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;

    static ZEROES: [u8; 64 * 1024] = [0; 64 * 1024];
    let file = File::options().write(true).open(path)?;
    let mut offset = end;
    while offset < dirty_end {
        let length = usize::try_from(dirty_end - offset).unwrap_or(ZEROES.len());
        let piece = ZEROES.get(..length).unwrap_or(&ZEROES);
        file.write_all_at(piece, offset)?;
        offset += piece.len() as u64;
    }
    file.sync_all()
}

impl Journal for FileJournal {
    fn append_in_turn(&self, records: Vec<NewRecord>, flush: Flush, turn: Turn, done: Durable) {
        let bytes = records.iter().fold(0, |sum: usize, record| sum.saturating_add(record.bytes()));
        let refused = refusal(&records, bytes, self.waiting_bytes_max);
        let append = Waiting { records, bytes, refused, turn, done };
        if let Err(append) = self.queue.push(append, flush) {
            (append.done)(Err(AppendError::Closed));
        }
    }

    fn next_position(&self) -> Position {
        self.catalog.next_position()
    }

    fn first_position(&self) -> Position {
        self.catalog.first_position()
    }

    fn read(&self, from: Position) -> Records {
        Box::new(InOrder::new(Arc::clone(&self.reader), from))
    }

    fn follow(&self, from: Position) -> Records {
        Box::new(InOrder::following(Arc::clone(&self.reader), from))
    }

    fn losses(&self) -> Vec<Loss> {
        self.losses.clone()
    }

    fn fetch(&self, at: Position) -> Result<Entry, ReadError> {
        self.reader.fetch(at)
    }

    fn load(&self, body: &Body) -> Result<Bytes, ReadError> {
        self.reader.load(body)
    }

    fn load_pieces(
        &self,
        body: &Body,
        take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        self.reader.load_pieces(body, take)
    }

    fn trim(&self, before: Position) -> Result<Trimmed, TrimError> {
        let _one_at_a_time = self.trimming.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut chunks, mut bytes) = (0, 0);
        let before = before.min(self.next_position());
        // Oldest first: a crash in between leaves a journal without a hole.
        while let Some(chunk) = self.catalog.oldest_below(before) {
            let first = chunk.first_position();
            let failed = |source| TrimError::Io { chunk: first.get(), source };
            let size = chunk.open().and_then(|file| file.metadata()).map_or(0, |found| found.len());
            self.catalog.remove(first);
            self.reader.forget(first);
            match fs::remove_file(&chunk.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    self.catalog.add(chunk);
                    return Err(failed(error));
                }
                _ => disk::sync_directory(&self.directory).map_err(failed)?,
            }
            chunks += 1;
            bytes += size;
        }
        Ok(Trimmed { chunks, bytes, first_position: self.first_position() })
    }

    fn statistics(&self) -> Statistics {
        let chunks = self.catalog.all();
        let bytes = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
        let spares = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let spares = spares.map(|entry| entry.path()).filter(|path| preallocate::is_spare(path));
        Statistics {
            chunks: chunks.len() as u64,
            disk_bytes: chunks.iter().map(|chunk| bytes(&chunk.path)).sum::<u64>()
                + spares.map(|path| bytes(&path)).sum::<u64>(),
            waiting_bytes: self.queue.waiting_bytes() as u64,
            ..self.counters.read()
        }
    }

    fn close(&self) {
        self.queue.close();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A completion that closes the journal runs on the writer's thread: it stops after.
            if writer.thread().id() != thread::current().id() && writer.join().is_err() {
                tracing::error!("the journal's writer panicked");
            }
        }
    }
}

impl Drop for FileJournal {
    fn drop(&mut self) {
        self.close();
    }
}

/// Why an append can't be taken at all.
pub(crate) fn refusal(
    records: &[NewRecord],
    bytes: usize,
    waiting_bytes_max: usize,
) -> Option<AppendError> {
    let too_large = |bytes: usize, bytes_max: usize| AppendError::TooLarge {
        bytes: bytes as u64,
        bytes_max: bytes_max as u64,
    };
    if records.is_empty() {
        return Some(AppendError::Empty);
    }
    for record in records {
        if record.head.len() > HEAD_BYTES_MAX {
            return Some(too_large(record.head.len(), HEAD_BYTES_MAX));
        }
        if record.bodies.len() > BODIES_MAX {
            return Some(AppendError::TooManyBodies);
        }
        let longest = record.bodies.iter().map(Bytes::len).max().unwrap_or(0);
        if longest > BODY_BYTES_MAX {
            return Some(too_large(longest, BODY_BYTES_MAX));
        }
    }
    (bytes > waiting_bytes_max).then(|| too_large(bytes, waiting_bytes_max))
}

/// Why a journal can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system could not do something with this path.
    #[error("failed to open the journal: `{}`", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process, or another part of this one, has the journal open.
    #[error("the journal `{}` is in use: a Pipehat runs on it", directory.display())]
    Locked {
        /// The journal's directory.
        directory: PathBuf,
    },
    /// What stands on disk is not what was written.
    #[error("chunk {chunk:020} is damaged at byte {offset}; run `pipehat journal repair`")]
    Damaged {
        /// The chunk, by its first position.
        chunk: u64,
        /// Where in its file.
        offset: u64,
        /// What is wrong there.
        #[source]
        damage: Damage,
    },
    /// A chunk that later ones follow is not there.
    #[error("chunk {chunk:020} is missing; restore its file or run `pipehat journal repair`")]
    MissingChunk {
        /// The chunk, by its first position.
        chunk: u64,
    },
    /// A newer Pipehat wrote this.
    #[error(
        "chunk {chunk:020} has format version {version}, this Pipehat reads up to {}",
        crate::FORMAT_VERSION
    )]
    Version {
        /// The chunk, by its first position.
        chunk: u64,
        /// Its version.
        version: u16,
    },
    /// The journal was sealed with a key that is not in the key file, or there is no key file.
    #[error("the journal is sealed with key {key_id}, which the key file does not have")]
    MissingKey {
        /// The key's number.
        key_id: u32,
    },
    /// The key file has another key under this number than the one that sealed the journal.
    #[error("key {key_id} of the key file is not the one that sealed the journal")]
    WrongKey {
        /// The key's number.
        key_id: u32,
    },
    /// [`OpenOptions::chunk_bytes`] is less than 4096.
    #[error("chunks must have at least {CHUNK_BYTES_MIN} bytes")]
    ChunkBytes,
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use bytes::Bytes;

    use super::{FileJournal, OpenOptions};
    use crate::{Flush, Journal, NewRecord, Position, Records};

    /// Appends so many records, one after another, each of so many bytes.
    fn append(journal: &FileJournal, count: usize, bytes: usize) {
        let (sender, receiver) = mpsc::channel();
        for number in 0..count {
            let record = NewRecord { kind: 1, head: vec![number as u8; bytes], bodies: Vec::new() };
            let sender = sender.clone();
            let done = Box::new(move |answer| sender.send(answer).expect("the test waits"));
            journal.append(vec![record], Flush::Now, done);
            receiver.recv().expect("an answer").expect("it is kept");
        }
    }

    #[test]
    fn what_was_just_written_is_read_from_memory_and_then_forgotten() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let options = OpenOptions { chunk_bytes: 8192, ..OpenOptions::new(directory.path()) };
        let (journal, _) = FileJournal::open(options).expect("opens");
        append(&journal, 10, 1000);
        assert_eq!(journal.catalog.recent.bytes(), 0, "nobody follows");
        let following = journal.follow(Position::FIRST);
        append(&journal, 90, 1000);
        assert!(journal.catalog.recent.bytes() > 90_000);
        let all = |records: Records| -> Vec<(Position, Bytes)> {
            let entries = records.map(|entry| entry.expect("reads"));
            entries.map(|entry| (entry.position, entry.head)).collect()
        };
        let from_disk = all(journal.read(Position::FIRST));
        assert!(journal.catalog.recent.bytes() > 90_000, "only who follows takes it");
        let mut other = journal.follow(Position::FIRST);
        let from_memory = all(following);
        assert_eq!((from_memory.len(), journal.catalog.recent.bytes()), (100, 0));
        assert_eq!(from_memory, from_disk);
        // One that begins in the middle takes those before it for read; memory is used again.
        append(&journal, 10, 1000);
        let position = Position::new(108).expect("from 1");
        assert_eq!(journal.follow(position).count(), 3);
        assert_eq!(journal.catalog.recent.bytes(), 0);
        let first = other.next().expect("a record").expect("reads");
        append(&journal, 10, 2000);
        let whole: Vec<(Position, Bytes)> = std::iter::once(Ok(first))
            .chain(&mut other)
            .map(|entry| {
                let entry = entry.expect("reads");
                (entry.position, entry.head)
            })
            .collect();
        assert_eq!(whole, all(journal.read(Position::FIRST)), "what is held stays as it is");
        append(&journal, 10, 1000);
        drop(other);
        assert_eq!(journal.catalog.recent.bytes(), 0, "nobody follows any more");
    }

    #[test]
    fn what_was_just_written_is_kept_up_to_a_limit() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (journal, _) = FileJournal::open(OpenOptions::new(directory.path())).expect("opens");
        let following = journal.follow(Position::FIRST);
        append(&journal, 20, 1024 * 1024);
        let kept = journal.catalog.recent.bytes();
        assert!((1..=8 * 1024 * 1024).contains(&kept), "{kept}");
        assert_eq!(following.count(), 20);
    }

    /// Ten million records must cost a few MB of memory, so the index grows with bytes on disk and
    /// not with records: one entry of 16 bytes in 128 KiB.
    #[test]
    fn the_index_does_not_grow_with_the_number_of_records() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let options = OpenOptions {
            chunk_bytes: 1024 * 1024,
            compression: crate::Compression::None,
            ..OpenOptions::new(directory.path())
        };
        let (journal, _) = FileJournal::open(options).expect("opens");
        let (sender, receiver) = mpsc::channel();
        for _ in 0..300 {
            let records = vec![NewRecord { kind: 1, head: vec![7; 20], bodies: Vec::new() }; 100];
            let sender = sender.clone();
            let done = Box::new(move |answer| sender.send(answer).expect("the test waits"));
            journal.append(records, Flush::Now, done);
        }
        assert_eq!(receiver.iter().take(300).filter(Result::is_ok).count(), 300);
        for number in (1..=30_000).step_by(977) {
            let position = Position::new(number).expect("from 1");
            assert_eq!(journal.fetch(position).expect("fetches").position, position);
        }
        let bytes = journal.statistics().disk_bytes;
        let indexed = journal.reader.indexed_groups() as u64;
        assert!(indexed > 1, "something is indexed");
        assert!(indexed <= bytes / (128 * 1024) + 2, "{indexed} entries for {bytes} bytes");
    }
}

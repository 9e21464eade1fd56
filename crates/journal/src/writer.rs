//! The writer: the one thread that appends.
//!
//! It takes everything that waits, makes groups of it, writes them with as few calls as possible,
//! syncs once and answers. While it syncs, the next write's appends collect.

use std::{
    fs::{self, File},
    io, mem,
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    AppendError, Compression, KeyRing, NewRecord, Position,
    catalog::Catalog,
    chunk::{self, CHUNK_HEADER_BYTES, Chunk, ChunkHeader, Previous},
    disk::{self, Disk},
    group::{GROUP_OVERHEAD_BYTES, GroupEncoder, GroupKind, Link, NewGroup},
    preallocate::{Preallocator, Spare},
    queue::{Queue, Waiting},
    read::Group,
    recent::RecentGroup,
    record,
    seal::Sealer,
    statistics::Counters,
};

/// A group is closed when it has grown to this: readers expand whole groups.
pub(crate) const GROUP_PLAIN_BYTES: usize = 64 * 1024;

/// Large bodies are compressed, sealed and written in pieces of this size, so that they cost no
/// more memory than a few of them.
pub(crate) const BODY_PIECE_BYTES: usize = 256 * 1024;

/// Encoded groups are handed to the system when there is this much of them.
const WRITE_BYTES: usize = 1024 * 1024;

/// The same for pieces of large bodies, which are many and come one after another.
const BODY_WRITE_BYTES: usize = 2 * BODY_PIECE_BYTES;

/// No piece takes more when encoded: LZ4 may add one byte in 255 before it is seen that it does
/// not help.
const BODY_PIECE_ROOM: usize = BODY_PIECE_BYTES + BODY_PIECE_BYTES / 128 + 1024;

/// After a write the writer looks out for the next append for this long before it sleeps, but only
/// while appends do come that soon: a lone sender that waits for each answer saves the wake-up,
/// and slower ones cost no time of a core.
const SPIN: Duration = Duration::from_micros(40);

/// A write of more appends has many senders, who need the processor that looking out would take.
const SPIN_APPENDS_MAX: usize = 2;

/// What the writer needs to know of the newest chunk.
pub(crate) struct Newest {
    pub(crate) chunk: Arc<Chunk>,
    pub(crate) file: File,
    pub(crate) end: u64,
    pub(crate) number: u32,
    pub(crate) write: u32,
    pub(crate) link: Link,
}

pub(crate) struct Settings {
    pub(crate) directory: PathBuf,
    pub(crate) keys: Option<KeyRing>,
    pub(crate) compression: Compression,
}

pub(crate) struct Writer {
    settings: Settings,
    disk: Disk,
    counters: Arc<Counters>,
    catalog: Arc<Catalog>,
    queue: Arc<Queue>,
    preallocator: Preallocator,
    chunk: Arc<Chunk>,
    file: File,
    encoder: GroupEncoder,
    /// The durable end of the chunk.
    end: u64,
    /// Of the last write, in this chunk.
    write: u32,
    /// How many bytes the chunk's file has room for.
    room_end: u64,
    next: Position,
    failed: Option<Arc<io::Error>>,
    /// The last write found the disk full.
    full: bool,
    buffer: Vec<u8>,
    plain: Vec<u8>,
    /// The groups of the write under way, for those that follow.
    written: Vec<RecentGroup>,
}

/// Why a write did not happen.
enum WriteError {
    /// Writing into the chunk or syncing it failed.
    Io(io::Error),
    /// No chunk could be begun; nothing was written.
    NoChunk(io::Error),
    /// An earlier failure stands.
    Failed(Arc<io::Error>),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        WriteError::Io(error)
    }
}

/// Where the encoded groups of the write under way go.
struct Under {
    offset: u64,
    write: u32,
    first: Position,
}

impl Writer {
    pub(crate) fn new(
        settings: Settings,
        disk: Disk,
        counters: Arc<Counters>,
        catalog: Arc<Catalog>,
        queue: Arc<Queue>,
        preallocator: Preallocator,
        newest: Newest,
    ) -> io::Result<Writer> {
        let room_end = newest.file.metadata()?.len();
        let encoder = GroupEncoder {
            chunk_id: newest.chunk.header.chunk_id,
            number: newest.number,
            previous: newest.link,
            compression: settings.compression,
            sealer: settings.keys.as_ref().map(Sealer::new).transpose()?,
        };
        let next = catalog.next_position();
        Ok(Writer {
            settings,
            disk,
            counters,
            catalog,
            queue,
            preallocator,
            chunk: newest.chunk,
            file: newest.file,
            encoder,
            end: newest.end,
            write: newest.write,
            room_end,
            next,
            failed: None,
            full: false,
            buffer: Vec::new(),
            plain: Vec::new(),
            written: Vec::new(),
        })
    }

    /// Serves the queue until it is closed and empty.
    pub(crate) fn run(mut self) {
        let mut spin = Duration::ZERO;
        loop {
            let start = Instant::now();
            let Some(appends) = self.queue.take(spin) else { break };
            let soon = start.elapsed() <= SPIN && appends.len() <= SPIN_APPENDS_MAX;
            spin = if soon { SPIN } else { Duration::ZERO };
            self.serve(appends);
        }
        self.leave_closed();
    }

    fn serve(&mut self, appends: Vec<Waiting>) {
        let bytes = appends.iter().map(|append| append.bytes).sum();
        let first = self.next;
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| self.write(&appends)))
            .unwrap_or_else(|_| Err(WriteError::Io(io::Error::other("the writer panicked"))));
        let error = outcome.err().map(|error| self.recover(error));
        if let Some(error) = &error {
            self.queue.refuse_waiting(error, &appends);
        }
        self.queue.release(bytes);
        let mut position = first;
        for append in appends {
            let count = append.records.len() as u64;
            drop(append.records);
            let answer = match (append.refused, &error) {
                (Some(refused), _) => Err(refused),
                (None, Some(error)) => Err(error.clone()),
                (None, None) => Ok(position),
            };
            position = position.after(count);
            // A completion that panics is its owner's mistake: all others must still be answered.
            if panic::catch_unwind(AssertUnwindSafe(|| (append.done)(answer))).is_err() {
                tracing::error!("a completion of a journal append panicked");
            }
        }
    }

    /// Writes and syncs the appends' records; on an error the chunk's state is as before.
    fn write(&mut self, appends: &[Waiting]) -> Result<(), WriteError> {
        let records = || appends.iter().flat_map(|append| &append.records);
        let count = records().count() as u64;
        if count == 0 {
            return Ok(());
        }
        if let Some(error) = &self.failed {
            return Err(WriteError::Failed(Arc::clone(error)));
        }
        self.make_room(bound(records())).map_err(WriteError::NoChunk)?;
        let (number, link) = (self.encoder.number, self.encoder.previous);
        let mut under =
            Under { offset: self.end, write: self.write.wrapping_add(1), first: self.next };
        let written =
            self.write_groups(appends, &mut under).and_then(|()| self.disk.sync_timed(&self.file));
        if let Err(error) = written {
            self.written.clear();
            (self.encoder.number, self.encoder.previous) = (number, link);
            return Err(error.into());
        }
        if mem::take(&mut self.full) {
            tracing::info!("the disk has room again, the journal takes appends");
        }
        self.end = under.offset;
        self.room_end = self.room_end.max(self.end);
        self.write = under.write;
        self.next = self.next.after(count);
        // Before anybody can see that there is something to read.
        self.catalog.recent.add(self.written.drain(..));
        self.chunk.set_end(self.end);
        self.catalog.set_next_position(self.next);
        let payload = records().map(payload_bytes).sum();
        self.counters.committed(count, payload);
        if self.end > self.room_end / 2 {
            self.preallocator.request();
        }
        Ok(())
    }

    fn write_groups(&mut self, appends: &[Waiting], under: &mut Under) -> io::Result<()> {
        self.buffer.clear();
        let records = || appends.iter().flat_map(|append| &append.records);
        let mut stored = Vec::new();
        for body in records().flat_map(record::stored_bodies) {
            stored.push(under.offset + self.buffer.len() as u64);
            self.write_body(body, under)?;
        }
        let mut stored = stored.into_iter();
        let mut records = records().peekable();
        let (mut position, mut first, mut count) = (self.next, self.next, 0);
        let followed = self.catalog.recent.is_followed();
        self.plain.clear();
        let mut contents = Vec::new();
        while let Some(record) = records.next() {
            contents.push(record::encode(record, position, &mut stored, &mut self.plain));
            position = position.next();
            count += 1;
            let last = records.peek().is_none();
            if last || self.plain.len() >= GROUP_PLAIN_BYTES {
                let group = NewGroup {
                    kind: GroupKind::Records,
                    count,
                    first_position: first.get(),
                    write: under.write,
                    last,
                };
                let (offset, previous) =
                    (under.offset + self.buffer.len() as u64, self.encoder.previous);
                self.encoder.encode(&group, &self.plain, &mut self.buffer);
                if followed {
                    let plain = mem::replace(&mut self.plain, self.catalog.recent.room());
                    let next_contents = Vec::with_capacity(contents.len());
                    let contents = mem::replace(&mut contents, next_contents);
                    let chunk = self.chunk.first_position();
                    let group = Group::written(chunk, offset, first, plain, contents);
                    self.written.push(RecentGroup {
                        group: Arc::new(group),
                        end: under.offset + self.buffer.len() as u64,
                        previous,
                        link: self.encoder.previous,
                    });
                }
                self.plain.clear();
                contents.clear();
                (first, count) = (position, 0);
                if self.buffer.len() >= WRITE_BYTES {
                    self.write_buffer(under)?;
                }
            }
        }
        self.write_buffer(under)?;
        forget_large(&mut self.buffer);
        forget_large(&mut self.plain);
        Ok(())
    }

    fn write_body(&mut self, body: &[u8], under: &mut Under) -> io::Result<()> {
        // Room for all that will be in it, so that it is not held twice while it grows.
        self.buffer.reserve(BODY_WRITE_BYTES + BODY_PIECE_ROOM);
        for piece in body.chunks(BODY_PIECE_BYTES) {
            let group = NewGroup {
                kind: GroupKind::BodyPiece,
                count: 0,
                first_position: under.first.get(),
                write: under.write,
                last: false,
            };
            self.encoder.encode(&group, piece, &mut self.buffer);
            if self.buffer.len() >= BODY_WRITE_BYTES {
                self.write_buffer(under)?;
            }
        }
        Ok(())
    }

    fn write_buffer(&mut self, under: &mut Under) -> io::Result<()> {
        self.disk.write_at(&self.file, &self.buffer, under.offset)?;
        under.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Rolls to a new chunk when this one has no room for so many bytes. A write never spans two
    /// chunks; one that is larger than a chunk makes its chunk grow.
    fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        // Also one that holds nothing but the mark of a closing: the next chunk would begin at the
        // same position, and so take its name.
        let empty = self.next == self.chunk.first_position();
        if empty || self.end.saturating_add(bytes) <= self.room_end {
            return Ok(());
        }
        let spare = self.preallocator.take()?;
        let path = spare.path.clone();
        let rolled = self.roll(spare);
        if rolled.is_err() {
            let _ = fs::remove_file(path); // else the next opening removes it
        }
        rolled
    }

    fn roll(&mut self, spare: Spare) -> io::Result<()> {
        let previous = Previous {
            first_position: self.chunk.first_position(),
            end: self.end,
            link: self.encoder.previous,
        };
        let made = begin_chunk(&self.settings, &self.disk, spare, self.next, Some(previous))
            .map_err(|error| self.take_name_back(error))?;
        let sealer = self.settings.keys.as_ref().map(Sealer::new).transpose()?;
        let finished = mem::replace(&mut self.file, made.file);
        // Gives the unused rest back. What is left if this fails are zeroes that nobody reads.
        if let Err(error) = finished.set_len(self.end) {
            tracing::debug!(%error, "shortening a finished chunk failed");
        }
        self.encoder.chunk_id = made.chunk.header.chunk_id;
        self.encoder.number = made.number;
        self.encoder.previous = made.link;
        self.encoder.sealer = sealer;
        self.chunk = Arc::clone(&made.chunk);
        self.end = made.end;
        self.write = made.write;
        self.room_end = made.chunk.header.capacity;
        self.catalog.add(made.chunk);
        Ok(())
    }

    /// A chunk under its name would be taken for the newest, while the old one goes on. When it
    /// can't be said that the name is gone for good, that is no disk that is only full.
    fn take_name_back(&self, error: io::Error) -> io::Error {
        let directory = &self.settings.directory;
        let gone = match fs::remove_file(directory.join(chunk::file_name(self.next))) {
            Err(none) if none.kind() == io::ErrorKind::NotFound => return error,
            removed => removed.and_then(|()| disk::sync_directory(directory)),
        };
        gone.map_or_else(io::Error::other, |()| error)
    }

    /// What an error means for the journal, and the answer to those who wait.
    fn recover(&mut self, error: WriteError) -> AppendError {
        let error = match error {
            WriteError::Failed(source) => return AppendError::Failed { source },
            WriteError::NoChunk(error) if disk::is_full(&error) => return self.refuse_full(),
            WriteError::NoChunk(error) => return self.fail(error),
            WriteError::Io(error) => error,
        };
        if disk::is_full(&error) {
            // Nothing of the write may stay, or its groups would stand before those of the next.
            // The pages go with the truncation: none is synced again that failed to be.
            let cut = self
                .file
                .set_len(self.end)
                .and_then(|()| self.file.set_len(self.room_end.max(self.end)));
            match cut {
                Ok(()) => return self.refuse_full(),
                Err(error) => return self.fail(error),
            }
        }
        self.fail(error)
    }

    fn refuse_full(&mut self) -> AppendError {
        if !mem::replace(&mut self.full, true) {
            tracing::warn!("the disk is full, the journal refuses appends until it is not");
        }
        AppendError::DiskFull
    }

    fn fail(&mut self, error: io::Error) -> AppendError {
        tracing::error!(%error, "writing the journal failed, it is read-only now");
        let source = Arc::new(error);
        self.failed = Some(Arc::clone(&source));
        AppendError::Failed { source }
    }

    /// Marks that all writes before were synced: whatever damage is found later is not a torn tail.
    fn leave_closed(&mut self) {
        if self.failed.is_some() || self.end + GROUP_OVERHEAD_BYTES as u64 > self.room_end {
            return;
        }
        let group = NewGroup {
            kind: GroupKind::Closed,
            count: 0,
            first_position: self.next.get(),
            write: self.write.wrapping_add(1),
            last: true,
        };
        self.buffer.clear();
        self.encoder.encode(&group, &[], &mut self.buffer);
        let written = self
            .disk
            .write_at(&self.file, &self.buffer, self.end)
            .and_then(|()| self.disk.sync(&self.file));
        if let Err(error) = written {
            tracing::warn!(%error, "closing the journal left no mark");
        }
    }
}

/// Gives a prepared file its header and then, once that is durable, its name. A chunk that had
/// the name is replaced in one step.
pub(crate) fn begin_chunk(
    settings: &Settings,
    disk: &Disk,
    spare: Spare,
    first_position: Position,
    previous: Option<Previous>,
) -> io::Result<Newest> {
    let mut id = [0; 8];
    getrandom::fill(&mut id)?;
    let chunk_id = u64::from_le_bytes(id);
    let key_id = settings.keys.as_ref().map_or(0, KeyRing::current_id);
    let key_check = settings.keys.as_ref().and_then(|keys| keys.check_value(key_id, chunk_id));
    let header = ChunkHeader {
        first_position,
        chunk_id,
        key_id,
        key_check: key_check.unwrap_or_default(),
        capacity: spare.file.metadata()?.len(),
        previous,
        repaired: None,
    };
    disk.write_at(&spare.file, &header.encode(), 0)?;
    disk.sync(&spare.file)?;
    let path = settings.directory.join(chunk::file_name(first_position));
    fs::rename(&spare.path, &path)?;
    disk::sync_directory(&settings.directory)?;
    let end = CHUNK_HEADER_BYTES as u64;
    let link = header.link();
    let chunk = Arc::new(Chunk::new(path, header, end));
    Ok(Newest { chunk, file: spare.file, end, number: 1, write: 0, link })
}

/// No more than this is written for the records.
fn bound<'a>(records: impl Iterator<Item = &'a NewRecord>) -> u64 {
    let (mut payload, mut stored, mut groups) = (0_u64, 0_u64, 1_u64);
    for record in records {
        payload = payload.saturating_add(record::encoded_bytes(record) as u64);
        for body in record::stored_bodies(record) {
            stored = stored.saturating_add(body.len() as u64);
            groups += (body.len() / BODY_PIECE_BYTES) as u64 + 1;
        }
    }
    groups += payload / GROUP_PLAIN_BYTES as u64;
    // The mark of closing must find room as well.
    (groups + 1)
        .saturating_mul(GROUP_OVERHEAD_BYTES as u64)
        .saturating_add(payload)
        .saturating_add(stored)
}

fn payload_bytes(record: &NewRecord) -> u64 {
    record.bodies.iter().map(|body| body.len() as u64).sum::<u64>() + record.head.len() as u64
}

/// Frees a buffer that one huge record has blown up.
fn forget_large(buffer: &mut Vec<u8>) {
    if buffer.capacity() > 4 * WRITE_BYTES {
        *buffer = Vec::new();
    }
}

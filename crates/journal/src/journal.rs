//! What the engine asks of a journal, whichever kind it is, and how a journal may answer.

use std::{io, ops::ControlFlow, sync::Arc};

use bytes::Bytes;

use crate::{Body, Damage, Entry, Loss, NewRecord, Position, Statistics, Turn};

/// When an append wants to be on stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// As soon as possible.
    Now,
    /// With the next group, or after a short while when none comes: for records that are only
    /// waited for by nobody, such as progress marks.
    Later,
}

/// What an append runs when its fate is known: the position of its first record, or why none of
/// its records was kept. It runs on the writer's thread, so it should only hand the answer on.
pub type Durable = Box<dyn FnOnce(Result<Position, AppendError>) + Send>;

/// Records in order, from [`Journal::read`]. `next` answers `None` at the durable end and goes on
/// from there once more is durable; after an error it answers `None` for ever.
pub type Records = Box<dyn Iterator<Item = Result<Entry, ReadError>> + Send>;

/// A durable sequence of records.
pub trait Journal: Send + Sync + 'static {
    /// Appends records as a unit: at consecutive positions, all or none. `done` runs exactly once,
    /// on the writer's thread and in position order across all appends, after stable storage holds
    /// the records, or with the error. Never waits for I/O; when too many bytes wait already, the
    /// answer is [`AppendError::Full`]. When an append fails, those that wait behind it fail too: none
    /// overtakes it. One that comes later does not, when its turn says so: [`AppendError::Overtakes`].
    /// After [`close`](Journal::close) `done` runs at once on the caller's thread.
    fn append_in_turn(&self, records: Vec<NewRecord>, flush: Flush, turn: Turn, done: Durable);

    /// Appends records that keep no order with others.
    fn append(&self, records: Vec<NewRecord>, flush: Flush, done: Durable) {
        self.append_in_turn(records, flush, Turn::default(), done);
    }

    /// The position that follows the last durable record.
    fn next_position(&self) -> Position;

    /// The position of the oldest record that is kept, or [`next_position`](Journal::next_position)
    /// when none is.
    fn first_position(&self) -> Position;

    /// The durable records from `from` on, in order. Positions are consecutive, except where a
    /// repair had to give records up.
    fn read(&self, from: Position) -> Records;

    /// As [`read`](Self::read), for one who lets go of each record before the next but one: a record
    /// that is kept may keep others around it in memory.
    fn follow(&self, from: Position) -> Records {
        self.read(from)
    }

    /// What repairs had to give up, in the order of positions.
    fn losses(&self) -> Vec<Loss> {
        Vec::new()
    }

    /// One durable record.
    fn fetch(&self, at: Position) -> Result<Entry, ReadError>;

    /// The bytes of a body.
    fn load(&self, body: &Body) -> Result<Bytes, ReadError>;

    /// Gives the bytes of a body one piece after another, until there are no more or `take` breaks
    /// off. What was given before an error belongs to the body, but is not all of it.
    fn load_pieces(
        &self,
        body: &Body,
        take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), ReadError>;

    /// Forgets what lies before `before`, as far as whole chunks do.
    fn trim(&self, before: Position) -> Result<Trimmed, TrimError>;

    /// Counters since the journal was opened.
    fn statistics(&self) -> Statistics;

    /// Writes what waits, syncs, and stops the writer. Later appends answer
    /// [`AppendError::Closed`]; reading goes on working.
    fn close(&self);
}

/// What a trim removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// How many chunks.
    pub chunks: u64,
    /// Their size on disk.
    pub bytes: u64,
    /// The oldest position now kept.
    pub first_position: Position,
}

/// Why none of an append's records was kept.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// Too many bytes wait for the disk; try again when earlier appends are through.
    #[error("the journal has too many bytes waiting")]
    Full,
    /// The disk has no room; appends work again once it has.
    #[error("the disk is full")]
    DiskFull,
    /// Writing or syncing failed. The journal takes no more appends until it is opened again,
    /// because after such a failure nobody can say what the disk holds.
    #[error("writing the journal failed, it is read-only until it is opened again")]
    Failed {
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// An append before it in its order failed, and its owner had not been told yet.
    #[error("an append before this one failed")]
    Overtakes,
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
    /// The append is larger than the journal could ever take.
    #[error("an append of {bytes} bytes is more than {bytes_max}")]
    TooLarge {
        /// The size of what is too large.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// A record has more bodies than [`BODIES_MAX`](crate::BODIES_MAX).
    #[error("a record has more than {} bodies", crate::BODIES_MAX)]
    TooManyBodies,
    /// There was nothing to append.
    #[error("an append without records")]
    Empty,
}

/// Why a record or body can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No durable record has this position yet.
    #[error("position {position} is not written yet")]
    NotWritten {
        /// The position asked for.
        position: Position,
    },
    /// The record was removed by a trim.
    #[error("position {position} has been trimmed away")]
    Trimmed {
        /// The position asked for.
        position: Position,
    },
    /// The record was given up by a repair.
    #[error("position {position} was lost to damage and given up by a repair")]
    Lost {
        /// The position asked for.
        position: Position,
    },
    /// What stands on disk is not what was written.
    #[error(
        "chunk {chunk:020} is damaged at byte {offset}; stop Pipehat and run `pipehat journal repair`"
    )]
    Damaged {
        /// The chunk, by its first position.
        chunk: u64,
        /// Where in its file.
        offset: u64,
        /// What is wrong there.
        #[source]
        damage: Damage,
    },
    /// The key file lacks the key a chunk was sealed with.
    #[error("the key file has no key {key_id}")]
    MissingKey {
        /// The key's number.
        key_id: u32,
    },
    /// The system could not read.
    #[error("failed to read chunk {chunk:020}")]
    Io {
        /// The chunk, by its first position.
        chunk: u64,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Why a trim stopped. What it had removed until then stays removed.
#[derive(Debug, thiserror::Error)]
pub enum TrimError {
    /// A chunk's file could not be deleted.
    #[error("failed to delete chunk {chunk:020}")]
    Io {
        /// The chunk, by its first position.
        chunk: u64,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

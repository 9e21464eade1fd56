//! The durable log under Pipehat: whatever the engine promises to keep is appended here first.
//!
//! A journal is a sequence of records, numbered from 1 without gaps by [`Position`]. Records are
//! appended in units ([`Journal::append`]) and read back in order or singly. What a record means is
//! its user's business: the journal sees a kind, a head and bodies.
//!
//! # What it guarantees
//! - A completion that says `Ok` runs only after stable storage holds the records of its unit.
//! - A unit is kept whole or not at all, and completions run in the order of positions.
//! - After a crash, every record whose completion ran is there; of the write that was under way,
//!   either all or nothing is.
//! - Damage to what had been synced is never passed over: opening or reading says where it is.
//! - With a [`KeyRing`], nothing of a record's content is written in clear, and removed, altered or
//!   reordered groups are noticed.
//!
//! # What it refuses to do
//! It does not interpret records, it never edits one, and it forgets only by whole chunks
//! ([`Journal::trim`]). It can't notice that the newest chunks were all removed together, or that
//! the whole directory was put back to an older state: that takes a witness elsewhere.
//!
//! # Layout of a directory
//! `lock` keeps a second process out; `00000000000000000001.chunk` and so on are the chunks, named
//! by their first position; `spare.*` are chunks being prepared; `quarantine` is where [`repair`]
//! keeps what it replaced, and `losses` where it notes what it had to give up. The formats are described in the modules `chunk`, `group` and `record`.

mod catalog;
mod chunk;
mod cursor;
mod disk;
mod examine;
#[cfg(test)]
mod faults;
mod file;
mod group;
mod journal;
mod key;
mod losses;
mod memory;
mod order;
mod position;
mod preallocate;
mod queue;
mod read;
mod recent;
mod record;
mod recover;
mod repair;
mod seal;
mod statistics;
mod verify;
mod window;
mod writer;

pub use crate::chunk::FORMAT_VERSION;
pub use crate::file::{FileJournal, JournalLock, OpenError, OpenOptions, Recovery, TornTail};
pub use crate::group::{Compression, Damage};
pub use crate::journal::{
    AppendError, Durable, Flush, Journal, ReadError, Records, TrimError, Trimmed,
};
pub use crate::key::{KeyError, KeyRing};
pub use crate::losses::Loss;
pub use crate::memory::MemoryJournal;
pub use crate::order::{Failures, Order, Turn};
pub use crate::position::Position;
pub use crate::record::{
    BODIES_MAX, BODY_BYTES_MAX, Body, Entry, HEAD_BYTES_MAX, INLINE_BODY_BYTES_MAX, NewRecord,
    StoredBody,
};
pub use crate::repair::{RepairError, RepairMode, RepairReport, repair};
pub use crate::statistics::{SYNC_TIME_BOUNDS, Statistics};
pub use crate::verify::{Finding, Problem, Progress, VerifyError, VerifyReport, verify};

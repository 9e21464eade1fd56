//! SQLite databases whose files are sealed: no clear value stands in any file.
//!
//! A SQLite index is of use only if SQLite sees its values, so that values can't be sealed one by one. They are
//! sealed below SQLite: [`open`] gives an ordinary connection whose files are read and written through this
//! crate's *file system* (SQLite's "VFS"), which seals pages with AES-256-GCM on their way to the disk.
//!
//! # What stands where
//!
//! | file | sealed how |
//! | --- | --- |
//! | database | page by page; tag and nonce stand in bytes at the page's end that SQLite leaves to us (`layout`) |
//! | log (`-wal`) | frame by frame, header authenticated, each 44 bytes longer than SQLite thinks (`log`) |
//! | log's index (`-shm`) | not: it has page numbers only, and no page |
//! | temporary files (statement journals, sorters, temporary tables) | in memory; what exceeds it, in blocks under a key that is nowhere kept (`scratch`) |
//! | rollback and super-journals | refused: a database is created in WAL mode and stays in it |
//!
//! # Guarantees
//!
//! - A page, frame or header that was changed, moved or sealed under another key is never handed to SQLite: the
//!   statement fails with `SQLITE_IOERR_DATA` ([`is_damage`]) and [`failure`] says where.
//! - A log's torn end is cut as SQLite does it. A frame that had been synced is not mistaken for a torn end: every
//!   frame says how much was synced when it was written.
//! - No nonce is used twice under one key (`seal`).
//! - Locks, syncs and the order of writes are those of SQLite's own file system, which does all of them.
//!
//! # What it refuses
//!
//! Memory-mapped files, rollback journals, other page sizes, auto-vacuum, extensions, databases attached that were
//! not opened by [`open`]. It does not hide the size of files or which pages change, and can't tell when files are
//! replaced by older ones of the same database, or the log's end is cut off.
//!
//! # Unsafe code
//!
//! SQLite asks for a table of C functions, so this crate alone may use `unsafe`: in `vfs`, `file` and
//! `below`, which turn pointers into slices and do nothing else, and where `failure` asks a file. What decides about
//! bytes is safe code.

mod below;
mod database;
mod failure;
mod file;
mod key;
mod layout;
mod log;
mod open;
mod registry;
mod scratch;
mod seal;
mod vfs;

pub use failure::{Failure, VaultError, failure, is_damage};
pub use key::Key;
pub use open::open;

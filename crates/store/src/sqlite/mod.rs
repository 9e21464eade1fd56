//! The message index in SQLite, beside the journal.
//!
//! # Layout
//! A message is a row, keyed by its position, so that rows are only ever appended. Searching by
//! anything else goes through *epochs*: runs of some ten thousand messages. While an epoch is
//! open, its identifiers are appended to the table `fresh`, as they come. When it is full it is closed:
//! its identifiers are sorted into `identifier`, by epoch and hash, and what the messages
//! share (channel, type, sender, destination) becomes lists of messages in `facet`. So every page
//! is written at the end of its table, a few times: inserting hashes where they belong among ten
//! million others would touch a page of its own for each. A search probes the epochs one by one in
//! the order of its results, and the open one by reading it through.
//!
//! # Durability
//! `synchronous=NORMAL`: a commit does not wait for the disk, so that the index takes nothing from
//! the journal's syncs. That loses nothing: rows and the position they reach commit together, and
//! a tail lost in a power cut is read from the journal again. `OFF` would not sync before
//! checkpoints either, and could leave half-written pages that nothing detects.

mod detail;
mod epoch;
mod fold;
mod forget;
mod identifiers;
mod index;
mod message_row;
mod names;
mod open;
mod plan;
mod reader;
mod schema;
mod seal;
mod search;
mod stored;
mod summary;
mod varint;

#[cfg(test)]
mod tests;

pub use detail::IDENTIFIERS_MAX;
pub use index::SqliteMessageIndex;
pub use names::TEXT_BYTES_MAX;
pub use open::{Opened, RebuildReason};
pub use search::SqliteMessageSearch;

use crate::IndexError;

/// A position as SQLite has it: signed, and with room for one more after it.
fn signed(position: u64) -> Result<i64, IndexError> {
    match i64::try_from(position) {
        Ok(position) if position < i64::MAX => Ok(position),
        _ => Err(IndexError::Position),
    }
}

impl From<rusqlite::Error> for IndexError {
    fn from(error: rusqlite::Error) -> IndexError {
        use rusqlite::{Error, ErrorCode};
        if pipehat_vault::is_damage(&error) {
            return IndexError::Damaged(Some(Box::new(error)));
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                IndexError::Damaged(Some(Box::new(error)))
            }
            Some(_) => IndexError::Unavailable(Box::new(error)),
            None => match error {
                // A value of another type than was written.
                Error::FromSqlConversionFailure(..)
                | Error::IntegralValueOutOfRange(..)
                | Error::InvalidColumnType(..)
                | Error::QueryReturnedNoRows => IndexError::Damaged(Some(Box::new(error))),
                other => IndexError::Unavailable(Box::new(other)),
            },
        }
    }
}

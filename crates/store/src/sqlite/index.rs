//! The writing side.

use std::{
    fmt,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use rusqlite::{Connection, TransactionBehavior};

use super::{
    SqliteMessageSearch,
    epoch::{self, EPOCH_MESSAGES},
    fold::{self, Writer},
    forget,
    open::{Location, Opened, discard, examine, open_writer},
    signed, stored,
};
use crate::{Change, IndexError, IndexKeys, MessageIndex};

/// Changes are folded in memory this many at a time, which bounds the memory of one `apply`.
const FOLD_CHANGES_MAX: usize = 32 * 1024;

/// The message index in a SQLite file. One per file; give it a thread of its own.
pub struct SqliteMessageIndex {
    pub(super) location: Arc<Location>,
    /// `None` after replacing the files failed; tried again at the next use.
    connection: Option<Connection>,
    /// What the writer knows by heart; read again after a failed transaction.
    writer: Option<Writer>,
    epoch_messages: u64,
}

impl fmt::Debug for SqliteMessageIndex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SqliteMessageIndex")
            .field("path", &self.location.path)
            .finish_non_exhaustive()
    }
}

impl SqliteMessageIndex {
    /// Opens the index in this file, whose directory exists. What can't be used (damaged, of
    /// another format or other keys) is replaced by an empty index: see [`Opened::rebuild`]. An
    /// error means that the place is at fault, and that the engine goes on without an index.
    pub fn open(path: &Path, keys: IndexKeys) -> Result<Opened, IndexError> {
        SqliteMessageIndex::open_with_epochs(path, keys, EPOCH_MESSAGES)
    }

    /// As `open`, with epochs of so many messages.
    pub(super) fn open_with_epochs(
        path: &Path,
        keys: IndexKeys,
        epoch_messages: u64,
    ) -> Result<Opened, IndexError> {
        let location = Location { path: path.to_owned(), keys, generation: 0.into() };
        let (connection, rebuild) = open_writer(&location)?;
        if let Some(reason) = rebuild {
            tracing::info!(?reason, "message index begins empty");
        }
        let index = SqliteMessageIndex {
            location: Arc::new(location),
            connection: Some(connection),
            writer: None,
            epoch_messages,
        };
        Ok(Opened { index, rebuild })
    }

    /// The reading side. It follows when the index is cleared.
    pub fn search(&self) -> SqliteMessageSearch {
        SqliteMessageSearch::new(Arc::clone(&self.location))
    }

    /// The connection and the location, opening the file again if that is due.
    fn connection(&mut self) -> Result<&mut Connection, IndexError> {
        if self.connection.is_none() {
            let (connection, _) = open_writer(&self.location)?;
            self.connection = Some(connection);
        }
        self.connection.as_mut().ok_or(IndexError::Damaged(None))
    }
}

impl SqliteMessageSearch {
    /// Opens only the reading side of an index that nobody writes, and says up to which position
    /// it knows the journal. What is there stays as it is; `None` where nothing can be used.
    pub fn open(path: &Path, keys: IndexKeys) -> Result<Option<(Self, u64)>, IndexError> {
        if !path.exists() {
            return Ok(None);
        }
        let location = Location { path: path.to_owned(), keys, generation: 0.into() };
        let Ok(connection) = examine(&location)? else { return Ok(None) };
        let through = connection.query_row("SELECT through FROM state", [], |row| row.get(0))?;
        Ok(Some((Self::new(Arc::new(location)), stored::unsigned(through)?)))
    }
}

impl MessageIndex for SqliteMessageIndex {
    fn apply(&mut self, changes: &[Change], through: u64) -> Result<(), IndexError> {
        let through = signed(through)?;
        let location = Arc::clone(&self.location);
        let epoch_messages = self.epoch_messages;
        // Taken, so that a failure on any line below makes the next call read it again.
        let writer = self.writer.take();
        let connection = self.connection()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut writer = match writer {
            Some(writer) if writer.is_current(&transaction)? => writer,
            _ => Writer::begin(&transaction, &location.keys)?,
        };
        for part in changes.chunks(FOLD_CHANGES_MAX) {
            fold::apply(&transaction, &mut writer, part)?;
            if writer.open.messages >= epoch_messages {
                epoch::close(&transaction, &mut writer)?;
            }
        }
        transaction
            .prepare_cached("UPDATE state SET through = max(through, ?1)")?
            .execute([through])?;
        transaction.commit()?;
        self.writer = Some(writer);
        Ok(())
    }

    fn through(&self) -> Result<u64, IndexError> {
        match &self.connection {
            None => Ok(0),
            Some(connection) => {
                let mut statement = connection.prepare_cached("SELECT through FROM state")?;
                stored::unsigned(statement.query_row([], |row| row.get(0))?)
            }
        }
    }

    fn forget(&mut self, before: u64) -> Result<(), IndexError> {
        let before = signed(before)?;
        self.writer = None;
        forget::forget(self.connection()?, before)
    }

    fn clear(&mut self) -> Result<(), IndexError> {
        self.writer = None;
        self.connection = None;
        discard(&self.location.path)?;
        let opened = open_writer(&self.location);
        // Readers of the old files, unlinked by now, open the new ones from here on.
        self.location.generation.fetch_add(1, Ordering::Release);
        self.connection = Some(opened?.0);
        Ok(())
    }
}

//! The messages of a data directory on which no Pipehat runs: found and shown as the API does, from
//! the journal and the index as they are.
//!
//! It holds the journal's lock for as long as it looks, so that no Pipehat can start meanwhile, and
//! is refused while one runs. It adds nothing to journal or index: of a write that a crash cut off,
//! and that was never acknowledged, it removes the rest, as any opening of the journal does.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use pipehat_engine::Log;
use pipehat_journal::{FileJournal, OpenError, OpenOptions};
use pipehat_store::{IndexError, SqliteMessageSearch};

use crate::api::{self, ApiError, MessageDetail, MessagesPage, SearchRequest, Wanted};
use crate::installation::{DataDirectory, InstallationError};
use crate::node::index_keys;

/// Why the messages can't be looked at.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The key can't be used.
    #[error(transparent)]
    Installation(#[from] InstallationError),
    /// The journal can't be opened; among others because a Pipehat runs on it.
    #[error("the journal in {directory} can't be opened")]
    Journal {
        /// Its directory.
        directory: PathBuf,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// The index is there and can't be read.
    #[error("the message index can't be read")]
    Index(#[from] IndexError),
}

/// The messages of a Pipehat that does not run.
pub struct OfflineMessages {
    log: Log,
    /// The index, and up to which record it knows the journal.
    search: Option<(SqliteMessageSearch, u64)>,
}

impl OfflineMessages {
    /// Opens journal and index.
    ///
    /// # Errors
    /// When a Pipehat runs on them, the key is missing, or they can't be read.
    pub fn open(data: &DataDirectory) -> Result<Self, OfflineError> {
        let key = if data.key_file().exists() { Some(data.existing_key()?) } else { None };
        let directory = data.journal();
        let mut options = OpenOptions::new(&directory);
        options.key = key.clone();
        let (journal, _) = FileJournal::open(options).map_err(|source| match source {
            // Data that is not sealed needs none.
            OpenError::MissingKey { .. } if key.is_none() => data.key_missing().into(),
            source => OfflineError::Journal { directory, source },
        })?;
        let search = SqliteMessageSearch::open(&data.index(), index_keys(key.as_ref()))?;
        Ok(Self { log: Log::new(Arc::new(journal)), search })
    }

    /// How many of the newest records the index does not know; none without a usable index.
    pub fn index_behind(&self) -> Option<u64> {
        let (_, through) = self.search.as_ref()?;
        let last = self.log.journal().next_position().get().saturating_sub(1);
        Some(last.saturating_sub(*through))
    }

    /// Finds messages.
    ///
    /// # Errors
    /// When there is no usable index, or the request makes no sense.
    pub fn search(&self, request: SearchRequest) -> Result<MessagesPage, ApiError> {
        let (search, _) = self.search.as_ref().ok_or_else(ApiError::no_index)?;
        api::page_of(search, request)
    }

    /// Shows one message with every stage.
    ///
    /// # Errors
    /// When there is no such message.
    pub fn show(&self, id: u64, wanted: &Wanted) -> Result<MessageDetail, ApiError> {
        api::detail_of(&self.log, self.search.as_ref().map(|(search, _)| search), id, wanted)
    }

    /// The exact bytes of a message as it was received.
    ///
    /// # Errors
    /// When there is no such message.
    pub fn bytes(&self, id: u64) -> Result<Bytes, ApiError> {
        api::bytes_of(&self.log, id)
    }
}

impl Drop for OfflineMessages {
    fn drop(&mut self) {
        self.log.journal().close();
    }
}

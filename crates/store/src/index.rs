//! What a message index does, whichever database keeps it.

use std::{error::Error, sync::Arc};

use crate::{Change, Disposition, Page, Query, Summary};

/// The writing side: owned by the one thread that follows the journal.
pub trait MessageIndex: Send {
    /// Takes in the changes of the journal's records up to and including position `through`, as
    /// one transaction. Changes may come again and in any order; the more come at once, the less
    /// each costs.
    fn apply(&mut self, changes: &[Change], through: u64) -> Result<(), IndexError>;

    /// The position up to which changes were applied; 0 when none were. The next change to apply
    /// is that of the record after it.
    fn through(&self) -> Result<u64, IndexError>;

    /// Drops the messages before this position, for good: later changes of them are ignored.
    fn forget(&mut self, before: u64) -> Result<(), IndexError>;

    /// Drops everything, the damaged included; the changes are to be applied again from the first.
    fn clear(&mut self) -> Result<(), IndexError>;
}

/// The reading side: for any thread, beside the writer.
pub trait MessageSearch: Send + Sync {
    /// One page of the messages that are asked for.
    fn search(&self, query: &Query) -> Result<Page, IndexError>;

    /// One message with all its deliveries.
    fn message(&self, message: u64) -> Result<Option<Summary>, IndexError>;

    /// How many messages each channel has in each disposition, to be checked against the journal.
    fn counts(&self) -> Result<Vec<ChannelCount>, IndexError>;
}

/// How many messages a channel has in a disposition; none is not listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChannelCount {
    /// The channel.
    pub channel: Arc<str>,
    /// The disposition.
    pub disposition: Disposition,
    /// How many.
    pub messages: u64,
}

/// Why an index did not do what it was asked for. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// What is stored can't be right: clear the index and apply all changes again.
    #[error("the message index is damaged and must be rebuilt")]
    Damaged(#[source] Option<Box<dyn Error + Send + Sync>>),
    /// The database can't be reached, read or written now: try again later.
    #[error("the message index is not available")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// A position that no journal reaches.
    #[error("a position is out of range")]
    Position,
}

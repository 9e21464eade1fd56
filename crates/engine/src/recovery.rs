//! What the books are at start: the last checkpoint, and the records since.

use std::collections::BTreeMap;
use std::sync::Arc;

use pipehat_journal::Position;

use crate::checkpoint::Books;
use crate::log::{Log, LogError};
use crate::names::{ChannelName, MessageId};
use crate::record::Record;

/// Records read at start to recognise messages sent again across a restart.
const WINDOW_RECORDS: u64 = 50_000;

/// What a start finds.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// The books as of the journal's end.
    pub(crate) books: Books,
    /// Messages lately received, by channel: sender hash, content hash, id, time.
    pub(crate) lately: BTreeMap<ChannelName, Vec<(u64, u64, MessageId, jiff::Timestamp)>>,
}

/// Brings books up to the journal's end. Blocks on the disk.
///
/// # Errors
/// When the journal can't be read.
pub(crate) fn recover(log: &Log, mut books: Books) -> Result<Recovered, LogError> {
    let end = log.journal().next_position();
    let window = end.get().saturating_sub(WINDOW_RECORDS).max(1);
    let known = books
        .channels
        .values()
        .map(|(through, _)| through.map_or(1, |through| through.next().get()))
        .min()
        .unwrap_or(1);
    let mut lately: BTreeMap<ChannelName, Vec<_>> = BTreeMap::new();
    let from = Position::new(known.min(window)).unwrap_or_else(|| log.journal().first_position());
    for entry in log.heads(from) {
        let (position, record) = entry?;
        if let Record::Received(received) = &record
            && received.duplicate_of.is_none()
            && received.sender_hash != 0
        {
            lately.entry(Arc::clone(&received.channel)).or_default().push((
                received.sender_hash,
                received.content_hash,
                MessageId(position),
                received.at,
            ));
        }
        let (through, ledger) = books.channels.entry(Arc::clone(record.channel())).or_default();
        if through.is_none_or(|through| position > through) {
            ledger.apply(position, &record);
            *through = Some(position);
        }
    }
    Ok(Recovered { books, lately })
}

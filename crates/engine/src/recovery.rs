//! What the books are at start: the last checkpoint, and the records since.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use pipehat_journal::Position;

use crate::checkpoint::Books;
use crate::ledger::Ledger;
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
    /// Messages lately received, by channel.
    pub(crate) lately: BTreeMap<ChannelName, Vec<Lately>>,
}

/// A message lately received: its sender may send it again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lately {
    pub(crate) sender_hash: u64,
    pub(crate) content_hash: u64,
    pub(crate) message: MessageId,
    pub(crate) at: jiff::Timestamp,
    /// Whether its sender numbers its messages.
    numbered: bool,
}

impl Lately {
    fn of(position: Position, record: &Record) -> Option<Self> {
        let Record::Received(received) = record else { return None };
        let counts = received.duplicate_of.is_none() && received.sender_hash != 0;
        counts.then_some(Self {
            sender_hash: received.sender_hash,
            content_hash: received.content_hash,
            message: MessageId(position),
            at: received.at,
            numbered: received.sequence.is_some(),
        })
    }
}

/// Makes of records what the windows of senders' messages were.
#[derive(Debug, Default)]
struct Windows {
    lately: BTreeMap<ChannelName, Vec<Lately>>,
    /// Messages whose senders were refused: sent again, they are new.
    refused: HashSet<MessageId>,
}

impl Windows {
    fn note(&mut self, position: Position, record: &Record) {
        match record {
            Record::Processed(processed) if processed.refuses_sender() => {
                self.refused.insert(processed.message);
            }
            _ => {
                if let Some(received) = Lately::of(position, record) {
                    self.lately.entry(Arc::clone(record.channel())).or_default().push(received);
                }
            }
        }
    }

    fn into_lately(mut self) -> BTreeMap<ChannelName, Vec<Lately>> {
        let refused = &self.refused;
        for received in self.lately.values_mut() {
            received.retain(|received| received.numbered || !refused.contains(&received.message));
        }
        self.lately
    }
}

/// The first of the records that are read to recognise messages sent again.
fn window_start(log: &Log) -> Position {
    let end = log.journal().next_position();
    let start = Position::new(end.get().saturating_sub(WINDOW_RECORDS));
    start.unwrap_or(Position::FIRST)
}

/// The messages lately received, by channel, oldest first. Blocks on the disk.
///
/// # Errors
/// When the journal can't be read.
pub(crate) fn lately(log: &Log) -> Result<BTreeMap<ChannelName, Vec<Lately>>, LogError> {
    let mut windows = Windows::default();
    for entry in log.heads(window_start(log)) {
        let (position, record) = entry?;
        windows.note(position, &record);
    }
    Ok(windows.into_lately())
}

/// Brings books up to the journal's end. Blocks on the disk.
///
/// # Errors
/// When the journal can't be read.
pub(crate) fn recover(log: &Log, mut books: Books) -> Result<Recovered, LogError> {
    let lost = books.lose(&**log.journal());
    let known = books
        .channels
        .values()
        .map(|(through, _)| through.map_or(1, |through| through.next().get()))
        .min()
        .unwrap_or(1);
    let mut windows = Windows::default();
    let from = Position::new(known).unwrap_or(Position::FIRST).min(window_start(log));
    for entry in log.heads(from) {
        let (position, record) = entry?;
        windows.note(position, &record);
        let channel = books.channels.entry(Arc::clone(record.channel()));
        let (through, ledger) = channel
            .or_insert_with(|| (None, Ledger { lost: Arc::clone(&lost), ..Ledger::default() }));
        if through.is_none_or(|through| position > through) {
            ledger.apply(position, &record);
            *through = Some(position);
        }
    }
    Ok(Recovered { books, lately: windows.into_lately() })
}

//! The books as written down from time to time, so that a start need not read the whole journal.
//!
//! A checkpoint is a projection: were it lost, the journal from its beginning (or from the
//! baseline that retention leaves) gives the same books. It holds positions and counts and no
//! patient data, and is replaced atomically.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use pipehat_journal::{Journal, Position};
use serde::{Deserialize, Serialize};

use crate::ledger::{Counters, DeliveryKey, Exception, Ledger, Lost, Queue};
use crate::names::{ChannelName, MessageId};

const FORMAT: u32 = 1;

/// The books of all channels, each as of its own position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    /// Each channel's books and the last record they know of.
    pub channels: BTreeMap<ChannelName, (Option<Position>, Ledger)>,
    /// When which position was the end, oldest first: what retention by time goes by.
    pub times: Vec<(i64, Position)>,
    /// What the journal had lost to repairs when these books were written.
    pub lost: Lost,
}

/// Why a checkpoint could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The system could not read or write it.
    #[error("failed to access the checkpoint")]
    Io(#[from] io::Error),
    /// It is not what this release writes.
    #[error("the checkpoint can't be read")]
    Content(#[from] serde_json::Error),
    /// It is of a later release.
    #[error("the checkpoint has format {format}, this release reads {FORMAT}")]
    Format {
        /// Its format.
        format: u32,
    },
    /// A number in it is not a position.
    #[error("the checkpoint names a position that can't be")]
    Position,
}

impl Books {
    /// Makes these the books of this journal: no channel counts on what it lost.
    pub(crate) fn lose(&mut self, journal: &dyn Journal) -> Arc<Lost> {
        let lost = Arc::new(Lost::of(&journal.losses()));
        for (through, ledger) in self.channels.values_mut() {
            ledger.lose(&lost, &self.lost, *through);
        }
        self.lost = Lost::clone(&lost);
        lost
    }

    /// Reads the books from a file; none when there is no file.
    ///
    /// # Errors
    /// When the file can't be read or is not a checkpoint of this release.
    pub fn read(path: &Path) -> Result<Option<Self>, CheckpointError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let stored: Stored = serde_json::from_slice(&text)?;
        if stored.format_version != FORMAT {
            return Err(CheckpointError::Format { format: stored.format_version });
        }
        stored.books().ok_or(CheckpointError::Position).map(Some)
    }

    /// Replaces the file by these books, so that a reader finds the old ones or the new ones.
    ///
    /// # Errors
    /// When the system can't write, sync or rename it.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        let text = serde_json::to_vec(&Stored::of(self))?;
        let temporary = path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        if let Some(directory) = path.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    format_version: u32,
    channels: BTreeMap<String, StoredChannel>,
    times: Vec<(i64, u64)>,
    /// First and last.
    #[serde(default)]
    lost: Vec<(u64, u64)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredChannel {
    through: u64,
    /// Received, delivered, filtered, parked, rejected, superseded.
    counters: [u64; 6],
    unprocessed: Vec<u64>,
    parked: Vec<u64>,
    queues: BTreeMap<String, StoredQueue>,
    /// Processed, ordinal, message, whether discarded.
    exceptions: Vec<(u64, u16, u64, bool)>,
    files: Vec<(String, u64)>,
    #[serde(default)]
    links: BTreeMap<String, i64>,
    anomalies: u64,
    /// First and last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    told: Vec<(u64, u64)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredQueue {
    /// Processed, ordinal, message.
    open: Vec<(u64, u16, u64)>,
    frontier: u64,
    beyond: u64,
    beyond_oldest: u64,
    settled_beyond: Vec<(u64, u16)>,
    #[serde(default)]
    numbered: u64,
}

impl Stored {
    fn of(books: &Books) -> Self {
        let channel = |(name, (through, ledger)): (&ChannelName, &(Option<Position>, Ledger))| {
            (name.to_string(), StoredChannel::of(*through, ledger))
        };
        Self {
            format_version: FORMAT,
            channels: books.channels.iter().map(channel).collect(),
            times: books.times.iter().map(|(at, position)| (*at, position.get())).collect(),
            lost: stored_ranges(&books.lost),
        }
    }

    fn books(self) -> Option<Books> {
        let mut books = Books { lost: ranges(self.lost)?, ..Books::default() };
        for (name, channel) in self.channels {
            let through = Position::new(channel.through);
            books.channels.insert(Arc::from(name), (through, channel.ledger()?));
        }
        for (at, position) in self.times {
            books.times.push((at, Position::new(position)?));
        }
        Some(books)
    }
}

impl StoredChannel {
    fn of(through: Option<Position>, ledger: &Ledger) -> Self {
        let counters = ledger.counters;
        Self {
            through: through.map_or(0, Position::get),
            counters: [
                counters.received,
                counters.delivered,
                counters.filtered,
                counters.parked,
                counters.rejected,
                counters.superseded,
            ],
            unprocessed: ledger.unprocessed.iter().map(|message| message.0.get()).collect(),
            parked: ledger.parked.iter().map(|message| message.0.get()).collect(),
            queues: ledger
                .queues
                .iter()
                .map(|(name, queue)| (name.to_string(), StoredQueue::of(queue)))
                .collect(),
            exceptions: ledger
                .exceptions
                .iter()
                .map(|(key, (message, exception))| {
                    let discarded = *exception == Exception::Discarded;
                    (key.processed.get(), key.ordinal, message.0.get(), discarded)
                })
                .collect(),
            files: ledger.files.iter().cloned().collect(),
            links: ledger.links.clone(),
            anomalies: ledger.anomalies,
            told: stored_ranges(&ledger.told),
        }
    }

    fn ledger(self) -> Option<Ledger> {
        let [received, delivered, filtered, parked, rejected, superseded] = self.counters;
        let mut ledger = Ledger {
            counters: Counters { received, delivered, filtered, parked, rejected, superseded },
            anomalies: self.anomalies,
            files: self.files.into(),
            links: self.links,
            told: ranges(self.told)?,
            ..Ledger::default()
        };
        for message in self.unprocessed {
            ledger.unprocessed.insert(message_id(message)?);
        }
        for message in self.parked {
            ledger.parked.insert(message_id(message)?);
        }
        for (name, queue) in self.queues {
            ledger.queues.insert(Arc::from(name), queue.queue()?);
        }
        for (processed, ordinal, message, discarded) in self.exceptions {
            let exception = if discarded { Exception::Discarded } else { Exception::Parked };
            ledger.exceptions.insert(key(processed, ordinal)?, (message_id(message)?, exception));
        }
        Some(ledger)
    }
}

impl StoredQueue {
    fn of(queue: &Queue) -> Self {
        Self {
            open: queue
                .open
                .iter()
                .map(|(key, message)| (key.processed.get(), key.ordinal, message.0.get()))
                .collect(),
            frontier: queue.frontier.map_or(0, Position::get),
            beyond: queue.beyond,
            beyond_oldest: queue.beyond_oldest.map_or(0, |message| message.0.get()),
            settled_beyond: queue
                .settled_beyond
                .iter()
                .map(|key| (key.processed.get(), key.ordinal))
                .collect(),
            numbered: queue.numbered,
        }
    }

    fn queue(self) -> Option<Queue> {
        let mut queue = Queue {
            frontier: Position::new(self.frontier),
            beyond: self.beyond,
            numbered: self.numbered,
            beyond_oldest: Position::new(self.beyond_oldest).map(MessageId),
            ..Queue::default()
        };
        for (processed, ordinal, message) in self.open {
            queue.open.insert(key(processed, ordinal)?, message_id(message)?);
        }
        for (processed, ordinal) in self.settled_beyond {
            queue.settled_beyond.insert(key(processed, ordinal)?);
        }
        Some(queue)
    }
}

fn stored_ranges(lost: &Lost) -> Vec<(u64, u64)> {
    lost.ranges().iter().map(|range| (range.start().get(), range.end().get())).collect()
}

fn ranges(stored: Vec<(u64, u64)>) -> Option<Lost> {
    let range = |(first, last)| Some(Position::new(first)?..=Position::new(last)?);
    stored.into_iter().map(range).collect()
}

fn key(processed: u64, ordinal: u16) -> Option<DeliveryKey> {
    Some(DeliveryKey { processed: Position::new(processed)?, ordinal })
}

fn message_id(position: u64) -> Option<MessageId> {
    Position::new(position).map(MessageId)
}

//! The books on disk: where they come from at a start, and how they are written while the engine
//! runs; and what retention allows to be forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pipehat_journal::Position;

use super::{Engine, EngineError, ask};
use crate::channel::{Incoming, Input, received_again};
use crate::checkpoint::{Books, CheckpointError};
use crate::ledger::{Ledger, Lost};
use crate::log::{Log, LogError};
use crate::names::{ChannelName, MessageId};
use crate::prove;
use crate::recovery::{self, Lately, Recovered};

/// How often the books are written down.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);

/// The file of the latest checkpoint in the data directory.
pub(super) const CHECKPOINT_FILE: &str = "checkpoint.json";

/// The file of the books as of the oldest record kept.
pub(super) const BASELINE_FILE: &str = "baseline.json";

impl Engine {
    /// The messages lately received, by channel.
    pub(super) async fn lately(&self) -> BTreeMap<ChannelName, Vec<Lately>> {
        let log = self.services.log.clone();
        match tokio::task::spawn_blocking(move || recovery::lately(&log)).await {
            Ok(Ok(lately)) => lately,
            Ok(Err(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the journal can't be read: a channel that comes back does not know what its \
                     senders send again"
                );
                BTreeMap::new()
            }
            Err(_) => BTreeMap::new(),
        }
    }

    /// A channel's books, made from the journal.
    pub(super) async fn books_of(&self, name: &ChannelName) -> Option<(Option<Position>, Ledger)> {
        let (log, data) = (self.services.log.clone(), self.data.clone());
        let read = move || -> Result<Recovered, EngineError> {
            Ok(recovery::recover(&log, books_of_journal(&log, &data)?)?)
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(mut recovered)) => recovered.books.channels.remove(name),
            Ok(Err(error)) => {
                tracing::error!(
                    channel = &**name,
                    error = &error as &dyn std::error::Error,
                    "the books of a channel can't be made anew; restart before it is used again"
                );
                None
            }
            Err(_) => None,
        }
    }

    pub(super) async fn unprocessed(&self, ledger: &Ledger) -> Vec<(MessageId, Incoming)> {
        let (log, messages) = (self.services.log.clone(), ledger.unprocessed.clone());
        let read = move || {
            let mut work = Vec::new();
            for message in messages {
                match received_again(&log, message) {
                    Some(incoming) => work.push((message, incoming)),
                    None => tracing::error!(
                        message_id = message.0.get(),
                        "a message waiting to be processed can't be read; it stays in flight until \
                         the journal is repaired and Pipehat is started again"
                    ),
                }
            }
            work
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_default()
    }

    pub(super) fn empty_books(&self) -> Books {
        Books { lost: Lost::of(&self.services.log.journal().losses()), ..Books::default() }
    }

    /// Writes checkpoints and keeps to the retention until the engine stops.
    pub async fn keep_books(&self) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(CHECKPOINT_EVERY) => {}
            }
            if let Err(error) = self.checkpoint().await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the checkpoint could not be written; a restart will read more of the journal"
                );
            }
        }
    }

    /// Writes the books down, and forgets what retention allows.
    ///
    /// # Errors
    /// When the checkpoint can't be written or the journal can't be read.
    pub async fn checkpoint(&self) -> Result<(), EngineError> {
        let mut times = self.checkpoints.lock().await;
        // Whatever was answered before this moment is in the mailboxes, before the question.
        let answered = self.services.log.answered();
        let state = self.state.lock().await;
        let (mut books, mut failed) = (self.empty_books(), Vec::new());
        for (name, (through, ledger)) in &state.dormant {
            books.channels.insert(Arc::clone(name), ((*through).max(answered), ledger.clone()));
        }
        for (name, running) in &state.channels {
            let Some((applied, ledger)) =
                ask(&running.handle, |answer| Input::Books { answer }).await
            else {
                failed.push(Arc::clone(name));
                continue;
            };
            let through = Some(applied).max(answered);
            books.channels.insert(Arc::clone(name), (through, ledger));
        }
        drop(state);
        if let Some(keep) = self.keep {
            let now = Timestamp::now().as_second();
            note_time(&mut times, now, self.services.log.journal().next_position(), keep);
        } else {
            times.clear();
        }
        books.times.clone_from(&times);
        // Nobody knows what a channel that failed still needs.
        let trim_to = self.keep.filter(|_| failed.is_empty());
        let trim_to = trim_to.and_then(|keep| trim_position(&books, keep));
        let (data, log) = (self.data.clone(), self.services.log.clone());
        let write = move || -> Result<(), EngineError> {
            if !failed.is_empty() {
                // Its books stay as they were written last, from where the next start goes on.
                let mut written = books_of_journal(&log, &data)?;
                written.lose(&**log.journal());
                for name in failed {
                    let last = written.channels.remove(&name).unwrap_or_default();
                    books.channels.insert(name, last);
                }
            }
            books.write(&data.join(CHECKPOINT_FILE))?;
            if let Some(position) = trim_to {
                trim(&log, &data, position)?;
            }
            Ok(())
        };
        tokio::task::spawn_blocking(write).await.map_err(|_| EngineError::Failed)?
    }
}

/// The books as written down last; where there is no checkpoint, as of the oldest record kept.
fn written_books(data: &std::path::Path) -> Result<Books, CheckpointError> {
    match Books::read(&data.join(CHECKPOINT_FILE)) {
        Ok(Some(books)) => return Ok(books),
        Ok(None) => {}
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the checkpoint can't be used; the books are made from the journal"
        ),
    }
    Ok(Books::read(&data.join(BASELINE_FILE))?.unwrap_or_default())
}

/// The books written last, unless they know of records the journal does not have: then an older
/// journal was put back, and they are made from it.
fn books_of_journal(log: &Log, data: &std::path::Path) -> Result<Books, CheckpointError> {
    let books = written_books(data)?;
    let end = log.journal().next_position();
    let ahead = |books: &Books| {
        books.channels.values().any(|(through, _)| through.is_some_and(|through| through >= end))
    };
    let lost = Lost::of(&log.journal().losses());
    if books.lost != lost {
        tracing::warn!(
            lost_records = lost.records(),
            "the journal was repaired since the checkpoint; the books are made from what is there"
        );
    } else if ahead(&books) {
        tracing::warn!(
            "the checkpoint is newer than the journal; the books are made from the journal"
        );
    } else {
        return Ok(books);
    }
    let baseline = Books::read(&data.join(BASELINE_FILE))?.unwrap_or_default();
    Ok(if ahead(&baseline) { Books::default() } else { baseline })
}

pub(super) async fn recover(
    log: &Log,
    data: &std::path::Path,
) -> Result<(Recovered, BTreeMap<ChannelName, Vec<(MessageId, Incoming)>>), EngineError> {
    let (log, data) = (log.clone(), data.to_owned());
    let read = move || -> Result<_, EngineError> {
        let recovered = recovery::recover(&log, books_of_journal(&log, &data)?)?;
        let mut messages: BTreeMap<ChannelName, Vec<_>> = BTreeMap::new();
        for (channel, (_, ledger)) in &recovered.books.channels {
            for message in &ledger.unprocessed {
                let incoming =
                    received_again(&log, *message).ok_or(LogError::Kind { position: message.0 })?;
                messages.entry(Arc::clone(channel)).or_default().push((*message, incoming));
            }
        }
        Ok((recovered, messages))
    };
    tokio::task::spawn_blocking(read).await.map_err(|_| EngineError::Failed)?
}

/// Notes how far the journal is, once a minute, for as long as retention goes back.
fn note_time(times: &mut Vec<(i64, Position)>, now: i64, end: Position, keep: Duration) {
    const NOTE_EVERY: i64 = 60;
    // A clock that was ahead and went back: what it said is of no use.
    times.retain(|(at, _)| *at <= now);
    if times.last().is_none_or(|(at, _)| now - at >= NOTE_EVERY) {
        times.push((now, end));
    }
    // Of those old enough to be forgotten only the newest counts.
    let oldest = now.saturating_sub(i64::try_from(keep.as_secs()).unwrap_or(i64::MAX));
    let old = times.partition_point(|(at, _)| *at <= oldest);
    times.drain(..old.saturating_sub(1));
}

/// Up to where the journal may be forgotten: old enough, and needed by no channel.
fn trim_position(books: &Books, keep: Duration) -> Option<Position> {
    let oldest = Timestamp::now().as_second() - i64::try_from(keep.as_secs()).unwrap_or(i64::MAX);
    let old = books.times.iter().rev().find(|(at, _)| *at <= oldest).map(|(_, end)| *end)?;
    let needed = books.channels.values().filter_map(|(_, ledger)| ledger.oldest_needed()).min();
    Some(needed.map_or(old, |needed| old.min(needed.0)))
}

/// Forgets whole chunks, after the books as of their end are written down.
fn trim(log: &Log, data: &std::path::Path, to: Position) -> Result<(), EngineError> {
    let baseline_file = data.join(BASELINE_FILE);
    let baseline = Books::read(&baseline_file)?;
    let known = baseline
        .iter()
        .flat_map(|books| books.channels.values().filter_map(|(through, _)| *through))
        .max();
    if known.is_some_and(|known| known.next() >= to) || to <= log.journal().first_position() {
        return Ok(());
    }
    prove::advance_baseline(log, baseline, to)?.write(&baseline_file)?;
    match log.journal().trim(to) {
        Ok(trimmed) if trimmed.chunks > 0 => tracing::info!(
            chunks = trimmed.chunks,
            bytes = trimmed.bytes,
            "old messages were removed"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "old messages could not be removed"
        ),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pipehat_journal::Position;

    use super::note_time;

    const HOUR: Duration = Duration::from_secs(3600);

    fn end(number: i64) -> Position {
        Position::new(number.unsigned_abs() + 1).expect("positions start at 1")
    }

    #[test]
    fn times_are_noted_for_as_long_as_retention_goes_back() {
        let mut times = Vec::new();
        for second in 0..=100_000 {
            note_time(&mut times, second, end(second), HOUR);
        }
        // One a minute for an hour, and one before.
        assert_eq!(times.len(), 61);
        let (oldest, _) = *times.first().expect("there are some");
        assert!(oldest <= 100_000 - 3600 && oldest > 100_000 - 3600 - 60);
    }

    #[test]
    fn a_clock_set_back_notes_on() {
        let mut times = Vec::new();
        note_time(&mut times, 900_000_000, end(1), HOUR);
        note_time(&mut times, 1_000, end(2), HOUR);
        assert_eq!(times, [(1_000, end(2))]);
    }
}

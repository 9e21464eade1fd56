//! The proof that nothing is missing: the books made anew from the journal, and checked.
//!
//! Promise 4: at any instant received = delivered + filtered + parked + rejected + superseded +
//! in flight, for each channel. The totals are counted as records say they change; what is in
//! flight is counted one by one. Only if every record is there do the two agree.

use pipehat_journal::{Loss, Position};

use crate::checkpoint::Books;
use crate::ledger::{Counters, Ledger, Lost};
use crate::log::{Log, LogError};
use crate::names::ChannelName;

/// What the journal shows.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The first record read; what came before is in the baseline that retention left.
    pub from: Position,
    /// The end of what was read.
    pub through: Position,
    /// Records read.
    pub records: u64,
    /// What repairs gave up of what was read: messages nobody can account for.
    pub losses: Vec<Loss>,
    /// Each channel.
    pub channels: Vec<ChannelProof>,
}

/// One channel's proof.
#[derive(Debug, Clone)]
pub struct ChannelProof {
    /// Its name.
    pub name: ChannelName,
    /// The totals.
    pub counters: Counters,
    /// Messages that have not ended, counted one by one.
    pub in_flight: u64,
    /// Open deliveries.
    pub open_deliveries: u64,
    /// Records that do not fit what came before.
    pub anomalies: u64,
}

impl ChannelProof {
    /// Whether every message is accounted for.
    pub fn holds(&self) -> bool {
        self.anomalies == 0 && self.counters.in_flight() == self.in_flight
    }
}

impl Proof {
    /// Whether every message of every channel is accounted for.
    pub fn holds(&self) -> bool {
        self.channels.iter().all(ChannelProof::holds)
    }
}

/// Makes the books anew from the journal. Blocks on the disk; `progress` is told how many records
/// were read and how many there are.
///
/// # Errors
/// When the journal can't be read.
pub fn prove(
    log: &Log,
    baseline: Option<Books>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Proof, LogError> {
    let mut books = tracking_all(log, baseline.unwrap_or_default());
    let known = books.channels.values().filter_map(|(through, _)| *through).max();
    let from = known.map_or_else(|| log.journal().first_position(), Position::next);
    let end = log.journal().next_position();
    let records = replay(log, &mut books, from, end, progress)?;
    let channels = books
        .channels
        .into_iter()
        .map(|(name, (_, ledger))| ChannelProof {
            name,
            counters: ledger.counters,
            in_flight: ledger.in_flight_counted(),
            open_deliveries: ledger.queues.values().map(|queue| queue.depth()).sum(),
            anomalies: ledger.anomalies,
        })
        .collect();
    let losses = log.losses();
    Ok(Proof { from, through: end, records, losses, channels })
}

/// Moves a baseline up to a position, before what lies before it is forgotten.
///
/// # Errors
/// When the journal can't be read.
pub(crate) fn advance_baseline(
    log: &Log,
    baseline: Option<Books>,
    to: Position,
) -> Result<Books, LogError> {
    let mut books = tracking_all(log, baseline.unwrap_or_default());
    let known = books.channels.values().filter_map(|(through, _)| *through).max();
    let from = known.map_or_else(|| log.journal().first_position(), Position::next);
    replay(log, &mut books, from, to, &mut |_, _| ())?;
    let last = Position::new(to.get().saturating_sub(1));
    for (through, _) in books.channels.values_mut() {
        *through = last;
    }
    Ok(books)
}

fn tracking_all(log: &Log, mut books: Books) -> Books {
    books.lose(&**log.journal());
    for (_, ledger) in books.channels.values_mut() {
        ledger.open_max = usize::MAX;
    }
    books
}

fn replay(
    log: &Log,
    books: &mut Books,
    from: Position,
    to: Position,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, LogError> {
    const PROGRESS_EVERY: u64 = 10_000;
    let mut records = 0;
    let lost = std::sync::Arc::new(Lost::of(&log.journal().losses()));
    let total = to.get().saturating_sub(from.get());
    // With their bodies: a proof that passes over damage is none.
    for entry in log.records(from) {
        let (position, record) = entry?;
        if position >= to {
            break;
        }
        let channel = std::sync::Arc::clone(record.channel());
        let (_, ledger) = books.channels.entry(channel).or_insert_with(|| {
            (None, Ledger { lost: std::sync::Arc::clone(&lost), ..Ledger::tracking_all() })
        });
        ledger.apply(position, &record);
        records += 1;
        if records % PROGRESS_EVERY == 0 {
            progress(records, total);
        }
    }
    Ok(records)
}

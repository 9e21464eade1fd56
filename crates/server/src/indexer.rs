//! Follows the journal and writes the message index.
//!
//! The index is never on the path: this reads durable records, some moments after they were
//! written, on a thread of its own. Were it to fail or fall behind, messages flow on; whatever it
//! missed it reads later, for it knows how far it came.

mod identifiers;
mod texts;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::setpriority_process;
use rustix::thread::gettid;

use pipehat_engine::record::{
    Decided, Decision, Disposition, Processed, ProcessedOutcome, Received, Record, Settled,
    SettledOutcome,
};
use pipehat_engine::{Log, LogError};
use pipehat_journal::Position;
use pipehat_message::{Header, Path, Sieve};
use pipehat_store::{self as store, Change, IndexError, MessageIndex, Redacted};

use texts::Texts;

/// How long the indexer rests when there is nothing new, and gathers what is new before it writes.
const REST: Duration = Duration::from_millis(100);

/// How long it rests while it gathers: what the journal wrote this long ago is still in the caches of
/// a processor, and its memory is soon used again.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long it waits after a failure.
const PAUSE: Duration = Duration::from_secs(2);

/// How far the indexer steps back behind the path, as `nice` counts.
const NICENESS: i32 = 10;

/// Changes written in one transaction. More of them hold more of what becomes of a message: it is
/// written once, with its end, where otherwise its row is read and written again.
const CHANGES_MAX: usize = 24_000;

/// The paths each channel names for its own searches: name and path.
pub(crate) type IndexPaths = BTreeMap<Arc<str>, Vec<(Arc<str>, Path)>>;

/// The thread that follows the journal.
pub(crate) struct Indexer {
    shared: Arc<Shared>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

struct Shared {
    stop: AtomicBool,
    rebuild: AtomicBool,
    through: AtomicU64,
    paths: Mutex<Arc<IndexPaths>>,
}

impl Indexer {
    /// Starts following the journal, whose end was there when it was opened. An index that knows of
    /// records after it is not this journal's: an older one was put back, or what was in its newest
    /// chunk is lost. Then it is written anew.
    pub(crate) fn start(
        log: Log,
        opened_at: Position,
        index: impl MessageIndex + 'static,
        paths: IndexPaths,
    ) -> std::io::Result<Self> {
        let ahead = index.through().is_ok_and(|through| through >= opened_at.get());
        if ahead {
            tracing::warn!("the message index is newer than the journal and is written anew");
        }
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            rebuild: AtomicBool::new(ahead),
            through: AtomicU64::new(0),
            paths: Mutex::new(Arc::new(paths)),
        });
        let follower = Follower {
            shared: Arc::clone(&shared),
            log,
            index,
            plan: Plan::new(),
            forgotten: 1,
            entries: None,
            last: 0,
            begun: None,
            changes: Vec::new(),
        };
        let thread =
            std::thread::Builder::new().name("indexer".to_owned()).spawn(move || follower.run())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// How far the index is.
    pub(crate) fn through(&self) -> u64 {
        self.shared.through.load(Ordering::Acquire)
    }

    /// Throws the index away and writes it anew.
    pub(crate) fn rebuild(&self) {
        self.shared.rebuild.store(true, Ordering::Release);
    }

    /// Takes on changed paths, for messages that come later.
    pub(crate) fn reconfigure(&self, paths: IndexPaths) {
        *self.shared.paths.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(paths);
    }

    /// Ends the thread; blocks until it has finished its transaction.
    pub(crate) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the indexer failed");
        }
    }
}

struct Follower<I> {
    shared: Arc<Shared>,
    log: Log,
    index: I,
    plan: Plan,
    /// Messages before it are forgotten.
    forgotten: u64,
    /// Where it is in the journal; none at the start and after a failure.
    entries: Option<Entries>,
    /// The last record it has read.
    last: u64,
    /// When it read the first of what is not written yet.
    begun: Option<Instant>,
    /// What is not written yet. The room is kept while one transaction follows another.
    changes: Vec<Change>,
}

type Entries = Box<dyn Iterator<Item = Result<(Position, Record), LogError>> + Send>;

/// Why a step of the follower failed.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Log(#[from] LogError),
}

impl<I: MessageIndex> Follower<I> {
    fn run(mut self) {
        // Messages come first: where there is work for more than all processors, the index waits.
        // What it has not taken in stands in the journal, and status shows how much that is.
        if let Err(error) = setpriority_process(Some(gettid()), NICENESS) {
            tracing::debug!(%error, "the indexer keeps the priority of the path");
        }
        while !self.shared.stop.load(Ordering::Acquire) {
            let rest = match self.follow() {
                Ok(rest) => rest,
                Err(error) => {
                    self.begin_anew();
                    self.failed(&error)
                }
            };
            std::thread::park_timeout(rest);
        }
    }

    /// Tells of a failure; how long to wait after it.
    fn failed(&self, error: &FollowError) -> Duration {
        if let FollowError::Index(IndexError::Damaged(_)) = error {
            tracing::warn!("the message index is damaged and is written anew");
            self.shared.rebuild.store(true, Ordering::Release);
            return REST;
        }
        tracing::error!(
            error = error as &dyn std::error::Error,
            "the message index could not be written; trying again"
        );
        PAUSE
    }

    /// Forgets what was read and not written.
    fn begin_anew(&mut self) {
        self.entries = None;
        self.begun = None;
        self.changes.clear();
    }

    /// Reads what is new, and writes it when there is enough or the oldest of it has waited long
    /// enough; how long to rest.
    fn follow(&mut self) -> Result<Duration, FollowError> {
        if self.shared.rebuild.swap(false, Ordering::AcqRel) {
            self.begin_anew();
            self.index.clear()?;
            self.forgotten = 1;
        }
        if self.begun.is_none() {
            self.look_around()?;
        }
        let Some(mut entries) = self.entries.take() else { return Ok(REST) };
        self.read(&mut entries)?;
        self.entries = Some(entries);
        let Some(begun) = self.begun else {
            self.changes = Vec::new();
            return Ok(REST);
        };
        let full = self.changes.len() >= CHANGES_MAX;
        if !full && begun.elapsed() < REST {
            return Ok(LOOK_EVERY);
        }
        self.index.apply(&self.changes, self.last)?;
        self.shared.through.store(self.last, Ordering::Release);
        self.changes.clear();
        self.begun = None;
        Ok(if full { Duration::ZERO } else { LOOK_EVERY })
    }

    /// Between two transactions: sees what others have done to the index and the journal, and finds
    /// its place there.
    fn look_around(&mut self) -> Result<(), FollowError> {
        let through = self.index.through()?;
        self.shared.through.store(through, Ordering::Release);
        let first = self.log.journal().first_position();
        if first.get() > self.forgotten {
            self.index.forget(first.get())?;
            self.forgotten = first.get();
        }
        let from = Position::new(through).map_or(first, Position::next).max(first);
        let goes_on = through == self.last && from.get() == self.last.saturating_add(1);
        if self.entries.is_none() || !goes_on {
            self.entries = Some(Box::new(self.log.follow(from)));
            self.last = through;
        }
        Ok(())
    }

    fn read(&mut self, entries: &mut Entries) -> Result<(), FollowError> {
        let paths = Arc::clone(&self.shared.paths.lock().unwrap_or_else(PoisonError::into_inner));
        while self.changes.len() < CHANGES_MAX && !self.shared.stop.load(Ordering::Acquire) {
            let Some(entry) = entries.next() else { break };
            let (position, mut record) = entry?;
            let mut sieved = None;
            if let Record::Received(received) = &mut record
                && received.bytes.is_empty()
            {
                sieved = self.sieved(position, received, &paths)?;
            }
            self.plan.changes_of(position, &record, sieved, &paths, &mut self.changes);
            self.last = position.get();
            self.begun.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Puts into a record that came without bytes those of its segments that the index is about.
    ///
    /// A large message was left on the disk, and only passes by here: it may be longer than all
    /// else that is in memory. One that repeats another has no bytes of its own, and is found as
    /// the first is.
    fn sieved(
        &self,
        position: Position,
        received: &mut Received,
        paths: &IndexPaths,
    ) -> Result<Option<SievedFrom>, FollowError> {
        let named = paths.get(&received.channel).map_or(&[][..], Vec::as_slice);
        let mut sieve = Sieve::new(identifiers::segments(named));
        let at = received.duplicate_of.map_or(position, |original| original.0);
        let length = match self.log.fetch_in_pieces(at, &mut |piece| sieve.push(piece)) {
            Ok((Record::Received(_), length)) => length,
            // Of an original that is gone there is nothing to be found.
            Ok(_) | Err(_) if received.duplicate_of.is_some() => return Ok(None),
            Ok(_) => return Err(LogError::Kind { position }.into()),
            Err(error) => return Err(error.into()),
        };
        let sieved = sieve.finish();
        received.bytes = sieved.bytes.into();
        Ok(Some(SievedFrom { message_bytes: length, is_whole: sieved.is_whole }))
    }
}

/// What a record's bytes are of, where they are only some segments of a message.
#[derive(Debug, Clone, Copy)]
struct SievedFrom {
    message_bytes: u64,
    /// Whether all of the segments are there.
    is_whole: bool,
}

/// What the index is told of a record.
pub fn changes_of(position: Position, record: &Record) -> Vec<Change> {
    let mut changes = Vec::new();
    Plan::new().changes_of(position, record, None, &IndexPaths::new(), &mut changes);
    changes
}

/// Makes changes of records.
struct Plan {
    texts: Texts,
}

impl Plan {
    fn new() -> Self {
        Self { texts: Texts::default() }
    }

    fn changes_of(
        &mut self,
        position: Position,
        record: &Record,
        sieved: Option<SievedFrom>,
        paths: &IndexPaths,
        changes: &mut Vec<Change>,
    ) {
        match record {
            Record::Received(record) => {
                let named = paths.get(&record.channel).map_or(&[][..], Vec::as_slice);
                changes.push(Change::Received(self.received(position, record, sieved, named)));
                if let Some((code, _)) = &record.refused {
                    changes.push(Change::Processed(ended(
                        position.get(),
                        position,
                        record.at.as_microsecond(),
                        Disposition::Rejected,
                        self.texts.shared_text(code),
                    )));
                }
            }
            Record::Processed(record) => {
                changes.push(processed(position, record, &mut self.texts));
            }
            Record::Settled(record) => changes.push(settled(position, record, &mut self.texts)),
            Record::Decided(record) => changes.push(decided(position, record)),
            Record::Attempted(_) | Record::Applied(_) => {}
        }
    }

    fn received<'r>(
        &mut self,
        position: Position,
        record: &'r Received,
        sieved: Option<SievedFrom>,
        named: &[(Arc<str>, Path)],
    ) -> store::Received {
        if record.bytes.first() == Some(&b'{') && sieved.is_none() {
            return self.received_json(position, record);
        }
        let header = Header::read(&record.bytes).ok();
        let identifiers = identifiers::identifiers(&record.bytes, sieved, named);
        let channel = self.texts.shared_text(&record.channel);
        let mut text = |read: fn(&Header<'r>) -> &'r [u8]| {
            self.texts.shared(header.as_ref().map(read).unwrap_or_default())
        };
        let control_id = header.as_ref().map(Header::control_id).unwrap_or_default();
        store::Received {
            message: position.get(),
            channel,
            received_at_micros: record.at.as_microsecond(),
            bytes: u32::try_from(
                sieved.map_or(record.bytes.len() as u64, |source| source.message_bytes),
            )
            .unwrap_or(u32::MAX),
            code: text(Header::message_code),
            trigger: text(Header::trigger_event),
            structure: text(Header::message_structure),
            version: text(Header::version_id),
            control_id: Redacted::new(String::from_utf8_lossy(control_id)),
            sending_application: text(Header::sending_application),
            sending_facility: text(Header::sending_facility),
            processing_id: text(Header::processing_id),
            identifiers,
            peer: Redacted::new(peer_of(record)),
            duplicate_of: record.duplicate_of.map(|message| message.0.get()),
        }
    }

    /// A message that is JSON: the type of the resource, and its id in place of a control id.
    fn received_json(&mut self, position: Position, record: &Received) -> store::Received {
        let resource = pipehat_resource::json::parse(&record.bytes).ok();
        let resource_type = resource.as_ref().and_then(|resource| resource.resource_type());
        let id = resource.as_ref().and_then(|resource| resource.id()).unwrap_or_default();
        let none = self.texts.shared(b"");
        store::Received {
            message: position.get(),
            channel: Arc::clone(&record.channel),
            received_at_micros: record.at.as_microsecond(),
            bytes: u32::try_from(record.bytes.len()).unwrap_or(u32::MAX),
            code: self.texts.shared(resource_type.unwrap_or_default().as_bytes()),
            trigger: Arc::clone(&none),
            structure: Arc::clone(&none),
            version: Arc::clone(&none),
            control_id: Redacted::new(id),
            sending_application: Arc::clone(&none),
            sending_facility: Arc::clone(&none),
            processing_id: none,
            identifiers: Vec::new(),
            peer: Redacted::new(peer_of(record)),
            duplicate_of: record.duplicate_of.map(|message| message.0.get()),
        }
    }
}

/// Who sent it, for people.
fn peer_of(record: &Received) -> String {
    let peer = record.peer.identity.as_ref().or(record.peer.address.as_ref());
    record.peer.file.as_ref().or(peer).cloned().unwrap_or_default()
}

fn processed(position: Position, record: &Processed, texts: &mut Texts) -> Change {
    let message = record.message.0.get();
    let at = record.at.as_microsecond();
    let mut processed = match &record.outcome {
        ProcessedOutcome::Ended(end) => {
            let code = texts.shared_text(&end.code);
            ended(message, position, at, end.disposition, code)
        }
        ProcessedOutcome::Routed(outputs) => store::Processed {
            message,
            position: position.get(),
            at_micros: at,
            disposition: None,
            code: texts.shared_text(""),
            outputs: (1..)
                .zip(outputs)
                .map(|(ordinal, output)| store::Output {
                    ordinal,
                    destination: Arc::clone(&output.destination),
                })
                .collect(),
            revision: texts.shared_text(""),
        },
    };
    processed.revision = texts.revision(&record.revision);
    Change::Processed(processed)
}

fn ended(
    message: u64,
    position: Position,
    at_micros: i64,
    disposition: Disposition,
    code: Arc<str>,
) -> store::Processed {
    store::Processed {
        message,
        position: position.get(),
        at_micros,
        disposition: Some(store_disposition(disposition)),
        code,
        outputs: Vec::new(),
        revision: Arc::default(),
    }
}

fn settled(position: Position, record: &Settled, texts: &mut Texts) -> Change {
    let (outcome, code) = match &record.outcome {
        SettledOutcome::Delivered => (store::Outcome::Delivered, ""),
        SettledOutcome::Parked { code, .. } => (store::Outcome::Parked, code.as_str()),
        SettledOutcome::GivenUp { code, .. } => (store::Outcome::Discarded, code.as_str()),
    };
    Change::Settled(store::Settled {
        message: record.message.0.get(),
        position: position.get(),
        ordinal: u32::from(record.ordinal),
        destination: texts.shared_text(&record.destination),
        at_micros: record.at.as_microsecond(),
        outcome,
        code: texts.shared_text(code),
        attempts: record.attempts,
    })
}

fn decided(position: Position, record: &Decided) -> Change {
    let message = record.message.0.get();
    let at_micros = record.at.as_microsecond();
    let released = |output| {
        Change::Released(store::Released { message, position: position.get(), at_micros, output })
    };
    match &record.decision {
        Decision::Reprocess => released(None),
        Decision::Resend(delivery) => released(Some(store::Output {
            ordinal: u32::from(delivery.ordinal),
            destination: Arc::clone(&delivery.destination),
        })),
        Decision::Discard => Change::Processed(ended(
            message,
            position,
            at_micros,
            Disposition::Superseded,
            Arc::from("decided.discarded"),
        )),
        Decision::DiscardDelivery(delivery) => Change::Settled(store::Settled {
            message,
            position: position.get(),
            ordinal: u32::from(delivery.ordinal),
            destination: Arc::clone(&delivery.destination),
            at_micros,
            outcome: store::Outcome::Discarded,
            code: Arc::from("decided.discarded"),
            attempts: 0,
        }),
    }
}

fn store_disposition(disposition: Disposition) -> store::Disposition {
    match disposition {
        Disposition::Delivered => store::Disposition::Delivered,
        Disposition::Filtered => store::Disposition::Filtered,
        Disposition::Parked => store::Disposition::Parked,
        Disposition::Rejected => store::Disposition::Rejected,
        Disposition::Superseded => store::Disposition::Superseded,
    }
}

/// A revision as people see it.
pub(crate) fn short_revision(revision: &[u8; 32]) -> String {
    Texts::default().revision(revision).to_string()
}

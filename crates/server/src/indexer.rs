//! Follows the journal and writes the message index.
//!
//! The index is never on the path: this reads durable records, some moments after they were
//! written, on a thread of its own. Were it to fail or fall behind, messages flow on; whatever it
//! missed it reads later, for it knows how far it came.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::setpriority_process;
use rustix::thread::gettid;

use pipehat_dictionary::STANDARD_GROUPS;
use pipehat_engine::record::{
    Decided, Decision, Disposition, Processed, ProcessedOutcome, Received, Record, Settled,
    SettledOutcome,
};
use pipehat_engine::{Log, LogError};
use pipehat_journal::Position;
use pipehat_message::{Header, Message, Path};
use pipehat_store::{self as store, Change, IdentifierKind, IndexError, MessageIndex, Redacted};

/// How long the indexer rests when it has read everything.
const REST: Duration = Duration::from_millis(100);

/// How long it waits after a failure.
const PAUSE: Duration = Duration::from_secs(2);

/// How far the indexer steps back behind the path, as `nice` counts.
const NICENESS: i32 = 10;

/// Changes written in one transaction.
const CHANGES_MAX: usize = 8_000;

/// Identifiers taken from one message.
const IDENTIFIERS_MAX: usize = 64;

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
    /// Starts following the journal.
    pub(crate) fn start(
        log: Log,
        index: impl MessageIndex + 'static,
        paths: IndexPaths,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            rebuild: AtomicBool::new(false),
            through: AtomicU64::new(0),
            paths: Mutex::new(Arc::new(paths)),
        });
        let follower = Follower { shared: Arc::clone(&shared), log, index, plan: Plan::new() };
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
}

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
                Ok(true) => continue,
                Ok(false) => REST,
                Err(FollowError::Index(IndexError::Damaged(_))) => {
                    tracing::warn!("the message index is damaged and is written anew");
                    self.shared.rebuild.store(true, Ordering::Release);
                    REST
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the message index could not be written; trying again"
                    );
                    PAUSE
                }
            };
            std::thread::park_timeout(rest);
        }
    }

    /// Writes what is new; whether there may be more.
    fn follow(&mut self) -> Result<bool, FollowError> {
        if self.shared.rebuild.swap(false, Ordering::AcqRel) {
            self.index.clear()?;
        }
        let through = self.index.through()?;
        self.shared.through.store(through, Ordering::Release);
        let first = self.log.journal().first_position();
        let from = Position::new(through).map_or(first, Position::next).max(first);
        if from >= self.log.journal().next_position() {
            return Ok(false);
        }
        if first.get() > 1 {
            self.index.forget(first.get())?;
        }
        let paths = Arc::clone(&self.shared.paths.lock().unwrap_or_else(PoisonError::into_inner));
        let mut changes = Vec::new();
        let mut last = through;
        for entry in self.log.heads(from) {
            let (position, mut record) = entry?;
            // A large message was left on the disk: it is wanted for what it says of itself.
            if let Record::Received(received) = &record
                && received.bytes.is_empty()
                && received.duplicate_of.is_none()
            {
                record = self.log.fetch(position)?;
            }
            // One that repeats another has no bytes of its own, and is found as the first is.
            if let Record::Received(received) = &mut record
                && let Some(original) = received.duplicate_of
                && let Ok(Record::Received(first)) = self.log.fetch(original.0)
            {
                received.bytes = first.bytes;
            }
            self.plan.changes_of(position, &record, &paths, &mut changes);
            last = position.get();
            if changes.len() >= CHANGES_MAX || self.shared.stop.load(Ordering::Acquire) {
                break;
            }
        }
        self.index.apply(&changes, last)?;
        self.shared.through.store(last, Ordering::Release);
        Ok(changes.len() >= CHANGES_MAX)
    }
}

/// What the index is told of a record.
pub fn changes_of(position: Position, record: &Record) -> Vec<Change> {
    let mut changes = Vec::new();
    Plan::new().changes_of(position, record, &IndexPaths::new(), &mut changes);
    changes
}

/// The paths whose values identify a message.
struct Plan {
    identifiers: Vec<(IdentifierKind, Path)>,
}

impl Plan {
    fn new() -> Self {
        use IdentifierKind::{Accession, Order, Patient, Visit};
        let paths = [
            (Patient, "PID-2.1"),
            (Patient, "PID(*)-3[*].1"),
            (Patient, "PID-4[*].1"),
            (Patient, "MRG(*)-1[*].1"),
            (Patient, "QPD-3[*].1"),
            (Visit, "PV1-19.1"),
            (Visit, "PID-18.1"),
            (Order, "ORC(*)-2.1"),
            (Order, "ORC(*)-3.1"),
            (Order, "OBR(*)-2.1"),
            (Order, "OBR(*)-3.1"),
            (Accession, "OBR(*)-18"),
            (Order, "SCH-1.1"),
            (Order, "SCH-2.1"),
        ];
        let identifiers = paths
            .into_iter()
            .filter_map(|(kind, path)| Some((kind, Path::parse(path).ok()?)))
            .collect();
        Self { identifiers }
    }

    fn changes_of(
        &self,
        position: Position,
        record: &Record,
        paths: &IndexPaths,
        changes: &mut Vec<Change>,
    ) {
        match record {
            Record::Received(record) => {
                let named = paths.get(&record.channel).map_or(&[][..], Vec::as_slice);
                changes.push(Change::Received(self.received(position, record, named)));
                if let Some((code, _)) = &record.refused {
                    changes.push(Change::Processed(ended(
                        position.get(),
                        position,
                        record.at.as_microsecond(),
                        Disposition::Rejected,
                        code,
                    )));
                }
            }
            Record::Processed(record) => changes.push(processed(position, record)),
            Record::Settled(record) => changes.push(settled(position, record)),
            Record::Decided(record) => changes.push(decided(position, record)),
            Record::Attempted(_) | Record::Applied(_) => {}
        }
    }

    fn received(
        &self,
        position: Position,
        record: &Received,
        named: &[(Arc<str>, Path)],
    ) -> store::Received {
        let header = Header::read(&record.bytes).ok();
        let text = |read: &dyn Fn(&Header<'_>) -> Vec<u8>| -> Arc<str> {
            let bytes = header.as_ref().map(read).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into()
        };
        let peer = record.peer.identity.as_ref().or(record.peer.address.as_ref());
        let peer = record.peer.file.as_ref().or(peer).cloned().unwrap_or_default();
        store::Received {
            message: position.get(),
            channel: Arc::clone(&record.channel),
            received_at_micros: record.at.as_microsecond(),
            bytes: u32::try_from(record.bytes.len()).unwrap_or(u32::MAX),
            code: text(&|header| header.message_code().to_vec()),
            trigger: text(&|header| header.trigger_event().to_vec()),
            structure: text(&|header| header.message_structure().to_vec()),
            version: text(&|header| header.version_id().to_vec()),
            control_id: Redacted::new(&*text(&|header| header.control_id().to_vec())),
            sending_application: text(&|header| header.sending_application().to_vec()),
            sending_facility: text(&|header| header.sending_facility().to_vec()),
            processing_id: text(&|header| header.processing_id().to_vec()),
            identifiers: self.identifiers(&record.bytes, named),
            peer: Redacted::new(peer),
            duplicate_of: record.duplicate_of.map(|message| message.0.get()),
        }
    }

    fn identifiers(&self, bytes: &[u8], named: &[(Arc<str>, Path)]) -> Vec<store::Identifier> {
        let Ok(message) = Message::parse(bytes) else { return Vec::new() };
        let message = message.read_groups_with(STANDARD_GROUPS);
        let named =
            named.iter().map(|(name, path)| (IdentifierKind::Custom(Arc::clone(name)), path));
        let standard = self.identifiers.iter().map(|(kind, path)| (kind.clone(), path));
        let mut identifiers: Vec<store::Identifier> = Vec::new();
        for (kind, path) in named.chain(standard) {
            for value in message.values(path) {
                let text = String::from_utf8_lossy(&value.decoded()).trim().to_owned();
                if text.is_empty() || value.is_null() || identifiers.len() >= IDENTIFIERS_MAX {
                    continue;
                }
                let identifier =
                    store::Identifier { kind: kind.clone(), value: Redacted::new(text) };
                if !identifiers.contains(&identifier) {
                    identifiers.push(identifier);
                }
            }
        }
        identifiers
    }
}

fn processed(position: Position, record: &Processed) -> Change {
    let message = record.message.0.get();
    let at = record.at.as_microsecond();
    let mut processed = match &record.outcome {
        ProcessedOutcome::Ended(end) => ended(message, position, at, end.disposition, &end.code),
        ProcessedOutcome::Routed(outputs) => store::Processed {
            message,
            position: position.get(),
            at_micros: at,
            disposition: None,
            code: Arc::from(""),
            outputs: (1..)
                .zip(outputs)
                .map(|(ordinal, output)| store::Output {
                    ordinal,
                    destination: Arc::clone(&output.destination),
                })
                .collect(),
            revision: Arc::from(""),
        },
    };
    processed.revision = short_revision(&record.revision).into();
    Change::Processed(processed)
}

fn ended(
    message: u64,
    position: Position,
    at_micros: i64,
    disposition: Disposition,
    code: &str,
) -> store::Processed {
    store::Processed {
        message,
        position: position.get(),
        at_micros,
        disposition: Some(store_disposition(disposition)),
        code: Arc::from(code),
        outputs: Vec::new(),
        revision: Arc::from(""),
    }
}

fn settled(position: Position, record: &Settled) -> Change {
    let (outcome, code) = match &record.outcome {
        SettledOutcome::Delivered => (store::Outcome::Delivered, ""),
        SettledOutcome::Parked { code, .. } => (store::Outcome::Parked, code.as_str()),
    };
    Change::Settled(store::Settled {
        message: record.message.0.get(),
        position: position.get(),
        ordinal: u32::from(record.ordinal),
        destination: Arc::clone(&record.destination),
        at_micros: record.at.as_microsecond(),
        outcome,
        code: Arc::from(code),
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
            "decided.discarded",
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

/// A revision as people see it: 12 hexadecimal digits.
pub(crate) fn short_revision(revision: &[u8; 32]) -> String {
    revision.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

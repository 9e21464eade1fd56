//! A journal in memory, for tests of what stands on journals.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    AppendError, Body, Durable, Entry, Flush, Journal, NewRecord, Position, ReadError, Records,
    Statistics, StoredBody, TrimError, Trimmed, Turn,
    file::refusal,
    queue::{Queue, Waiting},
    record::{self, Placement},
    writer::BODY_PIECE_BYTES,
};

/// Keeps records as long as it lives, and answers as [`FileJournal`](crate::FileJournal) does: on
/// a writer's thread, in order, large bodies only when asked for. It trims record by record.
pub struct MemoryJournal {
    shared: Arc<Shared>,
    waiting_bytes_max: usize,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    queue: Queue,
    kept: Mutex<Kept>,
}

struct Kept {
    entries: BTreeMap<Position, Entry>,
    stored: BTreeMap<(Position, u64), Bytes>,
    next: Position,
    failure: Option<AppendError>,
    statistics: Statistics,
}

impl MemoryJournal {
    /// An empty journal whose waiting appends are hardly bounded.
    pub fn new() -> MemoryJournal {
        MemoryJournal::with_waiting_bytes_max(256 * 1024 * 1024)
    }

    /// An empty journal that refuses appends while so many bytes wait.
    pub fn with_waiting_bytes_max(waiting_bytes_max: usize) -> MemoryJournal {
        let shared = Arc::new(Shared {
            queue: Queue::new(waiting_bytes_max, 8 * 1024 * 1024, Duration::from_millis(20)),
            kept: Mutex::new(Kept {
                entries: BTreeMap::new(),
                stored: BTreeMap::new(),
                next: Position::FIRST,
                failure: None,
                statistics: Statistics::default(),
            }),
        });
        let writer = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.run()
        });
        MemoryJournal { shared, waiting_bytes_max, writer: Mutex::new(Some(writer)) }
    }

    /// From now on answers appends with this error, or takes them again.
    pub fn fail_with(&self, failure: Option<AppendError>) {
        self.shared.kept().failure = failure;
    }
}

impl Default for MemoryJournal {
    fn default() -> Self {
        MemoryJournal::new()
    }
}

impl Shared {
    fn run(&self) {
        while let Some(appends) = self.queue.take(Duration::ZERO) {
            self.kept().statistics.groups += 1;
            for append in appends {
                self.queue.release(append.bytes);
                let failure = append
                    .refused
                    .or_else(|| self.queue.fail(&append.turn, || self.kept().failure.clone()));
                let answer = match failure {
                    Some(error) => Err(error),
                    None => Ok(self.kept().keep(append.records)),
                };
                if panic::catch_unwind(AssertUnwindSafe(|| (append.done)(answer))).is_err() {
                    tracing::error!("a completion of a journal append panicked");
                }
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn keep(&mut self, records: Vec<NewRecord>) -> Position {
        let first = self.next;
        for record in records {
            let position = self.next;
            let bodies = record::placement(&record.bodies).zip(0_u64..).map(|found| match found {
                ((bytes, Placement::Inline), _) => Body::Inline(bytes.clone()),
                ((bytes, Placement::Stored), offset) => {
                    self.stored.insert((position, offset), bytes.clone());
                    let length = bytes.len() as u64;
                    Body::Stored(StoredBody { position, chunk: Position::FIRST, offset, length })
                }
            });
            let bodies: Vec<Body> = bodies.collect();
            self.statistics.records += 1;
            self.statistics.payload_bytes +=
                record.head.len() as u64 + bodies.iter().map(Body::len).sum::<u64>();
            let head = Bytes::from(record.head);
            self.entries.insert(position, Entry { position, kind: record.kind, head, bodies });
            self.next = position.next();
        }
        first
    }

    fn first(&self) -> Position {
        self.entries.keys().next().copied().unwrap_or(self.next)
    }

    fn fetch(&self, at: Position) -> Result<Entry, ReadError> {
        match self.entries.get(&at) {
            Some(entry) => Ok(entry.clone()),
            None if at >= self.next => Err(ReadError::NotWritten { position: at }),
            None => Err(ReadError::Trimmed { position: at }),
        }
    }
}

impl Journal for MemoryJournal {
    fn append_in_turn(&self, records: Vec<NewRecord>, flush: Flush, turn: Turn, done: Durable) {
        let bytes = records.iter().fold(0, |sum: usize, record| sum.saturating_add(record.bytes()));
        let refused = refusal(&records, bytes, self.waiting_bytes_max);
        let append = Waiting { records, bytes, refused, turn, done };
        if let Err(append) = self.shared.queue.push(append, flush) {
            (append.done)(Err(AppendError::Closed));
        }
    }

    fn next_position(&self) -> Position {
        self.shared.kept().next
    }

    fn first_position(&self) -> Position {
        self.shared.kept().first()
    }

    fn read(&self, from: Position) -> Records {
        let shared = Arc::clone(&self.shared);
        let (mut next, mut failed) = (from, false);
        Box::new(std::iter::from_fn(move || {
            if failed {
                return None;
            }
            match shared.kept().fetch(next) {
                Ok(entry) => {
                    next = next.next();
                    Some(Ok(entry))
                }
                Err(ReadError::NotWritten { .. }) => None,
                Err(error) => {
                    failed = true;
                    Some(Err(error))
                }
            }
        }))
    }

    fn fetch(&self, at: Position) -> Result<Entry, ReadError> {
        self.shared.kept().fetch(at)
    }

    fn load(&self, body: &Body) -> Result<Bytes, ReadError> {
        match body {
            Body::Inline(bytes) => Ok(bytes.clone()),
            Body::Stored(StoredBody { position, offset, .. }) => {
                let kept = self.shared.kept();
                let stored = kept.stored.get(&(*position, *offset)).cloned();
                stored.ok_or(ReadError::Trimmed { position: *position })
            }
        }
    }

    fn load_pieces(
        &self,
        body: &Body,
        take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        for piece in self.load(body)?.chunks(BODY_PIECE_BYTES) {
            if take(piece).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn trim(&self, before: Position) -> Result<Trimmed, TrimError> {
        let mut kept = self.shared.kept();
        let before = before.min(kept.next);
        kept.entries = kept.entries.split_off(&before);
        kept.stored = kept.stored.split_off(&(before, 0));
        Ok(Trimmed { chunks: 0, bytes: 0, first_position: kept.first() })
    }

    fn statistics(&self) -> Statistics {
        let waiting_bytes = self.shared.queue.waiting_bytes() as u64;
        Statistics { waiting_bytes, ..self.shared.kept().statistics.clone() }
    }

    fn close(&self) {
        self.shared.queue.close();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && writer.thread().id() != thread::current().id()
            && writer.join().is_err()
        {
            tracing::error!("the journal's writer panicked");
        }
    }
}

impl Drop for MemoryJournal {
    fn drop(&mut self) {
        self.close();
    }
}

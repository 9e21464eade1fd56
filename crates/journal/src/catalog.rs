//! Which chunks there are, how far they are durable, and what was just written: shared by the
//! writer and all readers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{Position, chunk::Chunk, recent::Recent};

pub(crate) struct Catalog {
    chunks: RwLock<BTreeMap<Position, Arc<Chunk>>>,
    next_position: AtomicU64,
    pub(crate) recent: Recent,
}

impl Catalog {
    pub(crate) fn new(chunks: Vec<Arc<Chunk>>, next_position: Position) -> Catalog {
        let chunks = chunks.into_iter().map(|chunk| (chunk.first_position(), chunk)).collect();
        Catalog {
            chunks: RwLock::new(chunks),
            next_position: AtomicU64::new(next_position.get()),
            recent: Recent::default(),
        }
    }

    /// The durable end. Whoever reads it first and a chunk's end after sees all groups before it.
    pub(crate) fn next_position(&self) -> Position {
        Position::new(self.next_position.load(Ordering::Acquire)).unwrap_or(Position::FIRST)
    }

    pub(crate) fn set_next_position(&self, next: Position) {
        self.next_position.store(next.get(), Ordering::Release);
    }

    pub(crate) fn first_position(&self) -> Position {
        let first = self.read().keys().next().copied();
        let next = self.next_position();
        first.map_or(next, |first| first.min(next))
    }

    /// The chunk that holds this position, were it kept.
    pub(crate) fn chunk_of(&self, position: Position) -> Option<Arc<Chunk>> {
        self.read().range(..=position).next_back().map(|(_, chunk)| Arc::clone(chunk))
    }

    /// The chunk that begins exactly there.
    pub(crate) fn chunk_at(&self, first: Position) -> Option<Arc<Chunk>> {
        self.read().get(&first).cloned()
    }

    /// The chunk after the one that begins there.
    pub(crate) fn chunk_after(&self, first: Position) -> Option<Arc<Chunk>> {
        self.read().range(first.next()..).next().map(|(_, chunk)| Arc::clone(chunk))
    }

    pub(crate) fn add(&self, chunk: Arc<Chunk>) {
        self.write().insert(chunk.first_position(), chunk);
    }

    pub(crate) fn remove(&self, first: Position) {
        self.write().remove(&first);
    }

    pub(crate) fn all(&self) -> Vec<Arc<Chunk>> {
        self.read().values().cloned().collect()
    }

    /// The oldest chunk, when all of it lies before `before` and it is not the newest.
    pub(crate) fn oldest_below(&self, before: Position) -> Option<Arc<Chunk>> {
        let chunks = self.read();
        let mut chunks = chunks.values();
        let (oldest, following) = (chunks.next()?, chunks.next()?);
        (following.first_position() <= before).then(|| Arc::clone(oldest))
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Position, Arc<Chunk>>> {
        self.chunks.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Position, Arc<Chunk>>> {
        self.chunks.write().unwrap_or_else(PoisonError::into_inner)
    }
}

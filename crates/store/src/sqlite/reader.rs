//! A read connection, what it keeps at hand, and a pool of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering};

use rusqlite::{Connection, Transaction};

use super::{
    names::ReaderNames,
    open::{Location, open_reader},
    seal::Opener,
};
use crate::{IndexError, keys::Hasher};

/// How many connections stay open when nobody searches.
const IDLE_READERS_MAX: usize = 2;

pub(super) struct Reader {
    generation: u64,
    connection: Connection,
    pub(super) decoder: Decoder,
}

/// What a reader needs beside its connection.
pub(super) struct Decoder {
    pub(super) hasher: Hasher,
    pub(super) opener: Opener,
    pub(super) names: ReaderNames,
}

impl Reader {
    /// A transaction, so that all of a search sees one state, and what decodes its rows.
    pub(super) fn begin(&mut self) -> Result<(Transaction<'_>, &mut Decoder), IndexError> {
        Ok((self.connection.transaction()?, &mut self.decoder))
    }
}

/// Connections for reading. Each search has one for itself; more are opened when all are busy.
pub(super) struct ReaderPool {
    location: Arc<Location>,
    idle: Mutex<Vec<Reader>>,
}

impl ReaderPool {
    pub(super) fn new(location: Arc<Location>) -> ReaderPool {
        ReaderPool { location, idle: Mutex::new(Vec::new()) }
    }

    /// Runs this with a reader. One whose work failed is not used again.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&mut Reader) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        let mut reader = self.take()?;
        let answer = work(&mut reader)?;
        let mut idle = self.idle();
        if reader.generation == self.generation() && idle.len() < IDLE_READERS_MAX {
            idle.push(reader);
        }
        Ok(answer)
    }

    fn take(&self) -> Result<Reader, IndexError> {
        // Read before opening: a reader of files replaced meanwhile is then taken for stale.
        let generation = self.generation();
        {
            let mut idle = self.idle();
            idle.retain(|reader| reader.generation == generation);
            if let Some(reader) = idle.pop() {
                return Ok(reader);
            }
        }
        let keys = &self.location.keys;
        let decoder = Decoder {
            hasher: Hasher::new(keys),
            opener: Opener::new(keys.clone()),
            names: ReaderNames::new(),
        };
        Ok(Reader { generation, connection: open_reader(&self.location)?, decoder })
    }

    fn generation(&self) -> u64 {
        self.location.generation.load(Ordering::Acquire)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Reader>> {
        // Nothing is left half done under this lock.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Groups written a moment ago, as they were before they were compressed and sealed.
//!
//! Whoever follows the journal reads what has just been written. Reading it back, checking, opening
//! and expanding it takes about as long as writing it did, so some of it is kept until it is read,
//! or until newer groups take its room. It is only a short cut: what is not here is read from the
//! disk.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{Position, group::Link, read::Group};

/// How much is kept: at 50,000 messages of 2 KB a second, 70 ms.
const RECENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A durable group of records.
pub(crate) struct RecentGroup {
    pub(crate) group: Arc<Group>,
    /// Where the next one begins.
    pub(crate) end: u64,
    pub(crate) previous: Link,
    pub(crate) link: Link,
}

/// Those that are kept, in the order of the journal.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Groups>);

#[derive(Default)]
struct Groups {
    groups: VecDeque<RecentGroup>,
    bytes: usize,
}

impl Groups {
    fn pop(&mut self) -> Option<RecentGroup> {
        let oldest = self.groups.pop_front()?;
        self.bytes = self.bytes.saturating_sub(oldest.group.bytes());
        Some(oldest)
    }
}

impl Recent {
    /// Adds groups that have become durable. The writer never waits for a reader: while one looks,
    /// they are not kept.
    pub(crate) fn add(&self, groups: impl Iterator<Item = RecentGroup>) {
        let Ok(mut recent) = self.0.try_lock() else { return };
        for group in groups {
            recent.bytes = recent.bytes.saturating_add(group.group.bytes());
            recent.groups.push_back(group);
        }
        while recent.bytes > RECENT_BYTES_MAX && recent.pop().is_some() {}
    }

    /// Takes the group that begins there in a chunk, and forgets those before it: who follows the
    /// journal has read them.
    pub(crate) fn take(&self, chunk: Position, offset: u64) -> Option<RecentGroup> {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = |kept: &RecentGroup| kept.group.place();
        let at = recent.groups.binary_search_by_key(&(chunk, offset), place).ok()?;
        let passed: Vec<RecentGroup> = (0..at).filter_map(|_| recent.pop()).collect();
        let found = recent.pop();
        // To free them takes longer than all of the above.
        drop(recent);
        drop(passed);
        found
    }

    /// How much is kept.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}

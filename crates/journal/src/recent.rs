//! Groups written a moment ago, as they were before they were compressed and sealed.
//!
//! Whoever follows the journal reads what has just been written. Reading it back, checking, opening
//! and expanding it takes about as long as writing it did, so some of it is kept until it is read,
//! or until newer groups take its room, and none while nobody follows. It is only a short cut: what
//! is not here is read from the disk.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{Position, catalog::Catalog, group::Link, read::Group};

/// How much is kept: at 50,000 messages of 2 KB a second, 70 ms.
const RECENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How much memory of groups that are done with is kept for the next ones.
const ROOM_BYTES_MAX: usize = 4 * 1024 * 1024;

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
pub(crate) struct Recent {
    followers: AtomicUsize,
    groups: Mutex<Groups>,
    rooms: Mutex<Rooms>,
}

/// One who follows. While there is one, groups are kept.
pub(crate) struct Follower(Arc<Catalog>);

impl Follower {
    pub(crate) fn new(catalog: &Arc<Catalog>) -> Follower {
        catalog.recent.followers.fetch_add(1, Ordering::Relaxed);
        Follower(Arc::clone(catalog))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let recent = &self.0.recent;
        if recent.followers.fetch_sub(1, Ordering::Relaxed) == 1 {
            *lock(&recent.groups) = Groups::default();
            *lock(&recent.rooms) = Rooms::default();
        }
    }
}

#[derive(Default)]
struct Groups {
    groups: VecDeque<RecentGroup>,
    bytes: usize,
}

/// Memory to be used again: to ask for new memory for each group, and to give it back on another
/// thread, costs as much as filling it.
#[derive(Default)]
struct Rooms {
    rooms: Vec<Vec<u8>>,
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
    /// Whether anybody follows.
    pub(crate) fn is_followed(&self) -> bool {
        self.followers.load(Ordering::Relaxed) > 0
    }

    /// Adds groups that have become durable. The writer never waits for a reader: while one looks,
    /// they are not kept.
    pub(crate) fn add(&self, groups: impl Iterator<Item = RecentGroup>) {
        if !self.is_followed() {
            return;
        }
        let Ok(mut recent) = self.groups.try_lock() else { return };
        for group in groups {
            recent.bytes = recent.bytes.saturating_add(group.group.bytes());
            recent.groups.push_back(group);
        }
        while recent.bytes > RECENT_BYTES_MAX
            && let Some(passed) = recent.pop()
        {
            self.done(passed.group);
        }
    }

    /// Takes back the memory of a group that is done with.
    pub(crate) fn done(&self, group: Arc<Group>) {
        let Some(room) = Arc::into_inner(group).and_then(Group::into_room) else { return };
        let mut rooms = lock(&self.rooms);
        if rooms.bytes.saturating_add(room.capacity()) <= ROOM_BYTES_MAX {
            rooms.bytes = rooms.bytes.saturating_add(room.capacity());
            rooms.rooms.push(room);
        }
    }

    /// Memory for a group: some that was used before, if there is any.
    pub(crate) fn room(&self) -> Vec<u8> {
        let mut rooms = lock(&self.rooms);
        let room = rooms.rooms.pop().unwrap_or_default();
        rooms.bytes = rooms.bytes.saturating_sub(room.capacity());
        room
    }

    /// Takes the group that begins there in a chunk, and forgets those before it: who follows the
    /// journal has read them.
    pub(crate) fn take(&self, chunk: Position, offset: u64) -> Option<RecentGroup> {
        let mut recent = lock(&self.groups);
        let place = |kept: &RecentGroup| kept.group.place();
        let at = recent.groups.binary_search_by_key(&(chunk, offset), place).ok()?;
        let passed: Vec<RecentGroup> = (0..at).filter_map(|_| recent.pop()).collect();
        let found = recent.pop();
        // To free them takes longer than all of the above.
        drop(recent);
        passed.into_iter().for_each(|passed| self.done(passed.group));
        found
    }

    /// How much is kept.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        lock(&self.groups).bytes
    }
}

/// Nothing is left half done by one who panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

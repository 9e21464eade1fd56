//! Reading durable records, in order or singly, while the writer writes.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use crate::{
    Body, Damage, Entry, KeyRing, Position, ReadError, StoredBody,
    catalog::Catalog,
    chunk::{CHUNK_HEADER_BYTES, Chunk},
    cursor::Cursor,
    group::{GROUP_HEADER_BYTES, GroupHeader, GroupKind, Link, OpenGroup},
    recent::{Follower, RecentGroup},
    record,
    seal::Opener,
    window::Window,
};

/// One group in so many bytes of a chunk is remembered: a journal of ten million messages of 2 KB
/// costs about 3 MB, and finding a record reads at most this much.
const INDEX_STEP_BYTES: u64 = 128 * 1024;

/// Expanded groups that are kept, because neighbours are fetched together.
const CACHED_GROUPS_MAX: usize = 16;
const CACHED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What all readers of a journal share.
pub(crate) struct Reader {
    catalog: Arc<Catalog>,
    keys: Option<KeyRing>,
    indexes: Mutex<BTreeMap<Position, Index>>,
    cache: Mutex<Cache>,
}

/// Some of a chunk's groups by position, filled as far as anybody has looked.
struct Index {
    entries: Vec<(Position, u64)>,
    reached: u64,
}

#[derive(Default)]
struct Cache {
    groups: VecDeque<Arc<Group>>,
    bytes: usize,
}

/// A group's records, expanded and checked.
pub(crate) struct Group {
    chunk: Position,
    offset: u64,
    first: Position,
    plain: Bytes,
    /// Where each record's content stands.
    contents: Vec<(u32, u32)>,
}

/// What an entry keeps in memory.
#[derive(Clone, Copy)]
pub(crate) enum Holds {
    /// A copy of its own: one that is kept costs what it has.
    Itself,
    /// The group around it, which costs nothing if it is let go of soon.
    Group,
}

impl Group {
    fn new(
        chunk: Position,
        offset: u64,
        header: &GroupHeader,
        plain: Vec<u8>,
    ) -> Result<Group, Damage> {
        let first = Position::new(header.first_position).ok_or(Damage::Record)?;
        let mut cursor = Cursor::new(&plain);
        let mut contents = Vec::with_capacity(plain.len().min(header.count as usize));
        let mut position = first;
        for _ in 0..header.count {
            let content = record::split(&mut cursor, position)?;
            let end = plain.len() - cursor.remaining();
            contents.push(((end - content.len()) as u32, content.len() as u32));
            position = position.next();
        }
        if cursor.remaining() > 0 {
            return Err(Damage::Record);
        }
        Ok(Group { chunk, offset, first, plain: plain.into(), contents })
    }

    /// A group as it was written, with the places of its records' contents.
    pub(crate) fn written(
        chunk: Position,
        offset: u64,
        first: Position,
        plain: Vec<u8>,
        contents: Vec<(u32, u32)>,
    ) -> Group {
        Group { chunk, offset, first, plain: plain.into(), contents }
    }

    /// The memory of a group that is done with, to be used again if nothing else refers to it.
    pub(crate) fn into_room(self) -> Option<Vec<u8>> {
        let mut room = self.plain.try_into_mut().ok()?;
        room.clear();
        Some(room.into())
    }

    /// Its chunk, and where it begins there.
    pub(crate) fn place(&self) -> (Position, u64) {
        (self.chunk, self.offset)
    }

    /// What it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.plain.len() + self.contents.capacity() * size_of::<(u32, u32)>()
    }

    /// The position after its last record.
    fn next_position(&self) -> Position {
        self.first.after(self.contents.len() as u64)
    }

    fn holds(&self, position: Position) -> bool {
        (self.first..self.next_position()).contains(&position)
    }

    fn damaged(&self, damage: Damage) -> ReadError {
        ReadError::Damaged { chunk: self.chunk.get(), offset: self.offset, damage }
    }

    /// The record with this position; `None` when it is not in the group.
    fn entry(&self, position: Position, holds: Holds) -> Option<Result<Entry, Damage>> {
        let place = position.get().checked_sub(self.first.get())?;
        let (start, length) = self.contents.get(usize::try_from(place).ok()?)?;
        let content = self.plain.get(*start as usize..)?.get(..*length as usize)?;
        Some(match holds {
            Holds::Itself => record::decode(content, position, self.chunk, Bytes::copy_from_slice),
            Holds::Group => {
                record::decode(content, position, self.chunk, |part| self.plain.slice_ref(part))
            }
        })
    }
}

impl Reader {
    pub(crate) fn new(catalog: Arc<Catalog>, keys: Option<KeyRing>) -> Reader {
        Reader { catalog, keys, indexes: Mutex::default(), cache: Mutex::default() }
    }

    pub(crate) fn fetch(&self, at: Position) -> Result<Entry, ReadError> {
        if at < self.catalog.first_position() {
            return Err(ReadError::Trimmed { position: at });
        }
        let group = match self.cached(at) {
            Some(group) => group,
            None => {
                let (chunk, offset) = self.locate(at)?;
                let mut walk = Walk::new(&chunk, offset)
                    .map_err(|error| trimmed_meanwhile(error, &self.catalog, at))?;
                let header = walk.header()?.ok_or_else(|| walk.damaged(Damage::GroupHeader))?;
                let mut opener = Opener::new(self.keys.clone());
                let group = Arc::new(walk.records(&header, &mut opener)?);
                self.remember(&group);
                group
            }
        };
        match group.entry(at, Holds::Itself) {
            Some(entry) => entry.map_err(|damage| group.damaged(damage)),
            None => Err(group.damaged(Damage::Record)),
        }
    }

    pub(crate) fn load(&self, body: &Body) -> Result<Bytes, ReadError> {
        match body {
            Body::Inline(bytes) => Ok(bytes.clone()),
            Body::Stored(stored) => self.load_stored(stored),
        }
    }

    pub(crate) fn load_pieces(
        &self,
        body: &Body,
        take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let stored = match body {
            Body::Inline(bytes) => {
                // There is no next piece that a break could stop.
                let _ = take(bytes);
                return Ok(());
            }
            Body::Stored(stored) => stored,
        };
        let chunk = self.chunk_of(stored)?;
        let walk = self.walk_to(stored, &chunk)?;
        read_pieces(walk, stored, &mut Opener::new(self.keys.clone()), take)
    }

    fn load_stored(&self, body: &StoredBody) -> Result<Bytes, ReadError> {
        let chunk = self.chunk_of(body)?;
        let walk = self.walk_to(body, &chunk)?;
        read_body(walk, body, &mut Opener::new(self.keys.clone()))
    }

    fn chunk_of(&self, body: &StoredBody) -> Result<Arc<Chunk>, ReadError> {
        let trimmed = ReadError::Trimmed { position: body.position };
        self.catalog.chunk_at(body.chunk).ok_or(trimmed)
    }

    fn walk_to<'c>(&self, body: &StoredBody, chunk: &'c Chunk) -> Result<Walk<'c>, ReadError> {
        Walk::new(chunk, body.offset)
            .map_err(|error| trimmed_meanwhile(error, &self.catalog, body.position))
    }

    /// The chunk that holds a durable record, and the offset of its group.
    fn locate(&self, at: Position) -> Result<(Arc<Chunk>, u64), ReadError> {
        if at >= self.catalog.next_position() {
            return Err(ReadError::NotWritten { position: at });
        }
        let chunk = self.catalog.chunk_of(at).ok_or(ReadError::Trimmed { position: at })?;
        let start = self
            .indexed(&chunk, at)
            .map_err(|error| trimmed_meanwhile(error, &self.catalog, at))?;
        let mut walk = Walk::new(&chunk, start)
            .map_err(|error| trimmed_meanwhile(error, &self.catalog, at))?;
        while let Some(header) = walk.header()? {
            if header.kind == GroupKind::Records && header.next_position() > at.get() {
                if header.first_position > at.get() {
                    return Err(self.absent(&chunk, at, walk.offset));
                }
                let offset = walk.offset;
                return Ok((chunk, offset));
            }
            walk.skip(&header);
        }
        Err(self.absent(&chunk, at, walk.offset))
    }

    /// Why a durable position is in no group.
    fn absent(&self, chunk: &Chunk, position: Position, offset: u64) -> ReadError {
        let following = self.catalog.chunk_after(chunk.first_position());
        let repaired = chunk.header.repaired.is_some()
            || following.is_some_and(|following| following.header.repaired.is_some());
        if repaired { ReadError::Lost { position } } else { damaged(chunk, offset, Damage::Link) }
    }

    /// A group at or before the one that holds the position.
    fn indexed(&self, chunk: &Chunk, at: Position) -> Result<u64, ReadError> {
        let start = CHUNK_HEADER_BYTES as u64;
        let mut indexes = lock(&self.indexes);
        let index = indexes
            .entry(chunk.first_position())
            .or_insert_with(|| Index { entries: Vec::new(), reached: start });
        if index.reached < chunk.end() {
            index.extend(chunk)?;
        }
        let following = index.entries.partition_point(|(first, _)| *first <= at);
        let before = following.checked_sub(1).and_then(|before| index.entries.get(before));
        Ok(before.map_or(start, |(_, offset)| *offset))
    }

    pub(crate) fn forget(&self, chunk: Position) {
        lock(&self.indexes).remove(&chunk);
    }

    fn cached(&self, at: Position) -> Option<Arc<Group>> {
        let mut cache = lock(&self.cache);
        let place = cache.groups.iter().position(|group| group.holds(at))?;
        let found = cache.groups.remove(place)?;
        cache.groups.push_back(Arc::clone(&found));
        Some(found)
    }

    fn remember(&self, group: &Arc<Group>) {
        let mut cache = lock(&self.cache);
        if cache.groups.iter().any(|other| other.holds(group.first)) {
            return;
        }
        cache.bytes += group.plain.len();
        cache.groups.push_back(Arc::clone(group));
        while cache.groups.len() > CACHED_GROUPS_MAX || cache.bytes > CACHED_BYTES_MAX {
            let Some(dropped) = cache.groups.pop_front() else { break };
            cache.bytes -= dropped.plain.len();
        }
    }

    /// How many groups are remembered in indexes.
    #[cfg(test)]
    pub(crate) fn indexed_groups(&self) -> usize {
        lock(&self.indexes).values().map(|index| index.entries.len()).sum()
    }
}

impl Index {
    fn extend(&mut self, chunk: &Chunk) -> Result<(), ReadError> {
        let mut walk = Walk::new(chunk, self.reached)?;
        while let Some(header) = walk.header()? {
            let far = self
                .entries
                .last()
                .is_none_or(|(_, last)| walk.offset.saturating_sub(*last) >= INDEX_STEP_BYTES);
            if far && let Some(first) = Position::new(header.first_position) {
                self.entries.push((first, walk.offset));
            }
            walk.skip(&header);
            self.reached = walk.offset;
        }
        Ok(())
    }
}

/// A walk over a chunk's groups, up to where they are durable.
pub(crate) struct Walk<'a> {
    chunk: &'a Chunk,
    window: Window,
    pub(crate) offset: u64,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(chunk: &'a Chunk, offset: u64) -> Result<Walk<'a>, ReadError> {
        let file = chunk.open().map_err(|source| io_error(chunk, source))?;
        Ok(Walk { chunk, window: Window::new(Arc::new(file)), offset })
    }

    fn resume(chunk: &'a Chunk, window: Window, offset: u64) -> Walk<'a> {
        Walk { chunk, window, offset }
    }

    /// The header of the group here; `None` at the durable end.
    pub(crate) fn header(&mut self) -> Result<Option<GroupHeader>, ReadError> {
        let end = self.chunk.end();
        if self.offset >= end {
            return Ok(None);
        }
        let bytes = self
            .window
            .range(self.offset, GROUP_HEADER_BYTES, end)
            .map_err(|source| io_error(self.chunk, source))?;
        let header = bytes
            .and_then(|bytes| bytes.first_chunk())
            .and_then(|bytes| GroupHeader::decode(bytes, self.chunk.header.chunk_id))
            .filter(|header| header.key_id == self.chunk.header.key_id);
        match header {
            Some(header) => Ok(Some(header)),
            None => Err(self.damaged(Damage::GroupHeader)),
        }
    }

    pub(crate) fn skip(&mut self, header: &GroupHeader) {
        self.offset = self.offset.saturating_add(header.group_bytes());
    }

    pub(crate) fn payload(&mut self, header: &GroupHeader) -> Result<&[u8], ReadError> {
        let start = self.offset.saturating_add(GROUP_HEADER_BYTES as u64);
        let limit = self.chunk.end();
        let (chunk, offset) = (self.chunk, self.offset);
        self.window
            .range(start, header.payload_bytes as usize, limit)
            .map_err(|source| io_error(chunk, source))?
            .ok_or(damaged(chunk, offset, Damage::Shortened))
    }

    /// The group's payload, opened and expanded, and its link.
    pub(crate) fn open(
        &mut self,
        header: &GroupHeader,
        opener: &mut Opener,
    ) -> Result<(Vec<u8>, Link), ReadError> {
        let (chunk, offset) = (self.chunk, self.offset);
        let payload = self.payload(header)?;
        let plain = header.open(payload, opener).map_err(|error| match error {
            OpenGroup::Damaged(damage) => damaged(chunk, offset, damage),
            OpenGroup::MissingKey { key_id } => ReadError::MissingKey { key_id },
        })?;
        let link = header.link(payload);
        Ok((plain, link))
    }

    fn records(&mut self, header: &GroupHeader, opener: &mut Opener) -> Result<Group, ReadError> {
        let (plain, _) = self.open(header, opener)?;
        Group::new(self.chunk.first_position(), self.offset, header, plain)
            .map_err(|damage| self.damaged(damage))
    }

    fn damaged(&self, damage: Damage) -> ReadError {
        damaged(self.chunk, self.offset, damage)
    }
}

/// Puts a stored body together.
pub(crate) fn read_body(
    walk: Walk<'_>,
    body: &StoredBody,
    opener: &mut Opener,
) -> Result<Bytes, ReadError> {
    // A piece of LZ4 expands to at most 255 times its size: no damaged length allocates more.
    let most = walk.chunk.end().saturating_sub(body.offset).saturating_mul(255);
    let mut bytes = Vec::with_capacity(usize::try_from(body.length.min(most)).unwrap_or(0));
    read_pieces(walk, body, opener, &mut |piece| {
        bytes.extend_from_slice(piece);
        ControlFlow::Continue(())
    })?;
    Ok(Bytes::from(bytes))
}

/// Gives a stored body piece by piece, as far as they are wanted. Never gives more bytes than the
/// body has.
fn read_pieces(
    mut walk: Walk<'_>,
    body: &StoredBody,
    opener: &mut Opener,
    take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    let mut left = body.length;
    let mut follows: Option<Link> = None;
    while left > 0 {
        let header = walk.header()?.ok_or_else(|| walk.damaged(Damage::Body))?;
        let chained = follows.is_none_or(|link| link == header.previous);
        if header.kind != GroupKind::BodyPiece || !chained {
            return Err(walk.damaged(Damage::Body));
        }
        let (piece, link) = walk.open(&header, opener)?;
        let fits = left.checked_sub(piece.len() as u64).filter(|_| !piece.is_empty());
        left = fits.ok_or_else(|| walk.damaged(Damage::Body))?;
        if take(&piece).is_break() {
            return Ok(());
        }
        follows = Some(link);
        walk.skip(&header);
    }
    Ok(())
}

/// The iterator behind [`Journal::read`](crate::Journal::read).
pub(crate) struct InOrder {
    reader: Arc<Reader>,
    opener: Opener,
    next: Position,
    place: Option<Place>,
    group: Option<Arc<Group>>,
    /// One who follows takes what was just written from memory.
    follower: Option<Follower>,
    failed: bool,
}

/// Where in which chunk the iterator is, and the link that the next group must name, if known.
struct Place {
    chunk: Arc<Chunk>,
    window: Window,
    offset: u64,
    link: Option<Link>,
}

impl InOrder {
    pub(crate) fn new(reader: Arc<Reader>, from: Position) -> InOrder {
        let opener = Opener::new(reader.keys.clone());
        InOrder {
            reader,
            opener,
            next: from,
            place: None,
            group: None,
            follower: None,
            failed: false,
        }
    }

    /// As one who follows the writer.
    pub(crate) fn following(reader: Arc<Reader>, from: Position) -> InOrder {
        let follower = Some(Follower::new(&reader.catalog));
        InOrder { follower, ..InOrder::new(reader, from) }
    }

    fn advance(&mut self) -> Result<Option<Entry>, ReadError> {
        let holds = if self.follower.is_some() { Holds::Group } else { Holds::Itself };
        loop {
            if let Some(group) = &self.group
                && let Some(entry) = group.entry(self.next, holds)
            {
                self.next = self.next.next();
                return entry.map(Some).map_err(|damage| group.damaged(damage));
            }
            if let Some(group) = self.group.take()
                && self.follower.is_some()
            {
                self.reader.catalog.recent.done(group);
            }
            if self.next >= self.reader.catalog.next_position() {
                return Ok(None);
            }
            let Some(place) = self.place.take() else {
                self.place = Some(self.enter()?);
                continue;
            };
            let (place, group) = self.step(place)?;
            self.place = Some(place);
            if let Some(group) = group {
                self.next = self.next.max(group.first); // a repaired chunk may skip positions
                self.group = Some(group);
            }
        }
    }

    /// Finds where to begin.
    fn enter(&self) -> Result<Place, ReadError> {
        let (chunk, offset) = match self.reader.locate(self.next) {
            Ok(found) => found,
            Err(ReadError::Lost { position }) => {
                let chunk = self.reader.catalog.chunk_of(position);
                (chunk.ok_or(ReadError::Trimmed { position })?, CHUNK_HEADER_BYTES as u64)
            }
            Err(error) => return Err(error),
        };
        let file = chunk.open().map_err(|source| {
            trimmed_meanwhile(io_error(&chunk, source), &self.reader.catalog, self.next)
        })?;
        Ok(Place { window: Window::new(Arc::new(file)), chunk, offset, link: None })
    }

    /// Goes over one group, or into the next chunk.
    fn step(&mut self, place: Place) -> Result<(Place, Option<Arc<Group>>), ReadError> {
        let Place { chunk, window, offset, link } = place;
        let recent = &self.reader.catalog.recent;
        if self.follower.is_some()
            && let Some(recent) = recent.take(chunk.first_position(), offset)
        {
            let RecentGroup { group, end, previous, link: own } = recent;
            if link.is_some_and(|link| link != previous) {
                return Err(damaged(&chunk, offset, Damage::Link));
            }
            let wanted = group.next_position() > self.next;
            let place = Place { chunk, window, offset: end, link: Some(own) };
            return Ok((place, wanted.then_some(group)));
        }
        let mut walk = Walk::resume(&chunk, window, offset);
        let Some(header) = walk.header()? else {
            return Ok((self.next_chunk(&chunk, link)?, None));
        };
        if link.is_some_and(|link| link != header.previous) {
            return Err(walk.damaged(Damage::Link));
        }
        let wanted = header.kind == GroupKind::Records && header.next_position() > self.next.get();
        if !wanted {
            walk.skip(&header);
            let Walk { window, offset, .. } = walk;
            return Ok((Place { chunk, window, offset, link: None }, None));
        }
        if header.first_position > self.next.get() && chunk.header.repaired.is_none() {
            return Err(walk.damaged(Damage::Link));
        }
        let group = Arc::new(walk.records(&header, &mut self.opener)?);
        let link = header.link(walk.payload(&header)?);
        walk.skip(&header);
        let Walk { window, offset, .. } = walk;
        Ok((Place { chunk, window, offset, link: Some(link) }, Some(group)))
    }

    fn next_chunk(&mut self, chunk: &Chunk, link: Option<Link>) -> Result<Place, ReadError> {
        let trimmed = ReadError::Trimmed { position: self.next };
        let next = self.reader.catalog.chunk_after(chunk.first_position()).ok_or(trimmed)?;
        let named = next.header.previous.as_ref();
        let previous = named.map(|previous| previous.first_position);
        if previous != Some(chunk.first_position()) {
            return Err(ReadError::Trimmed { position: self.next });
        }
        let link = chunk.header.repaired.as_ref().map_or(link, |own| Some(own.link));
        let follows = link.is_none_or(|link| named.is_some_and(|named| named.link == link));
        let reached = self.next == next.first_position()
            || [chunk, &*next].iter().any(|chunk| chunk.header.repaired.is_some());
        if !follows || !reached {
            return Err(damaged(&next, 0, Damage::Link));
        }
        self.next = self.next.max(next.first_position());
        let file = next.open().map_err(|source| {
            trimmed_meanwhile(io_error(&next, source), &self.reader.catalog, self.next)
        })?;
        let link = Some(next.header.link());
        let offset = CHUNK_HEADER_BYTES as u64;
        Ok(Place { window: Window::new(Arc::new(file)), chunk: next, offset, link })
    }
}

impl Iterator for InOrder {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let entry = self.advance().transpose();
        self.failed = matches!(entry, Some(Err(_)));
        entry
    }
}

/// A chunk that can't be opened because it was trimmed a moment ago is no I/O error.
fn trimmed_meanwhile(error: ReadError, catalog: &Catalog, position: Position) -> ReadError {
    let trimmed = matches!(error, ReadError::Io { .. }) && position < catalog.first_position();
    if trimmed { ReadError::Trimmed { position } } else { error }
}

fn damaged(chunk: &Chunk, offset: u64, damage: Damage) -> ReadError {
    ReadError::Damaged { chunk: chunk.first_position().get(), offset, damage }
}

fn io_error(chunk: &Chunk, source: std::io::Error) -> ReadError {
    ReadError::Io { chunk: chunk.first_position().get(), source }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Opening: which chunks there are, and where the newest one really ends.
//!
//! Only the newest chunk is read as a whole; the others were complete before it began, and are
//! checked when they are read or by `verify`. A write that a crash interrupted may have left any
//! of its sectors behind and not others. What tells such a torn tail from damage is what stands
//! after it: groups of the same write prove nothing, a group of a later write proves that the
//! write before it had been synced.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use memchr::memmem;

use crate::{
    Damage, KeyRing, Position,
    chunk::{self, CHUNK_HEADER_BYTES, Chunk, ChunkHeader, InvalidHeader},
    file::{OpenError, TornTail},
    group::{GROUP_HEADER_BYTES, GROUP_MAGIC, GroupHeader, GroupKind, Link},
    window::Window,
};

/// The chunks of a directory by their headers, oldest first, each checked against the one before.
pub(crate) fn chunks(directory: &Path, keys: Option<&KeyRing>) -> Result<Vec<Chunk>, OpenError> {
    let mut chunks: Vec<Chunk> = Vec::new();
    for (first_position, path) in chunk_paths(directory)? {
        let chunk = chunk(&path, first_position, keys)?;
        if let (Some(before), Some(previous)) = (chunks.last(), &chunk.header.previous) {
            if previous.first_position != before.first_position() {
                return Err(OpenError::MissingChunk { chunk: previous.first_position.get() });
            }
            before.set_end(before.header.repaired.as_ref().map_or(previous.end, |own| own.end));
        } else if let (Some(before), None) = (chunks.last(), &chunk.header.previous) {
            return Err(damaged(before.first_position(), 0, Damage::ChunkHeader));
        }
        chunks.push(chunk);
    }
    let (_, complete) =
        chunks.split_last().map_or((None, &[][..]), |(last, rest)| (Some(last), rest));
    for chunk in complete {
        let length =
            fs::metadata(&chunk.path).map_err(|source| io_error(&chunk.path, source))?.len();
        if length < chunk.end() {
            return Err(damaged(chunk.first_position(), length, Damage::Shortened));
        }
    }
    Ok(chunks)
}

/// The directory's chunk files by name, oldest first.
pub(crate) fn chunk_paths(directory: &Path) -> Result<Vec<(Position, PathBuf)>, OpenError> {
    let failed = |source| io_error(directory, source);
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if let Some(first_position) = chunk::parse_file_name(&path) {
            paths.push((first_position, path));
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

fn chunk(path: &Path, first: Position, keys: Option<&KeyRing>) -> Result<Chunk, OpenError> {
    let header = read_header(path).map_err(|source| io_error(path, source))?.map_err(
        |invalid| match invalid {
            InvalidHeader::Damaged(damage) => damaged(first, 0, damage),
            InvalidHeader::Version(version) => OpenError::Version { chunk: first.get(), version },
        },
    )?;
    if header.first_position != first {
        return Err(damaged(first, 0, Damage::ChunkHeader));
    }
    check_key(&header, keys)?;
    Ok(Chunk::new(path.to_owned(), header, CHUNK_HEADER_BYTES as u64))
}

pub(crate) fn read_header(path: &Path) -> io::Result<Result<ChunkHeader, InvalidHeader>> {
    let mut window = Window::new(Arc::new(fs::File::open(path)?));
    let bytes = window.range(0, CHUNK_HEADER_BYTES, u64::MAX)?;
    Ok(ChunkHeader::decode(bytes.unwrap_or_default()))
}

/// Whether the ring has the key that the chunk was sealed with: better known at the start than at
/// the first read.
fn check_key(header: &ChunkHeader, keys: Option<&KeyRing>) -> Result<(), OpenError> {
    let key_id = header.key_id;
    if key_id == 0 {
        return Ok(());
    }
    match keys.and_then(|keys| keys.check_value(key_id, header.chunk_id)) {
        None => Err(OpenError::MissingKey { key_id }),
        Some(value) if value != header.key_check => Err(OpenError::WrongKey { key_id }),
        Some(_) => Ok(()),
    }
}

/// Where the newest chunk ends.
pub(crate) struct Tail {
    pub(crate) end: u64,
    pub(crate) link: Link,
    /// For the next group.
    pub(crate) number: u32,
    pub(crate) write: u32,
    pub(crate) next_position: Position,
    pub(crate) torn: Option<TornTail>,
    /// Up to where bytes other than zero may stand.
    pub(crate) dirty_end: u64,
}

/// Reads the newest chunk to its end.
pub(crate) fn tail(chunk: &Chunk) -> Result<Tail, OpenError> {
    let first = chunk.first_position();
    let header = &chunk.header;
    let failed = |source| io_error(&chunk.path, source);
    let file = Arc::new(chunk.open().map_err(failed)?);
    let length = file.metadata().map_err(failed)?.len();
    if length < header.capacity {
        return Err(damaged(first, length, Damage::Shortened));
    }
    let mut window = Window::new(file);
    let mut tail = Tail {
        end: CHUNK_HEADER_BYTES as u64,
        link: header.link(),
        number: 1,
        write: 0,
        next_position: first,
        torn: None,
        dirty_end: 0,
    };
    // The last group that completes a write, and what follows it so far.
    let mut under = Reached { end: tail.end, link: tail.link, number: 1, write: 0, next: first };
    let damage = loop {
        match next_group(&mut window, header, &under, length).map_err(failed)? {
            Err(damage) => break damage,
            Ok(group) => {
                under = group.reached;
                if group.last {
                    tail.end = under.end;
                    tail.link = under.link;
                    tail.number = under.number;
                    tail.write = under.write;
                    tail.next_position = under.next;
                }
            }
        }
    };
    let rest = survey(&mut window, header, under.end, length).map_err(failed)?;
    // The write that the damage belongs to: the one under way, if its beginning is whole.
    let torn_write = tail.write.wrapping_add(1);
    if rest.latest_write.is_some_and(|write| write > torn_write) {
        return Err(damaged(first, under.end, damage));
    }
    tail.dirty_end = rest.dirty_end.max(under.end);
    if tail.dirty_end > tail.end {
        let bytes = tail.dirty_end - tail.end;
        tail.torn = Some(TornTail { chunk: first.get(), offset: tail.end, bytes });
    }
    Ok(tail)
}

struct Reached {
    end: u64,
    link: Link,
    number: u32,
    write: u32,
    next: Position,
}

struct Whole {
    reached: Reached,
    last: bool,
}

fn next_group(
    window: &mut Window,
    chunk: &ChunkHeader,
    after: &Reached,
    length: u64,
) -> io::Result<Result<Whole, Damage>> {
    let Some(bytes) = window.range(after.end, GROUP_HEADER_BYTES, length)? else {
        return Ok(Err(Damage::GroupHeader));
    };
    let header = bytes
        .first_chunk()
        .and_then(|bytes| GroupHeader::decode(bytes, chunk.chunk_id))
        .filter(|header| header.key_id == chunk.key_id);
    let Some(header) = header else { return Ok(Err(Damage::GroupHeader)) };
    let start = after.end + GROUP_HEADER_BYTES as u64;
    let Some(payload) = window.range(start, header.payload_bytes as usize, length)? else {
        return Ok(Err(Damage::Shortened));
    };
    if !header.payload_matches(payload) {
        return Ok(Err(Damage::Checksum));
    }
    let follows = header.previous == after.link
        && header.number == after.number
        && (header.first_position == after.next.get()
            || (chunk.repaired.is_some() && header.first_position > after.next.get()));
    let next = Position::new(header.next_position());
    let Some(next) = next.filter(|_| follows) else { return Ok(Err(Damage::Link)) };
    let reached = Reached {
        end: after.end.saturating_add(header.group_bytes()),
        link: header.link(payload),
        number: after.number.wrapping_add(1),
        write: header.write,
        next: if header.kind == GroupKind::Records { next } else { after.next },
    };
    Ok(Ok(Whole { reached, last: header.last }))
}

struct Rest {
    /// The latest write of which a group's header stands there.
    latest_write: Option<u32>,
    dirty_end: u64,
}

/// Looks through what follows the last whole group.
fn survey(window: &mut Window, chunk: &ChunkHeader, start: u64, length: u64) -> io::Result<Rest> {
    const STEP: usize = 128 * 1024;
    let mut rest = Rest { latest_write: None, dirty_end: start };
    let mut offset = start;
    while offset < length {
        let left = length - offset;
        // Steps overlap by a header, so that none is missed on a boundary.
        let read = usize::try_from(left).unwrap_or(usize::MAX).min(STEP + GROUP_HEADER_BYTES);
        let Some(bytes) = window.range(offset, read, length)? else { break };
        if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
            rest.dirty_end = rest.dirty_end.max(offset + last as u64 + 1);
            for at in memmem::find_iter(bytes, &GROUP_MAGIC) {
                let header = bytes
                    .get(at..)
                    .and_then(|bytes| bytes.first_chunk())
                    .and_then(|bytes| GroupHeader::decode(bytes, chunk.chunk_id));
                if let Some(header) = header {
                    rest.latest_write = rest.latest_write.max(Some(header.write));
                }
            }
        }
        offset += (STEP as u64).min(left);
    }
    Ok(rest)
}

fn damaged(chunk: Position, offset: u64, damage: Damage) -> OpenError {
    OpenError::Damaged { chunk: chunk.get(), offset, damage }
}

fn io_error(path: &Path, source: io::Error) -> OpenError {
    OpenError::Io { path: path.to_owned(), source }
}

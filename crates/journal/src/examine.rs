//! Going over a whole chunk, past any damage, for `verify` and `repair`.

use std::{collections::BTreeMap, io, path::Path, sync::Arc};

use bytes::Bytes;
use memchr::memmem;

use crate::{
    Body, Damage, Entry, KeyRing, Position,
    chunk::{CHUNK_HEADER_BYTES, Chunk, ChunkHeader, InvalidHeader},
    cursor::Cursor,
    group::{GROUP_HEADER_BYTES, GROUP_MAGIC, GroupHeader, GroupKind, Link, OpenGroup},
    record,
    seal::Opener,
    window::Window,
};

/// A chunk's file to go over.
pub(crate) struct Subject<'a> {
    pub(crate) path: &'a Path,
    pub(crate) first_position: Position,
    /// Where the groups end, when something else than the chunk itself says so.
    pub(crate) end: Option<u64>,
    /// How long the file must be.
    pub(crate) length_min: u64,
}

/// What going over a chunk found out.
pub(crate) struct Examined {
    /// As read, or as far as the groups tell when the header is damaged.
    pub(crate) chunk: Chunk,
    pub(crate) header_is_whole: bool,
    /// The link that a next chunk must name; unknown when the last group is damaged.
    pub(crate) link: Option<Link>,
    /// Where the last legible group ends.
    pub(crate) end: u64,
    /// The position after the last that a legible group names, damaged or not.
    pub(crate) next_position: Position,
}

/// What is told while going over a chunk.
pub(crate) enum Found {
    /// Something is wrong there.
    Damage { offset: u64, damage: Damage },
    /// A readable record. Its stored bodies have been found readable too.
    Record(Entry),
    /// So many bytes have been gone over.
    Bytes(u64),
}

/// Why a chunk could not be gone over.
pub(crate) enum Unexamined {
    Io(io::Error),
    Version(u16),
    MissingKey { key_id: u32 },
}

impl From<io::Error> for Unexamined {
    fn from(error: io::Error) -> Self {
        Unexamined::Io(error)
    }
}

/// What is expected of the next group; nothing right after damage.
struct Expected {
    link: Option<Link>,
    number: Option<u32>,
    next: Option<Position>,
}

/// The whole pieces of bodies of the write under way: by offset, their length and their end.
type Pieces = BTreeMap<u64, (u64, u64)>;

pub(crate) fn examine(
    subject: &Subject<'_>,
    keys: Option<&KeyRing>,
    found: &mut dyn FnMut(Found),
) -> Result<Examined, Unexamined> {
    let file = Arc::new(std::fs::File::open(subject.path)?);
    let length = file.metadata()?.len();
    let mut window = Window::new(file);
    let (header, header_is_whole) = header(subject, &mut window, length)?;
    if !header_is_whole {
        found(Found::Damage { offset: 0, damage: Damage::ChunkHeader });
    }
    if length < subject.length_min {
        found(Found::Damage { offset: length, damage: Damage::Shortened });
    }
    let limit = subject.end.map_or(length, |end| end.min(length));
    let start = CHUNK_HEADER_BYTES as u64;
    let mut examined = Examined {
        link: Some(header.link()).filter(|_| header_is_whole),
        chunk: Chunk::new(subject.path.to_owned(), header, limit),
        header_is_whole,
        end: start,
        next_position: subject.first_position,
    };
    let mut opener = Opener::new(keys.cloned());
    let mut pieces = Pieces::new();
    let mut expected =
        Expected { link: examined.link, number: Some(1), next: Some(subject.first_position) };
    let mut offset = start;
    while offset < limit {
        match group(&mut window, &examined.chunk, offset, limit)? {
            Err(damage) => {
                let next = following(&mut window, &examined.chunk.header, offset + 1, limit)?;
                // Behind the last group of the newest chunk there is nothing to be wrong.
                if next.is_some() || subject.end.is_some() {
                    found(Found::Damage { offset, damage });
                }
                if next.is_some() || subject.end.is_some() {
                    examined.link = None;
                }
                expected = Expected { link: None, number: None, next: None };
                offset = next.unwrap_or(limit);
            }
            Ok(header) => {
                let end = offset.saturating_add(header.group_bytes());
                examined.end = end;
                let claimed = Position::new(header.next_position());
                examined.next_position =
                    examined.next_position.max(claimed.unwrap_or(Position::FIRST));
                let place = Place { chunk: &examined.chunk, header: &header, offset, end };
                let checked =
                    place.check(&mut window, &expected, &mut opener, &mut pieces, found)?;
                match checked {
                    Ok(link) => {
                        examined.link = Some(link);
                        expected = Expected {
                            link: Some(link),
                            number: Some(header.number.wrapping_add(1)),
                            next: match header.kind {
                                GroupKind::Records => claimed,
                                _ => expected.next,
                            },
                        };
                    }
                    Err(damage) => {
                        found(Found::Damage { offset, damage });
                        examined.link = None;
                        expected = Expected { link: None, number: None, next: None };
                    }
                }
                if header.last {
                    pieces.clear();
                }
                offset = end;
            }
        }
        found(Found::Bytes(offset.min(limit)));
    }
    Ok(examined)
}

/// The chunk's header, or one made of what its first legible group says.
fn header(
    subject: &Subject<'_>,
    window: &mut Window,
    length: u64,
) -> Result<(ChunkHeader, bool), Unexamined> {
    let bytes = window.range(0, CHUNK_HEADER_BYTES, length)?.unwrap_or_default();
    match ChunkHeader::decode(bytes) {
        Ok(header) if header.first_position == subject.first_position => return Ok((header, true)),
        Err(InvalidHeader::Version(version)) => return Err(Unexamined::Version(version)),
        Ok(_) | Err(InvalidHeader::Damaged(_)) => {}
    }
    let group = first_group(window, length)?;
    let header = ChunkHeader {
        first_position: subject.first_position,
        chunk_id: group.as_ref().map_or(0, |group| group.chunk_id),
        key_id: group.as_ref().map_or(0, |group| group.key_id),
        key_check: [0; 16],
        capacity: length,
        previous: None,
        repaired: None,
    };
    Ok((header, false))
}

fn first_group(window: &mut Window, length: u64) -> io::Result<Option<GroupHeader>> {
    let mut group = None;
    search(window, CHUNK_HEADER_BYTES as u64, length, &mut |bytes| {
        group = GroupHeader::decode_any(bytes);
        group.is_some()
    })?;
    Ok(group)
}

/// Where the next legible group of the chunk begins.
fn following(
    window: &mut Window,
    chunk: &ChunkHeader,
    start: u64,
    limit: u64,
) -> io::Result<Option<u64>> {
    search(window, start, limit, &mut |bytes| GroupHeader::decode(bytes, chunk.chunk_id).is_some())
}

fn search(
    window: &mut Window,
    start: u64,
    limit: u64,
    accept: &mut dyn FnMut(&[u8; GROUP_HEADER_BYTES]) -> bool,
) -> io::Result<Option<u64>> {
    const STEP: usize = 128 * 1024;
    let mut offset = start;
    while offset < limit {
        let left = limit - offset;
        // Steps overlap by a header, so that none is missed on a boundary.
        let read = usize::try_from(left).unwrap_or(usize::MAX).min(STEP + GROUP_HEADER_BYTES);
        let Some(bytes) = window.range(offset, read, limit)? else { break };
        for at in memmem::find_iter(bytes, &GROUP_MAGIC) {
            if bytes.get(at..).and_then(|bytes| bytes.first_chunk()).is_some_and(&mut *accept) {
                return Ok(Some(offset + at as u64));
            }
        }
        offset += (STEP as u64).min(left);
    }
    Ok(None)
}

fn group(
    window: &mut Window,
    chunk: &Chunk,
    offset: u64,
    limit: u64,
) -> io::Result<Result<GroupHeader, Damage>> {
    let header = window
        .range(offset, GROUP_HEADER_BYTES, limit)?
        .and_then(|bytes| bytes.first_chunk())
        .and_then(|bytes| GroupHeader::decode(bytes, chunk.header.chunk_id))
        .filter(|header| header.key_id == chunk.header.key_id);
    let Some(header) = header else { return Ok(Err(Damage::GroupHeader)) };
    let start = offset.saturating_add(GROUP_HEADER_BYTES as u64);
    Ok(match window.range(start, header.payload_bytes as usize, limit)? {
        None => Err(Damage::Shortened),
        // What follows a damaged payload is searched for, in case its length is wrong as well.
        Some(payload) if !header.payload_matches(payload) => Err(Damage::Checksum),
        Some(_) => Ok(header),
    })
}

/// A group whose checksums match.
struct Place<'a> {
    chunk: &'a Chunk,
    header: &'a GroupHeader,
    offset: u64,
    end: u64,
}

impl Place<'_> {
    /// Checks all else about the group and tells its records; its link when all is well.
    fn check(
        &self,
        window: &mut Window,
        expected: &Expected,
        opener: &mut Opener,
        pieces: &mut Pieces,
        found: &mut dyn FnMut(Found),
    ) -> Result<Result<Link, Damage>, Unexamined> {
        let start = self.offset.saturating_add(GROUP_HEADER_BYTES as u64);
        let payload = window
            .range(start, self.header.payload_bytes as usize, self.end)?
            .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        let link = self.header.link(payload);
        let plain = match self.header.open(payload, opener) {
            Ok(plain) => plain,
            Err(OpenGroup::Damaged(damage)) => return Ok(Err(damage)),
            Err(OpenGroup::MissingKey { key_id }) => return Err(Unexamined::MissingKey { key_id }),
        };
        if self.header.kind == GroupKind::BodyPiece {
            pieces.insert(self.offset, (plain.len() as u64, self.end));
        }
        let told = self.tell_records(&plain, pieces, found);
        Ok(told.and_then(|()| if self.follows(expected) { Ok(link) } else { Err(Damage::Link) }))
    }

    fn follows(&self, expected: &Expected) -> bool {
        let jumps = self.chunk.header.repaired.is_some();
        expected.link.is_none_or(|link| link == self.header.previous)
            && expected.number.is_none_or(|number| number == self.header.number)
            && expected.next.is_none_or(|next| {
                self.header.first_position == next.get()
                    || (jumps && self.header.first_position > next.get())
            })
    }

    fn tell_records(
        &self,
        plain: &[u8],
        pieces: &Pieces,
        found: &mut dyn FnMut(Found),
    ) -> Result<(), Damage> {
        if self.header.kind != GroupKind::Records {
            return Ok(());
        }
        let mut cursor = Cursor::new(plain);
        let mut position = Position::new(self.header.first_position).ok_or(Damage::Record)?;
        for _ in 0..self.header.count {
            let content = record::split(&mut cursor, position)?;
            let entry = record::decode(
                content,
                position,
                self.chunk.first_position(),
                Bytes::copy_from_slice,
            )?;
            if entry.bodies.iter().all(|body| is_whole(body, pieces)) {
                found(Found::Record(entry));
            } else {
                found(Found::Damage { offset: self.offset, damage: Damage::Body });
            }
            position = position.next();
        }
        if cursor.remaining() > 0 { Err(Damage::Record) } else { Ok(()) }
    }
}

/// Whether all pieces of a stored body were seen.
fn is_whole(body: &Body, pieces: &Pieces) -> bool {
    let Body::Stored(stored) = body else { return true };
    let (mut length, mut offset) = (0, stored.offset);
    while length < stored.length {
        let Some((piece, end)) = pieces.get(&offset).filter(|(piece, _)| *piece > 0) else {
            return false;
        };
        length += piece;
        offset = *end;
    }
    length == stored.length
}

//! What is appended and what is read back, and how a record stands inside a group.
//!
//! A group's payload is its records one after another. Each is
//! ```text
//! length u32 | CRC-32C u32 (of the record's position and its content) | content
//! content = kind u8 | head length u32 | number of bodies u16 | a body entry each | head | inline bodies
//! body entry = 0 u8 | length u32                       inline, in this order after the head
//!            | 1 u8 | length u64 | offset u64          stored as body groups from that offset of the chunk
//! ```
//! Numbers are little-endian. The position is not written: it follows from the group's first, and
//! the checksum shows when the two disagree.

use bytes::Bytes;

use crate::{Position, cursor::Cursor, group::Damage};

/// Bodies longer than this are stored outside of the record's group, so that reading records does
/// not drag large bodies along.
pub const INLINE_BODY_BYTES_MAX: usize = 64 * 1024;

/// The longest head of a record. Heads are always inline: this bounds a group.
pub const HEAD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest body.
pub const BODY_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// The most bodies of one record.
pub const BODIES_MAX: usize = u16::MAX as usize;

/// Bodies are stored outside once a record has this much inline, however small they are: together
/// with [`HEAD_BYTES_MAX`] and [`BODIES_MAX`] this bounds what one record adds to a group.
const INLINE_TOTAL_BYTES_MAX: usize = 1024 * 1024;

const INLINE: u8 = 0;
const STORED: u8 = 1;

/// The length and checksum before a record's content.
const RECORD_PREFIX_BYTES: usize = 8;

/// A record to append. The journal attaches no meaning to any part of it.
#[derive(Clone)]
pub struct NewRecord {
    /// What sort of record it is.
    pub kind: u8,
    /// The part that is always read with the record; at most [`HEAD_BYTES_MAX`].
    pub head: Vec<u8>,
    /// Payloads, each at most [`BODY_BYTES_MAX`]; large ones are read only when asked for.
    pub bodies: Vec<Bytes>,
}

impl NewRecord {
    /// What the record counts against the bound of waiting bytes: its content and a little for
    /// itself.
    pub(crate) fn bytes(&self) -> usize {
        const OWN_BYTES: usize = 64;
        self.bodies.iter().fold(self.head.len().saturating_add(OWN_BYTES), |sum, body| {
            sum.saturating_add(body.len()).saturating_add(OWN_BYTES)
        })
    }
}

impl std::fmt::Debug for NewRecord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("NewRecord")
            .field("kind", &self.kind)
            .field("head_bytes", &self.head.len())
            .field("bodies", &self.bodies.len())
            .finish()
    }
}

/// A record as read.
#[derive(Clone)]
pub struct Entry {
    /// Its number.
    pub position: Position,
    /// As appended.
    pub kind: u8,
    /// As appended.
    pub head: Bytes,
    /// As appended, in order.
    pub bodies: Vec<Body>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Entry")
            .field("position", &self.position)
            .field("kind", &self.kind)
            .field("head_bytes", &self.head.len())
            .field("bodies", &self.bodies)
            .finish()
    }
}

/// A body of a record as read: at hand, or a reference for [`Journal::load`](crate::Journal::load).
#[derive(Clone)]
pub enum Body {
    /// Read with the record.
    Inline(Bytes),
    /// Left on disk.
    Stored(StoredBody),
}

impl Body {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Body::Inline(bytes) => bytes.len() as u64,
            Body::Stored(stored) => stored.length,
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Body::Inline(_) => "Inline",
            Body::Stored(_) => "Stored",
        };
        formatter.debug_struct(name).field("bytes", &self.len()).finish()
    }
}

/// Where a body stands that is kept outside of its record's group.
#[derive(Clone, Copy, Debug)]
pub struct StoredBody {
    pub(crate) position: Position,
    pub(crate) chunk: Position,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl StoredBody {
    /// The record it belongs to.
    pub fn position(&self) -> Position {
        self.position
    }
}

/// Which bodies of a record stay inline, by their lengths in order.
pub(crate) fn placement<'a>(
    bodies: impl IntoIterator<Item = &'a Bytes>,
) -> impl Iterator<Item = (&'a Bytes, Placement)> {
    let mut inline = 0_usize;
    bodies.into_iter().map(move |body| {
        let total = inline.saturating_add(body.len());
        if body.len() > INLINE_BODY_BYTES_MAX || total > INLINE_TOTAL_BYTES_MAX {
            (body, Placement::Stored)
        } else {
            inline = total;
            (body, Placement::Inline)
        }
    })
}

/// The bodies that are stored outside, in order.
pub(crate) fn stored_bodies(record: &NewRecord) -> impl Iterator<Item = &Bytes> {
    placement(&record.bodies)
        .filter(|(_, placement)| *placement == Placement::Stored)
        .map(|(body, _)| body)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    Inline,
    Stored,
}

/// How many bytes [`encode`] will add.
pub(crate) fn encoded_bytes(record: &NewRecord) -> usize {
    let bodies = placement(&record.bodies).map(|(body, placement)| match placement {
        Placement::Inline => 5 + body.len(),
        Placement::Stored => 17,
    });
    RECORD_PREFIX_BYTES + 7 + record.head.len() + bodies.sum::<usize>()
}

/// Appends the record to a group's payload, and says where in it its content stands: start and
/// length. `stored` gives the offsets of the bodies that [`placement`] puts outside, in order.
pub(crate) fn encode(
    record: &NewRecord,
    position: Position,
    stored: &mut impl Iterator<Item = u64>,
    payload: &mut Vec<u8>,
) -> (u32, u32) {
    let start = payload.len();
    payload.extend_from_slice(&[0; RECORD_PREFIX_BYTES]);
    payload.push(record.kind);
    payload.extend_from_slice(&(record.head.len() as u32).to_le_bytes());
    payload.extend_from_slice(&(record.bodies.len() as u16).to_le_bytes());
    for (body, placement) in placement(&record.bodies) {
        match placement {
            Placement::Inline => {
                payload.push(INLINE);
                payload.extend_from_slice(&(body.len() as u32).to_le_bytes());
            }
            Placement::Stored => {
                payload.push(STORED);
                payload.extend_from_slice(&(body.len() as u64).to_le_bytes());
                let offset = stored.next().expect("every body placed outside was written before");
                payload.extend_from_slice(&offset.to_le_bytes());
            }
        }
    }
    payload.extend_from_slice(&record.head);
    for (body, placement) in placement(&record.bodies) {
        if placement == Placement::Inline {
            payload.extend_from_slice(body);
        }
    }
    let content = start + RECORD_PREFIX_BYTES;
    let length = (payload.len() - content) as u32;
    let checksum = checksum(position, &payload[content..]);
    payload[start..start + 4].copy_from_slice(&length.to_le_bytes());
    payload[start + 4..content].copy_from_slice(&checksum.to_le_bytes());
    (content as u32, length)
}

fn checksum(position: Position, content: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&position.get().to_le_bytes()), content)
}

/// Splits the next record's content off a group's payload and checks it against its position.
pub(crate) fn split<'a>(payload: &mut Cursor<'a>, position: Position) -> Result<&'a [u8], Damage> {
    let (length, expected) = payload.u32().zip(payload.u32()).ok_or(Damage::Record)?;
    let content = payload.bytes(length as usize).ok_or(Damage::Record)?;
    if checksum(position, content) != expected {
        return Err(Damage::Record);
    }
    Ok(content)
}

/// Reads a record's content. `own` makes of a part of it what the entry keeps.
pub(crate) fn decode(
    content: &[u8],
    position: Position,
    chunk: Position,
    own: impl FnOnce(&[u8]) -> Bytes,
) -> Result<Entry, Damage> {
    let mut cursor = Cursor::new(content);
    let (kind, head_length, count) =
        (|| Some((cursor.u8()?, cursor.u32()?, cursor.u16()?)))().ok_or(Damage::Record)?;
    let mut places = cursor;
    for _ in 0..count {
        place(&mut cursor).ok_or(Damage::Record)?;
    }
    let mut data = own(cursor.bytes(cursor.remaining()).unwrap_or_default());
    let mut take = |length: usize| {
        if length > data.len() { Err(Damage::Record) } else { Ok(data.split_to(length)) }
    };
    let head = take(head_length as usize)?;
    let mut bodies = Vec::with_capacity(usize::from(count).min(content.len()));
    for _ in 0..count {
        bodies.push(match place(&mut places).ok_or(Damage::Record)? {
            Place::Inline { length } => Body::Inline(take(length as usize)?),
            Place::Stored { length, offset } => {
                Body::Stored(StoredBody { position, chunk, offset, length })
            }
        });
    }
    if !data.is_empty() {
        return Err(Damage::Record);
    }
    Ok(Entry { position, kind, head, bodies })
}

enum Place {
    Inline { length: u32 },
    Stored { length: u64, offset: u64 },
}

fn place(cursor: &mut Cursor<'_>) -> Option<Place> {
    match cursor.u8()? {
        INLINE => Some(Place::Inline { length: cursor.u32()? }),
        STORED => {
            let length = cursor.u64()?;
            if length > BODY_BYTES_MAX as u64 {
                return None;
            }
            Some(Place::Stored { length, offset: cursor.u64()? })
        }
        _ => None,
    }
}

//! A chunk: one file of the journal.
//!
//! ```text
//! header, 256 bytes, little-endian
//!   0  magic "PHJrnl\r\n"                 72  where the chunk before ends u64
//!   8  CRC-32C of bytes 12..256           80  link of the last group before, 32 bytes
//!  12  format version u16                112  end of a repaired chunk u64, 0 otherwise
//!  14  zero u16                          120  link that follows a repaired chunk, 32 bytes
//!  16  first position u64                152  zeroes
//!  24  chunk id u64, random
//!  32  key id u32, 0 when not sealed
//!  36  zero u32
//!  40  check value of the key, 16 bytes
//!  56  size at creation u64
//!  64  first position of the chunk before u64, 0 when there is none
//! ```
//! Groups follow (see `group`). A chunk is made at its full size, zero-filled and synced before it
//! gets its name, so that a later `fdatasync` has no metadata to write. One chunk uses one key or
//! none. The next chunk's header says where this one ends; the newest ends where zeroes begin.
//!
//! A *repaired* chunk stands in for a damaged one: its groups were written anew, positions may
//! jump between them, and its header carries what the original's header could not: its own end,
//! and the link that the next chunk names.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use sha2::{Digest, Sha256};

use crate::{
    Position,
    cursor::Cursor,
    group::{Damage, Link},
};

/// The version of the stored format that this crate writes.
pub const FORMAT_VERSION: u16 = 1;

pub(crate) const CHUNK_HEADER_BYTES: usize = 256;
pub(crate) const CHUNK_MAGIC: [u8; 8] = *b"PHJrnl\r\n";
const EXTENSION: &str = "chunk";
const NAME_DIGITS: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChunkHeader {
    pub(crate) first_position: Position,
    pub(crate) chunk_id: u64,
    pub(crate) key_id: u32,
    pub(crate) key_check: [u8; 16],
    pub(crate) capacity: u64,
    pub(crate) previous: Option<Previous>,
    pub(crate) repaired: Option<Repaired>,
}

/// What a chunk knows of the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Previous {
    pub(crate) first_position: Position,
    pub(crate) end: u64,
    pub(crate) link: Link,
}

/// What a repaired chunk knows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repaired {
    pub(crate) end: u64,
    pub(crate) link: Link,
}

/// Why a chunk's header can't be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InvalidHeader {
    Damaged(Damage),
    Version(u16),
}

impl ChunkHeader {
    pub(crate) fn decode(bytes: &[u8]) -> Result<ChunkHeader, InvalidHeader> {
        let damaged = InvalidHeader::Damaged(Damage::ChunkHeader);
        let Some(bytes) = bytes.first_chunk::<CHUNK_HEADER_BYTES>() else {
            return Err(InvalidHeader::Damaged(Damage::Shortened));
        };
        let Some((checksum, covered)) =
            bytes.strip_prefix(&CHUNK_MAGIC).and_then(|rest| rest.split_first_chunk::<4>())
        else {
            return Err(damaged);
        };
        if crc32c::crc32c(covered) != u32::from_le_bytes(*checksum) {
            return Err(damaged);
        }
        let mut cursor = Cursor::new(covered);
        let version = cursor.u16().ok_or(InvalidHeader::Damaged(Damage::ChunkHeader))?;
        if version != FORMAT_VERSION {
            return Err(InvalidHeader::Version(version));
        }
        Self::decode_fields(&mut cursor).ok_or(damaged)
    }

    fn decode_fields(cursor: &mut Cursor<'_>) -> Option<ChunkHeader> {
        cursor.u16()?;
        let first_position = Position::new(cursor.u64()?)?;
        let chunk_id = cursor.u64()?;
        let key_id = cursor.u32()?;
        cursor.u32()?;
        let key_check = cursor.array()?;
        let capacity = cursor.u64()?;
        let previous = (cursor.u64()?, cursor.u64()?, cursor.array()?);
        let repaired = (cursor.u64()?, cursor.array()?);
        Some(ChunkHeader {
            first_position,
            chunk_id,
            key_id,
            key_check,
            capacity,
            previous: Position::new(previous.0).map(|first_position| Previous {
                first_position,
                end: previous.1,
                link: previous.2,
            }),
            repaired: (repaired.0 != 0).then_some(Repaired { end: repaired.0, link: repaired.1 }),
        })
    }

    pub(crate) fn encode(&self) -> [u8; CHUNK_HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(CHUNK_HEADER_BYTES);
        bytes.extend_from_slice(&CHUNK_MAGIC);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&self.first_position.get().to_le_bytes());
        bytes.extend_from_slice(&self.chunk_id.to_le_bytes());
        bytes.extend_from_slice(&self.key_id.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.key_check);
        bytes.extend_from_slice(&self.capacity.to_le_bytes());
        let (first_position, end, link) = match &self.previous {
            Some(previous) => (previous.first_position.get(), previous.end, previous.link),
            None => (0, 0, [0; 32]),
        };
        bytes.extend_from_slice(&first_position.to_le_bytes());
        bytes.extend_from_slice(&end.to_le_bytes());
        bytes.extend_from_slice(&link);
        let (end, link) = match &self.repaired {
            Some(repaired) => (repaired.end, repaired.link),
            None => (0, [0; 32]),
        };
        bytes.extend_from_slice(&end.to_le_bytes());
        bytes.extend_from_slice(&link);
        bytes.resize(CHUNK_HEADER_BYTES, 0);
        let checksum = crc32c::crc32c(&bytes[12..]);
        bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
        bytes.try_into().expect("resized to the header's length")
    }

    /// The link that the chunk's first group holds. It leaves the size of a repaired chunk
    /// out, which is not known yet when its first group is made.
    pub(crate) fn link(&self) -> Link {
        let mut header = self.clone();
        if let Some(repaired) = &mut header.repaired {
            repaired.end = 0;
            header.capacity = 0;
        }
        Sha256::digest(&header.encode()[12..]).into()
    }
}

/// A chunk's file name.
pub(crate) fn file_name(first_position: Position) -> String {
    format!("{:0NAME_DIGITS$}.{EXTENSION}", first_position.get())
}

/// The first position that a chunk's file name states; `None` for other files.
pub(crate) fn parse_file_name(path: &Path) -> Option<Position> {
    let stem = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    if stem.len() != NAME_DIGITS || !stem.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Position::new(stem.parse().ok()?)
}

/// A chunk that the journal has.
pub(crate) struct Chunk {
    pub(crate) path: PathBuf,
    pub(crate) header: ChunkHeader,
    /// Up to where its groups are durable.
    end: AtomicU64,
}

impl Chunk {
    pub(crate) fn new(path: PathBuf, header: ChunkHeader, end: u64) -> Chunk {
        Chunk { path, header, end: AtomicU64::new(end) }
    }

    pub(crate) fn first_position(&self) -> Position {
        self.header.first_position
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn set_end(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }

    pub(crate) fn open(&self) -> std::io::Result<File> {
        File::open(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{ChunkHeader, InvalidHeader, Previous, Repaired, file_name, parse_file_name};
    use crate::{Damage, Position};

    fn header() -> ChunkHeader {
        ChunkHeader {
            first_position: Position::FIRST.after(99),
            chunk_id: 77,
            key_id: 3,
            key_check: [4; 16],
            capacity: 65_536,
            previous: Some(Previous { first_position: Position::FIRST, end: 900, link: [5; 32] }),
            repaired: Some(Repaired { end: 1000, link: [6; 32] }),
        }
    }

    #[test]
    fn headers_read_back() {
        let plain = ChunkHeader { previous: None, repaired: None, ..header() };
        for header in [header(), plain] {
            assert_eq!(ChunkHeader::decode(&header.encode()), Ok(header));
        }
    }

    #[test]
    fn any_flipped_bit_of_a_header_shows() {
        let bytes = header().encode();
        for index in 0..bytes.len() {
            let mut flipped = bytes;
            flipped[index] ^= 4;
            assert_eq!(
                ChunkHeader::decode(&flipped),
                Err(InvalidHeader::Damaged(Damage::ChunkHeader)),
                "byte {index}"
            );
        }
    }

    #[test]
    fn a_later_version_is_named() {
        let mut bytes = header().encode();
        bytes[12] = 2;
        let checksum = crc32c::crc32c(&bytes[12..]);
        bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(ChunkHeader::decode(&bytes), Err(InvalidHeader::Version(2)));
    }

    #[test]
    fn file_names_hold_the_first_position() {
        let name = file_name(Position::FIRST.after(41));
        assert_eq!(name, "00000000000000000042.chunk");
        assert_eq!(parse_file_name(Path::new(&name)), Some(Position::FIRST.after(41)));
        for other in
            ["42.chunk", "0000000000000000004x.chunk", "00000000000000000000.chunk", "lock"]
        {
            assert_eq!(parse_file_name(Path::new(other)), None, "{other}");
        }
    }
}

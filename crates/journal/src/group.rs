//! A group: the unit that is written, checked, compressed and sealed.
//!
//! ```text
//! header, 112 bytes, little-endian
//!   0  magic "PHGr"                      56  salt of the sealing key, 16 bytes
//!   4  CRC-32C of bytes 8..112           72  nonce counter u64
//!   8  CRC-32C of the payload            80  link of the group before, 32 bytes
//!  12  payload length u32               112  payload
//!  16  length before compression u32
//!  20  number of records u32
//!  24  position of the first record u64
//!  32  chunk id u64
//!  40  number of the group in its chunk u32
//!  44  number of the write in its chunk u32
//!  48  kind u8: 1 records, 2 piece of a body, 3 closed
//!  49  compression u8: 0 none, 1 LZ4 block
//!  50  last of its write u8: 0 or 1
//!  51  zero
//!  52  key id u32, 0 when not sealed
//! ```
//! Everything between two syncs is one *write* of one or more groups, the last of which says so: a
//! write is kept whole or not at all. Groups follow each other without padding; after the last
//! one the chunk holds zeroes, which are not a magic.
//!
//! **Links.** A group's link is SHA-256 over bytes 12..112 of its header and its payload; of a
//! sealed payload only the tag is taken, which no one without the key can keep while changing the
//! rest. Each header holds the link of the group before it (the first one, that of the chunk's
//! header), so altering, removing or moving a group shows in the next.
//!
//! **Sealing** is AES-256-GCM with bytes 12..112 of the header as associated data; see `seal` for
//! keys and nonces. A sealed payload is the ciphertext followed by the 16-byte tag.

use sha2::{Digest, Sha256};

use crate::{
    cursor::Cursor,
    record::{BODIES_MAX, HEAD_BYTES_MAX},
    seal::{Opener, SALT_BYTES, Sealer, TAG_BYTES},
};

pub(crate) const GROUP_HEADER_BYTES: usize = 112;
pub(crate) const GROUP_MAGIC: [u8; 4] = *b"PHGr";

/// Where the part of the header starts that links and seals cover.
const COVERED_FROM: usize = 12;

/// No group is longer than this before compression: a few of the largest possible records. It
/// bounds what a damaged length can make a reader allocate.
pub(crate) const PLAIN_BYTES_MAX: usize = 2 * HEAD_BYTES_MAX + 32 * BODIES_MAX;

/// The hash that ties a group to the one before.
pub(crate) type Link = [u8; 32];

/// How payloads are compressed before they are sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// LZ4: little time, and HL7 v2 shrinks to about a half. Payloads that don't shrink are
    /// written as they are.
    #[default]
    Lz4,
}

/// What a group holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupKind {
    /// Records.
    Records,
    /// A piece of a body that is too large to stand in its record.
    BodyPiece,
    /// Nothing: the journal was closed properly here, so nothing before it can be a torn write.
    Closed,
}

/// What is wrong with stored bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The chunk's header does not match its checksum or its name.
    #[error("the chunk's header is damaged")]
    ChunkHeader,
    /// The file ends before its content does.
    #[error("the file is shorter than what was written")]
    Shortened,
    /// A group's header does not match its checksum, or no group is where one must be.
    #[error("the group's header is damaged or missing")]
    GroupHeader,
    /// A group's payload does not match its checksum.
    #[error("the group's checksum does not match")]
    Checksum,
    /// A group does not follow from the one before: something was altered, removed or moved.
    #[error("the group does not follow from the one before")]
    Link,
    /// A sealed group can't be opened with its key: it was altered.
    #[error("the group's seal is broken")]
    Seal,
    /// A compressed group can't be expanded.
    #[error("the group can't be expanded")]
    Compression,
    /// A record inside a group is not well formed or does not match its checksum or position.
    #[error("a record is damaged")]
    Record,
    /// A body stored outside of its record is not where the record says.
    #[error("a stored body is damaged or missing")]
    Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    pub(crate) payload_checksum: u32,
    pub(crate) payload_bytes: u32,
    pub(crate) plain_bytes: u32,
    pub(crate) count: u32,
    pub(crate) first_position: u64,
    pub(crate) chunk_id: u64,
    pub(crate) number: u32,
    pub(crate) write: u32,
    pub(crate) kind: GroupKind,
    pub(crate) compression: Compression,
    pub(crate) last: bool,
    pub(crate) key_id: u32,
    pub(crate) salt: [u8; SALT_BYTES],
    pub(crate) nonce: u64,
    pub(crate) previous: Link,
}

impl GroupHeader {
    /// Reads a header; `None` when it is not one of this chunk.
    pub(crate) fn decode(bytes: &[u8; GROUP_HEADER_BYTES], chunk_id: u64) -> Option<GroupHeader> {
        let header = Self::decode_any(bytes)?;
        (header.chunk_id == chunk_id).then_some(header)
    }

    /// Reads a header of whichever chunk.
    pub(crate) fn decode_any(bytes: &[u8; GROUP_HEADER_BYTES]) -> Option<GroupHeader> {
        let (checksum, covered) = bytes.strip_prefix(&GROUP_MAGIC)?.split_first_chunk::<4>()?;
        if crc32c::crc32c(covered) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let mut cursor = Cursor::new(covered);
        let header = GroupHeader {
            payload_checksum: cursor.u32()?,
            payload_bytes: cursor.u32()?,
            plain_bytes: cursor.u32()?,
            count: cursor.u32()?,
            first_position: cursor.u64()?,
            chunk_id: cursor.u64()?,
            number: cursor.u32()?,
            write: cursor.u32()?,
            kind: match cursor.u8()? {
                1 => GroupKind::Records,
                2 => GroupKind::BodyPiece,
                3 => GroupKind::Closed,
                _ => return None,
            },
            compression: match cursor.u8()? {
                0 => Compression::None,
                1 => Compression::Lz4,
                _ => return None,
            },
            last: match cursor.u8()? {
                0 => false,
                1 => true,
                _ => return None,
            },
            key_id: {
                cursor.u8()?;
                cursor.u32()?
            },
            salt: cursor.array()?,
            nonce: cursor.u64()?,
            previous: cursor.array()?,
        };
        let sized = header.plain_bytes as usize <= PLAIN_BYTES_MAX
            && header.payload_bytes as usize <= PLAIN_BYTES_MAX + TAG_BYTES
            && header.first_position.checked_add(u64::from(header.count)).is_some()
            && header.first_position > 0;
        sized.then_some(header)
    }

    fn encode(&self) -> [u8; GROUP_HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(GROUP_HEADER_BYTES);
        bytes.extend_from_slice(&GROUP_MAGIC);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.payload_checksum.to_le_bytes());
        bytes.extend_from_slice(&self.payload_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.plain_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes.extend_from_slice(&self.first_position.to_le_bytes());
        bytes.extend_from_slice(&self.chunk_id.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.write.to_le_bytes());
        bytes.push(match self.kind {
            GroupKind::Records => 1,
            GroupKind::BodyPiece => 2,
            GroupKind::Closed => 3,
        });
        bytes.push(match self.compression {
            Compression::None => 0,
            Compression::Lz4 => 1,
        });
        bytes.push(u8::from(self.last));
        bytes.push(0);
        bytes.extend_from_slice(&self.key_id.to_le_bytes());
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&self.nonce.to_le_bytes());
        bytes.extend_from_slice(&self.previous);
        let checksum = crc32c::crc32c(&bytes[8..]);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        bytes.try_into().expect("the fields above add up to the header's length")
    }

    /// The bytes of the whole group, or `None` when that overflows.
    pub(crate) fn group_bytes(&self) -> u64 {
        GROUP_HEADER_BYTES as u64 + u64::from(self.payload_bytes)
    }

    /// The position after the group's last record.
    pub(crate) fn next_position(&self) -> u64 {
        self.first_position.saturating_add(u64::from(self.count))
    }

    pub(crate) fn payload_matches(&self, payload: &[u8]) -> bool {
        payload.len() == self.payload_bytes as usize
            && crc32c::crc32c(payload) == self.payload_checksum
    }

    /// The link that the next group's header must hold.
    pub(crate) fn link(&self, payload: &[u8]) -> Link {
        link(&self.encode(), payload, self.key_id != 0)
    }

    /// The payload opened and expanded.
    pub(crate) fn open(&self, payload: &[u8], opener: &mut Opener) -> Result<Vec<u8>, OpenGroup> {
        if !self.payload_matches(payload) {
            return Err(OpenGroup::Damaged(Damage::Checksum));
        }
        let mut opened = payload.to_vec();
        if self.key_id != 0 {
            let header = self.encode();
            let covered = &header[COVERED_FROM..];
            opener.open(self.key_id, &self.salt, self.nonce, covered, &mut opened)?;
        }
        let plain = match self.compression {
            Compression::None => opened,
            Compression::Lz4 => lz4_flex::block::decompress(&opened, self.plain_bytes as usize)
                .map_err(|_| OpenGroup::Damaged(Damage::Compression))?,
        };
        if plain.len() != self.plain_bytes as usize {
            return Err(OpenGroup::Damaged(Damage::Compression));
        }
        Ok(plain)
    }
}

/// Why a group's payload can't be had.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OpenGroup {
    Damaged(Damage),
    MissingKey { key_id: u32 },
}

fn link(header: &[u8; GROUP_HEADER_BYTES], payload: &[u8], sealed: bool) -> Link {
    let mut hash = Sha256::new();
    hash.update(&header[COVERED_FROM..]);
    let linked = if sealed { &payload[payload.len().saturating_sub(TAG_BYTES)..] } else { payload };
    hash.update(linked);
    hash.finalize().into()
}

/// What a group is to say about itself beyond its payload.
pub(crate) struct NewGroup {
    pub(crate) kind: GroupKind,
    pub(crate) count: u32,
    pub(crate) first_position: u64,
    pub(crate) write: u32,
    pub(crate) last: bool,
}

/// Makes groups that follow each other in one chunk.
pub(crate) struct GroupEncoder {
    pub(crate) chunk_id: u64,
    pub(crate) number: u32,
    pub(crate) previous: Link,
    pub(crate) compression: Compression,
    pub(crate) sealer: Option<Sealer>,
}

/// The most that a group adds to its payload.
pub(crate) const GROUP_OVERHEAD_BYTES: usize = GROUP_HEADER_BYTES + TAG_BYTES;

impl GroupEncoder {
    /// Appends the group to `out`.
    pub(crate) fn encode(&mut self, group: &NewGroup, plain: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let payload_start = start + GROUP_HEADER_BYTES;
        out.resize(payload_start, 0);
        let compression = self.append_payload(plain, out);
        let tag_bytes = if self.sealer.is_some() { TAG_BYTES } else { 0 };
        let payload_bytes = out.len() - payload_start + tag_bytes;
        let mut header = GroupHeader {
            payload_checksum: 0,
            payload_bytes: payload_bytes as u32,
            plain_bytes: plain.len() as u32,
            count: group.count,
            first_position: group.first_position,
            chunk_id: self.chunk_id,
            number: self.number,
            write: group.write,
            kind: group.kind,
            compression,
            last: group.last,
            key_id: 0,
            salt: [0; SALT_BYTES],
            nonce: 0,
            previous: self.previous,
        };
        if let Some(sealer) = &mut self.sealer {
            header.key_id = sealer.key_id();
            header.salt = *sealer.salt();
            header.nonce = sealer.next_nonce();
            let encoded = header.encode();
            let tag =
                sealer.seal(header.nonce, &encoded[COVERED_FROM..], &mut out[payload_start..]);
            out.extend_from_slice(&tag);
        }
        let payload = &out[payload_start..];
        header.payload_checksum = crc32c::crc32c(payload);
        let encoded = header.encode();
        self.previous = link(&encoded, payload, header.key_id != 0);
        self.number = self.number.wrapping_add(1);
        out[start..payload_start].copy_from_slice(&encoded);
    }

    fn append_payload(&self, plain: &[u8], out: &mut Vec<u8>) -> Compression {
        if self.compression == Compression::Lz4 && !plain.is_empty() {
            let start = out.len();
            out.resize(start + lz4_flex::block::get_maximum_output_size(plain.len()), 0);
            match lz4_flex::block::compress_into(plain, &mut out[start..]) {
                Ok(length) if length < plain.len() => {
                    out.truncate(start + length);
                    return Compression::Lz4;
                }
                _ => out.truncate(start),
            }
        }
        out.extend_from_slice(plain);
        Compression::None
    }
}

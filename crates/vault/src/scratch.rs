//! Temporary files: what SQLite must remember for a while and nobody after it.
//!
//! Statement journals hold whole pages, sorters and temporary tables hold rows. The first mebibytes stay in memory;
//! what exceeds them goes into a file of SQLite's that has no name, in blocks that are sealed under a key which is
//! drawn for the file and kept nowhere.

use std::sync::Arc;

use rusqlite::ffi;
use zeroize::Zeroizing;

use crate::below::{Below, Code, Extent};
use crate::failure::{DAMAGED, Failure};
use crate::layout::TAG_BYTES;
use crate::seal::Cipher;

/// So much of a file stays in memory.
const MEMORY_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Bytes of a block behind that.
const BLOCK_BYTES: usize = 32 * 1024;

/// A temporary file grows to this and no further.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;

const COUNTER_BYTES: usize = 8;
const STORED_BLOCK_BYTES: usize = BLOCK_BYTES + TAG_BYTES + COUNTER_BYTES;

/// Opens the file for what exceeds the memory.
pub(crate) type OpenBelow = Box<dyn FnMut() -> Result<Below, Code> + Send>;

/// An open temporary file.
pub(crate) struct Scratch {
    length: u64,
    memory: Vec<u8>,
    open: OpenBelow,
    overflow: Option<Overflow>,
}

impl Scratch {
    pub(crate) fn new(open: OpenBelow) -> Self {
        Self { length: 0, memory: Vec::new(), open, overflow: None }
    }

    pub(crate) fn size(&self) -> u64 {
        self.length
    }

    pub(crate) fn read(&mut self, bytes: &mut [u8], offset: u64) -> Result<Extent, Code> {
        let there = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (there, missing) = bytes.split_at_mut(there.min(bytes.len()));
        missing.fill(0);
        let (in_memory, behind) = parts(there.len(), offset);
        let (first, second) = there.split_at_mut(in_memory);
        if !first.is_empty() {
            first.copy_from_slice(self.memory_at(offset, in_memory)?);
        }
        if let Some(mut at) = behind
            && let Some(overflow) = &mut self.overflow
        {
            let mut rest = second;
            while !rest.is_empty() {
                let (block, within) = overflow.block(at)?;
                let part = block.get(within..).unwrap_or_default();
                let (to, later) = rest.split_at_mut(part.len().min(rest.len()));
                to.copy_from_slice(part.get(..to.len()).unwrap_or_default());
                at = at.saturating_add(to.len() as u64);
                rest = later;
            }
        }
        Ok(if missing.is_empty() { Extent::Whole } else { Extent::Short })
    }

    pub(crate) fn write(&mut self, bytes: &[u8], offset: u64) -> Result<(), Code> {
        let end = offset.saturating_add(bytes.len() as u64);
        if end > FILE_BYTES_MAX {
            return Err(Code(ffi::SQLITE_FULL));
        }
        let (in_memory, behind) = parts(bytes.len(), offset);
        let (first, mut rest) = bytes.split_at(in_memory);
        if end > offset {
            let needed = end.min(MEMORY_BYTES_MAX);
            let needed = usize::try_from(needed).map_err(|_| Code(ffi::SQLITE_NOMEM))?;
            if self.memory.len() < needed {
                self.memory.resize(needed, 0);
            }
        }
        if !first.is_empty() {
            let at = usize::try_from(offset).map_err(|_| Code(ffi::SQLITE_NOMEM))?;
            let place = self.memory.get_mut(at..).and_then(|place| place.get_mut(..in_memory));
            place.ok_or(Code(ffi::SQLITE_IOERR_WRITE))?.copy_from_slice(first);
        }
        if let Some(mut at) = behind {
            if self.overflow.is_none() {
                self.overflow = Some(Overflow::new((self.open)()?)?);
            }
            let overflow = self.overflow.as_mut().ok_or(Code(ffi::SQLITE_IOERR_WRITE))?;
            while !rest.is_empty() {
                let (block, within) = overflow.block(at)?;
                let place = block.get_mut(within..).unwrap_or_default();
                let (from, later) = rest.split_at(place.len().min(rest.len()));
                if let Some(place) = place.get_mut(..from.len()) {
                    place.copy_from_slice(from);
                }
                overflow.changed = true;
                at = at.saturating_add(from.len() as u64);
                rest = later;
            }
        }
        self.length = self.length.max(end);
        Ok(())
    }

    pub(crate) fn truncate(&mut self, bytes: u64) -> Result<(), Code> {
        if bytes >= self.length {
            return Ok(());
        }
        self.length = bytes;
        if let Ok(bytes) = usize::try_from(bytes) {
            self.memory.truncate(bytes);
        }
        if let Some(overflow) = &mut self.overflow {
            overflow.truncate(bytes.saturating_sub(MEMORY_BYTES_MAX))?;
        }
        Ok(())
    }

    pub(crate) fn close(&mut self) -> Result<(), Code> {
        self.overflow.take().map_or(Ok(()), |mut overflow| overflow.below.close())
    }

    fn memory_at(&self, offset: u64, length: usize) -> Result<&[u8], Code> {
        usize::try_from(offset)
            .ok()
            .and_then(|at| self.memory.get(at..)?.get(..length))
            .ok_or(Code(ffi::SQLITE_IOERR_READ))
    }
}

/// How many of these bytes are in memory, and where behind it the others begin.
fn parts(length: usize, offset: u64) -> (usize, Option<u64>) {
    let room = MEMORY_BYTES_MAX.saturating_sub(offset);
    let in_memory = usize::try_from(room).unwrap_or(usize::MAX).min(length);
    let behind = (in_memory < length).then(|| offset.max(MEMORY_BYTES_MAX) - MEMORY_BYTES_MAX);
    (in_memory, behind)
}

/// What exceeds the memory: blocks in a file, one of them open.
struct Overflow {
    below: Below,
    cipher: Arc<Cipher>,
    counter: u64,
    /// Which block is open.
    number: Option<u64>,
    changed: bool,
    block: Box<[u8; BLOCK_BYTES]>,
    stored: Vec<u8>,
}

impl Overflow {
    fn new(mut below: Below) -> Result<Self, Code> {
        let mut key = Zeroizing::new([0; 32]);
        if getrandom::fill(&mut *key).is_err() {
            // That the file fails is told already.
            let _closed = below.close();
            return Err(Code(ffi::SQLITE_IOERR));
        }
        Ok(Self {
            below,
            cipher: Arc::new(Cipher::new(&key)),
            counter: 0,
            number: None,
            changed: false,
            block: Box::new([0; BLOCK_BYTES]),
            stored: vec![0; STORED_BLOCK_BYTES],
        })
    }

    /// The block of this offset, opened, and the offset in it.
    fn block(&mut self, offset: u64) -> Result<(&mut [u8; BLOCK_BYTES], usize), Code> {
        let number = offset / BLOCK_BYTES as u64;
        if self.number != Some(number) {
            self.put_back()?;
            self.number = None;
            self.fetch(number)?;
            self.number = Some(number);
        }
        let within = usize::try_from(offset % BLOCK_BYTES as u64)
            .map_err(|_| Code(ffi::SQLITE_IOERR_READ))?;
        Ok((&mut self.block, within))
    }

    fn put_back(&mut self) -> Result<(), Code> {
        let (true, Some(number)) = (self.changed, self.number) else { return Ok(()) };
        self.counter = self.counter.checked_add(1).ok_or(Code(ffi::SQLITE_FULL))?;
        let (body, end) = self.stored.split_at_mut(BLOCK_BYTES);
        body.copy_from_slice(&*self.block);
        let tag = self.cipher.seal(self.counter, &number.to_be_bytes(), body);
        let (to_tag, to_counter) = end.split_at_mut(TAG_BYTES);
        to_tag.copy_from_slice(&tag);
        to_counter.copy_from_slice(&self.counter.to_be_bytes());
        self.below.write(&self.stored, stored_block(number))?;
        self.changed = false;
        Ok(())
    }

    fn fetch(&mut self, number: u64) -> Result<(), Code> {
        self.changed = false;
        let extent = self.below.read(&mut self.stored, stored_block(number))?;
        let (body, end) = self.stored.split_at_mut(BLOCK_BYTES);
        let (tag, counter) = end.split_at(TAG_BYTES);
        let (Some(tag), Some(counter)) = (tag.as_array(), counter.as_array()) else {
            return Err(Code(ffi::SQLITE_IOERR_READ));
        };
        // A block that was never written: counters begin at 1.
        if extent == Extent::Short || *counter == [0; COUNTER_BYTES] {
            self.block.fill(0);
            return Ok(());
        }
        let counter = u64::from_be_bytes(*counter);
        if self.cipher.open(counter, &number.to_be_bytes(), *tag, body).is_err() {
            let failure = Failure::Temporary(number);
            tracing::error!(%failure, "a temporary file can't be read");
            return Err(Code(DAMAGED));
        }
        self.block.copy_from_slice(body);
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> Result<(), Code> {
        let blocks = bytes.div_ceil(BLOCK_BYTES as u64);
        if self.number.is_some_and(|number| number >= blocks) {
            (self.number, self.changed) = (None, false);
        }
        self.below.truncate(stored_block(blocks))
    }
}

fn stored_block(number: u64) -> u64 {
    number.saturating_mul(STORED_BLOCK_BYTES as u64)
}

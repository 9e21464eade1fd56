//! Reading a file in order, many small pieces with few system calls.

use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

/// How much is read ahead.
const READ_AHEAD_BYTES: usize = 256 * 1024;

/// A part of a file in memory.
pub(crate) struct Window {
    file: Arc<File>,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub(crate) fn new(file: Arc<File>) -> Window {
        Window { file, start: 0, bytes: Vec::new() }
    }

    /// The bytes at `offset`, read at most up to `limit`; `None` when that or the file ends before.
    pub(crate) fn range(
        &mut self,
        offset: u64,
        length: usize,
        limit: u64,
    ) -> io::Result<Option<&[u8]>> {
        if offset.checked_add(length as u64).is_none_or(|end| end > limit) {
            return Ok(None);
        }
        if self.place(offset, length).is_none() {
            self.fill(offset, length, limit)?;
        }
        Ok(match self.place(offset, length) {
            Some(at) => self.bytes.get(at..at + length),
            None => None,
        })
    }

    fn place(&self, offset: u64, length: usize) -> Option<usize> {
        let at = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        (at.checked_add(length)? <= self.bytes.len()).then_some(at)
    }

    fn fill(&mut self, offset: u64, length: usize, limit: u64) -> io::Result<()> {
        let left = usize::try_from(limit - offset).unwrap_or(usize::MAX);
        let wanted = length.max(READ_AHEAD_BYTES).min(left);
        if length <= READ_AHEAD_BYTES && self.bytes.capacity() > 4 * READ_AHEAD_BYTES {
            self.bytes = Vec::new(); // a single large group must not be paid for ever after
        }
        self.bytes.clear();
        self.bytes.resize(wanted, 0);
        self.start = offset;
        let mut filled = 0;
        while let Some(rest) = self.bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.bytes.clear();
                    return Err(error);
                }
            }
        }
        self.bytes.truncate(filled);
        Ok(())
    }
}

//! How the fields of a record become bytes: little-endian variable-length numbers and counted
//! byte strings. Strict on reading: what is cut off or left over is an error, never a guess.

use bytes::Bytes;

/// A record that can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It ends in the middle of a field.
    #[error("the record ends before its fields do")]
    Short,
    /// Bytes are left over behind the last field.
    #[error("the record holds more than its fields")]
    Long,
    /// A number is too large for its field.
    #[error("a number in the record is out of range")]
    Range,
    /// A text field is not UTF-8.
    #[error("a text in the record is not UTF-8")]
    Text,
    /// The kind or format is of a later release.
    #[error("the record is of an unknown kind or a later format (kind {kind}, format {format})")]
    Unknown {
        /// The record's kind.
        kind: u8,
        /// The record's format version.
        format: u8,
    },
    /// A payload that the head speaks of is missing.
    #[error("the record lacks a body")]
    Body,
}

/// Writes fields.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new(format: u8) -> Self {
        let mut bytes = Vec::with_capacity(96);
        bytes.push(format);
        Self(bytes)
    }

    pub(super) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(super) fn hash(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.number(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    pub(super) fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// A text that may be absent: its length plus one, or 0.
    pub(super) fn optional_text(&mut self, value: Option<&str>) {
        match value {
            None => self.number(0),
            Some(text) => {
                self.number(text.len() as u64 + 1);
                self.0.extend_from_slice(text.as_bytes());
            }
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads fields in the order they were written.
#[derive(Debug)]
pub(super) struct Reader {
    bytes: Bytes,
    /// How many of them have been read.
    read: usize,
}

impl Reader {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { bytes, read: 0 }
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.read..).unwrap_or_default()
    }

    pub(super) fn byte(&mut self) -> Result<u8, RecordError> {
        let first = *self.bytes.get(self.read).ok_or(RecordError::Short)?;
        self.read += 1;
        Ok(first)
    }

    pub(super) fn number(&mut self) -> Result<u64, RecordError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return Err(RecordError::Range);
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RecordError::Range)
    }

    pub(super) fn small<N: TryFrom<u64>>(&mut self) -> Result<N, RecordError> {
        N::try_from(self.number()?).map_err(|_| RecordError::Range)
    }

    /// A count of things that take at least a byte each, so that a damaged count reserves no
    /// memory.
    pub(super) fn count(&mut self) -> Result<usize, RecordError> {
        let count: usize = self.small()?;
        if count > self.rest().len() { Err(RecordError::Short) } else { Ok(count) }
    }

    pub(super) fn hash(&mut self) -> Result<u64, RecordError> {
        let array = *self.rest().first_chunk().ok_or(RecordError::Short)?;
        self.read += array.len();
        Ok(u64::from_le_bytes(array))
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, RecordError> {
        let length = self.small()?;
        let start = self.read;
        self.take(length)?;
        Ok(self.bytes.slice(start..self.read))
    }

    /// Owned in whichever way the field is.
    pub(super) fn text<T: for<'t> From<&'t str>>(&mut self) -> Result<T, RecordError> {
        let length = self.small()?;
        self.take_text(length)
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<String>, RecordError> {
        let Some(length) = self.small::<usize>()?.checked_sub(1) else { return Ok(None) };
        self.take_text(length).map(Some)
    }

    pub(super) fn finish(self) -> Result<(), RecordError> {
        if self.rest().is_empty() { Ok(()) } else { Err(RecordError::Long) }
    }

    fn take_text<T: for<'t> From<&'t str>>(&mut self, length: usize) -> Result<T, RecordError> {
        let text = str::from_utf8(self.take(length)?).map_err(|_| RecordError::Text)?;
        Ok(text.into())
    }

    fn take(&mut self, length: usize) -> Result<&[u8], RecordError> {
        let (start, end) = (self.read, self.read.saturating_add(length));
        let taken = self.bytes.get(start..end).ok_or(RecordError::Short)?;
        self.read = end;
        Ok(taken)
    }
}

//! Files and batches of messages (HL7 v2.5.1 §2.10.3): FHS, BHS, messages, BTS, FTS, any of the frame left out.
//!
//! The input is cut into parts at the lines that begin one; the parts joined are the input again, so nothing is lost
//! whatever else stands in it. Nothing is copied or decoded, and a bad message or a wrong count stops nothing: what is
//! odd is told as a [`Finding`] of the part where it shows. [`Batches`] cuts bytes in memory, [`BatchSplitter`] bytes
//! that arrive in chunks; both give the same parts.

use crate::parse;

mod scan;
mod splitter;
mod tally;
#[cfg(test)]
mod tests;

pub use splitter::{BatchError, BatchSplitter};
pub use tally::{BatchPosition, Finding};

use scan::{Cut, Scan};
use tally::Tally;

/// What one part of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchPartKind {
    /// FHS and the lines up to the next part.
    FileHeader,
    /// BHS and the lines up to the next part.
    BatchHeader,
    /// MSH and the lines up to the next part: one message.
    Message,
    /// BTS.
    BatchTrailer,
    /// FTS.
    FileTrailer,
    /// Lines that belong to none of the others.
    Stray,
}

/// One part of a file: where it is, what it is, and what is wrong with it.
#[derive(Clone, PartialEq, Eq)]
pub struct BatchPart<'a> {
    /// What it is.
    pub kind: BatchPartKind,
    /// All its bytes, blank lines and framing around it included.
    pub bytes: &'a [u8],
    /// Where it begins, in bytes from the start of the input.
    pub offset: u64,
    /// Which file, batch and message it belongs to.
    pub position: BatchPosition,
    /// What is odd here.
    pub findings: Vec<Finding>,
}

impl<'a> BatchPart<'a> {
    /// The bytes from the first character of the first line to the end of the last line: without byte order mark,
    /// framing bytes and blank lines around them.
    pub fn content(&self) -> &'a [u8] {
        let start = parse::skip_leading(self.bytes);
        let end = parse::end_of_content(self.bytes);
        let after = self.bytes.get(end..).unwrap_or_default();
        let terminator = match after {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => 0,
        };
        self.bytes.get(start..end.saturating_add(terminator)).unwrap_or_default()
    }
}

/// Shows the place; what a part holds belongs to patients.
impl std::fmt::Debug for BatchPart<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("BatchPart")
            .field("kind", &self.kind)
            .field("bytes", &self.bytes.len())
            .field("offset", &self.offset)
            .field("position", &self.position)
            .field("findings", &self.findings)
            .finish()
    }
}

/// The parts of a file in memory, in order.
///
/// ```
/// use pipehat_message::{BatchPartKind, Batches};
///
/// let file = b"BHS|^~\\&\rMSH|^~\\&|A\rMSH|^~\\&|B\rBTS|2\r";
/// let messages = Batches::new(file).filter(|part| part.kind == BatchPartKind::Message);
/// assert_eq!(messages.count(), 2);
/// ```
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    rest: &'a [u8],
    offset: u64,
    scan: Scan,
    tally: Tally,
}

impl<'a> Batches<'a> {
    /// Cuts `bytes` into parts.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0, scan: Scan::default(), tally: Tally::default() }
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = BatchPart<'a>;

    fn next(&mut self) -> Option<BatchPart<'a>> {
        let Cut { kind, end, is_last } = self.scan.next_cut(self.rest, scan::Input::Complete)?;
        let (bytes, rest) = self.rest.split_at_checked(end)?;
        let (position, findings) = self.tally.enter(kind, bytes, is_last);
        let part = BatchPart { kind, bytes, offset: self.offset, position, findings };
        self.rest = rest;
        self.offset = self.offset.saturating_add(bytes.len() as u64);
        Some(part)
    }
}

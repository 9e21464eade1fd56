//! A few segments of a message that comes in pieces, without holding the rest.
//!
//! For whoever wants to know who a message of 50 MB is about, and not its document. A [`Sieve`] keeps the header and
//! the segments of the names it is given, in their order, and lets everything else through. What it kept is itself a
//! message: [`Message::parse`](crate::Message::parse) reads it, and a path of one of these names finds in it what it
//! finds in the whole message. However the message is cut into pieces, the same is kept.
//!
//! What it keeps is bounded. A segment longer than [`SIEVED_SEGMENT_BYTES_MAX`] is kept up to the last field that is
//! whole; after [`SIEVED_BYTES_MAX`] no further segment is kept. [`Sieved::is_whole`] says whether either happened.

use std::ops::ControlFlow;

use memchr::{memchr2, memrchr};

use crate::HEADER_BYTES_MAX;
use crate::segment::SegmentName;

/// The most bytes kept of one segment: identifiers are short, and what is longer is a document. Not below
/// [`HEADER_BYTES_MAX`], so that a header that is too long is still seen to be.
pub const SIEVED_SEGMENT_BYTES_MAX: usize = HEADER_BYTES_MAX + 1;

/// The most bytes kept of one message: some thousand segments of the usual length.
pub const SIEVED_BYTES_MAX: usize = 512 * 1024;

const NAME_BYTES: usize = 3;

/// Keeps the segments of some names.
pub struct Sieve {
    names: Vec<SegmentName>,
    kept: Vec<u8>,
    /// Where in `kept` the line at hand begins.
    line_start: usize,
    line: Line,
    /// Whether the first line that is not blank has begun to be kept: it is the header, or what stands in its place.
    has_first: bool,
    has_cut: bool,
    full: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Fewer bytes than a name has.
    Naming,
    Keeping,
    /// It is kept as far as it may be.
    Cut,
    Skipping,
}

/// What a sieve kept. It belongs to a patient: `Debug` shows its size.
#[derive(Clone, PartialEq, Eq)]
pub struct Sieved {
    /// The header and the segments, each ended by CR.
    pub bytes: Vec<u8>,
    /// Whether every segment of the names was kept as a whole. Otherwise fields at the end of long ones are missing, or
    /// segments at the end of the message.
    pub is_whole: bool,
}

impl Sieve {
    /// A sieve for segments of these names. The header is always kept.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = SegmentName>) -> Self {
        let mut names: Vec<SegmentName> = names.into_iter().collect();
        names.push(SegmentName::MSH);
        names.sort_unstable();
        names.dedup();
        Self {
            names,
            kept: Vec::new(),
            line_start: 0,
            line: Line::Naming,
            has_first: false,
            has_cut: false,
            full: false,
        }
    }

    /// Takes the next piece. A break says that nothing further will be kept.
    pub fn push(&mut self, piece: &[u8]) -> ControlFlow<()> {
        let mut rest = piece;
        while let Some(end) = memchr2(b'\r', b'\n', rest) {
            let (line, after) = rest.split_at(end);
            self.take(line);
            self.end_line();
            if self.full {
                return ControlFlow::Break(());
            }
            rest = after.get(1..).unwrap_or_default();
        }
        self.take(rest);
        ControlFlow::Continue(())
    }

    /// What was kept, when the message has ended or a break said so.
    #[must_use]
    pub fn finish(mut self) -> Sieved {
        self.end_line();
        Sieved { bytes: self.kept, is_whole: !self.full && !self.has_cut }
    }

    /// Takes a part of a line.
    fn take(&mut self, part: &[u8]) {
        let mut part = part;
        if self.line == Line::Naming {
            let missing = NAME_BYTES.saturating_sub(self.line_bytes());
            let (name, rest) = part.split_at(missing.min(part.len()));
            self.kept.extend_from_slice(name);
            part = rest;
            if self.line_bytes() < NAME_BYTES {
                return;
            }
            self.line = if !self.has_first || self.is_wanted() {
                Line::Keeping
            } else {
                self.kept.truncate(self.line_start);
                Line::Skipping
            };
        }
        if self.line == Line::Keeping {
            let room = SIEVED_SEGMENT_BYTES_MAX.saturating_sub(self.line_bytes());
            self.kept.extend_from_slice(part.get(..room).unwrap_or(part));
            if part.len() > room {
                self.cut();
            }
        }
    }

    fn line_bytes(&self) -> usize {
        self.kept.len().saturating_sub(self.line_start)
    }

    fn is_wanted(&self) -> bool {
        let line = self.kept.get(self.line_start..).unwrap_or_default();
        let name = SegmentName::try_from(line);
        name.is_ok_and(|name| self.names.binary_search(&name).is_ok())
    }

    /// Takes off the field that is not whole, for a part of a value would be taken for the value. The first line stays as
    /// it is: no header is that long.
    fn cut(&mut self) {
        self.line = Line::Cut;
        self.has_cut = true;
        if !self.has_first {
            return;
        }
        let line = self.kept.get(self.line_start..).unwrap_or_default();
        let separator = line.get(NAME_BYTES).copied().unwrap_or(b'|');
        let end = memrchr(separator, line).unwrap_or(NAME_BYTES);
        self.kept.truncate(self.line_start.saturating_add(end));
    }

    fn end_line(&mut self) {
        let line = self.kept.get(self.line_start..).unwrap_or_default();
        let is_blank = line.iter().all(|&byte| byte <= b' ');
        let short = self.line == Line::Naming && self.has_first;
        if is_blank || short || self.full {
            self.kept.truncate(self.line_start);
        } else {
            self.has_first = true;
            self.kept.push(b'\r');
            if self.kept.len() > SIEVED_BYTES_MAX {
                self.kept.truncate(self.line_start);
                self.full = true;
            }
        }
        self.line_start = self.kept.len();
        self.line = Line::Naming;
    }
}

impl std::fmt::Debug for Sieve {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Sieve")
            .field("names", &self.names)
            .field("kept_bytes", &self.kept.len())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Sieved {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Sieved")
            .field("bytes", &self.bytes.len())
            .field("is_whole", &self.is_whole)
            .finish()
    }
}

#[cfg(test)]
mod tests;

//! Cutting input that arrives in chunks, in memory for one part and one chunk.

use crate::batch::BatchPart;
use crate::batch::scan::{Cut, Input, Scan};
use crate::batch::tally::Tally;
use crate::parse::Limits;

/// The input cannot be cut further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// One part is larger than a message may be.
    #[error("the part at byte {offset} has more than {limit} bytes")]
    PartTooLarge {
        /// Where it begins, in bytes from the start of the input.
        offset: u64,
        /// The limit.
        limit: usize,
    },
}

/// Cuts files larger than memory: push what was read, take the parts that are complete, and finish.
///
/// The parts do not depend on how the input was cut into chunks.
///
/// ```
/// use pipehat_message::{BatchError, BatchSplitter};
///
/// # fn main() -> Result<(), BatchError> {
/// let mut splitter = BatchSplitter::default();
/// let mut messages = 0;
/// for chunk in [b"MSH|^~\\&|A\rMS".as_slice(), b"H|^~\\&|B\r"] {
///     splitter.push(chunk);
///     while let Some(_part) = splitter.next_part()? {
///         messages += 1;
///     }
/// }
/// splitter.finish();
/// while let Some(_part) = splitter.next_part()? {
///     messages += 1;
/// }
/// assert_eq!(messages, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct BatchSplitter {
    buffer: Vec<u8>,
    /// Where in the buffer the part begins that comes next.
    start: usize,
    /// Where in the input the buffer begins.
    buffer_offset: u64,
    input: Input,
    scan: Scan,
    tally: Tally,
    part_bytes_max: usize,
}

impl Default for BatchSplitter {
    fn default() -> Self {
        Self::new(&Limits::DEFAULT)
    }
}

impl BatchSplitter {
    /// A splitter that refuses parts larger than a message may be.
    pub fn new(limits: &Limits) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            buffer_offset: 0,
            input: Input::Open,
            scan: Scan::default(),
            tally: Tally::default(),
            part_bytes_max: limits.message_bytes_max,
        }
    }

    /// Takes the next bytes of the input. Take all complete parts before the next chunk: what is not taken is kept.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.drain(..self.start);
        self.buffer_offset = self.buffer_offset.saturating_add(self.start as u64);
        self.start = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// Says that the input is at its end, which completes the last part.
    pub fn finish(&mut self) {
        self.input = Input::Complete;
    }

    /// The next part, if it is complete. After an error the same error comes again.
    pub fn next_part(&mut self) -> Result<Option<BatchPart<'_>>, BatchError> {
        let start = self.start;
        let offset = self.buffer_offset.saturating_add(start as u64);
        let too_large = BatchError::PartTooLarge { offset, limit: self.part_bytes_max };
        let rest = self.buffer.get(start..).unwrap_or_default();
        let mut scan = self.scan.clone();
        let Some(Cut { kind, end, is_last }) = scan.next_cut(rest, self.input) else {
            let certain = scan.certain(rest);
            self.scan = scan;
            return if certain > self.part_bytes_max { Err(too_large) } else { Ok(None) };
        };
        if end > self.part_bytes_max {
            return Err(too_large);
        }
        self.scan = scan;
        self.start = start.saturating_add(end);
        let bytes = rest.get(..end).unwrap_or_default();
        let (position, findings) = self.tally.enter(kind, bytes, is_last);
        Ok(Some(BatchPart { kind, bytes, offset, position, findings }))
    }
}

/// Shows how much waits; what waits belongs to patients.
impl std::fmt::Debug for BatchSplitter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("BatchSplitter")
            .field("offset", &self.buffer_offset)
            .field("buffered", &self.buffer.len())
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}

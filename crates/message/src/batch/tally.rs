//! Counting the messages of a batch and the batches of a file, and comparing with what the trailers say.

use crate::batch::BatchPartKind;
use crate::parse;
use crate::part;

/// Which file, batch and message a part belongs to. A header counts with what it opens, a trailer with what it closes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchPosition {
    /// The file (FHS…FTS), counted from 1; 0 outside of any.
    pub file: u64,
    /// The batch within its file, counted from 1, batches without BHS included; 0 before the first.
    pub batch: u64,
    /// The message within its batch, counted from 1; 0 before the first.
    pub message: u64,
}

/// Something odd about a file that loses nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// BTS-1 differs from the number of messages in the batch.
    #[error("BTS-1 says {declared} messages, the batch has {counted}")]
    MessageCount {
        /// What BTS-1 says.
        declared: u64,
        /// What is there.
        counted: u64,
    },
    /// FTS-1 differs from the number of batches in the file.
    #[error("FTS-1 says {declared} batches, the file has {counted}")]
    BatchCount {
        /// What FTS-1 says.
        declared: u64,
        /// What is there.
        counted: u64,
    },
    /// BTS-1 or FTS-1 is not a number.
    #[error("the trailer's count (BTS-1, FTS-1) is not a number")]
    CountUnreadable,
    /// A batch opened by BHS ends without BTS.
    #[error("a batch header (BHS) has no trailer (BTS)")]
    BatchNotClosed,
    /// A BTS closes no batch.
    #[error("a batch trailer (BTS) has no header (BHS)")]
    BatchNotOpened,
    /// A file opened by FHS ends without FTS.
    #[error("a file header (FHS) has no trailer (FTS)")]
    FileNotClosed,
    /// An FTS closes no file.
    #[error("a file trailer (FTS) has no header (FHS)")]
    FileNotOpened,
    /// Lines that belong to no message, header or trailer.
    #[error("lines belong to no message")]
    StrayLines,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum BatchState {
    #[default]
    Closed,
    /// Messages without a BHS before them.
    Implied,
    Opened,
}

/// The counts so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    files: u64,
    file_is_open: bool,
    batches: u64,
    batch: BatchState,
    messages: u64,
}

impl Tally {
    /// Counts the next part and says where it stands and what is odd about it.
    pub(super) fn enter(
        &mut self,
        kind: BatchPartKind,
        bytes: &[u8],
        is_last: bool,
    ) -> (BatchPosition, Vec<Finding>) {
        let mut findings = Vec::new();
        match kind {
            BatchPartKind::FileHeader => self.open_file(&mut findings),
            BatchPartKind::BatchHeader => self.open_batch(BatchState::Opened, &mut findings),
            BatchPartKind::Message => {
                if self.batch == BatchState::Closed {
                    self.open_batch(BatchState::Implied, &mut findings);
                }
                self.messages = self.messages.saturating_add(1);
            }
            BatchPartKind::BatchTrailer => self.close_batch(bytes, &mut findings),
            BatchPartKind::FileTrailer => self.close_file(bytes, &mut findings),
            BatchPartKind::Stray if parse::is_blank(bytes) => {}
            BatchPartKind::Stray => findings.push(Finding::StrayLines),
        }
        let position = BatchPosition {
            file: if self.file_is_open { self.files } else { 0 },
            batch: self.batches,
            message: self.messages,
        };
        match kind {
            BatchPartKind::BatchTrailer => self.batch = BatchState::Closed,
            BatchPartKind::FileTrailer => {
                self.file_is_open = false;
                self.batches = 0;
                self.messages = 0;
            }
            _ => {}
        }
        if is_last {
            self.end_batch(&mut findings);
            self.end_file(&mut findings);
        }
        (position, findings)
    }

    fn open_file(&mut self, findings: &mut Vec<Finding>) {
        self.end_batch(findings);
        self.end_file(findings);
        self.files = self.files.saturating_add(1);
        self.file_is_open = true;
        self.batches = 0;
        self.messages = 0;
    }

    fn open_batch(&mut self, state: BatchState, findings: &mut Vec<Finding>) {
        self.end_batch(findings);
        self.batches = self.batches.saturating_add(1);
        self.batch = state;
        self.messages = 0;
    }

    fn close_batch(&mut self, bytes: &[u8], findings: &mut Vec<Finding>) {
        if self.batch != BatchState::Opened {
            findings.push(Finding::BatchNotOpened);
        }
        // What was counted belongs to the last batch if that is closed already.
        let counted = if self.batch == BatchState::Closed { 0 } else { self.messages };
        compare(bytes, counted, findings, |declared, counted| Finding::MessageCount {
            declared,
            counted,
        });
    }

    fn close_file(&mut self, bytes: &[u8], findings: &mut Vec<Finding>) {
        self.end_batch(findings);
        if !self.file_is_open {
            findings.push(Finding::FileNotOpened);
        }
        compare(bytes, self.batches, findings, |declared, counted| Finding::BatchCount {
            declared,
            counted,
        });
    }

    /// The batch ends without BTS, which only one with BHS must have.
    fn end_batch(&mut self, findings: &mut Vec<Finding>) {
        if self.batch == BatchState::Opened {
            findings.push(Finding::BatchNotClosed);
        }
        self.batch = BatchState::Closed;
    }

    fn end_file(&mut self, findings: &mut Vec<Finding>) {
        if self.file_is_open {
            findings.push(Finding::FileNotClosed);
        }
        self.file_is_open = false;
    }
}

fn compare(
    bytes: &[u8],
    counted: u64,
    findings: &mut Vec<Finding>,
    mismatch: fn(u64, u64) -> Finding,
) {
    match declared_count(bytes) {
        Declared::Nothing => {}
        Declared::Unreadable => findings.push(Finding::CountUnreadable),
        Declared::Count(declared) if declared == counted => {}
        Declared::Count(declared) => findings.push(mismatch(declared, counted)),
    }
}

enum Declared {
    Nothing,
    Unreadable,
    Count(u64),
}

/// Field 1 of a trailer. Its separator is the byte after the name: a trailer can stand alone.
fn declared_count(bytes: &[u8]) -> Declared {
    let content = bytes.get(parse::skip_leading(bytes)..).unwrap_or_default();
    let end = content.iter().position(|&byte| matches!(byte, b'\r' | b'\n' | 0x1C));
    let line = content.get(..end.unwrap_or(content.len())).unwrap_or_default();
    let Some(&separator) = line.get(3) else { return Declared::Nothing };
    let count = part::nth(line, separator, 1).unwrap_or_default().trim_ascii();
    if count.is_empty() {
        return Declared::Nothing;
    }
    if !count.iter().all(u8::is_ascii_digit) {
        return Declared::Unreadable;
    }
    match std::str::from_utf8(count).ok().and_then(|count| count.parse().ok()) {
        Some(count) => Declared::Count(count),
        None => Declared::Unreadable,
    }
}

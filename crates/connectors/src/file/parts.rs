//! The messages of one file, read as a stream: the file may be larger than memory.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use pipehat_message::{BatchError, BatchPartKind, BatchSplitter, Limits};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::reasons::{Reason, Reasons};

/// How much is read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// What a file is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    /// HL7 messages, one or many, with or without batch and file headers.
    Messages,
    /// One payload of whatever kind.
    None,
}

/// One message of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Its bytes.
    pub(super) bytes: Bytes,
    /// Its number in the file, from 0.
    pub(super) index: u64,
    /// Whether no other follows.
    pub(super) last: bool,
}

/// Reads the messages of a file one after another.
#[derive(Debug)]
pub(super) struct PartReader {
    file: File,
    opened: (u64, SystemTime),
    pieces: Pieces,
    chunk: BytesMut,
    bytes_max: usize,
    read_bytes: u64,
    at_end: bool,
    /// The message read last, held back until it is known whether another follows.
    held: Option<Bytes>,
    next_index: u64,
    /// Whether there is a batch or file header or trailer.
    is_enveloped: bool,
    /// Messages before this one are not wanted.
    first_index: u64,
}

#[derive(Debug)]
enum Pieces {
    Messages(Box<BatchSplitter>),
    Whole(BytesMut),
}

/// What came of asking for the next message.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Message(Bytes),
    /// More of the file must be read.
    More,
    /// What follows can't be used.
    Unusable,
}

impl PartReader {
    /// Opens a file, to read it from the message with the number `first_index` on.
    pub(super) async fn open(
        path: &Path,
        split: Split,
        bytes_max: usize,
        first_index: u64,
    ) -> io::Result<Self> {
        let file = File::open(path).await?;
        let metadata = file.metadata().await?;
        let pieces = match split {
            Split::Messages => {
                let limits = Limits { message_bytes_max: bytes_max, ..Limits::DEFAULT };
                Pieces::Messages(Box::new(BatchSplitter::new(&limits)))
            }
            // Room for all of it: a large one is not held twice while its buffer grows.
            Split::None => {
                let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
                Pieces::Whole(BytesMut::with_capacity(length.min(bytes_max)))
            }
        };
        Ok(Self {
            file,
            opened: (metadata.len(), metadata.modified()?),
            pieces,
            chunk: BytesMut::with_capacity(CHUNK_BYTES),
            bytes_max,
            read_bytes: 0,
            at_end: false,
            held: None,
            next_index: 0,
            is_enveloped: false,
            first_index,
        })
    }

    /// How many bytes were read so far.
    pub(super) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// How many messages the file has, known at its end.
    pub(super) fn messages(&self) -> u64 {
        self.next_index
    }

    /// Whether the messages stand in a batch: it may have none, which is how some senders say "nothing today".
    pub(super) fn is_enveloped(&self) -> bool {
        self.is_enveloped
    }

    /// The next message that is wanted; `None` at the end. What is wrong with the file is added to `reasons`.
    pub(super) async fn next(&mut self, reasons: &mut Reasons) -> io::Result<Option<Part>> {
        loop {
            let found = self.next_bytes(reasons).await?;
            let last = found.is_none();
            let Some(bytes) = std::mem::replace(&mut self.held, found) else {
                if last {
                    return Ok(None);
                }
                continue;
            };
            let index = self.next_index;
            self.next_index += 1;
            if index >= self.first_index {
                return Ok(Some(Part { bytes, index, last }));
            }
        }
    }

    async fn next_bytes(&mut self, reasons: &mut Reasons) -> io::Result<Option<Bytes>> {
        loop {
            match self.next_piece(reasons) {
                Piece::Message(bytes) => return Ok(Some(bytes)),
                Piece::Unusable => self.at_end = true,
                Piece::More => {}
            }
            if self.at_end {
                return Ok(None);
            }
            self.chunk.clear();
            if self.file.read_buf(&mut self.chunk).await? == 0 {
                self.finish(reasons).await?;
                continue;
            }
            self.read_bytes += self.chunk.len() as u64;
            match &mut self.pieces {
                Pieces::Messages(splitter) => splitter.push(&self.chunk),
                Pieces::Whole(whole) => whole.extend_from_slice(&self.chunk),
            }
        }
    }

    /// The end was reached: what is buffered is complete.
    async fn finish(&mut self, reasons: &mut Reasons) -> io::Result<()> {
        self.at_end = true;
        let metadata = self.file.metadata().await?;
        if (metadata.len(), metadata.modified()?) != self.opened {
            reasons.add(Reason::ChangedWhileRead);
        }
        if let Pieces::Messages(splitter) = &mut self.pieces {
            splitter.finish();
        }
        Ok(())
    }

    fn next_piece(&mut self, reasons: &mut Reasons) -> Piece {
        match &mut self.pieces {
            Pieces::Messages(splitter) => loop {
                match splitter.next_part() {
                    Ok(Some(part)) => {
                        part.findings
                            .iter()
                            .for_each(|finding| reasons.add(Reason::Batch(*finding)));
                        match part.kind {
                            BatchPartKind::Message => {
                                return Piece::Message(Bytes::copy_from_slice(part.content()));
                            }
                            BatchPartKind::Stray => {}
                            BatchPartKind::FileHeader
                            | BatchPartKind::BatchHeader
                            | BatchPartKind::BatchTrailer
                            | BatchPartKind::FileTrailer => self.is_enveloped = true,
                        }
                    }
                    Ok(None) => return Piece::More,
                    Err(BatchError::PartTooLarge { offset, limit }) => {
                        reasons.add(Reason::TooLarge { offset, limit });
                        return Piece::Unusable;
                    }
                }
            },
            Pieces::Whole(whole) if whole.len() > self.bytes_max => {
                reasons.add(Reason::TooLarge { offset: 0, limit: self.bytes_max });
                whole.clear();
                Piece::Unusable
            }
            Pieces::Whole(whole) if self.at_end && !whole.is_empty() => {
                Piece::Message(whole.split().freeze())
            }
            Pieces::Whole(_) => Piece::More,
        }
    }
}

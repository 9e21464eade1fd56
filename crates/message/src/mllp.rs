//! MLLP framing without I/O (HL7 Transport Specification: MLLP, Release 1 and Release 2).
//!
//! A block is VT, payload, FS, CR. However the input is split into reads, a [`Decoder`] gives the same events, and each
//! way a peer can get it wrong has one answer:
//!
//! * Bytes between frames are skipped and counted ([`Event::Garbage`]); CR and LF there are not worth a word.
//! * A frame ends at FS; the CR behind it is swallowed when it comes, and a peer that never sends it still gets its
//!   answer. For payloads that may hold FS themselves (UTF-16) there is [`FrameEnd::BlockAndReturn`].
//! * A frame that is not ended before the next one starts is dropped ([`Event::Unterminated`]): its sender gave it up.
//!   Only VT with a header (MSH, FHS, BHS) right behind it starts a frame inside a frame: a lone VT in free text, as word
//!   processors leave it, is data.
//! * A frame above the limit is reported once ([`Event::Oversized`]) with its first bytes, enough to refuse it by control
//!   id; the rest is skipped to the frame's end without being kept.
//!
//! The decoder's buffer is what a connection reads into ([`Decoder::buffer_mut`]). Large frames leave it by handing over
//! the buffer, small ones by one copy.

use std::fmt;
use std::ops::Range;

use memchr::{memchr, memchr2};

/// VT: a block starts.
pub const START_BLOCK: u8 = 0x0B;
/// FS: a block ends, with [`CARRIAGE_RETURN`] behind it.
pub const END_BLOCK: u8 = 0x1C;
/// CR, behind the end block.
pub const CARRIAGE_RETURN: u8 = 0x0D;
/// MLLP Release 2: the whole block that says "kept".
pub const COMMIT_ACKNOWLEDGMENT: [u8; 4] = [START_BLOCK, ACK, END_BLOCK, CARRIAGE_RETURN];
/// MLLP Release 2: the whole block that says "not kept, send again".
pub const COMMIT_NEGATIVE_ACKNOWLEDGMENT: [u8; 4] = [START_BLOCK, NAK, END_BLOCK, CARRIAGE_RETURN];

const ACK: u8 = 0x06;
const NAK: u8 = 0x15;

/// How much of an oversized frame [`Event::Oversized`] shows: more than any header segment met in practice.
pub const OVERSIZED_HEAD_BYTES: usize = 4096;
/// Garbage is reported at the latest after so many bytes, so that a peer who speaks another protocol is seen.
pub const GARBAGE_BYTES_REPORTED: usize = 4096;

/// Frames from this size on leave the decoder with its buffer instead of being copied.
const HANDED_OVER_BYTES_MIN: usize = 64 * 1024;
/// What a frame outgrows before it gets room for many times more at once.
const GROWTH_STEP_BYTES: usize = 256 * 1024;
/// How many times more. Pages that are not touched cost no memory; copying a growing buffer again and again does.
const GROWTH_FACTOR: usize = 256;

/// Where frames end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FrameEnd {
    /// At FS, whether or not CR follows.
    #[default]
    Block,
    /// At FS and CR. FS with another byte behind it is data; a frame whose CR is late waits for it.
    BlockAndReturn,
}

/// What a decoder accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of payload in one frame.
    pub frame_bytes_max: usize,
    /// Where frames end.
    pub frame_end: FrameEnd,
}

impl Limits {
    /// Frames up to this many bytes, ended at FS.
    #[must_use]
    pub fn new(frame_bytes_max: usize) -> Self {
        Self { frame_bytes_max, frame_end: FrameEnd::Block }
    }
}

/// What the bytes of a connection turned out to be. Payloads do not show in its `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// The payload of a whole frame; it may be empty.
    Frame(Vec<u8>),
    /// So many bytes that belong to no frame were skipped.
    Garbage {
        /// How many, CR and LF not counted.
        bytes: usize,
    },
    /// The limit was passed; the rest of the frame is being skipped.
    Oversized {
        /// The first bytes of its payload, at most [`OVERSIZED_HEAD_BYTES`].
        head: Vec<u8>,
    },
    /// A frame started inside this one, which was dropped.
    Unterminated {
        /// How long its payload was.
        bytes: usize,
    },
    /// MLLP Release 2: the peer has kept the message.
    CommitAck,
    /// MLLP Release 2: the peer has not kept the message.
    CommitNak,
}

/// What was left when the input ended. Payloads do not show in its `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum Remainder {
    /// Nothing: the last frame was whole.
    Nothing,
    /// With [`FrameEnd::BlockAndReturn`]: a frame that lacks only its CR.
    Frame(Vec<u8>),
    /// A frame that was not ended.
    Partial {
        /// How much of its payload came.
        bytes: usize,
    },
    /// An oversized frame, reported before.
    Oversized,
    /// So many bytes that belong to no frame, since the last [`Event::Garbage`].
    Garbage {
        /// How many, CR and LF not counted.
        bytes: usize,
    },
}

impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(payload) => write!(formatter, "Frame({} bytes)", payload.len()),
            Self::Garbage { bytes } => write!(formatter, "Garbage({bytes} bytes)"),
            Self::Oversized { .. } => formatter.write_str("Oversized"),
            Self::Unterminated { bytes } => write!(formatter, "Unterminated({bytes} bytes)"),
            Self::CommitAck => formatter.write_str("CommitAck"),
            Self::CommitNak => formatter.write_str("CommitNak"),
        }
    }
}

impl fmt::Debug for Remainder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => formatter.write_str("Nothing"),
            Self::Frame(payload) => write!(formatter, "Frame({} bytes)", payload.len()),
            Self::Partial { bytes } => write!(formatter, "Partial({bytes} bytes)"),
            Self::Oversized => formatter.write_str("Oversized"),
            Self::Garbage { bytes } => write!(formatter, "Garbage({bytes} bytes)"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between frames, with so much garbage not yet reported.
    Outside { garbage: usize },
    /// Inside a frame; its payload starts at `Decoder::start`.
    Inside,
    /// Inside an oversized frame that was reported.
    Skipping,
}

enum Boundary {
    /// The payload ends before `payload_end`; what follows it starts at `next`.
    End { payload_end: usize, next: usize },
    /// A new frame starts with the VT at this position.
    Restart(usize),
    /// Neither before this position; from here on more input is needed.
    NotBefore(usize),
}

/// Turns the bytes of one connection into [`Event`]s: feed it, then iterate until it gives `None`.
pub struct Decoder {
    limits: Limits,
    buffer: Vec<u8>,
    /// What lies before this position is done with.
    start: usize,
    /// What lies before this position holds no boundary.
    scanned: usize,
    state: State,
}

impl Decoder {
    /// A decoder at the start of a connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let state = State::Outside { garbage: 0 };
        Self { limits, buffer: Vec::new(), start: 0, scanned: 0, state }
    }

    /// Adds input.
    pub fn push(&mut self, input: &[u8]) {
        self.buffer_mut(input.len()).extend_from_slice(input);
    }

    /// The buffer to append input to, with room for at least `spare` bytes. What it holds must not be changed.
    ///
    /// Take all events before: what they leave unread is less than a frame, and is moved to the front here.
    pub fn buffer_mut(&mut self, spare: usize) -> &mut Vec<u8> {
        if self.start > 0 {
            self.buffer.drain(..self.start.min(self.buffer.len()));
            self.scanned = self.scanned.saturating_sub(self.start);
            self.start = 0;
        }
        let needed = self.buffer.len().saturating_add(spare);
        if self.state != State::Inside && self.buffer.capacity() / 4 > needed.max(GROWTH_STEP_BYTES)
        {
            // One large frame does not bind its memory for the rest of the connection.
            self.buffer.shrink_to(needed);
        }
        let free = self.buffer.capacity().saturating_sub(self.buffer.len());
        if free < spare {
            self.grow(spare);
        }
        &mut self.buffer
    }

    fn grow(&mut self, spare: usize) {
        if self.state == State::Inside && self.buffer.len() >= GROWTH_STEP_BYTES {
            let most = self.limits.frame_bytes_max.saturating_sub(self.buffer.len());
            let wanted = self.buffer.len().saturating_mul(GROWTH_FACTOR).min(most);
            // Where address space is scarce this may be refused; growing step by step may still succeed.
            if self.buffer.try_reserve_exact(wanted.saturating_add(spare)).is_ok() {
                return;
            }
        }
        self.buffer.reserve(spare);
    }

    /// How many bytes wait in the decoder for more input.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.len().saturating_sub(self.start)
    }

    /// Whether a frame has begun and not ended: what an idle timeout means depends on it.
    #[must_use]
    pub fn is_inside_frame(&self) -> bool {
        match self.state {
            State::Outside { .. } => false,
            State::Inside | State::Skipping => true,
        }
    }

    /// What is left when the input has ended and all events are taken.
    #[must_use]
    pub fn finish(self) -> Remainder {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        match self.state {
            State::Outside { garbage: 0 } => Remainder::Nothing,
            State::Outside { garbage } => Remainder::Garbage { bytes: garbage },
            State::Skipping => Remainder::Oversized,
            State::Inside => match rest.strip_suffix(&[END_BLOCK]) {
                Some(payload) if payload.len() <= self.limits.frame_bytes_max => {
                    Remainder::Frame(payload.to_vec())
                }
                _ => Remainder::Partial { bytes: rest.len() },
            },
        }
    }

    fn outside(&mut self, garbage: usize) -> Option<Event> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let (before, block) = match memchr(START_BLOCK, rest) {
            Some(position) => (rest.get(..position).unwrap_or(rest), true),
            None => (rest, false),
        };
        // The limit cuts a run of garbage at the same byte however the input is split.
        let room = GARBAGE_BYTES_REPORTED.saturating_sub(garbage);
        let mut counted = 0;
        let mut passed = before.len();
        for (position, byte) in before.iter().enumerate() {
            if !matches!(byte, b'\r' | b'\n') {
                counted += 1;
                if counted == room {
                    passed = position + 1;
                    break;
                }
            }
        }
        let garbage = garbage + counted;
        let stopped = counted == room;
        self.start += passed;
        if !stopped && block {
            self.start += 1;
            self.enter(self.start);
        } else {
            self.scanned = self.start;
            self.state = State::Outside { garbage: if stopped { 0 } else { garbage } };
        }
        (stopped || (block && garbage > 0)).then_some(Event::Garbage { bytes: garbage })
    }

    fn enter(&mut self, payload_start: usize) {
        self.start = payload_start;
        self.scanned = payload_start;
        self.state = State::Inside;
    }

    fn leave(&mut self, next: usize) {
        self.start = next;
        self.scanned = next;
        self.state = State::Outside { garbage: 0 };
    }

    fn inside(&mut self) -> Option<Event> {
        let boundary = self.find_boundary();
        let known_end = match boundary {
            Boundary::End { payload_end, .. } => payload_end,
            Boundary::Restart(position) | Boundary::NotBefore(position) => position,
        };
        if known_end.saturating_sub(self.start) > self.limits.frame_bytes_max {
            // The boundary, if there is one, is found again from here while skipping.
            let head_end = known_end.min(self.start + OVERSIZED_HEAD_BYTES);
            let head_end = head_end.min(self.start + self.limits.frame_bytes_max);
            let head = self.buffer.get(self.start..head_end).unwrap_or_default().to_vec();
            self.start = known_end;
            self.scanned = known_end;
            self.state = State::Skipping;
            return Some(Event::Oversized { head });
        }
        match boundary {
            Boundary::NotBefore(position) => {
                self.scanned = position;
                None
            }
            Boundary::Restart(position) => {
                let bytes = position - self.start;
                self.enter(position + 1);
                Some(Event::Unterminated { bytes })
            }
            Boundary::End { payload_end, next } => {
                let payload = self.start..payload_end;
                let event = match self.buffer.get(payload.clone()) {
                    Some([ACK]) => Event::CommitAck,
                    Some([NAK]) => Event::CommitNak,
                    _ => return Some(Event::Frame(self.take_frame(payload, next))),
                };
                self.leave(next);
                Some(event)
            }
        }
    }

    fn skipping(&mut self) {
        match self.find_boundary() {
            Boundary::End { next, .. } => self.leave(next),
            Boundary::Restart(position) => self.enter(position + 1),
            Boundary::NotBefore(position) => {
                self.start = position;
                self.scanned = position;
            }
        }
    }

    fn find_boundary(&self) -> Boundary {
        let mut from = self.scanned;
        loop {
            let rest = self.buffer.get(from..).unwrap_or_default();
            let Some(offset) = memchr2(END_BLOCK, START_BLOCK, rest) else {
                return Boundary::NotBefore(self.buffer.len());
            };
            let position = from + offset;
            let behind = rest.get(offset + 1..).unwrap_or_default();
            let decided = if rest.get(offset) == Some(&START_BLOCK) {
                starts_header(behind).map(|starts| starts.then_some(Boundary::Restart(position)))
            } else {
                self.is_end(behind).map(|returns| {
                    returns.map(|next| Boundary::End {
                        payload_end: position,
                        next: position + 1 + next,
                    })
                })
            };
            match decided {
                Some(Some(boundary)) => return boundary,
                Some(None) => from = position + 1,
                None => return Boundary::NotBefore(position),
            }
        }
    }

    /// Whether FS with these bytes behind it ends a frame, and how many of them belong to the end; `None`: can't tell yet.
    fn is_end(&self, behind: &[u8]) -> Option<Option<usize>> {
        match (self.limits.frame_end, behind.first()) {
            // A CR that comes later is skipped between frames.
            (_, Some(&CARRIAGE_RETURN)) => Some(Some(1)),
            (FrameEnd::Block, _) => Some(Some(0)),
            (FrameEnd::BlockAndReturn, Some(_)) => Some(None),
            (FrameEnd::BlockAndReturn, None) => None,
        }
    }

    fn take_frame(&mut self, payload: Range<usize>, next: usize) -> Vec<u8> {
        let hand_over = payload.start == 0 && payload.len() >= HANDED_OVER_BYTES_MIN;
        let rest = self.buffer.get(next..).unwrap_or_default();
        if !hand_over || rest.len() > payload.len() {
            let frame = self.buffer.get(payload).unwrap_or_default().to_vec();
            self.leave(next);
            return frame;
        }
        let rest = rest.to_vec();
        let mut frame = std::mem::replace(&mut self.buffer, rest);
        self.leave(0);
        frame.truncate(payload.end);
        if frame.capacity() / 2 > frame.len() {
            frame.shrink_to_fit();
        }
        frame
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Decoder")
            .field("limits", &self.limits)
            .field("state", &self.state)
            .field("buffered_bytes", &self.buffered_bytes())
            .finish_non_exhaustive()
    }
}

impl Iterator for Decoder {
    type Item = Event;

    /// The next event, `None` when more input is needed; it may go on after that.
    fn next(&mut self) -> Option<Event> {
        while self.scanned < self.buffer.len() {
            let (start, scanned, state) = (self.start, self.scanned, self.state);
            let event = match state {
                State::Outside { garbage } => self.outside(garbage),
                State::Inside => self.inside(),
                State::Skipping => {
                    self.skipping();
                    None
                }
            };
            if event.is_some() {
                return event;
            }
            if (start, scanned, state) == (self.start, self.scanned, self.state) {
                return None;
            }
        }
        None
    }
}

/// Whether these bytes, behind a VT, are the header of a message, a batch or a file; `None`: too few to tell.
fn starts_header(behind: &[u8]) -> Option<bool> {
    let headers = [b"MSH", b"FHS", b"BHS"];
    match behind.first_chunk::<3>() {
        Some(name) => Some(headers.contains(&name)),
        None => {
            let possible = headers.iter().any(|header| header.starts_with(behind));
            if possible { None } else { Some(false) }
        }
    }
}

/// Appends the payload as one block.
///
/// A payload that itself holds FS would end early at the peer: see [`is_frameable`].
pub fn encode_frame(payload: &[u8], output: &mut Vec<u8>) {
    output.reserve(payload.len().saturating_add(3));
    output.push(START_BLOCK);
    output.extend_from_slice(payload);
    output.extend_from_slice(&[END_BLOCK, CARRIAGE_RETURN]);
}

/// Whether every peer will read a block with this payload as it was meant: it holds neither FS nor VT.
#[must_use]
pub fn is_frameable(payload: &[u8]) -> bool {
    memchr2(START_BLOCK, END_BLOCK, payload).is_none()
}

#[cfg(test)]
mod tests;

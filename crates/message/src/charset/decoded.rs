//! Text decoded from bytes, with what could not be decoded kept in it.

use std::borrow::Cow;

/// The markers of undecodable bytes: this character for byte 0x00, and so on to 0xFF.
const MARKER_FIRST: u32 = 0x0010_FE00;
const MARKER_LAST: u32 = MARKER_FIRST + 0xFF;

/// How many positions of undecodable bytes are listed: enough to show, whatever the size of the message.
pub const UNDECODABLE_POSITIONS_MAX: usize = 64;

/// Decoded text.
#[derive(Clone, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The text, with a marker in the place of each undecodable byte.
    pub text: Cow<'a, str>,
    /// Where the first undecodable bytes are in the input, counted from 0.
    pub undecodable: Vec<usize>,
    /// How many undecodable bytes there are.
    pub undecodable_count: usize,
}

impl Decoded<'_> {
    /// Whether any byte was undecodable.
    #[must_use]
    pub fn had_errors(&self) -> bool {
        self.undecodable_count > 0
    }
}

impl std::fmt::Debug for Decoded<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Decoded")
            .field("text", &"[redacted]")
            .field("undecodable", &self.undecodable)
            .field("undecodable_count", &self.undecodable_count)
            .finish()
    }
}

/// The undecodable byte a character of decoded text stands for.
#[must_use]
pub fn undecodable_byte(character: char) -> Option<u8> {
    u32::from(character).checked_sub(MARKER_FIRST).and_then(|byte| u8::try_from(byte).ok())
}

fn marker(byte: u8) -> char {
    char::from_u32(MARKER_FIRST + u32::from(byte)).expect("all markers are scalar values")
}

const _: () = assert!(MARKER_LAST < 0x0010_FFFE, "markers are no noncharacters");

/// Decoded text while it is written.
#[derive(Default)]
pub(super) struct Sink {
    pub(super) text: String,
    undecodable: Vec<usize>,
    undecodable_count: usize,
}

impl Sink {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), ..Self::default() }
    }

    /// A character read from `bytes` at `at`. A character that would be read as a marker is kept as its bytes.
    pub(super) fn character(&mut self, character: char, bytes: &[u8], at: usize) {
        if undecodable_byte(character).is_some() {
            self.undecodable(bytes, at);
        } else {
            self.text.push(character);
        }
    }

    pub(super) fn undecodable(&mut self, bytes: &[u8], at: usize) {
        for (offset, &byte) in bytes.iter().enumerate() {
            self.report(at.saturating_add(offset));
            self.text.push(marker(byte));
        }
    }

    /// Bytes that have to stand beside undecodable ones for these to keep their meaning.
    pub(super) fn kept(&mut self, bytes: &[u8]) {
        self.text.extend(bytes.iter().copied().map(marker));
    }

    /// Adds what another sink took from the input that starts at `at`.
    pub(super) fn append(&mut self, other: Self, at: usize) {
        self.text.push_str(&other.text);
        let room = UNDECODABLE_POSITIONS_MAX.saturating_sub(self.undecodable.len());
        let positions = other.undecodable.iter().take(room);
        self.undecodable.extend(positions.map(|position| at.saturating_add(*position)));
        self.undecodable_count = self.undecodable_count.saturating_add(other.undecodable_count);
    }

    fn report(&mut self, at: usize) {
        self.undecodable_count = self.undecodable_count.saturating_add(1);
        if self.undecodable.len() < UNDECODABLE_POSITIONS_MAX {
            self.undecodable.push(at);
        }
    }

    pub(super) fn finish<'a>(self) -> Decoded<'a> {
        Decoded {
            text: Cow::Owned(self.text),
            undecodable: self.undecodable,
            undecodable_count: self.undecodable_count,
        }
    }
}

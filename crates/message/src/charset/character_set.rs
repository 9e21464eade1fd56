//! One character set: decode and encode.

use std::borrow::Cow;

use encoding_rs::Encoding;
use thiserror::Error;

use super::decoded::{Decoded, Sink, undecodable_byte};
use super::japanese::{self, Japanese};
use super::legacy;
use super::wide::{self, Wide};

/// A character set that messages are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset {
    name: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Seven bits; all other bytes are undecodable.
    Ascii,
    /// ISO 8859/1: each byte is its code point.
    Latin1,
    Utf8,
    /// A single-byte set in which 0x80 to 0x9F are control characters.
    SingleByte(&'static Encoding),
    /// A Windows code page or a multi-byte set.
    Legacy(&'static Encoding),
    Japanese(Japanese),
    Wide(Wide),
}

/// A character that the set does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the character at byte {at} of the text is not in the character set")]
pub struct Unencodable {
    /// Where it starts in the text, in bytes from 0.
    pub at: usize,
}

impl Charset {
    /// ASCII, strictly: bytes from 0x80 on are undecodable.
    pub const ASCII: Self = Self::new("ASCII", Kind::Ascii);
    /// ISO 8859/1.
    pub const LATIN_1: Self = Self::new("8859/1", Kind::Latin1);
    /// UTF-8.
    pub const UTF_8: Self = Self::new("UNICODE UTF-8", Kind::Utf8);
    /// UTF-16, the high byte first.
    pub const UTF_16BE: Self = Self::new("UNICODE UTF-16", Kind::Wide(Wide::Utf16Be));
    /// UTF-16, the low byte first.
    pub const UTF_16LE: Self = Self::new("UNICODE UTF-16", Kind::Wide(Wide::Utf16Le));
    /// UTF-32, the high byte first.
    pub const UTF_32BE: Self = Self::new("UNICODE UTF-32", Kind::Wide(Wide::Utf32Be));
    /// UTF-32, the low byte first.
    pub const UTF_32LE: Self = Self::new("UNICODE UTF-32", Kind::Wide(Wide::Utf32Le));
    /// Windows-1252: ISO 8859/1 with printable characters from 0x80 to 0x9F. Not in table 0211 but widespread.
    pub const WINDOWS_1252: Self = Self::code_page("WINDOWS-1252", encoding_rs::WINDOWS_1252);
    /// CNS 11643-1992, of which only the ASCII part is known here; all else is undecodable.
    pub(super) const CNS_11643: Self = Self::new("CNS 11643-1992", Kind::Ascii);

    const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind }
    }

    pub(super) const fn single_byte(name: &'static str, encoding: &'static Encoding) -> Self {
        Self::new(name, Kind::SingleByte(encoding))
    }

    pub(super) const fn code_page(name: &'static str, encoding: &'static Encoding) -> Self {
        Self::new(name, Kind::Legacy(encoding))
    }

    pub(super) const fn japanese(name: &'static str, japanese: Japanese) -> Self {
        Self::new(name, Kind::Japanese(japanese))
    }

    /// The character set with this name, in table 0211's or another usual spelling.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        super::table_0211::find(name.as_bytes())
    }

    /// Its name in table 0211 where it has one.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The UTF-16 or UTF-32 a whole message is in, by its byte order mark or by how `MSH`, `FHS` or `BHS` stand there.
    ///
    /// Such a message must be decoded before anything else can be read from it, its MSH-18 included.
    #[must_use]
    pub fn detect_wide(message: &[u8]) -> Option<Self> {
        wide::detect(message).map(|wide| match wide {
            Wide::Utf16Be => Self::UTF_16BE,
            Wide::Utf16Le => Self::UTF_16LE,
            Wide::Utf32Be => Self::UTF_32BE,
            Wide::Utf32Le => Self::UTF_32LE,
        })
    }

    /// Whether a character may hold bytes that look like delimiters, so that a message has to be decoded as a whole
    /// before it is split.
    #[must_use]
    pub fn hides_delimiters(&self) -> bool {
        match self.kind {
            Kind::Ascii | Kind::Latin1 | Kind::Utf8 | Kind::SingleByte(_) => false,
            Kind::Legacy(encoding) => legacy::hides_delimiters(encoding),
            Kind::Japanese(_) | Kind::Wide(_) => true,
        }
    }

    /// The set that single values have once a message was split: that of the message, or UTF-8 where UTF-16 and
    /// UTF-32 had to be decoded first.
    #[must_use]
    pub fn of_values(self) -> Self {
        match self.kind {
            Kind::Wide(_) => Self::UTF_8,
            Kind::Ascii
            | Kind::Latin1
            | Kind::Utf8
            | Kind::SingleByte(_)
            | Kind::Legacy(_)
            | Kind::Japanese(_) => self,
        }
    }

    /// Decodes bytes, keeping those that are undecodable as markers.
    ///
    /// Borrows where the bytes are ASCII (or UTF-8) already.
    #[must_use]
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Decoded<'a> {
        if let Some(text) = self.unchanged_text(bytes) {
            return Decoded {
                text: Cow::Borrowed(text),
                undecodable: Vec::new(),
                undecodable_count: 0,
            };
        }
        let mut sink = Sink::with_capacity(bytes.len());
        match self.kind {
            Kind::Ascii => legacy::decode_single_byte(bytes, &mut sink, |_| None),
            Kind::Latin1 => {
                legacy::decode_single_byte(bytes, &mut sink, |byte| Some(char::from(byte)));
            }
            Kind::Utf8 => wide::decode_utf8(bytes, &mut sink),
            Kind::SingleByte(encoding) => {
                let high = legacy::high_half(encoding);
                legacy::decode_single_byte(bytes, &mut sink, |byte| high.character(byte));
            }
            Kind::Legacy(encoding) => legacy::decode(encoding, bytes, &mut sink),
            Kind::Japanese(_) => japanese::decode(bytes, &mut sink),
            Kind::Wide(wide) => wide.decode(bytes, &mut sink),
        }
        sink.finish()
    }

    /// The bytes as text when decoding changes nothing.
    fn unchanged_text<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        match self.kind {
            Kind::Ascii | Kind::Latin1 | Kind::SingleByte(_) | Kind::Legacy(_) => {
                bytes.is_ascii().then(|| str::from_utf8(bytes).ok()).flatten()
            }
            Kind::Japanese(_) => (bytes.is_ascii() && !bytes.contains(&japanese::ESCAPE))
                .then(|| str::from_utf8(bytes).ok())
                .flatten(),
            Kind::Utf8 => {
                let text = str::from_utf8(bytes).ok()?;
                // Markers start with this byte, and so do few other characters.
                let may_hold_markers = memchr::memchr(0xF4, bytes).is_some();
                let holds_markers =
                    may_hold_markers && text.chars().any(|char| undecodable_byte(char).is_some());
                (!holds_markers).then_some(text)
            }
            Kind::Wide(_) => None,
        }
    }

    /// Decodes a whole message so that encoding the text gives exactly its bytes again, in every set.
    ///
    /// Like [`decode`](Self::decode), but a character that the set would spell otherwise is kept as its bytes too.
    #[must_use]
    pub fn transcode<'a>(&self, message: &'a [u8]) -> Decoded<'a> {
        let decoded = self.decode(message);
        let unchanged = matches!(&decoded.text, Cow::Borrowed(_));
        if unchanged || self.encode(&decoded.text).is_ok_and(|encoded| *encoded == *message) {
            return decoded;
        }
        let mut sink = Sink::with_capacity(message.len());
        match self.kind {
            Kind::Legacy(encoding) => legacy::transcode(encoding, message, &mut sink),
            Kind::Japanese(japanese) => japanese.transcode(message, &mut sink),
            Kind::Ascii | Kind::Latin1 | Kind::Utf8 | Kind::SingleByte(_) | Kind::Wide(_) => {
                return decoded;
            }
        }
        sink.finish()
    }

    /// Encodes text; markers become the bytes they stand for.
    ///
    /// # Errors
    /// A character that the set does not have, with its position.
    pub fn encode<'a>(&self, text: &'a str) -> Result<Cow<'a, [u8]>, Unencodable> {
        let as_it_is = match self.kind {
            Kind::Utf8 => {
                memchr::memchr(0xF4, text.as_bytes()).is_none()
                    || !text.chars().any(|char| undecodable_byte(char).is_some())
            }
            Kind::Ascii
            | Kind::Latin1
            | Kind::SingleByte(_)
            | Kind::Legacy(_)
            | Kind::Japanese(_) => text.is_ascii(),
            Kind::Wide(_) => false,
        };
        if as_it_is {
            return Ok(Cow::Borrowed(text.as_bytes()));
        }
        let mut bytes = Vec::with_capacity(text.len());
        match self.kind {
            Kind::Ascii => legacy::encode_single_byte(text, &mut bytes, |_| None)?,
            Kind::Latin1 => {
                let byte = |character| u8::try_from(u32::from(character)).ok();
                legacy::encode_single_byte(text, &mut bytes, byte)?;
            }
            Kind::Utf8 => wide::encode_utf8(text, &mut bytes),
            Kind::SingleByte(encoding) => {
                let high = legacy::high_half(encoding);
                legacy::encode_single_byte(text, &mut bytes, |character| high.byte(character))?;
            }
            Kind::Legacy(encoding) => legacy::encode(encoding, text, &mut bytes)?,
            Kind::Japanese(japanese) => japanese.encode(text, &mut bytes)?,
            Kind::Wide(wide) => wide.encode(text, &mut bytes),
        }
        Ok(Cow::Owned(bytes))
    }

    /// Whether decoding these bytes and encoding the text gives exactly these bytes.
    #[must_use]
    pub fn round_trips(&self, bytes: &[u8]) -> bool {
        let decoded = self.decode(bytes);
        matches!(&decoded.text, Cow::Borrowed(_))
            || self.encode(&decoded.text).is_ok_and(|encoded| *encoded == *bytes)
    }
}

//! From bytes to an index of segments (HL7 v2.5.1 §2.6.1), without reading inside them.
//!
//! Tolerated and kept: LF and CRLF as segment ends, also mixed; blank lines; a byte order mark, VT and blanks before
//! the header; FS after the message; a missing last segment end; lines that are not segments; an escape character
//! declared twice in a row. Refused: what has no
//! MSH, an MSH whose delimiters cannot be told apart, and what exceeds the limits.

use memchr::memchr2_iter;

use crate::delimiters::Delimiters;
use crate::segment::SegmentName;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
const FILE_SEPARATOR: u8 = 0x1C;
/// Of messages from this size on the lines are counted before they are indexed.
const COUNTED_BYTES_MIN: usize = 1024 * 1024;
/// MSH-2 names up to five encoding characters (HL7 v2.7 §2.5.5.2); component and repetition are never missing.
const ENCODING_CHARACTERS_MIN: usize = 2;
const ENCODING_CHARACTERS_MAX: usize = 5;

/// How large a message may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes one message may have; never more than [`Limits::MESSAGE_BYTES_CEILING`].
    pub message_bytes_max: usize,
    /// The most segments (lines that are not blank) one message may have.
    pub segments_max: usize,
}

impl Limits {
    /// Documents embedded in OBX-5 reach 50 MB in practice; beyond that lies a broken or hostile sender.
    pub const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
    /// Each segment costs 12 bytes of index; this keeps the index within 8 MB, and leaves room for the largest
    /// result messages.
    pub const SEGMENTS_MAX: usize = 500_000;
    /// Offsets are 32 bits wide, which halves the index.
    pub const MESSAGE_BYTES_CEILING: usize = u32::MAX as usize;

    /// The limits of [`Message::parse`](crate::Message::parse).
    pub const DEFAULT: Self =
        Self { message_bytes_max: Self::MESSAGE_BYTES_MAX, segments_max: Self::SEGMENTS_MAX };

    pub(crate) fn bytes(&self) -> usize {
        self.message_bytes_max.min(Self::MESSAGE_BYTES_CEILING)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why bytes are not a message. Offsets count bytes from the start of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Nothing but blanks.
    #[error("the message is empty")]
    Empty,
    /// The first line is not an MSH segment.
    #[error("no MSH segment at byte {at}: found {found}")]
    NoHeader {
        /// Where MSH was expected.
        at: usize,
        /// What kind of thing stands there instead.
        found: HeaderFound,
    },
    /// MSH ends before it has named a field separator and at least two encoding characters.
    #[error(
        "MSH ends at byte {at}, before MSH-1 and MSH-2 have named field, component and repetition separators"
    )]
    HeaderTooShort {
        /// Where MSH-2 ends.
        at: usize,
    },
    /// A letter, digit, blank, quotation mark, non-ASCII byte or control byte cannot separate anything.
    #[error("the byte at {at} cannot be a delimiter: use punctuation such as |^~\\&")]
    DelimiterIllegal {
        /// Where it stands.
        at: usize,
    },
    /// The same byte is declared for two purposes.
    #[error("the delimiter at byte {at} is declared twice")]
    DelimitersNotDistinct {
        /// Where the repeated one stands.
        at: usize,
    },
    /// MSH-2 has more than the five characters the standard knows.
    #[error("MSH-2 has more than five encoding characters (at byte {at})")]
    TooManyEncodingCharacters {
        /// Where the sixth stands.
        at: usize,
    },
    /// More bytes than [`Limits::message_bytes_max`].
    #[error("the message has more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// More lines than [`Limits::segments_max`].
    #[error("the message has more than {limit} segments")]
    TooManySegments {
        /// The limit.
        limit: usize,
    },
}

/// What stands where MSH was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderFound {
    /// FHS or BHS: a file or batch of messages, to be split first.
    Batch,
    /// Another segment.
    Segment(SegmentName),
    /// Text in two-byte characters: to be converted first.
    Utf16,
    /// No segment at all.
    Other,
}

impl std::fmt::Display for HeaderFound {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Batch => formatter.write_str("a file or batch header (split it into messages)"),
            Self::Segment(name) => write!(formatter, "the segment {name}"),
            Self::Utf16 => formatter.write_str("UTF-16 text (convert it first)"),
            Self::Other => formatter.write_str("no segment"),
        }
    }
}

/// Where one line stands: its name, and its bytes without terminator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) start: u32,
    pub(crate) len: u32,
    pub(crate) name: Option<SegmentName>,
}

impl Line {
    pub(crate) fn span(&self) -> std::ops::Range<usize> {
        let start = self.start as usize;
        start..start + self.len as usize
    }
}

/// Finds the header and every line after it.
pub(crate) fn index(bytes: &[u8], limits: &Limits) -> Result<(Delimiters, Vec<Line>), ParseError> {
    let content = Content::of(bytes, limits)?;
    let mut lines = Vec::with_capacity(lines_expected(content.body(), limits));
    content.lines(limits, |line| lines.push(line))?;
    Ok((content.delimiters, lines))
}

/// Whether bytes are a message, and how many of its lines have this name: what [`index`] would say, without an index.
pub(crate) fn count(bytes: &[u8], limits: &Limits, name: SegmentName) -> Result<usize, ParseError> {
    let mut count = 0;
    let of_name = |line: Line| count += usize::from(line.name == Some(name));
    Content::of(bytes, limits)?.lines(limits, of_name)?;
    Ok(count)
}

/// Whether bytes are a message, giving each of its lines on the way: those [`index`] would hold, as far as it came.
pub(crate) fn each(
    bytes: &[u8],
    limits: &Limits,
    mut take: impl FnMut(Delimiters, Line),
) -> Result<(), ParseError> {
    let content = Content::of(bytes, limits)?;
    content.lines(limits, |line| take(content.delimiters, line))
}

/// A message from its header to its last line's end.
struct Content<'b> {
    bytes: &'b [u8],
    start: usize,
    delimiters: Delimiters,
}

impl<'b> Content<'b> {
    fn of(bytes: &'b [u8], limits: &Limits) -> Result<Self, ParseError> {
        if bytes.len() > limits.bytes() {
            return Err(ParseError::TooLarge { limit: limits.bytes() });
        }
        let start = skip_leading(bytes);
        let delimiters = header(bytes, start)?;
        let end = end_of_content(bytes).max(start);
        Ok(Self { bytes: bytes.get(..end).unwrap_or_default(), start, delimiters })
    }

    fn body(&self) -> &'b [u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    #[inline]
    fn lines(&self, limits: &Limits, mut each: impl FnMut(Line)) -> Result<(), ParseError> {
        let (start, end) = (self.start, self.bytes.len());
        let mut count = 0;
        let mut line_start = start;
        let ends = memchr2_iter(b'\r', b'\n', self.body()).map(|at| start + at);
        for line_end in ends.chain(std::iter::once(end)) {
            let line = self.bytes.get(line_start..line_end).unwrap_or_default();
            let name = SegmentName::of_line(line, self.delimiters.field);
            if name.is_some() || !is_blank(line) {
                if count == limits.segments_max {
                    return Err(ParseError::TooManySegments { limit: limits.segments_max });
                }
                count += 1;
                // Fits: the length was checked against the 32-bit ceiling.
                each(Line { start: line_start as u32, len: line.len() as u32, name });
            }
            line_start = line_end + 1;
        }
        Ok(())
    }
}

/// For how many lines to make room at once.
fn lines_expected(body: &[u8], limits: &Limits) -> usize {
    if body.len() < COUNTED_BYTES_MIN {
        return (body.len() / 64).clamp(4, 256);
    }
    // A growing index is held twice while it moves, and in the end has room for up to twice as many lines.
    let ends = memchr2_iter(b'\r', b'\n', body).count();
    ends.saturating_add(1).min(limits.segments_max)
}

/// A line of blanks and control bytes: padding, framing, or the LF of a CRLF.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|&byte| byte <= b' ')
}

/// Where the first byte stands that is neither blank, control nor byte order mark.
pub(crate) fn skip_leading(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    loop {
        if let Some(after) = rest.strip_prefix(BYTE_ORDER_MARK) {
            rest = after;
            continue;
        }
        match rest.split_first() {
            Some((&byte, after)) if byte <= b' ' => rest = after,
            _ => return bytes.len() - rest.len(),
        }
    }
}

/// Where the last line ends: before the segment ends and frame end at the end of the input.
pub(crate) fn end_of_content(bytes: &[u8]) -> usize {
    let mut content = bytes;
    while let Some((&last, before)) = content.split_last() {
        if !matches!(last, b'\r' | b'\n' | FILE_SEPARATOR) {
            break;
        }
        content = before;
    }
    content.len()
}

fn header(bytes: &[u8], start: usize) -> Result<Delimiters, ParseError> {
    let line = bytes.get(start..).unwrap_or_default();
    if line.is_empty() {
        return Err(ParseError::Empty);
    }
    let Some(after_name) = line.strip_prefix(b"MSH").filter(|_| !is_utf16(bytes)) else {
        return Err(ParseError::NoHeader { at: start, found: found_instead(bytes, line) });
    };
    declared(after_name, start + 3)
}

/// Reads MSH-1 and MSH-2 (or those of FHS, BHS); `bytes` begin after the segment's name, at offset `at`.
pub(crate) fn declared(bytes: &[u8], at: usize) -> Result<Delimiters, ParseError> {
    let is_end = |byte: u8| matches!(byte, b'\r' | b'\n' | FILE_SEPARATOR);
    let Some((&field, rest)) = bytes.split_first().filter(|(first, _)| !is_end(**first)) else {
        return Err(ParseError::HeaderTooShort { at });
    };
    if !is_legal(field) {
        return Err(ParseError::DelimiterIllegal { at });
    }
    let mut encoding = [0; ENCODING_CHARACTERS_MAX];
    let mut count = 0;
    let mut length = 0;
    let mut escape_is_doubled = false;
    for &byte in rest.iter().take_while(|&&byte| byte != field && !is_end(byte)) {
        let at = at + 1 + length;
        length += 1;
        let seen = encoding.get(..count).unwrap_or_default().contains(&byte);
        if count == 3 && encoding.get(2) == Some(&byte) && !escape_is_doubled {
            // `^~\\&`: written by senders whose source code had to double the backslash. One is meant.
            escape_is_doubled = true;
            continue;
        }
        let slot = encoding.get_mut(count);
        *slot.ok_or(ParseError::TooManyEncodingCharacters { at })? = byte;
        if !is_legal(byte) {
            return Err(ParseError::DelimiterIllegal { at });
        }
        if seen {
            return Err(ParseError::DelimitersNotDistinct { at });
        }
        count += 1;
    }
    if count < ENCODING_CHARACTERS_MIN {
        return Err(ParseError::HeaderTooShort { at: at + 1 + length });
    }
    let [component, repetition, escape, subcomponent, truncation] = encoding;
    let declared = |position: usize, byte: u8| (count >= position).then_some(byte);
    Ok(Delimiters {
        field,
        component,
        repetition,
        escape: declared(3, escape),
        subcomponent: declared(4, subcomponent),
        truncation: declared(5, truncation),
    })
}

/// Anything that could be part of a value's plain text or of a line's end separates nothing.
pub(crate) fn is_legal(byte: u8) -> bool {
    let is_line_or_frame = matches!(byte, 0 | b'\r' | b'\n' | 0x0B | FILE_SEPARATOR);
    byte.is_ascii()
        && !byte.is_ascii_alphanumeric()
        && !matches!(byte, b' ' | b'"')
        && !is_line_or_frame
}

fn is_utf16(bytes: &[u8]) -> bool {
    matches!(bytes, [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] | [0, b'M', 0, ..] | [b'M', 0, ..])
}

fn found_instead(bytes: &[u8], line: &[u8]) -> HeaderFound {
    if is_utf16(bytes) {
        return HeaderFound::Utf16;
    }
    let separator = line.get(3).copied().filter(|&byte| is_legal(byte)).unwrap_or(b'|');
    let end = memchr::memchr2(b'\r', b'\n', line).unwrap_or(line.len());
    match line.get(..end).and_then(|line| SegmentName::of_line(line, separator)) {
        Some(SegmentName::FHS | SegmentName::BHS) => HeaderFound::Batch,
        Some(name) => HeaderFound::Segment(name),
        None => HeaderFound::Other,
    }
}

#[cfg(test)]
mod tests;

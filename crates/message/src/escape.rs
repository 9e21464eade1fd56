//! Escape sequences of field text (HL7 v2.5.1 §2.7; truncation `\P\`: v2.7 §2.7.1).
//!
//! A sequence starts and ends with the escape character and holds no delimiter and no line end in between. What starts
//! like one but is not (no closing escape character, a delimiter first, nothing in between) is text: its escape
//! character stands for itself. A well-formed sequence that is not known, or known but malformed (`\X4\`), stays as it
//! stands. A message that declares no escape character has no sequences at all.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memchr3};

use crate::Delimiters;

const CARRIAGE_RETURN: u8 = b'\r';
const LINE_FEED: u8 = b'\n';
const VERTICAL_TAB: u8 = 0x0B;
const FILE_SEPARATOR: u8 = 0x1C;

/// The most lines or columns a formatting command may ask for (`\.sp99\`); more is kept as it stands.
///
/// It bounds what formatted text can grow to.
pub const FORMAT_COUNT_MAX: u8 = 99;

/// A part of a raw value: text, or one escape sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes that stand for themselves.
    Text(&'a [u8]),
    /// One sequence, from its opening to its closing escape character.
    Sequence(Sequence<'a>),
}

/// One escape sequence: how it stands in the value, and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequence<'a> {
    /// The sequence with its two escape characters.
    pub raw: &'a [u8],
    /// What it means.
    pub meaning: Meaning<'a>,
}

/// What an escape sequence means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning<'a> {
    /// `\F\ \S\ \T\ \R\ \E\ \P\`: this delimiter, as text.
    Delimiter(u8),
    /// `\Xhh..\`: the bytes these hexadecimal digits (an even number of them) stand for.
    Hexadecimal(&'a [u8]),
    /// `\H\`: highlighting starts.
    HighlightStart,
    /// `\N\`: highlighting ends.
    HighlightEnd,
    /// `\Cxxyy\`: switch to a single-byte character set; the two bytes of its ISO 2022 escape.
    SingleByteSet([u8; 2]),
    /// `\Mxxyy\` or `\Mxxyyzz\`: switch to a multi-byte character set; `zz` is 0 where it is left out.
    MultiByteSet([u8; 3]),
    /// `\.br\` and the others: layout of formatted text.
    Format(Format),
    /// `\Z..\`: agreed between sites, kept as it stands.
    Local(&'a [u8]),
    /// Anything else, kept as it stands.
    Unknown,
}

/// A formatting command of formatted text (HL7 v2.5.1 §2.7.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.sp` with its count: end the line and go down this many lines (1 where the count is absent).
    VerticalSpace(u8),
    /// `.br`: a new line.
    LineBreak,
    /// `.fi`: wrap words from here on.
    WordWrap,
    /// `.nf`: do not wrap from here on.
    NoWrap,
    /// `.in`: move or set the left margin.
    Indent(Offset),
    /// `.ti`: the same for this line only.
    TemporaryIndent(Offset),
    /// `.sk`: this many spaces to the right.
    Skip(u8),
    /// `.ce`: end the line, centre the next one.
    Centre,
}

/// A margin given by a command: a sign makes it relative, none makes it absolute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offset {
    /// This column.
    To(u8),
    /// So many columns to the right (positive) or left (negative).
    By(i8),
}

/// Decodes the sequences that stand for text: delimiters and hexadecimal data.
///
/// All else, character set switches, highlighting, formatting, local and unknown sequences, stays as it stands.
/// Borrows when nothing was decoded.
#[must_use]
pub fn unescape<'a>(raw: &'a [u8], delimiters: &Delimiters) -> Cow<'a, [u8]> {
    let Some(escape) = delimiters.escape else { return Cow::Borrowed(raw) };
    if memchr(escape, raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut text = Vec::new();
    let mut decoded_any = false;
    for piece in sequences(raw, delimiters) {
        match piece {
            Piece::Text(bytes) => text.extend_from_slice(bytes),
            Piece::Sequence(sequence) => match sequence.meaning {
                Meaning::Delimiter(byte) => {
                    decoded_any = true;
                    text.push(byte);
                }
                Meaning::Hexadecimal(digits) => {
                    decoded_any = true;
                    text.extend(hexadecimal_bytes(digits));
                }
                Meaning::HighlightStart
                | Meaning::HighlightEnd
                | Meaning::SingleByteSet(_)
                | Meaning::MultiByteSet(_)
                | Meaning::Format(_)
                | Meaning::Local(_)
                | Meaning::Unknown => text.extend_from_slice(sequence.raw),
            },
        }
    }
    if decoded_any { Cow::Owned(text) } else { Cow::Borrowed(raw) }
}

/// Encodes text so that it can stand in a field: `unescape` gives exactly these bytes again.
///
/// Delimiters become their sequences; bytes that would end a segment (CR, LF) or an MLLP frame (VT, FS) become
/// hexadecimal ones. Borrows when there is nothing to do. Without an escape character nothing can be encoded and the
/// text comes back as it is: ask [`is_representable`] first.
#[must_use]
pub fn escape<'a>(text: &'a [u8], delimiters: &Delimiters) -> Cow<'a, [u8]> {
    let Some(escape) = delimiters.escape else { return Cow::Borrowed(text) };
    let Some(first) = first_special(text, delimiters) else { return Cow::Borrowed(text) };
    let (plain, rest) = text.split_at_checked(first).unwrap_or((text, &[]));
    let mut raw = Vec::with_capacity(text.len().saturating_add(16));
    raw.extend_from_slice(plain);
    for &byte in rest {
        match code_of(byte, delimiters) {
            Some(code) => {
                raw.push(escape);
                raw.extend_from_slice(code);
                raw.push(escape);
            }
            None => raw.push(byte),
        }
    }
    Cow::Owned(raw)
}

/// Whether the text can stand in a field of a message with these delimiters, escaped where needed.
#[must_use]
pub fn is_representable(text: &[u8], delimiters: &Delimiters) -> bool {
    delimiters.escape.is_some() || first_special(text, delimiters).is_none()
}

/// The pieces of a raw value in order: their bytes joined are the value.
pub fn sequences<'a>(
    raw: &'a [u8],
    delimiters: &Delimiters,
) -> impl Iterator<Item = Piece<'a>> + use<'a> {
    Pieces { rest: raw, pending: None, delimiters: *delimiters }
}

/// The bytes that hexadecimal digits stand for; a last single digit and other characters give nothing.
pub(crate) fn hexadecimal_bytes(digits: &[u8]) -> impl Iterator<Item = u8> {
    digits.as_chunks::<2>().0.iter().filter_map(|[high, low]| hexadecimal_byte(*high, *low))
}

fn hexadecimal_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |character: u8| char::from(character).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

fn first_special(text: &[u8], delimiters: &Delimiters) -> Option<usize> {
    let Delimiters { field, component, repetition, escape, subcomponent, truncation } = *delimiters;
    // An undeclared delimiter has no byte of its own: look for the field separator once more instead.
    let [escape, subcomponent, truncation] =
        [escape, subcomponent, truncation].map(|declared| declared.unwrap_or(field));
    [
        memchr3(field, component, repetition, text),
        memchr3(escape, subcomponent, truncation, text),
        memchr2(CARRIAGE_RETURN, LINE_FEED, text),
        memchr2(VERTICAL_TAB, FILE_SEPARATOR, text),
    ]
    .into_iter()
    .flatten()
    .min()
}

fn code_of(byte: u8, delimiters: &Delimiters) -> Option<&'static [u8]> {
    let Delimiters { field, component, repetition, escape, subcomponent, truncation } = *delimiters;
    let declared = Some(byte);
    if declared == escape {
        Some(b"E")
    } else if byte == field {
        Some(b"F")
    } else if byte == component {
        Some(b"S")
    } else if byte == repetition {
        Some(b"R")
    } else if declared == subcomponent {
        Some(b"T")
    } else if declared == truncation {
        Some(b"P")
    } else {
        match byte {
            CARRIAGE_RETURN => Some(b"X0D"),
            LINE_FEED => Some(b"X0A"),
            VERTICAL_TAB => Some(b"X0B"),
            FILE_SEPARATOR => Some(b"X1C"),
            _ => None,
        }
    }
}

struct Pieces<'a> {
    rest: &'a [u8],
    pending: Option<Sequence<'a>>,
    delimiters: Delimiters,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if let Some(sequence) = self.pending.take() {
            return Some(Piece::Sequence(sequence));
        }
        if self.rest.is_empty() {
            return None;
        }
        let Some((start, length)) = find_sequence(self.rest, &self.delimiters) else {
            return Some(Piece::Text(std::mem::take(&mut self.rest)));
        };
        let (text, rest) = self.rest.split_at_checked(start)?;
        let (raw, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        let sequence = Sequence { raw, meaning: meaning_of(raw, &self.delimiters) };
        if text.is_empty() {
            return Some(Piece::Sequence(sequence));
        }
        self.pending = Some(sequence);
        Some(Piece::Text(text))
    }
}

/// Where the first sequence starts and how long it is, with both escape characters.
fn find_sequence(raw: &[u8], delimiters: &Delimiters) -> Option<(usize, usize)> {
    let escape = delimiters.escape?;
    let mut from = 0;
    loop {
        let start = from + memchr(escape, raw.get(from..)?)?;
        let body_start = start + 1;
        let body = raw.get(body_start..)?;
        let stop = body.iter().position(|&byte| byte == escape || ends_text(byte, delimiters))?;
        if stop > 0 && body.get(stop) == Some(&escape) {
            return Some((start, stop + 2));
        }
        // Not a sequence: this escape character is text. After a delimiter the search goes on behind it, so that each
        // byte is looked at a constant number of times.
        from = if stop == 0 { body_start } else { body_start + stop };
    }
}

fn ends_text(byte: u8, delimiters: &Delimiters) -> bool {
    byte == delimiters.field
        || byte == delimiters.component
        || byte == delimiters.repetition
        || Some(byte) == delimiters.subcomponent
        || byte == CARRIAGE_RETURN
        || byte == LINE_FEED
}

fn meaning_of<'a>(raw: &'a [u8], delimiters: &Delimiters) -> Meaning<'a> {
    let body = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    let declared = |byte: Option<u8>| byte.map_or(Meaning::Unknown, Meaning::Delimiter);
    match body {
        b"F" => Meaning::Delimiter(delimiters.field),
        b"S" => Meaning::Delimiter(delimiters.component),
        b"R" => Meaning::Delimiter(delimiters.repetition),
        b"T" => declared(delimiters.subcomponent),
        b"E" => declared(delimiters.escape),
        b"P" => declared(delimiters.truncation),
        b"H" => Meaning::HighlightStart,
        b"N" => Meaning::HighlightEnd,
        [b'X', digits @ ..] if is_hexadecimal(digits) => Meaning::Hexadecimal(digits),
        [b'C', digits @ ..] if digits.len() == 4 && is_hexadecimal(digits) => {
            let mut bytes = hexadecimal_bytes(digits);
            Meaning::SingleByteSet([(); 2].map(|()| bytes.next().unwrap_or(0)))
        }
        [b'M', digits @ ..] if matches!(digits.len(), 4 | 6) && is_hexadecimal(digits) => {
            let mut bytes = hexadecimal_bytes(digits);
            Meaning::MultiByteSet([(); 3].map(|()| bytes.next().unwrap_or(0)))
        }
        [b'Z', local @ ..] => Meaning::Local(local),
        [b'.', command @ ..] => format_of(command).map_or(Meaning::Unknown, Meaning::Format),
        _ => Meaning::Unknown,
    }
}

fn is_hexadecimal(digits: &[u8]) -> bool {
    !digits.is_empty() && digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit)
}

fn format_of(command: &[u8]) -> Option<Format> {
    let (name, argument) = command.split_first_chunk::<2>()?;
    let bare = |format| argument.is_empty().then_some(format);
    match name.to_ascii_lowercase().as_slice() {
        b"br" => bare(Format::LineBreak),
        b"fi" => bare(Format::WordWrap),
        b"nf" => bare(Format::NoWrap),
        b"ce" => bare(Format::Centre),
        b"sp" => {
            count_of(argument.strip_prefix(b"+").unwrap_or(argument)).map(Format::VerticalSpace)
        }
        b"sk" => count_of(argument.strip_prefix(b"+").unwrap_or(argument)).map(Format::Skip),
        b"in" => offset_of(argument).map(Format::Indent),
        b"ti" => offset_of(argument).map(Format::TemporaryIndent),
        _ => None,
    }
}

/// One or two digits, 1 where there are none; [`FORMAT_COUNT_MAX`] is what two digits hold.
fn count_of(digits: &[u8]) -> Option<u8> {
    match digits {
        [] => Some(1),
        digits => number_of(digits),
    }
}

fn number_of(digits: &[u8]) -> Option<u8> {
    let text = str::from_utf8(digits).ok()?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|&number| number <= FORMAT_COUNT_MAX)
}

fn offset_of(argument: &[u8]) -> Option<Offset> {
    let signed = |digits| i8::try_from(number_of(digits)?).ok();
    match argument {
        [] => Some(Offset::To(0)),
        [b'+', digits @ ..] => signed(digits).map(Offset::By),
        [b'-', digits @ ..] => signed(digits).map(|number| Offset::By(-number)),
        digits => number_of(digits).map(Offset::To),
    }
}

#[cfg(test)]
mod tests;

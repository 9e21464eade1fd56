//! The border between values and text: the escape sequences that reading and editing need.
//!
//! Whatever is not one of the delimiter or hexadecimal sequences stays as it stands.

use std::borrow::Cow;

use memchr::memchr;

use crate::delimiters::Delimiters;

/// Writes text so that no byte of it is taken for a delimiter, a segment end or a frame.
///
/// Without an escape character the text stays as it is: see [`is_representable`].
pub(crate) fn escape<'t>(text: &'t [u8], delimiters: &Delimiters) -> Cow<'t, [u8]> {
    let Some(escape) = delimiters.escape.filter(|_| needs_escape(text, delimiters)) else {
        return Cow::Borrowed(text);
    };
    let mut out = Vec::with_capacity(text.len() + 16);
    escape_into(text, escape, delimiters, &mut out);
    Cow::Owned(out)
}

/// Whether the message can carry this text: either nothing in it needs escaping or there is an escape character.
pub(crate) fn is_representable(text: &[u8], delimiters: &Delimiters) -> bool {
    delimiters.escape.is_some() || !needs_escape(text, delimiters)
}

fn needs_escape(text: &[u8], delimiters: &Delimiters) -> bool {
    text.iter().any(|&byte| is_control(byte) || letter_of(byte, delimiters).is_some())
}

fn escape_into(text: &[u8], escape: u8, delimiters: &Delimiters, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text {
        if let Some(letter) = letter_of(byte, delimiters) {
            out.extend_from_slice(&[escape, letter, escape]);
        } else if is_control(byte) {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[escape, b'X', digit(byte >> 4), digit(byte & 15), escape]);
        } else {
            out.push(byte);
        }
    }
}

/// Replaces the sequences that stand for delimiters and bytes.
pub(crate) fn unescape<'m>(raw: &'m [u8], delimiters: &Delimiters) -> Cow<'m, [u8]> {
    let Some(escape) = delimiters.escape else { return Cow::Borrowed(raw) };
    if memchr(escape, raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(start) = memchr(escape, rest) {
        let (before, sequence) = rest.split_at(start);
        out.extend_from_slice(before);
        let body = sequence.get(1..).unwrap_or_default();
        let known = memchr(escape, body).and_then(|end| {
            let inside = body.get(..end)?;
            decode(inside, delimiters, &mut out).then_some(end + 1)
        });
        match known {
            Some(end) => rest = body.get(end..).unwrap_or_default(),
            None => {
                out.push(escape);
                rest = body;
            }
        }
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

fn decode(inside: &[u8], delimiters: &Delimiters, out: &mut Vec<u8>) -> bool {
    match inside {
        [letter] => match delimiter_of(*letter, delimiters) {
            Some(delimiter) => {
                out.push(delimiter);
                true
            }
            None => false,
        },
        [b'X', digits @ ..] if !digits.is_empty() && digits.len() % 2 == 0 => {
            let before = out.len();
            for pair in digits.chunks_exact(2) {
                let mut nibbles = pair.iter().map(|digit| char::from(*digit).to_digit(16));
                let (Some(Some(high)), Some(Some(low))) = (nibbles.next(), nibbles.next()) else {
                    out.truncate(before);
                    return false;
                };
                out.push(u8::try_from(high * 16 + low).unwrap_or(u8::MAX));
            }
            true
        }
        _ => false,
    }
}

/// Bytes that end a segment or a frame wherever they stand.
fn is_control(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0x0B | 0x1C)
}

fn letter_of(byte: u8, delimiters: &Delimiters) -> Option<u8> {
    [b'F', b'S', b'T', b'R', b'E', b'P']
        .into_iter()
        .find(|letter| delimiter_of(*letter, delimiters) == Some(byte))
}

fn delimiter_of(letter: u8, delimiters: &Delimiters) -> Option<u8> {
    match letter {
        b'F' => Some(delimiters.field),
        b'S' => Some(delimiters.component),
        b'T' => delimiters.subcomponent,
        b'R' => Some(delimiters.repetition),
        b'E' => delimiters.escape,
        b'P' => delimiters.truncation,
        _ => None,
    }
}

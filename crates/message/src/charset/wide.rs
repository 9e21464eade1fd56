//! The Unicode encodings: UTF-8, and UTF-16 and UTF-32 of whole messages.

use super::decoded::{Sink, undecodable_byte};

/// An encoding whose units are wider than a byte, and its byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wide {
    Utf16Be,
    Utf16Le,
    Utf32Be,
    Utf32Le,
}

/// By byte order mark, or by the first letters of a header segment.
pub(super) fn detect(message: &[u8]) -> Option<Wide> {
    let starts = |prefix: &[u8]| message.starts_with(prefix);
    // The mark of UTF-32 with the low byte first starts with that of UTF-16.
    if starts(&[0xFF, 0xFE, 0, 0]) {
        return Some(Wide::Utf32Le);
    }
    if starts(&[0, 0, 0xFE, 0xFF]) {
        return Some(Wide::Utf32Be);
    }
    if starts(&[0xFF, 0xFE]) {
        return Some(Wide::Utf16Le);
    }
    if starts(&[0xFE, 0xFF]) {
        return Some(Wide::Utf16Be);
    }
    let spells = |wide: Wide, name: &[u8; 3]| {
        let mut expected = Vec::new();
        name.iter().for_each(|&letter| wide.put(u32::from(letter), &mut expected));
        starts(&expected)
    };
    // A null byte comes within the first two; anything else is told apart without building patterns.
    if !message.get(..2).is_some_and(|first| first.contains(&0)) {
        return None;
    }
    [Wide::Utf32Be, Wide::Utf32Le, Wide::Utf16Be, Wide::Utf16Le]
        .into_iter()
        .find(|&wide| [b"MSH", b"FHS", b"BHS"].iter().any(|name| spells(wide, name)))
}

impl Wide {
    pub(super) fn decode(self, bytes: &[u8], sink: &mut Sink) {
        match self {
            Self::Utf16Be => decode_utf16(bytes, sink, u16::from_be_bytes),
            Self::Utf16Le => decode_utf16(bytes, sink, u16::from_le_bytes),
            Self::Utf32Be => decode_utf32(bytes, sink, u32::from_be_bytes),
            Self::Utf32Le => decode_utf32(bytes, sink, u32::from_le_bytes),
        }
    }

    pub(super) fn encode(self, text: &str, bytes: &mut Vec<u8>) {
        for character in text.chars() {
            match undecodable_byte(character) {
                Some(byte) => bytes.push(byte),
                None => self.put(u32::from(character), bytes),
            }
        }
    }

    /// Appends a scalar value.
    fn put(self, scalar: u32, bytes: &mut Vec<u8>) {
        let mut units = [0; 2];
        let utf16 =
            char::from_u32(scalar).map_or(&[][..], |character| character.encode_utf16(&mut units));
        match self {
            Self::Utf16Be => bytes.extend(utf16.iter().flat_map(|unit| unit.to_be_bytes())),
            Self::Utf16Le => bytes.extend(utf16.iter().flat_map(|unit| unit.to_le_bytes())),
            Self::Utf32Be => bytes.extend(scalar.to_be_bytes()),
            Self::Utf32Le => bytes.extend(scalar.to_le_bytes()),
        }
    }
}

fn decode_utf16(bytes: &[u8], sink: &mut Sink, unit_of: fn([u8; 2]) -> u16) {
    let (units, odd) = bytes.as_chunks::<2>();
    let mut at = 0;
    for character in char::decode_utf16(units.iter().map(|&unit| unit_of(unit))) {
        let length = character.as_ref().map_or(2, |character| character.len_utf16() * 2);
        let spelling = bytes.get(at..at + length).unwrap_or_default();
        match character {
            Ok(character) => sink.character(character, spelling, at),
            Err(_) => sink.undecodable(spelling, at),
        }
        at += length;
    }
    sink.undecodable(odd, at);
}

fn decode_utf32(bytes: &[u8], sink: &mut Sink, scalar_of: fn([u8; 4]) -> u32) {
    let (units, odd) = bytes.as_chunks::<4>();
    for (index, unit) in units.iter().enumerate() {
        match char::from_u32(scalar_of(*unit)) {
            Some(character) => sink.character(character, unit, index * 4),
            None => sink.undecodable(unit, index * 4),
        }
    }
    sink.undecodable(odd, units.len() * 4);
}

pub(super) fn decode_utf8(bytes: &[u8], sink: &mut Sink) {
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            let length = character.len_utf8();
            sink.character(character, bytes.get(at..at + length).unwrap_or_default(), at);
            at += length;
        }
        sink.undecodable(chunk.invalid(), at);
        at += chunk.invalid().len();
    }
}

pub(super) fn encode_utf8(text: &str, bytes: &mut Vec<u8>) {
    for character in text.chars() {
        match undecodable_byte(character) {
            Some(byte) => bytes.push(byte),
            None => {
                let mut utf8 = [0; 4];
                bytes.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
            }
        }
    }
}

//! Single-byte sets, and the multi-byte sets of China, Korea and Taiwan.

use encoding_rs::{DecoderResult, EncoderResult, Encoding};

use super::character_set::Unencodable;
use super::decoded::{Sink, undecodable_byte};

/// Whether a byte below 0x80 may be part of a character: it may look like a delimiter then.
///
/// The second bytes of EUC-KR below 0x80 are letters, and those of EUC-JP are not below 0x80.
pub(super) fn hides_delimiters(encoding: &'static Encoding) -> bool {
    !encoding.is_single_byte() && encoding != encoding_rs::EUC_KR && encoding != encoding_rs::EUC_JP
}

/// Decodes bytes one by one; those from 0x80 on by the function.
pub(super) fn decode_single_byte(bytes: &[u8], sink: &mut Sink, high: impl Fn(u8) -> Option<char>) {
    for (at, &byte) in bytes.iter().enumerate() {
        if byte.is_ascii() {
            sink.text.push(char::from(byte));
        } else {
            match high(byte) {
                Some(character) => sink.character(character, &[byte], at),
                None => sink.undecodable(&[byte], at),
            }
        }
    }
}

/// Encodes characters one by one; those that are not ASCII by the function.
pub(super) fn encode_single_byte(
    text: &str,
    bytes: &mut Vec<u8>,
    high: impl Fn(char) -> Option<u8>,
) -> Result<(), Unencodable> {
    for (at, character) in text.char_indices() {
        let byte = match undecodable_byte(character) {
            Some(byte) => Some(byte),
            None if character.is_ascii() => u8::try_from(u32::from(character)).ok(),
            None => high(character),
        };
        bytes.push(byte.ok_or(Unencodable { at })?);
    }
    Ok(())
}

/// What the bytes from 0x80 on are in a part of ISO 8859: control characters up to 0x9F, then those of the part.
pub(super) struct HighHalf([Option<char>; 96]);

/// The high half of a set; `encoding` is its superset on Windows, which has printable characters below 0xA0 too.
pub(super) fn high_half(encoding: &'static Encoding) -> HighHalf {
    let mut characters = [None; 96];
    for (slot, byte) in characters.iter_mut().zip(0xA0_u8..=0xFF) {
        let bytes = [byte];
        let decoded = encoding.decode_without_bom_handling_and_without_replacement(&bytes);
        *slot = decoded.and_then(|text| text.chars().next());
    }
    HighHalf(characters)
}

impl HighHalf {
    pub(super) fn character(&self, byte: u8) -> Option<char> {
        match byte.checked_sub(0xA0) {
            Some(index) => self.0.get(usize::from(index)).copied().flatten(),
            None => Some(char::from(byte)),
        }
    }

    pub(super) fn byte(&self, character: char) -> Option<u8> {
        if matches!(character, '\u{80}'..='\u{9F}') {
            return u8::try_from(u32::from(character)).ok();
        }
        let index = self.0.iter().position(|&candidate| candidate == Some(character))?;
        u8::try_from(index).ok()?.checked_add(0xA0)
    }
}

pub(super) fn decode(encoding: &'static Encoding, bytes: &[u8], sink: &mut Sink) {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut read = 0;
    loop {
        let rest = bytes.get(read..).unwrap_or_default();
        let needed = decoder.max_utf8_buffer_length_without_replacement(rest.len());
        sink.text.reserve(needed.unwrap_or(rest.len()));
        let text_start = sink.text.len();
        let (result, consumed) =
            decoder.decode_to_string_without_replacement(rest, &mut sink.text, true);
        hide_markers(sink, text_start, bytes, read);
        read += consumed;
        match result {
            DecoderResult::InputEmpty => return,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(length, after) => {
                let end = read.saturating_sub(usize::from(after));
                let start = end.saturating_sub(usize::from(length));
                sink.undecodable(bytes.get(start..end).unwrap_or_default(), start);
            }
        }
    }
}

/// GB 18030 has all of Unicode, so that text may genuinely hold a marker: it is kept as its bytes.
fn hide_markers(sink: &mut Sink, text_start: usize, bytes: &[u8], mut from: usize) {
    let added = sink.text.get(text_start..).unwrap_or_default();
    let holds_markers = memchr::memchr(0xF4, added.as_bytes()).is_some()
        && added.chars().any(|character| undecodable_byte(character).is_some());
    if !holds_markers {
        return;
    }
    for character in sink.text.split_off(text_start).chars() {
        let mut utf8 = [0; 4];
        let (spelling, ..) = encoding_rs::GB18030.encode(character.encode_utf8(&mut utf8));
        if undecodable_byte(character).is_some() {
            let rest = bytes.get(from..).unwrap_or_default();
            from += memchr::memmem::find(rest, &spelling).unwrap_or(0);
        }
        sink.character(character, &spelling, from);
        if undecodable_byte(character).is_some() {
            from += spelling.len();
        }
    }
}

/// How long the spelling of one character is at most.
const SPELLING_BYTES_MAX: usize = 4;

/// Decodes character by character, and keeps those as bytes that would be encoded otherwise.
pub(super) fn transcode(encoding: &'static Encoding, bytes: &[u8], sink: &mut Sink) {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let found = (1..=SPELLING_BYTES_MAX).find_map(|length| {
            let spelling = rest.get(..length)?;
            character_spelled(encoding, spelling).map(|character| (character, spelling))
        });
        at += match found {
            Some((character, spelling)) => {
                sink.character(character, spelling, at);
                spelling.len()
            }
            None => {
                // Both bytes of a known double-byte character stay together: the second may look like a delimiter.
                let length = if spells_something(encoding, rest.get(..2)) { 2 } else { 1 };
                sink.undecodable(rest.get(..length).unwrap_or(rest), at);
                length
            }
        };
    }
}

/// The one character that has exactly this spelling.
fn character_spelled(encoding: &'static Encoding, spelling: &[u8]) -> Option<char> {
    if let &[byte] = spelling
        && byte.is_ascii()
    {
        return Some(char::from(byte));
    }
    let text = encoding.decode_without_bom_handling_and_without_replacement(spelling)?;
    let mut characters = text.chars();
    let character = characters.next().filter(|_| characters.next().is_none())?;
    let mut encoded = Vec::new();
    encode(encoding, &text, &mut encoded).ok()?;
    (encoded == spelling).then_some(character)
}

fn spells_something(encoding: &'static Encoding, spelling: Option<&[u8]>) -> bool {
    spelling.is_some_and(|spelling| {
        spelling.first().is_some_and(|first| !first.is_ascii())
            && encoding
                .decode_without_bom_handling_and_without_replacement(spelling)
                .is_some_and(|text| text.chars().count() == 1)
    })
}

pub(super) fn encode(
    encoding: &'static Encoding,
    text: &str,
    bytes: &mut Vec<u8>,
) -> Result<(), Unencodable> {
    let mut run_start = 0;
    for (at, character) in text.char_indices() {
        let byte = undecodable_byte(character);
        if byte.is_none() && !looks_like_a_delimiter(encoding, character) {
            continue;
        }
        encode_run(encoding, text, run_start..at, bytes)?;
        bytes.push(byte.ok_or(Unencodable { at })?);
        run_start = at + character.len_utf8();
    }
    encode_run(encoding, text, run_start..text.len(), bytes)
}

/// The Japanese encoders write the yen sign and the overline as the bytes of `\` and `~`.
fn looks_like_a_delimiter(encoding: &'static Encoding, character: char) -> bool {
    matches!(character, '\u{A5}' | '\u{203E}')
        && (encoding == encoding_rs::SHIFT_JIS || encoding == encoding_rs::EUC_JP)
}

fn encode_run(
    encoding: &'static Encoding,
    text: &str,
    run: std::ops::Range<usize>,
    bytes: &mut Vec<u8>,
) -> Result<(), Unencodable> {
    let mut encoder = encoding.new_encoder();
    let mut read = run.start;
    loop {
        let rest = text.get(read..run.end).unwrap_or_default();
        let needed = encoder.max_buffer_length_from_utf8_without_replacement(rest.len());
        bytes.reserve(needed.unwrap_or(rest.len()));
        let (result, consumed) =
            encoder.encode_from_utf8_to_vec_without_replacement(rest, bytes, true);
        read += consumed;
        match result {
            EncoderResult::InputEmpty => return Ok(()),
            EncoderResult::OutputFull => {}
            EncoderResult::Unmappable(character) => {
                return Err(Unencodable { at: read.saturating_sub(character.len_utf8()) });
            }
        }
    }
}
